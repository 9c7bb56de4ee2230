//! A call at the server.

mod answer;
mod request;
mod route;
mod shorten;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::BytesMut;

use self::answer::Output;
use self::request::RequestHead;
use self::route::Refusal;
use super::direction::{Answer, AnswerEvent, Request, RequestEvent};
use super::grpc::{deadline_exceeded, status_of_request_end};
use super::inbound::{Framing, Inbound};
use super::messages::{Front, too_large};
use super::{Coding, HttpCaps, Messages, Protocol, Read, RpcConfig, Shape, Sink};
use crate::codec::envelope::{COMPRESSED, PREFIX, Prefix};
use crate::{Code, Head, Instant, Metadata, ReceiveEnd, Status};

/// One call at a server, over any HTTP stack: takes a request's head and body, gives the answer to a [`Sink`].
///
/// [`accept`](ServerCall::accept) makes an old call into a new one and keeps its memory: a server in steady state
/// allocates nothing here for a unary gRPC call.
#[derive(Debug)]
pub struct ServerCall {
    config: Arc<RpcConfig>,
    caps: HttpCaps,
    head: RequestHead,
    shape: Option<Shape>,
    inbound: Inbound,
    request: Request,
    answer: Answer,
    /// Messages of the request handed out, up to 2.
    received: u8,
    /// Why the request failed.
    fault: Option<Status>,
    /// What the engine has decided to answer, until it is flushed.
    decision: Option<Decision>,
    output: Output,
}

/// An answer that the engine gives by itself.
#[derive(Clone, Debug)]
enum Decision {
    Status(Status),
    Refusal(Refusal),
}

impl ServerCall {
    /// Takes a request's head. It never fails: a request that no protocol claims is a call without a
    /// [`protocol`](ServerCall::protocol), which [`route`](ServerCall::route) answers; one that is wrong in itself (a bad
    /// timeout, an unknown coding) [is answered](ServerCall::is_answered) already.
    pub fn new(head: &Head, caps: HttpCaps, config: &Arc<RpcConfig>, now: Instant) -> Self {
        let mut call = Self {
            config: Arc::clone(config),
            caps,
            head: RequestHead::default(),
            shape: None,
            inbound: Inbound::default(),
            request: Request::Reading,
            answer: Answer::Fresh,
            received: 0,
            fault: None,
            decision: None,
            output: Output::default(),
        };
        call.accept(head, caps, config, now);
        call
    }

    /// Forgets the call and takes the head of another, as [`new`](ServerCall::new) does, keeping the memory.
    #[inline]
    pub fn accept(&mut self, head: &Head, caps: HttpCaps, config: &Arc<RpcConfig>, now: Instant) {
        if !Arc::ptr_eq(&self.config, config) {
            self.config = Arc::clone(config);
            self.output.forget_head();
            self.head.forget_fields();
        }
        self.caps = caps;
        self.shape = None;
        self.request = Request::Reading;
        self.answer = Answer::Fresh;
        self.received = 0;
        self.fault = None;
        self.decision = None;
        let changed = self.head.read(head, &self.config, now);
        self.output.reset(changed);
        self.inbound.reset(self.head.framing, self.config.receive_limit());
        self.inbound.coding.clone_from(&self.head.request_coding);
        self.inbound.content_length = self.head.content_length;
        if self.head.too_long {
            self.refuse(Decision::Refusal(Refusal::UrlTooLong));
        } else if let Some(status) = self.head.fault.take() {
            self.refuse(Decision::Status(status));
        }
    }

    /// The protocol; `None` when none claims the request.
    pub fn protocol(&self) -> Option<Protocol> {
        self.head.protocol
    }

    /// The codec of the messages, such as `proto`. Empty without a protocol.
    pub fn codec(&self) -> &str {
        &self.head.codec
    }

    /// The path as it travelled, without the query: `/package.Service/Method`. Compare it exactly, without decoding.
    pub fn path(&self) -> &str {
        &self.head.path
    }

    /// The request's headers, without those of the protocol.
    pub fn metadata(&self) -> &Metadata {
        &self.head.metadata
    }

    /// When the call is to be given up, in the time of the machine: the request's timeout, clamped by the config.
    pub fn deadline(&self) -> Option<Instant> {
        self.head.deadline
    }

    /// Whether the request has been taken to its clean end. (A GET may have a body that nobody reads.)
    #[inline]
    pub(crate) fn has_whole_request(&self) -> bool {
        self.request == Request::Complete && !self.head.is_get
    }

    /// Whether the request is a Connect GET.
    pub fn is_get(&self) -> bool {
        self.head.is_get
    }

    /// The HTTP stack's abilities.
    pub fn caps(&self) -> HttpCaps {
        self.caps
    }

    /// The coding that answers may be compressed with: what the client accepts. Whether a message is compressed is the
    /// caller's choice, message by message.
    pub fn encoding(&self) -> Option<&Arc<dyn Coding>> {
        self.head.response_coding.as_ref()
    }

    /// Whether the call has been answered in full, or nobody wants an answer any more. What the engine answers by itself
    /// has yet to be [flushed](ServerCall::flush).
    pub fn is_answered(&self) -> bool {
        self.answer.is_over()
    }

    /// Whether more of the request is of use: a foreign HTTP stack reads on only then, and only after
    /// [`Read::NeedMore`].
    pub fn wants_data(&self) -> bool {
        self.request == Request::Reading && self.head.protocol.is_some() && self.answer != Answer::Answered
    }

    /// Pulls from the request. `body`: what has been received and not been taken. `end`: how the receiving direction has
    /// ended, if it has; all that it brought is in `body` then.
    ///
    /// The message of a method that takes exactly one is given once the request is complete: a second one, or none, is
    /// answered UNIMPLEMENTED without the application being bothered. After [`Read::Failed`], [`flush`](ServerCall::flush).
    pub fn receive(&mut self, now: Instant, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Read {
        match self.request {
            Request::Reading if self.head.protocol.is_some() => {
                if let Some(messages) = self.receive_whole(body, end) {
                    return Read::Messages(messages);
                }
            }
            Request::Failed => {
                self.inbound.discard(body);
                return Read::Failed(self.kept_fault());
            }
            Request::Complete => {
                self.inbound.discard(body);
                return Read::End;
            }
            Request::Discarding | Request::Reading => return self.discard(now, body, end),
        }
        let read = match self.head.framing {
            Framing::Bare => self.receive_bare(body, end),
            Framing::Envelopes | Framing::Text => self.receive_enveloped(body, end),
        };
        match read {
            Step::Give(read) => read,
            Step::Ended(end) => self.ended(now, end),
            Step::Fault(status) => {
                self.inbound.discard(body);
                self.fail_request(status)
            }
        }
    }

    /// The one message of a request that has arrived whole, as most of those have that take one.
    #[inline(always)]
    pub(crate) fn receive_whole(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Option<Messages> {
        let prefix = Prefix::parse(body).filter(|_| end == Some(ReceiveEnd::Clean))?;
        let length = prefix.length as usize;
        let fits = prefix.flags == 0 && length <= self.inbound.max && body.len() - PREFIX == length;
        let due = self.request == Request::Reading && self.received == 0 && self.head.protocol.is_some();
        if !fits || !due || self.head.framing != Framing::Envelopes || !self.takes_one() {
            return None;
        }
        self.received = 1;
        self.request = self.request.next(RequestEvent::Complete);
        Some(self.inbound.take_run(body, PREFIX + length, 1))
    }

    fn receive_enveloped(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Step {
        let one = self.takes_one();
        // Of a single message, the one behind it is looked for as well.
        let Ok(front) = self.inbound.look(body, if one { 1 } else { usize::MAX }, end.is_some()) else {
            return Step::Fault(self.malformed("the body is not base64"));
        };
        match front {
            Front::Run { bytes, count } if !one => {
                self.received = 2;
                Step::Give(Read::Messages(self.inbound.take_run(body, bytes, count)))
            }
            Front::Run { .. } if self.received > 0 => Step::Fault(more_than_one()),
            Front::Run { bytes, count } => {
                if self.inbound.left(body) > bytes {
                    return Step::Fault(more_than_one());
                }
                match end {
                    None => Step::Give(Read::NeedMore { need: body.len().saturating_add(1) }),
                    Some(ReceiveEnd::Clean) => {
                        self.received = 1;
                        self.request = self.request.next(RequestEvent::Complete);
                        Step::Give(Read::Messages(self.inbound.take_run(body, bytes, count)))
                    }
                    Some(end) => Step::Ended(end),
                }
            }
            Front::Need(need) => match end {
                None => Step::Give(Read::NeedMore { need }),
                Some(ReceiveEnd::Clean) if self.inbound.left(body) > 0 => {
                    Step::Fault(self.malformed("the request ended inside a message"))
                }
                Some(end) => Step::Ended(end),
            },
            Front::TooLarge => Step::Fault(too_large(self.inbound.max)),
            Front::Flags(prefix) if prefix.flags == COMPRESSED => {
                Step::Fault(Status::internal("a message is compressed, but no coding was agreed on"))
            }
            Front::Flags(_) => Step::Fault(self.malformed("a message has reserved flags")),
        }
    }

    fn receive_bare(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Step {
        if let Some(message) = self.head.get_message.take() {
            // The message stood in the query; a body has no meaning (RFC 9110 §9.3.1).
            self.inbound.discard(body);
            let (coding, max) = (self.inbound.coding.as_ref(), self.inbound.max);
            if message.len() > max {
                return Step::Fault(too_large(max));
            }
            self.received = 1;
            self.request = self.request.next(RequestEvent::Complete);
            return Step::Give(Read::Messages(super::Messages::bare(message, coding, max)));
        }
        let declared = self.inbound.content_length.unwrap_or(0);
        if body.len().max(declared) > self.inbound.max {
            return Step::Fault(too_large(self.inbound.max));
        }
        match end {
            None => {
                let need = self.inbound.content_length.unwrap_or(usize::MAX);
                // The end is still to come, with a body that is complete.
                Step::Give(Read::NeedMore { need: need.max(body.len().saturating_add(1)) })
            }
            Some(ReceiveEnd::Clean) => {
                self.received = 1;
                self.request = self.request.next(RequestEvent::Complete);
                Step::Give(Read::Messages(self.inbound.take_bare(body)))
            }
            Some(end) => Step::Ended(end),
        }
    }

    /// Nothing is read, but an end is still told.
    fn discard(&mut self, now: Instant, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Read {
        self.inbound.discard(body);
        match end {
            None => Read::NeedMore { need: 1 },
            Some(ReceiveEnd::Clean) => Read::End,
            Some(end) => self.ended(now, end),
        }
    }

    /// The request has ended and everything in it has been taken.
    fn ended(&mut self, now: Instant, end: ReceiveEnd) -> Read {
        let Some((mut status, answerable)) = status_of_request_end(end) else {
            if self.takes_one() && self.received == 0 {
                return self
                    .fail_request(Status::unimplemented("the request has no message; the method takes one"));
            }
            self.request = self.request.next(RequestEvent::Complete);
            return Read::End;
        };
        // A cancel that follows the deadline is the deadline's doing.
        if status.code() == Code::Canceled && self.head.deadline.is_some_and(|deadline| now >= deadline) {
            status = deadline_exceeded();
        }
        if answerable {
            return self.fail_request(status);
        }
        self.request = self.request.next(RequestEvent::Broken);
        self.stopped();
        self.fault = Some(status.clone());
        Read::Failed(status)
    }

    /// A fault in the request: the engine answers it by itself.
    fn fail_request(&mut self, status: Status) -> Read {
        self.request = self.request.next(RequestEvent::Fault);
        self.fault = Some(status.clone());
        self.refuse(Decision::Status(status.clone()));
        Read::Failed(status)
    }

    fn kept_fault(&self) -> Status {
        self.fault.clone().unwrap_or_else(|| Status::canceled("the call has been answered"))
    }

    /// The application wants no more of the request. Nothing is said to the client.
    pub fn stop_reading(&mut self) {
        self.request = self.request.next(RequestEvent::Stop);
    }

    /// Nobody wants the answer any more: the client reset or stopped it, or the connection was lost, after the request
    /// was complete. What is sent from now on goes nowhere.
    pub fn stopped(&mut self) {
        if let Ok(next) = self.answer.next(AnswerEvent::Unwant, false) {
            self.answer = next;
            self.decision = None;
        }
    }

    /// The deadline has passed: answers DEADLINE_EXCEEDED, unless the call has been answered. Says whether it did.
    pub fn on_deadline(&mut self, out: &mut impl Sink) -> bool {
        if self.is_answered() {
            return false;
        }
        let status = deadline_exceeded();
        self.request = self.request.next(RequestEvent::Fault);
        self.fault.get_or_insert_with(|| status.clone());
        self.refuse(Decision::Status(status));
        self.flush(out);
        true
    }

    /// Ends the call with `status`, if it has not been answered: a fault that was found after the fact, while inflating
    /// or decoding, or a handler that is gone.
    pub fn fail(&mut self, status: &Status, out: &mut impl Sink) {
        self.refuse(Decision::Status(status.clone()));
        self.flush(out);
    }

    /// Decides the answer, if there is none yet.
    fn refuse(&mut self, decision: Decision) {
        if let Ok(next) = self.answer.next(AnswerEvent::Decide, false) {
            self.answer = next;
            self.decision = Some(decision);
        }
    }

    /// Whether this is a further message of a stream: it needs nothing but its envelope and room, and changes nothing
    /// in the call.
    #[inline]
    pub(crate) fn is_further_message(&self, payload: &[u8]) -> bool {
        self.answer == Answer::Messages
            && self.head.framing == Framing::Envelopes
            && !self.returns_one()
            && payload.len() <= self.config.send_limit()
    }

    /// The request is exactly one message.
    fn takes_one(&self) -> bool {
        self.head.framing == Framing::Bare || self.shape.is_some_and(|shape| !shape.takes_stream())
    }

    /// The answer is exactly one message.
    fn returns_one(&self) -> bool {
        self.head.framing == Framing::Bare || self.shape.is_some_and(|shape| !shape.returns_stream())
    }

    /// A rule of the protocol was broken in the body. gRPC's library never invents INVALID_ARGUMENT (grpc
    /// `statuscodes.md`); Connect's does.
    fn malformed(&self, rule: &'static str) -> Status {
        match self.head.protocol {
            Some(Protocol::Connect) => Status::invalid_argument(rule),
            _ => Status::internal(rule),
        }
    }
}

/// What one look at the body came to.
enum Step {
    Give(Read),
    Ended(ReceiveEnd),
    Fault(Status),
}

fn more_than_one() -> Status {
    Status::unimplemented("the request has more than one message; the method takes one")
}
