//! What the halves and the context of one call share.

use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use antiphon::rpc::{Coding, HttpVersion, Messages, Method, Protocol, Shape};
use antiphon::server::Request;
use antiphon::{CallId, End, EndedBy, Instant, Metadata, Status};

use crate::interceptor::client::{Flight, Gate};
use crate::interceptor::extra::Extra;
use crate::observe::Watch;
use crate::reply::Packed;
use crate::rules::Terms;
use crate::{Codec, Codecs, Link};

/// What the halves and the context of one call share. A server's is used again for later calls of its connection.
pub(crate) struct Call {
    pub(crate) link: Arc<dyn Link>,
    pub(crate) id: CallId,
    pub(crate) client: bool,
    /// Exactly one message is received.
    pub(crate) takes_one: bool,
    pub(crate) procedure: String,
    /// A server: the router's entry of just this procedure.
    entry: Option<usize>,
    pub(crate) method: Method,
    pub(crate) codec: String,
    /// A server: the codec's place among those of the method.
    pub(crate) codec_at: Option<usize>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) version: HttpVersion,
    pub(crate) is_get: bool,
    pub(crate) terms: Terms,
    pub(crate) deadline: Option<Instant>,
    /// A server: the headers of the request.
    pub(crate) headers: Metadata,
    /// A client: memory for the message that the call is started with.
    pub(crate) spare: Vec<u8>,
    /// What compresses the messages that are sent.
    pub(crate) coding: Option<Arc<dyn Coding>>,
    /// A client's receiver has taken the outcome, and the connection has let go of the call.
    pub(crate) outcome: OnceLock<Result<(), Status>>,
    /// A server's call that somebody else holds when it ends: how it did. Its place in the connection is used again.
    pub(crate) end: OnceLock<End>,
    /// A server: what has been received by the time the handler is called, until it is called.
    arrived: Mutex<Inbox>,
    /// When a server has looked at the head of the request.
    pub(crate) opened: Instant,
    /// What is counted for observers; mostly there are none.
    pub(crate) watch: Option<Arc<Watch>>,
    /// A client's call with interceptors around it.
    pub(crate) flight: Option<Arc<Flight>>,
    /// A client's call as its interceptors see it.
    pub(crate) gate: Option<Arc<Gate>>,
    /// Messages are to be sent as they are, until this is switched back.
    pub(crate) uncompressed: AtomicBool,
    /// The headers have left.
    headers_sent: AtomicBool,
    outgoing: Mutex<Outgoing>,
    /// What interceptors have attached; mostly nothing.
    extra: OnceLock<Box<Extra>>,
}

/// What a server sets for the response, or a client's interceptors for the request.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) headers: Metadata,
    pub(crate) trailers: Metadata,
    pub(crate) finished: bool,
}

impl Outgoing {
    /// What is to be sent, if there is anything: the headers, if they are still to be, and the trailers.
    pub(crate) fn take(&mut self, with_headers: bool) -> Option<Box<(Metadata, Metadata)>> {
        let headers = if with_headers { &mut self.headers } else { &mut Metadata::new() };
        if headers.is_empty() && self.trailers.is_empty() {
            return None;
        }
        Some(Box::new((core::mem::take(headers), core::mem::take(&mut self.trailers))))
    }
}

impl Call {
    /// The id of what no connection knows: a client's call that has not begun.
    pub(crate) const UNSTARTED: CallId = CallId { index: u32::MAX, generation: u32::MAX };

    pub(crate) fn new(link: Arc<dyn Link>, id: CallId, client: bool) -> Self {
        Self {
            link,
            id,
            client,
            takes_one: false,
            procedure: String::new(),
            entry: None,
            method: Method::new(Shape::Unary),
            codec: String::new(),
            codec_at: None,
            protocol: None,
            version: HttpVersion::Http2,
            is_get: false,
            terms: Terms::default(),
            deadline: None,
            headers: Metadata::new(),
            spare: Vec::new(),
            coding: None,
            outcome: OnceLock::new(),
            end: OnceLock::new(),
            arrived: Mutex::default(),
            opened: Instant::EPOCH,
            watch: None,
            flight: None,
            gate: None,
            uncompressed: AtomicBool::new(false),
            headers_sent: AtomicBool::new(false),
            outgoing: Mutex::new(Outgoing::default()),
            extra: OnceLock::new(),
        }
    }

    /// Makes it the next call's, with its memory.
    #[inline]
    pub(crate) fn renew(&mut self, id: CallId) {
        self.id = id;
        self.takes_one = false;
        self.deadline = None;
        self.headers.clear();
        self.coding = None;
        self.outcome.take();
        self.end.take();
        *self.uncompressed.get_mut() = false;
        *self.headers_sent.get_mut() = false;
        self.extra.take();
        self.watch = None;
        let outgoing = self.outgoing.get_mut().unwrap_or_else(PoisonError::into_inner);
        outgoing.headers.clear();
        outgoing.trailers.clear();
        outgoing.finished = false;
    }

    /// A server: what has been received, while nobody shares the call.
    pub(crate) fn arrived_mut(&mut self) -> &mut Inbox {
        self.arrived.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server: takes what had been received when the handler was called.
    pub(crate) fn take_arrived(&self) -> Inbox {
        let (run, end) = self.take_request();
        Inbox { run, end, ..Inbox::default() }
    }

    /// A server: takes the messages that had been received when the handler was called, and the end behind them if it
    /// has come.
    #[inline]
    pub(crate) fn take_request(&self) -> (Option<Messages>, Option<Result<(), Status>>) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        (arrived.run.take(), arrived.end.take())
    }

    /// Gives back what is of no use to a later call, and may be large.
    pub(crate) fn rest(&mut self) {
        let arrived = self.arrived_mut();
        arrived.run = None;
        arrived.end = None;
        // What an interceptor attached after the end is somebody's code, and is not to be dropped under a lock.
        self.extra.take();
    }

    /// Names its procedure and codec.
    pub(crate) fn name(&mut self, procedure: &str, codec: &str) {
        if self.procedure != procedure {
            self.procedure.clear();
            self.procedure.push_str(procedure);
        }
        if self.codec != codec {
            self.codec.clear();
            self.codec.push_str(codec);
        }
    }

    /// The router's entry of this path, if this was the path of the call whose memory it has.
    pub(crate) fn known_entry(&self, path: &str) -> Option<usize> {
        self.entry.filter(|_| self.procedure == path)
    }

    /// Notes what a handler may ask of a request, which the router takes to `entry`. What is there already from the call
    /// whose memory it has is not copied again.
    #[inline]
    pub(crate) fn describe(&mut self, request: &Request<'_>, entry: Option<usize>) {
        if self.entry != entry || entry.is_none() {
            self.procedure.clear();
            self.procedure.push_str(request.path());
            self.entry = entry;
            self.codec_at = None;
        }
        if self.codec != request.codec() {
            self.codec_at = None;
            self.codec.clear();
            self.codec.push_str(request.codec());
        }
        self.protocol = request.protocol();
        self.version = request.version();
        self.is_get = request.is_get();
        self.method = Method::new(request.shape());
        self.deadline = request.deadline();
        if !request.metadata().is_empty() {
            self.headers.extend_from(request.metadata());
        }
    }

    /// The codec that messages of this call have.
    pub(crate) fn codec_of<T>(&self, codecs: &Codecs<T>) -> Result<Arc<dyn Codec<T>>, Status> {
        self.with_codec(codecs, Arc::clone)
    }

    /// Lends the codec that messages of this call have.
    #[inline]
    pub(crate) fn with_codec<T, R>(
        &self,
        codecs: &Codecs<T>,
        work: impl FnOnce(&Arc<dyn Codec<T>>) -> R,
    ) -> Result<R, Status> {
        let codec = match self.codec_at.and_then(|at| codecs.at(at)) {
            Some(codec) => codec,
            None => codecs.find(&self.codec)?,
        };
        #[cfg(feature = "json")]
        if self.terms.json != crate::JsonOptions::default() {
            if let Some(codec) = codec.with_json(self.terms.json) {
                return Ok(work(&codec));
            }
        }
        Ok(work(codec))
    }

    /// Whether a message of this size, in bytes, is to be compressed where that was agreed on.
    pub(crate) fn compresses(&self, size: usize) -> bool {
        size >= self.terms.compress_from && !self.is_uncompressed()
    }

    pub(crate) fn is_uncompressed(&self) -> bool {
        self.uncompressed.load(Ordering::Relaxed)
    }

    /// What is set for the response. Never lock it while the connection is locked; the other way round is how it is
    /// done.
    pub(crate) fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn headers_sent(&self) -> bool {
        self.headers_sent.load(Ordering::Acquire)
    }

    /// The headers of a request that is about to leave: from now on nothing more can be set.
    pub(crate) fn freeze_headers(&self) -> Metadata {
        let outgoing = self.outgoing();
        self.headers_sent.store(true, Ordering::Release);
        outgoing.headers.clone()
    }

    /// A client's call that has begun: nothing more can be set.
    pub(crate) fn freeze(&mut self) {
        *self.headers_sent.get_mut() = true;
        self.outgoing.get_mut().unwrap_or_else(PoisonError::into_inner).finished = true;
    }

    /// A server: sends the response headers unless they have been sent.
    #[inline]
    pub(crate) fn send_headers(&self) {
        if !self.client && !self.headers_sent() {
            self.send_headers_now();
        }
    }

    fn send_headers_now(&self) {
        let outgoing = self.outgoing();
        if !self.headers_sent() && !outgoing.finished {
            // Refused only when the call is gone, which whoever sends or receives learns anyway.
            let _ = self.link.send_headers(self.id, &outgoing.headers);
            self.headers_sent.store(true, Ordering::Release);
        }
    }
}

/// How it ends.
impl Call {
    /// How the call ended, if it has. The outcome of a client's call that has arrived and not been taken stays to be
    /// received.
    pub(crate) fn ended(&self) -> Option<EndedBy> {
        if let Some(gate) = &self.gate {
            return gate.ended();
        }
        if self.id == Self::UNSTARTED {
            return self.outcome.get().map(ended_by);
        }
        let end = self.end.get().copied().or_else(|| self.link.ended(self.id));
        if self.outcome.get().is_none() && end.is_none() {
            return None;
        }
        Some(self.ended_by(end))
    }

    /// Who made this end of it.
    pub(crate) fn ended_by(&self, end: Option<End>) -> EndedBy {
        if let Some(outcome) = self.outcome.get() {
            return ended_by(outcome);
        }
        match end.or_else(|| self.end.get().copied()) {
            Some(End::Cancelled { reset }) => EndedBy::Cancel { reset },
            Some(End::Deadline) => EndedBy::Deadline,
            Some(End::Lost) => EndedBy::LostConnection,
            Some(End::Finished) | None if self.client => {
                self.link.outcome(self.id).as_ref().map_or(EndedBy::Answer, ended_by)
            }
            Some(End::Finished) | None => EndedBy::Answer,
        }
    }

    /// Notes how it ended, for those who ask later.
    pub(crate) fn remember_end(&self, end: End) {
        let _ = self.end.set(end);
    }
}

/// Who made this outcome.
pub(crate) fn ended_by(outcome: &Result<(), Status>) -> EndedBy {
    outcome.as_ref().map_or_else(Status::ended, |()| EndedBy::Answer)
}

/// What observers are told.
impl Call {
    /// Counts a message that was handed to the connection.
    #[inline]
    pub(crate) fn count_sent(&self, packed: &Packed, scratch: &[u8]) {
        if let Some(watch) = &self.watch {
            watch.count_sent(packed.plain_len(scratch), &packed.payload(scratch));
        }
    }

    /// The call has ended.
    #[inline]
    pub(crate) fn observe_end(&self, result: Result<(), &Status>) {
        if let Some(watch) = &self.watch {
            watch.end(result.err().map(Status::code));
        }
    }
}

/// What interceptors attach.
impl Call {
    /// What has been attached; nothing has, mostly, and that costs one load.
    #[inline]
    fn extra(&self) -> Option<&Extra> {
        match &self.flight {
            None => self.extra.get().map(|extra| &**extra),
            Some(flight) => flight.view().extra(),
        }
    }

    /// Whether anything has been attached.
    pub(crate) fn has_extra(&self) -> bool {
        self.extra.get().is_some()
    }

    pub(crate) fn attach(&self) -> &Extra {
        self.extra.get_or_init(Box::default)
    }

    #[inline]
    pub(crate) fn clear_extra(&self) {
        if let Some(extra) = self.extra() {
            extra.clear();
        }
    }

    pub(crate) fn take_answer(&self) -> Option<Box<dyn Any + Send>> {
        self.extra()?.take_answer()
    }

    /// Shows a message that is to be sent to the interceptors, which may change or refuse it.
    #[inline]
    pub(crate) fn see_sent<T: 'static>(&self, message: &mut T, codec: &dyn Codec<T>) -> Result<(), Status> {
        match self.extra() {
            Some(extra) => extra.see_sent(message, codec, self.client),
            None => Ok(()),
        }
    }

    /// Shows a message that was received to the interceptors, which may change or refuse it.
    #[inline]
    pub(crate) fn see_received<T: 'static>(
        &self,
        message: &mut T,
        size: Option<usize>,
    ) -> Result<(), Status> {
        match self.extra() {
            Some(extra) => extra.see_received(message, size, !self.client),
            None => Ok(()),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.client && self.id != Self::UNSTARTED && self.outcome.get().is_none() {
            self.link.drop_call(self.id);
        }
    }
}

/// What has been taken from the connection and not yet by the application.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) run: Option<Messages>,
    pub(crate) end: Option<Result<(), Status>>,
    /// A client: the response headers, once they were asked for or the end was taken.
    pub(crate) headers: Option<Metadata>,
    /// A client: the trailers, with the end.
    pub(crate) trailers: Metadata,
}
