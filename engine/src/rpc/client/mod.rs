//! A call at the client.

mod request;
mod response;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::request::Asked;
pub use self::request::ClientRequest;
use self::response::Answer;
use super::connect::{Decimal, get_path};
use super::direction::{Refusal, Response, ResponseEvent, Upload, UploadEvent};
use super::grpc::deadline_exceeded;
use super::grpc_web::put_envelope;
use super::inbound::{Framing, Inbound};
use super::{Coding, HttpCaps, Method, Payload, Protocol, RpcConfig, Sink};
use crate::{Code, EndedBy, Head, Http2Code, Instant, Metadata, Misuse, SendError, Status};

/// One call at a client, over any HTTP stack: gives the request to a [`Sink`], takes the response, and has exactly one
/// outcome.
///
/// A response may come at any time, before the request is complete too: feed it, and `flush`.
#[derive(Debug)]
pub struct ClientCall {
    config: Arc<RpcConfig>,
    protocol: Protocol,
    method: Method,
    codec: String,
    content_type: String,
    deadline: Option<Instant>,
    use_get: bool,
    asked: Asked,
    /// The request's head, if it is not the one remembered in `asked`: with a timeout, or of a Connect unary request.
    head: Head,
    /// Of what message `head` speaks: one of this length, compressed or not, needs no other.
    head_of: Option<(usize, bool)>,
    coding: Option<Arc<dyn Coding>>,
    upload: Upload,
    /// Connect unary: the message until the half-close.
    kept_message: Vec<u8>,
    kept_compressed: bool,
    text: bytes::BytesMut,
    is_get: bool,

    response: Response,
    answer: Answer,
    inbound: Inbound,
    /// Messages of the response handed out, up to 2.
    received: u8,
    /// The response is read for its outcome alone.
    discarding: bool,
    failure: Option<Status>,
    /// The code with which the exchange is to be reset, until it is flushed.
    reset: Option<u32>,
}

impl ClientCall {
    /// Makes the call out of what is asked for. `now` is when it starts: the time left until the deadline is told to the
    /// server. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Misuse::InvalidTarget`] for a path, authority, scheme or codec that may not be sent; [`Misuse::NotCarried`] when
    /// the HTTP stack cannot carry the call; [`Misuse::UnknownCoding`] for a coding that the config does not know.
    pub fn new(
        request: &ClientRequest<'_>,
        caps: HttpCaps,
        config: &Arc<RpcConfig>,
        now: Instant,
    ) -> Result<Self, Misuse> {
        let mut call = Self {
            config: Arc::clone(config),
            protocol: request.protocol,
            method: request.method,
            codec: String::new(),
            content_type: String::new(),
            deadline: None,
            use_get: false,
            asked: Asked::default(),
            head: Head::default(),
            head_of: None,
            coding: None,
            upload: Upload::Fresh,
            kept_message: Vec::new(),
            kept_compressed: false,
            text: bytes::BytesMut::new(),
            is_get: false,
            response: Response::Waiting,
            answer: Answer::default(),
            inbound: Inbound::default(),
            received: 0,
            discarding: false,
            failure: None,
            reset: None,
        };
        call.prepare(request, caps, config, now)?;
        Ok(call)
    }

    /// Forgets the call and makes another, as [`new`](ClientCall::new) does, keeping the memory.
    ///
    /// # Errors
    /// As [`new`](ClientCall::new). The old call stays as it is then.
    pub fn prepare(
        &mut self,
        request: &ClientRequest<'_>,
        caps: HttpCaps,
        config: &Arc<RpcConfig>,
        now: Instant,
    ) -> Result<(), Misuse> {
        if !self.is_alike(request, caps, config) {
            self.ask(request, caps, config)?;
        }
        self.deadline = request.deadline;
        if let Some(deadline) = request.deadline {
            self.head_of = None;
            self.asked.write_timed(request.protocol, deadline.duration_since(now), &mut self.head);
        }
        self.use_get =
            request.use_get && request.method.allows_get() && request.protocol == Protocol::Connect;
        self.is_get = false;
        self.upload = Upload::Fresh;
        self.kept_message.clear();
        self.kept_compressed = false;
        self.response = Response::Waiting;
        self.answer.reset();
        self.inbound.reset(request.framing(), self.config.receive_limit().min(request.method.max_receive));
        self.received = 0;
        self.discarding = false;
        self.failure = None;
        self.reset = None;
        Ok(())
    }

    /// Whether this is asked for as before, but for the deadline: a client's calls are mostly alike, and what was checked
    /// and written for the last one is good for the next.
    fn is_alike(&self, request: &ClientRequest<'_>, caps: HttpCaps, config: &Arc<RpcConfig>) -> bool {
        self.protocol == request.protocol
            && self.method == request.method
            && self.codec == request.codec
            && self.coding.as_ref().map(|coding| coding.name()) == request.coding
            && Arc::ptr_eq(&self.config, config)
            && self.asked.is_alike(request, caps)
    }

    /// Checks what is asked for and writes the head that says it.
    fn ask(
        &mut self,
        request: &ClientRequest<'_>,
        caps: HttpCaps,
        config: &Arc<RpcConfig>,
    ) -> Result<(), Misuse> {
        request.check(caps)?;
        let coding = match request.coding {
            None | Some("identity") => None,
            Some(name) => Some(Arc::clone(config.codings.find(name).ok_or(Misuse::UnknownCoding)?)),
        };
        self.config = Arc::clone(config);
        self.protocol = request.protocol;
        self.method = request.method;
        self.codec.clear();
        self.codec.push_str(request.codec);
        request.write_content_type(&mut self.content_type);
        let named = request.coding(coding.as_ref().map(|coding| coding.name()));
        self.asked.remember(&named, caps, &self.config, &self.content_type);
        self.coding = coding;
        self.head_of = None;
        self.answer.forget();
        Ok(())
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// When the call is to be given up.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the request went out as a GET.
    pub fn is_get(&self) -> bool {
        self.is_get
    }

    /// The coding that messages may be compressed with. Whether one is, is the caller's choice, message by message.
    pub fn encoding(&self) -> Option<&Arc<dyn Coding>> {
        self.coding.as_ref()
    }

    /// Sends the request's head. That of a Connect unary request waits for its message: it has a content-length, and may
    /// become a GET. Does nothing if the call has its outcome, or was started.
    pub fn start(&mut self, out: &mut impl Sink) {
        if self.upload != Upload::Fresh {
            return;
        }
        if let Ok(next) = self.upload.next(UploadEvent::Start, self.sends_one()) {
            self.upload = next;
            if self.inbound.framing != Framing::Bare {
                out.head(if self.deadline.is_some() { &self.head } else { &self.asked.head }, false);
            }
        }
    }

    /// Sends a message; starts the call if that has not been done. A Connect unary request keeps a copy until
    /// [`half_close`](ClientCall::half_close): [`unary`](ClientCall::unary) does without.
    ///
    /// # Errors
    /// [`SendError::Ended`] when the call has its outcome, or the server reads no more. [`Misuse::OneMessageOnly`],
    /// [`Misuse::AlreadyClosed`], [`Misuse::TooLarge`]; [`Misuse::WrongState`] for a compressed message without an
    /// [`encoding`](ClientCall::encoding).
    pub fn send(&mut self, payload: Payload<'_>, out: &mut impl Sink) -> Result<(), SendError> {
        self.check_payload(payload)?;
        let next = self.upload_after(UploadEvent::Message)?;
        self.start(out);
        self.upload = next;
        if self.inbound.framing == Framing::Bare {
            self.kept_message.clear();
            self.kept_message.extend_from_slice(payload.bytes());
            self.kept_compressed = payload.is_compressed();
        } else {
            self.put_message(payload, out);
        }
        Ok(())
    }

    /// Ends the request; the response goes on. Does nothing when the call has its outcome, or the server reads no more.
    ///
    /// # Errors
    /// [`Misuse::NoMessage`] when the method takes one message and none was sent; [`Misuse::AlreadyClosed`].
    pub fn half_close(&mut self, out: &mut impl Sink) -> Result<(), Misuse> {
        let next = match self.upload_after(UploadEvent::HalfClose) {
            Ok(next) => next,
            Err(SendError::Misuse(misuse)) => return Err(misuse),
            Err(_) => return Ok(()),
        };
        self.start(out);
        self.upload = next;
        if self.inbound.framing != Framing::Bare {
            out.end();
            return Ok(());
        }
        let message = core::mem::take(&mut self.kept_message);
        self.put_unary(
            if self.kept_compressed { Payload::Compressed(&message) } else { Payload::Plain(&message) },
            out,
        );
        self.kept_message = message;
        Ok(())
    }

    /// Sends the whole request of one message: head, message, end.
    ///
    /// # Errors
    /// As [`send`](ClientCall::send).
    pub fn unary(&mut self, payload: Payload<'_>, out: &mut impl Sink) -> Result<(), SendError> {
        self.check_payload(payload)?;
        let next = self.upload_after(UploadEvent::Message)?;
        self.start(out);
        self.upload = next;
        self.upload = self.upload_after(UploadEvent::HalfClose)?;
        if self.inbound.framing == Framing::Bare {
            self.put_unary(payload, out);
        } else {
            self.put_message(payload, out);
            out.end();
        }
        Ok(())
    }

    fn upload_after(&self, event: UploadEvent) -> Result<Upload, SendError> {
        self.upload.next(event, self.sends_one()).map_err(|refusal| match refusal {
            Refusal::Misuse(misuse) => SendError::Misuse(misuse),
            Refusal::Ended => SendError::Ended,
        })
    }

    fn check_payload(&self, payload: Payload<'_>) -> Result<(), Misuse> {
        if payload.bytes().len() > self.config.send_limit() {
            return Err(Misuse::TooLarge);
        }
        if payload.is_compressed() && self.coding.is_none() {
            return Err(Misuse::WrongState);
        }
        Ok(())
    }

    fn put_message(&mut self, payload: Payload<'_>, out: &mut impl Sink) {
        let text = (self.inbound.framing == Framing::Text).then_some(&mut self.text);
        put_envelope(0, payload, text, out);
    }

    /// Sends a Connect unary request: a GET if that is wanted and fits, else a POST.
    fn put_unary(&mut self, payload: Payload<'_>, out: &mut impl Sink) {
        let coding = self.coding.as_ref().map(|coding| coding.name()).filter(|_| payload.is_compressed());
        let length = payload.bytes().len();
        if self.use_get {
            let path = get_path(self.asked.head.path(), &self.codec, coding, payload.bytes());
            if path.len() <= self.config.max_url {
                self.start_head();
                let [_, scheme, authority, _] = self.asked.head.control_bytes();
                self.head.set_request_bytes(b"GET", scheme, authority, path.as_bytes());
                self.is_get = true;
                out.head(&self.head, true);
                return;
            }
        }
        if self.head_of != Some((length, coding.is_some())) {
            self.start_head();
            let fields = &mut self.head.fields;
            fields.push("content-type", self.content_type.as_bytes());
            fields.push("connect-protocol-version", b"1");
            if let Some(coding) = coding {
                fields.push("content-encoding", coding.as_bytes());
            }
            fields.push("content-length", Decimal::new(length).as_bytes());
            self.head_of = Some((length, coding.is_some())).filter(|_| self.deadline.is_none());
        }
        out.head(&self.head, length == 0);
        if length > 0 {
            payload.put(out);
            out.end();
        }
    }

    /// Begins the head of a Connect unary request; one with a timeout was begun when the call was made.
    fn start_head(&mut self) {
        self.head_of = None;
        if self.deadline.is_none() {
            self.head.assign(&self.asked.head);
        }
    }

    /// Whether this is a further message of a stream: it needs nothing but its envelope and room, and changes nothing
    /// in the call.
    #[inline]
    pub(crate) fn is_further_message(&self, payload: &[u8]) -> bool {
        self.upload == Upload::Messages
            && self.inbound.framing == Framing::Envelopes
            && !self.sends_one()
            && payload.len() <= self.config.send_limit()
    }

    fn sends_one(&self) -> bool {
        !self.method.shape.takes_stream()
    }

    /// The server reads no more of the request; its response goes on. What is sent from now on goes nowhere.
    pub fn stopped(&mut self) {
        if let Ok(next) = self.upload.next(UploadEvent::Unwant, false) {
            self.upload = next;
        }
    }

    /// The application wants no more messages, only the outcome: [`receive`](ClientCall::receive) drops them.
    pub fn stop_reading(&mut self) {
        self.discarding = true;
    }

    /// The deadline has passed: the outcome is DEADLINE_EXCEEDED, unless there is one. Says whether it is. Not to be called
    /// when the response has ended and only waits to be read: that end came first.
    pub fn on_deadline(&mut self) -> bool {
        self.abandon(deadline_exceeded())
    }

    /// Cancels the call: the outcome is CANCELLED, unless there is one. Says whether it is.
    pub fn cancel(&mut self) -> bool {
        self.abandon(Status::canceled("the call was cancelled").with_ended(EndedBy::Cancel { reset: None }))
    }

    fn abandon(&mut self, status: Status) -> bool {
        if self.response.is_over() {
            return false;
        }
        self.conclude(ResponseEvent::Abandon, Some(status), Http2Code::CANCEL);
        true
    }

    /// A fault was found after the fact, while inflating or decoding: the outcome is `status`, unless the application has
    /// seen another, or there is a bad one.
    pub fn fail(&mut self, status: Status) {
        let before = self.response;
        if before == Response::Good {
            self.response = before.next(ResponseEvent::Fault);
            self.failure = Some(status);
        } else if !before.is_over() {
            self.conclude(ResponseEvent::Fault, Some(status), Http2Code::CANCEL);
        }
    }

    /// Fixes the outcome. The exchange is reset with `reset` if a direction may still be open.
    fn conclude(&mut self, event: ResponseEvent, failure: Option<Status>, reset: Http2Code) {
        self.response = self.response.next(event);
        self.failure = failure;
        if self.upload != Upload::Fresh {
            self.reset = Some(reset.0);
        }
        self.stopped();
    }

    /// Sends what the call has decided by itself: a reset, when the outcome is there and a direction may still be open
    /// (CANCEL if this side gave up; NO_ERROR if the answer was complete before the request).
    pub fn flush(&mut self, out: &mut impl Sink) {
        if let Some(code) = self.reset.take() {
            out.reset(code);
        }
    }

    /// Whether more of the response is of use: a foreign HTTP stack reads on only then, and only after
    /// [`Read::NeedMore`](super::Read::NeedMore).
    pub fn wants_data(&self) -> bool {
        !self.response.is_over()
    }

    /// The response's headers, without those of the protocol, once they have arrived.
    pub fn headers(&self) -> Option<&Metadata> {
        self.answer.has_head.then_some(&self.answer.headers)
    }

    /// The response's trailers, complete once the outcome is there. A bad outcome's [`Status::metadata`] has them too.
    pub fn trailers(&self) -> &Metadata {
        &self.answer.trailers
    }

    /// The outcome, if it is there: does not count as telling it.
    pub fn outcome(&self) -> Option<Result<(), &Status>> {
        self.response.is_over().then_some(self.failure.as_ref().map_or(Ok(()), Err))
    }

    /// A reset that says CANCEL after the deadline is the deadline's doing (gRPC PROTOCOL-HTTP2 "Errors"). A status that
    /// the server has told stays what it is, whenever it comes.
    fn after_deadline(&self, now: Instant, status: Status) -> Status {
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        let reset = matches!(status.ended(), EndedBy::Cancel { .. }) && status.code() == Code::Canceled;
        if late && reset { deadline_exceeded() } else { status }
    }
}
