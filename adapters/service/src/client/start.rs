//! From a path to the halves of a call: a slot, the interceptors and observers, the first message.

use core::future::poll_fn;
use std::sync::Arc;

use antiphon::rpc::{ClientRequest, Method, Protocol};
use antiphon::{EndedBy, SendError, Status};

use super::{CallOptions, Client, Response, streams};
use crate::call::{Call, Inbox};
use crate::handler::MethodCodecs;
use crate::interceptor::client::Flight;
use crate::link::Starting;
use crate::observe::Watch;
use crate::reply::{MOST_SPARE, Packed, misuse_status, pack};
use crate::router::slashed;
use crate::sender::Staged;
use crate::slots::Ticket;
use crate::{Link, Receiver, Sender};

/// How often a call of one message is begun again that the server certainly did not begin (RFC 9113 §8.7).
const REFUSALS: u32 = 3;

impl<W> Client<W> {
    /// Gives a call's options this client's defaults, and the time that it has as a deadline.
    pub(super) fn settle(&self, options: &mut CallOptions) {
        options.inherit(&self.defaults);
        let timeout = options.timeout.take().map(|timeout| self.connection.link.now() + timeout);
        options.deadline = match (timeout, options.deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Starts a call, waiting for a slot. It is there before the response headers are. A message is sent in the same
    /// step if it need not be compressed; nothing more can be sent then.
    async fn start<I: 'static, O: 'static>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        options: &CallOptions,
        beside: &Beside,
        message: Option<&mut Staged<I>>,
    ) -> Result<Open, Status> {
        let link = &self.connection.link;
        let path = &*slashed(path);
        let mut call = self.connection.call();
        let mut scratch = Vec::new();
        let coding = options.coding.as_ref().and_then(Option::as_deref);
        let headers = beside.flight.as_ref().map(|flight| flight.view().freeze_headers());
        let packed = match Arc::get_mut(&mut call) {
            Some(call) => {
                describe(call, path, method, options);
                beside.join(call);
                scratch = core::mem::take(&mut call.spare);
                codecs.response.find(&call.codec)?;
                let message = message.filter(|_| coding.is_none());
                first_message(call, codecs, message, &mut scratch)?
            }
            None => None, // nobody else has seen it yet
        };
        let (codec, limited) = (options.codec.as_deref().unwrap_or("proto"), options.limited(method));
        let protocol = options.protocol.unwrap_or(Protocol::Connect);
        let request = ClientRequest::new(protocol, codec, limited, &self.connection.authority, path)
            .scheme(&self.connection.scheme)
            .metadata(headers.as_ref().unwrap_or(&options.metadata))
            .deadline(options.deadline)
            .coding(coding)
            .use_get(options.use_get.unwrap_or(false));
        let message = packed.as_ref().map(|packed| packed.payload(&scratch));
        let mut place = Place { link, ticket: Ticket::default() };
        let started = poll_fn(|context| {
            let starting = &mut Starting { request: &request, message, ticket: &mut place.ticket };
            link.poll_start(starting, context)
        })
        .await?;
        if let (Some(Ok(())), Some(packed)) = (started.sent, &packed) {
            call.count_sent(packed, &scratch);
        }
        if let Some(call) = Arc::get_mut(&mut call) {
            call.id = started.call;
            call.coding = started.coding;
            call.version = started.version;
            if scratch.capacity() <= MOST_SPARE {
                call.spare = scratch;
            }
            call.freeze();
        }
        match started.sent {
            Some(Err(SendError::Misuse(misuse))) => Err(misuse_status(misuse)),
            // Too late is no fault: the outcome tells.
            sent => Ok(Open { call, sent: sent.is_some(), ended: false }),
        }
    }

    /// The interceptors around a call and its observers, if there are any.
    fn beside(&self, path: &str, method: Method, options: &CallOptions) -> Beside {
        if self.around.is_none() && self.observers.is_none() {
            return Beside::default();
        }
        let mut view = Call::new(Arc::clone(&self.connection.link), Call::UNSTARTED, true);
        describe(&mut view, &slashed(path), method, options);
        view.version = self.connection.link.version();
        view.outgoing().headers = options.metadata.clone();
        let now = self.connection.link.now();
        Beside {
            watch: self.observers.as_ref().map(|observers| Arc::new(Watch::start(observers, &view, now))),
            flight: self.around.as_ref().map(|around| Arc::new(Flight::new(around, view))),
        }
    }

    /// [Starts](Client::start) a call inside its interceptors.
    async fn open<I: 'static, O: 'static>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        options: &CallOptions,
        beside: &Beside,
        message: Option<&mut Staged<I>>,
    ) -> Result<Open, Status> {
        let Some(flight) = &beside.flight else {
            return self.start(path, method, codecs, options, beside, message).await;
        };
        match flight.around(self.start(path, method, codecs, options, beside, message)).await {
            Ok(Ok(open)) => return Ok(open),
            Ok(Err(status)) => {
                flight.settle(Err(status));
                flight.end().await?;
            }
            Err(end) => end?,
        }
        // An interceptor ended the call well before it began: its halves meet that end.
        let mut call = Call::new(Arc::clone(&self.connection.link), Call::UNSTARTED, true);
        describe(&mut call, &slashed(path), method, options);
        beside.join(&mut call);
        Ok(Open { call: Arc::new(call), sent: false, ended: true })
    }

    pub(super) async fn open_stream<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        options: &CallOptions,
    ) -> Result<(Sender<I, V>, Receiver<O, V>), Status> {
        let beside = self.beside(path, method, options);
        let open = beside.told(self.open(path, method, codecs, options, &beside, None).await)?;
        let halves = (open.sender(codecs)?, open.receiver(codecs)?);
        self.connection.link.flush();
        Ok(halves)
    }

    async fn start_with_message<I: 'static, O: 'static>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        message: &mut Staged<I>,
        options: &CallOptions,
        beside: &Beside,
    ) -> Result<Open, Status> {
        let open = self.open(path, method, codecs, options, beside, Some(&mut *message)).await?;
        if !open.sent {
            let mut sender: Sender<I> = open.sender(codecs)?;
            match poll_fn(|context| sender.poll_send(message, true, context)).await {
                // The call has an outcome already, or will have: it is the better answer.
                Err(status) if status.ended() != EndedBy::Locally => sender.close_send(),
                Err(status) => match &beside.flight {
                    None => return Err(status),
                    // If the interceptors make a good end of it, there is an answer; the call itself is given up.
                    Some(flight) => {
                        flight.settle(Err(status));
                        flight.end().await?;
                    }
                },
                Ok(()) => {}
            }
        }
        Ok(open)
    }

    pub(super) async fn call_stream<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        message: I,
        options: &CallOptions,
    ) -> Result<Receiver<O, V>, Status> {
        let mut message = Staged::new(message);
        let beside = self.beside(path, method, options);
        let started = self.start_with_message(path, method, codecs, &mut message, options, &beside).await;
        beside.told(started)?.receiver(codecs)
    }

    pub(super) async fn call_one<I: 'static, O: 'static>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        message: I,
        options: &CallOptions,
    ) -> Result<Response<O>, Status> {
        let mut message = Staged::new(message);
        let beside = self.beside(path, method, options);
        let mut refusals = 0;
        loop {
            let started = self.start_with_message(path, method, codecs, &mut message, options, &beside).await;
            let open = beside.told(started)?;
            let mut receiver: Receiver<O, W> = open.receiver(codecs)?;
            receiver.may_retry = refusals < REFUSALS;
            if open.sent && beside.flight.is_none() {
                receiver.waits_already();
            }
            match streams::receive_one(&mut receiver).await {
                // Refused before it began: the limit of concurrent calls was not known yet, for example.
                Err(status) if status.unprocessed() && refusals < REFUSALS => refusals += 1,
                result => {
                    if result.is_ok() && beside.is_empty() && !open.call.has_extra() {
                        self.connection.keep(open.call);
                    }
                    return beside.told(result);
                }
            }
        }
    }
}

/// What goes beside a call. Both are of the whole call, however often it has to be begun.
#[derive(Default)]
struct Beside {
    flight: Option<Arc<Flight>>,
    watch: Option<Arc<Watch>>,
}

impl Beside {
    fn is_empty(&self) -> bool {
        self.flight.is_none() && self.watch.is_none()
    }

    /// They go with a call that has not begun.
    fn join(&self, call: &mut Call) {
        call.watch = self.watch.clone();
        if let Some(flight) = &self.flight {
            *call.uncompressed.get_mut() = flight.view().is_uncompressed();
            call.flight = Some(Arc::clone(flight));
        }
    }

    /// Tells the observers an error that the call ended with.
    fn told<T>(&self, result: Result<T, Status>) -> Result<T, Status> {
        if let (Some(watch), Err(status)) = (&self.watch, &result) {
            watch.end(Some(status.code()));
        }
        result
    }
}

/// Notes what is known of a call before it begins.
fn describe(call: &mut Call, path: &str, method: Method, options: &CallOptions) {
    call.name(path, options.codec.as_deref().unwrap_or("proto"));
    call.method = method;
    call.protocol = Some(options.protocol.unwrap_or(Protocol::Connect));
    call.deadline = options.deadline;
    call.takes_one = !method.shape.returns_stream();
    call.terms = options.terms();
}

/// Packs the message that is to be sent where the call is started, if there is one.
fn first_message<I: 'static, O>(
    call: &Call,
    codecs: &MethodCodecs<I, O>,
    message: Option<&mut Staged<I>>,
    scratch: &mut Vec<u8>,
) -> Result<Option<Packed>, Status> {
    call.with_codec(&codecs.request, |codec| {
        let Some(staged) = message else { return Ok(None) };
        staged.see(|message| call.see_sent(message, &**codec))?;
        pack(call, &**codec, &staged.message, scratch).map(Some)
    })?
}

/// A call that was started, of which the halves can be made.
struct Open {
    call: Arc<Call>,
    /// Its one message has been sent.
    sent: bool,
    /// Its interceptors have ended it well before it began.
    ended: bool,
}

impl Open {
    fn sender<I: 'static, O, V>(&self, codecs: &MethodCodecs<I, O>) -> Result<Sender<I, V>, Status> {
        Ok(Sender::new(Arc::clone(&self.call), self.call.codec_of(&codecs.request)?))
    }

    fn receiver<I, O: 'static, V>(&self, codecs: &MethodCodecs<I, O>) -> Result<Receiver<O, V>, Status> {
        let inbox = Inbox { end: self.ended.then_some(Ok(())), ..Inbox::default() };
        Ok(Receiver::new(Arc::clone(&self.call), self.call.codec_of(&codecs.response)?, inbox))
    }
}

/// A place in the queue for a slot: given up, it goes to the next.
struct Place<'a> {
    link: &'a Arc<dyn Link>,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.ticket != Ticket::default() {
            self.link.leave_queue(self.ticket);
        }
    }
}
