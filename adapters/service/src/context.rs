//! What a handler or an interceptor knows of its call beside the messages.

use core::any::Any;
use core::fmt;
use core::future::poll_fn;
use core::mem::{replace, take};
use core::sync::atomic::Ordering;
use core::task::{self, Poll};
use core::time::Duration;
use std::sync::Arc;

use antiphon::rpc::{HttpVersion, Method, Protocol};
use antiphon::{EndedBy, Instant, IntoValue, Metadata, Misuse, Status};

use crate::call::Call;
use crate::slots::WatchKey;
use crate::{Message, Peer};

/// One call beside its messages, as a handler sees it, or an interceptor at either side: what was received, and what is
/// sent.
///
/// Cheap to clone, and free to go anywhere. [`headers`](Context::headers) are those received; what is
/// [set](Context::set_header) is sent: with the response at a server, with the request at a client. A context
/// that outlives its call keeps what was received and can set nothing.
#[derive(Clone)]
pub struct Context {
    pub(crate) call: Arc<Call>,
}

impl Context {
    pub(crate) fn new(call: Arc<Call>) -> Self {
        Self { call }
    }

    /// The headers received, without the protocol's own: those of the request. At a client, those of the response once
    /// they are known, at the latest when [`Next::run`](crate::Next::run) returns.
    pub fn headers(&self) -> &Metadata {
        match &self.call.gate {
            None => &self.call.headers,
            Some(gate) => gate.headers(),
        }
    }

    /// At a client: the trailers of the response, when [`Next::run`](crate::Next::run) returns. Empty before that, and
    /// at a server.
    pub fn trailers(&self) -> &Metadata {
        static NONE: Metadata = Metadata::new();
        self.call.gate.as_ref().map_or(&NONE, |gate| gate.trailers())
    }

    /// Adds a header to what this side sends: the response, or at a client the request. A name that ends in `-bin`
    /// takes bytes.
    ///
    /// # Errors
    /// `internal` when the headers have been sent or the handler has returned, or for a name or value that may not be
    /// sent.
    pub fn set_header(&self, name: &str, value: impl IntoValue) -> Result<(), Status> {
        // A value may be anybody's code: it is asked for what it is before anything is locked.
        value.with_value(|value| {
            let mut outgoing = self.call.outgoing();
            if outgoing.finished || self.call.headers_sent() {
                return Err(fault(Misuse::HeadersSent));
            }
            outgoing.headers.append(name, value).map_err(fault)
        })
    }

    /// Sends the response headers now and not with the first message. It never waits, and does nothing the second
    /// time, nor at a client.
    pub fn send_headers(&self) {
        self.call.send_headers();
    }

    /// Whether messages are compressed from now on, where that was agreed on and they are large enough. On unless this was
    /// called; off is for what does not get smaller, or holds a secret beside what somebody else has chosen.
    pub fn compress(&self, compress: bool) {
        self.call.uncompressed.store(!compress, Ordering::Relaxed);
    }

    /// Adds a trailer to the response, until the handler returns. It is sent after a good end and beside an error.
    ///
    /// # Errors
    /// `internal` when the handler has returned, for a name or value that may not be sent, and at a client, whose
    /// requests have none.
    pub fn set_trailer(&self, name: &str, value: impl IntoValue) -> Result<(), Status> {
        self.require_server()?;
        value.with_value(|value| {
            let mut outgoing = self.call.outgoing();
            if outgoing.finished {
                return Err(fault(Misuse::AlreadyClosed));
            }
            outgoing.trailers.append(name, value).map_err(fault)
        })
    }

    /// Changes the headers that this side sends, all those that were set so far: removes or replaces one, for example.
    ///
    /// # Errors
    /// As [`set_header`](Context::set_header), without a call of `change`.
    pub fn update_headers<R>(&self, change: impl FnOnce(&mut Metadata) -> R) -> Result<R, Status> {
        let mut headers = {
            let mut outgoing = self.call.outgoing();
            if outgoing.finished || self.call.headers_sent() {
                return Err(fault(Misuse::HeadersSent));
            }
            take(&mut outgoing.headers)
        };
        // Nothing is locked while anybody's code runs. What is set in the meantime comes behind.
        let result = change(&mut headers);
        let outgoing = &mut *self.call.outgoing();
        let added = replace(&mut outgoing.headers, headers);
        outgoing.headers.extend_from(&added);
        Ok(result)
    }

    /// Changes the trailers of the response, all those that were set so far.
    ///
    /// # Errors
    /// As [`set_trailer`](Context::set_trailer), without a call of `change`.
    pub fn update_trailers<R>(&self, change: impl FnOnce(&mut Metadata) -> R) -> Result<R, Status> {
        self.require_server()?;
        let mut trailers = {
            let mut outgoing = self.call.outgoing();
            if outgoing.finished {
                return Err(fault(Misuse::AlreadyClosed));
            }
            take(&mut outgoing.trailers)
        };
        let result = change(&mut trailers);
        let outgoing = &mut *self.call.outgoing();
        let added = replace(&mut outgoing.trailers, trailers);
        outgoing.trailers.extend_from(&added);
        Ok(result)
    }

    /// Shows every message of the call to `hook` from now on, decoded, in both directions; it may change or refuse it.
    /// For interceptors, before they run the call.
    ///
    /// Hooks see a message in the order of their interceptors: on its way in to the handler, or out to a client's wire,
    /// the outermost first; on its way back the outermost last. The halves of a call may be at messages in two threads
    /// at once. What hooks keep is dropped when the call has ended.
    ///
    /// A message to be sent that is refused is not sent: whoever sends it gets the status, and the call goes on. A
    /// received one that is refused ends the call with the status. A panic is such a status, `unknown`.
    ///
    /// ```
    /// # use antiphon_service::{Bytes, Context, Direction, Status};
    /// # fn limit(context: &Context) {
    /// context.on_message(|message| match (message.direction(), message.get_mut::<Bytes>()) {
    ///     (Direction::Received, Some(bytes)) if bytes.is_empty() => {
    ///         Err(Status::invalid_argument("it is empty"))
    ///     }
    ///     _ => Ok(()),
    /// });
    /// # }
    /// ```
    pub fn on_message(&self, hook: impl Fn(&mut Message<'_>) -> Result<(), Status> + Send + Sync + 'static) {
        self.call.attach().add_hook(Arc::new(hook));
    }

    /// Sets the one message of the response in place of the handler's: for an interceptor that then returns `Ok(())`,
    /// without having run the call, or after it has failed. Its type is the method's own; another one makes the call
    /// fail `internal`.
    ///
    /// # Errors
    /// `internal` when the response is a stream. One without a message needs no answer: return `Ok(())`.
    pub fn answer(&self, message: impl Any + Send) -> Result<(), Status> {
        if self.call.method.shape.returns_stream() {
            return Err(fault(Misuse::WrongState));
        }
        self.call.attach().set_answer(Box::new(message));
        Ok(())
    }

    /// Whether this is a client's side of the call.
    pub fn is_client(&self) -> bool {
        self.call.client
    }

    /// The shape of the method, and whether it has side effects.
    pub fn method(&self) -> Method {
        self.call.method
    }

    /// When the call's time is up, on the connection's own clock.
    pub fn deadline(&self) -> Option<Instant> {
        self.call.deadline
    }

    /// How long the call may still take; zero when its time is up. `None` without a deadline.
    pub fn time_left(&self) -> Option<Duration> {
        self.call.deadline.map(|deadline| deadline.duration_since(self.call.link.now()))
    }

    /// The path of the call, such as `/package.Service/Method`.
    pub fn procedure(&self) -> &str {
        &self.call.procedure
    }

    /// The protocol that the client speaks.
    pub fn protocol(&self) -> Option<Protocol> {
        self.call.protocol
    }

    /// The version of HTTP below it.
    pub fn http_version(&self) -> HttpVersion {
        self.call.version
    }

    /// The name of the codec, such as `proto` or `json`.
    pub fn codec(&self) -> &str {
        &self.call.codec
    }

    /// Who is at the other end of the connection.
    pub fn peer(&self) -> &Peer {
        self.call.link.peer()
    }

    /// Waits until the call has ended, and tells how, as [`ended`](Context::ended) does. An async handler whose peer
    /// cancels, whose deadline passes or whose connection is lost is dropped then, so this is for work that was detached
    /// from it.
    pub async fn cancelled(&self) -> EndedBy {
        let mut watch = Watch { call: &self.call, key: WatchKey::default() };
        poll_fn(|context| watch.poll(context)).await
    }

    /// How the call has ended; `None` while it goes on. Known for as long as there is a context of it.
    ///
    /// | | at a server | at a client |
    /// |---|---|---|
    /// | [`Answer`](EndedBy::Answer) | the handler has returned, and its answer was given, good or bad | the call went well |
    /// | [`Status`](EndedBy::Status) | | the server has told an error |
    /// | [`Cancel`](EndedBy::Cancel) | the client gave up, or reset the call | this side gave up, or the server reset the call |
    /// | [`Deadline`](EndedBy::Deadline) | the time was up | the time was up here; a server that says so first is `Status` |
    /// | [`LostConnection`](EndedBy::LostConnection) | the connection ended first | the connection ended first |
    /// | [`Locally`](EndedBy::Locally) | | this side found a fault |
    ///
    /// At a client it is the outcome that has arrived, which may still be there to be received.
    pub fn ended(&self) -> Option<EndedBy> {
        self.call.ended()
    }

    /// Whether the call has [ended](Context::ended): nobody waits for the answer any more, or at a client, its outcome is
    /// known.
    pub fn is_cancelled(&self) -> bool {
        match &self.call.gate {
            None => {
                let known = self.call.end.get().is_some() || self.call.outcome.get().is_some();
                known || self.call.link.ended(self.call.id).is_some()
            }
            Some(gate) => gate.is_settled(),
        }
    }

    fn require_server(&self) -> Result<(), Status> {
        if self.call.client { Err(fault(Misuse::WrongState)) } else { Ok(()) }
    }
}

/// Waits for the end of a call, and leaves no trace when it is dropped before.
struct Watch<'a> {
    call: &'a Call,
    key: WatchKey,
}

impl Watch<'_> {
    fn poll(&mut self, context: &mut task::Context<'_>) -> Poll<EndedBy> {
        match &self.call.gate {
            Some(gate) => gate.poll_watch(&mut self.key, context),
            None => {
                let end = self.call.link.poll_watch(self.call.id, &mut self.key, context);
                end.map(|end| self.call.ended_by(end))
            }
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        match &self.call.gate {
            _ if self.key == WatchKey::default() => {}
            Some(gate) => gate.unwatch(self.key),
            None => self.call.link.unwatch(self.call.id, self.key),
        }
    }
}

fn fault(misuse: Misuse) -> Status {
    Status::internal(misuse.to_string()).with_source(misuse)
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("procedure", &self.call.procedure)
            .field("protocol", &self.call.protocol)
            .field("codec", &self.call.codec)
            .field("peer", self.call.link.peer())
            .finish_non_exhaustive()
    }
}
