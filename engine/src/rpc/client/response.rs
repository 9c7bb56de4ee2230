//! What a response says: from heads, bodies, trailers and ends to messages and an outcome.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::ClientCall;
use crate::codec::envelope::{COMPRESSED, END_STREAM, PREFIX, Prefix, TRAILERS};
use crate::codec::grpc_status::{decode_status, metadata_from};
use crate::codec::{connect_error, end_stream, web_trailers};
use crate::rpc::connect::split_trailers;
use crate::rpc::direction::{Response, ResponseEvent, Upload};
use crate::rpc::grpc::{OK_TRAILERS, status_of_http, status_of_response_end};
use crate::rpc::inbound::{BadText, Framing};
use crate::rpc::messages::{Front, inflate, inflate_failed, too_large};
use crate::rpc::protocol::ContentType;
use crate::rpc::{Coding, Protocol, Read};
use crate::{Code, EndedBy, Fields, Head, Http2Code, Instant, Metadata, ReceiveEnd, Status};

/// The longest error or end of a stream in JSON that is read; more of a foreign body is not waited for.
const SMALL_BODY: usize = 64 << 10;

/// What is known of the answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) has_head: bool,
    pub(super) headers: Metadata,
    pub(super) trailers: Metadata,
    http_status: u16,
    mode: Mode,
    /// What the head says if nothing else does: a Trailers-Only status, or what a foreign response stands for.
    by_head: Option<Result<(), Status>>,
    /// What the protocol's own end says: it counts when nothing follows.
    by_end: Option<Result<(), Status>>,
    has_trailers: bool,
    /// Bytes of the body seen and dropped or taken: a status in the head then does not count.
    has_body: bool,
    discarded: usize,
    /// The fields of a good head, whose meaning is the same when they come again: the headers are kept from it.
    last_fields: Fields,
    last_coding: Option<Arc<dyn Coding>>,
    last_length: Option<usize>,
    repeatable: bool,
}

/// What the body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Mode {
    /// Messages as the protocol has them.
    #[default]
    Messages,
    /// The error of a Connect unary call in JSON.
    Error,
    /// Nothing of ours.
    Foreign,
}

impl Answer {
    pub(super) fn reset(&mut self) {
        self.has_head = false;
        self.trailers.clear();
        self.http_status = 0;
        self.mode = Mode::Messages;
        self.by_head = None;
        self.by_end = None;
        self.has_trailers = false;
        self.has_body = false;
        self.discarded = 0;
    }

    /// The request is another: what a head means may have changed.
    pub(super) fn forget(&mut self) {
        self.repeatable = false;
    }
}

impl ClientCall {
    /// Takes the head of the response. Informational ones, and a second one, are ignored.
    pub fn receive_head(&mut self, head: &Head) {
        if head.is_informational() || self.answer.has_head || self.response.is_over() {
            return;
        }
        self.response = self.response.next(ResponseEvent::Head);
        self.answer.has_head = true;
        self.answer.http_status = head.status();
        if self.answer.repeatable && head.status() == 200 && head.fields == self.answer.last_fields {
            self.inbound.coding.clone_from(&self.answer.last_coding);
            self.inbound.content_length = self.answer.last_length;
            return;
        }
        self.read_head(head);
        let answer = &mut self.answer;
        answer.repeatable = head.status() == 200
            && answer.mode == Mode::Messages
            && answer.by_head.is_none()
            && answer.trailers.is_empty();
        if answer.repeatable {
            answer.last_fields.assign(&head.fields);
            answer.last_coding.clone_from(&self.inbound.coding);
            answer.last_length = self.inbound.content_length;
        }
    }

    fn read_head(&mut self, head: &Head) {
        self.answer.headers.clear();
        self.inbound.content_length =
            single(&head.fields, "content-length").and_then(|value| value.parse().ok());
        if self.is_unary_connect() {
            split_trailers(&head.fields, &mut self.answer.headers, &mut self.answer.trailers);
        } else {
            self.answer.headers = metadata_from(&head.fields);
        }
        let verdict = match self.protocol {
            Protocol::Connect => self.check_connect(head),
            _ => self.check_grpc(head),
        };
        if let Err(status) = verdict.and_then(|()| self.set_coding(head)) {
            if self.answer.mode == Mode::Messages {
                self.answer.mode = Mode::Foreign;
            }
            self.answer.by_head = Some(Err(status));
        }
    }

    fn is_unary_connect(&self) -> bool {
        self.inbound.framing == Framing::Bare
    }

    /// A Connect response must be 200 and of the request's type, or an error in JSON.
    fn check_connect(&mut self, head: &Head) -> Result<(), Status> {
        let value = head.fields.get("content-type").unwrap_or_default();
        let found = ContentType::parse(value);
        let unary = self.is_unary_connect();
        if head.status() != 200 {
            let json = ContentType { protocol: Protocol::Connect, enveloped: false, codec: "json" };
            if unary && found == Some(json) {
                self.answer.mode = Mode::Error;
                return Ok(());
            }
            return Err(status_of_http(head.status()));
        }
        match found {
            Some(found)
                if found.protocol == Protocol::Connect
                    && found.enveloped != unary
                    && found.codec == self.codec =>
            {
                Ok(())
            }
            _ if unary && value.starts_with(b"application/") => Err(wrong_codec()),
            Some(found) if !unary && found.protocol == Protocol::Connect && found.enveloped => {
                Err(wrong_codec())
            }
            _ => Err(foreign()),
        }
    }

    /// A gRPC response must be 200 and of the request's type; a status in its head wins over both.
    fn check_grpc(&mut self, head: &Head) -> Result<(), Status> {
        let found = head.fields.get("content-type").and_then(ContentType::parse);
        let by_head = decode_status(&head.fields);
        if by_head.is_some() {
            // Trailers-Only, unless a body or trailers follow.
            self.answer.by_head = by_head;
            if head.status() != 200 {
                self.answer.mode = Mode::Foreign;
                return Ok(());
            }
        }
        if head.status() != 200 {
            return Err(status_of_http(head.status()));
        }
        let family = |protocol: Protocol| match self.protocol {
            Protocol::Grpc => protocol == Protocol::Grpc,
            _ => protocol.is_web(),
        };
        match found {
            Some(found) if found.protocol == self.protocol && found.codec == self.codec => Ok(()),
            _ if self.answer.by_head.is_some() => {
                self.answer.mode = Mode::Foreign;
                Ok(())
            }
            Some(found) if family(found.protocol) => Err(wrong_codec()),
            _ => Err(foreign()),
        }
    }

    /// The coding of the response must be one that we know.
    fn set_coding(&mut self, head: &Head) -> Result<(), Status> {
        let name = match (self.protocol, self.inbound.framing) {
            (Protocol::Connect, Framing::Bare) => "content-encoding",
            (Protocol::Connect, _) => "connect-content-encoding",
            _ => "grpc-encoding",
        };
        let Some(value) = head.fields.get(name) else { return Ok(()) };
        let name = core::str::from_utf8(value).unwrap_or_default().trim_ascii();
        if name.is_empty() || name == "identity" {
            return Ok(());
        }
        match self.config.codings.find(name) {
            Some(coding) => {
                self.inbound.coding = Some(coding.clone());
                Ok(())
            }
            None => Err(Status::internal("the response has a compression that was not offered")),
        }
    }

    /// Takes the trailers of the response, before the end is given to [`receive`](ClientCall::receive). Only gRPC has any.
    pub fn receive_trailers(&mut self, trailers: &Fields) {
        if self.protocol != Protocol::Grpc || self.response.is_over() || self.answer.has_trailers {
            return;
        }
        self.answer.has_trailers = true;
        if *trailers == *OK_TRAILERS {
            self.answer.by_end = Some(Ok(()));
            return;
        }
        self.answer.trailers = metadata_from(trailers);
        self.answer.by_end = decode_status(trailers);
    }

    /// Pulls from the response. `body`: what has been received and not been taken. `end`: how the receiving direction has
    /// ended, if it has; all that it brought is in `body`, and the trailers have been given to
    /// [`receive_trailers`](ClientCall::receive_trailers).
    ///
    /// `now` decides whether a cancel is the deadline's doing: the time at which `end` came is best.
    ///
    /// The outcome is [`Read::End`] or [`Read::Failed`]; then [`flush`](ClientCall::flush). What is left in `body` then is
    /// dropped.
    pub fn receive(&mut self, now: Instant, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Read {
        if !self.response.is_over() {
            match self.step(body, end) {
                Step::Give(read) => return read,
                Step::Outcome(outcome) => self.settle(now, outcome, end.is_some()),
            }
        }
        self.inbound.discard(body);
        let read = match &self.failure {
            None => Read::End,
            Some(status) => Read::Failed(status.clone()),
        };
        self.response = self.response.next(ResponseEvent::Tell);
        read
    }

    fn step(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Step {
        if self.response == Response::Waiting {
            return match end {
                None => Step::Give(Read::NeedMore { need: body.len().saturating_add(1) }),
                Some(end) => Step::failed(
                    status_of_response_end(end)
                        .unwrap_or_else(|| Status::internal("the response ended without a head")),
                ),
            };
        }
        match (self.answer.mode, self.inbound.framing) {
            (Mode::Foreign, _) => self.foreign_body(body, end),
            (Mode::Error, _) => self.error_body(body, end),
            (Mode::Messages, Framing::Bare) => self.bare_body(body, end),
            (Mode::Messages, _) => loop {
                match self.enveloped_body(body, end) {
                    // Dropped, or the protocol's own end: look on.
                    None => continue,
                    Some(step) => return step,
                }
            },
        }
    }

    /// Fixes the outcome that the peer's answer has.
    fn settle(&mut self, now: Instant, outcome: Outcome, ended: bool) {
        let (result, local) = match outcome {
            Outcome::Peer(result) => (result, false),
            Outcome::Local(status) => (Err(status), true),
        };
        let result = match result {
            Ok(()) if self.received == 0 && !self.method.shape.returns_stream() => {
                Err(Status::unimplemented("the response has no message; the method returns one"))
            }
            Ok(()) => Ok(()),
            Err(status) => Err(self.after_deadline(now, status)),
        };
        let event = if result.is_ok() { ResponseEvent::Good } else { ResponseEvent::Bad };
        let failure = result.err().map(|status| match status.metadata().is_empty() {
            true => status.with_metadata(self.answer.trailers.clone()),
            false => status,
        });
        let request_open = matches!(self.upload, Upload::Open | Upload::Messages);
        self.conclude(event, failure, if local { Http2Code::CANCEL } else { Http2Code::NO_ERROR });
        if ended && !request_open {
            self.reset = None;
        }
    }

    /// A body that is not ours, or after a status in the head: dropped, up to a limit.
    fn foreign_body(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Step {
        self.answer.discarded = self.answer.discarded.saturating_add(body.len());
        body.clear();
        match end {
            None if self.answer.discarded <= SMALL_BODY => Step::Give(Read::NeedMore { need: 1 }),
            None => Step::Outcome(match self.status_at_end() {
                Err(status) => Outcome::Local(status),
                Ok(()) => Outcome::Peer(Ok(())),
            }),
            Some(ReceiveEnd::Clean) => Step::Outcome(Outcome::Peer(self.status_at_end())),
            // A status that has arrived counts, whatever came after it.
            Some(end) => match self.answer.by_end.take().or(self.answer.by_head.take()) {
                Some(Err(status)) => Step::failed(status),
                Some(Ok(())) | None => self.broken(end),
            },
        }
    }

    /// The outcome of a response that has ended, by its trailers, its head, or what is missing. A status in the head
    /// counts only when neither body nor trailers follow (Trailers-Only), and a good one never when bytes were dropped.
    fn status_at_end(&mut self) -> Result<(), Status> {
        let complete = self.answer.discarded == 0;
        match self.answer.by_end.take() {
            Some(Ok(())) if !complete => {}
            Some(result) => return result,
            None => {}
        }
        let foreign = self.answer.mode == Mode::Foreign;
        let only_head = !self.answer.has_body && !self.answer.has_trailers;
        match self.answer.by_head.take() {
            Some(result) if only_head && complete || foreign && (complete || result.is_err()) => {
                if self.protocol != Protocol::Connect && !self.answer.has_trailers {
                    self.answer.trailers = core::mem::take(&mut self.answer.headers);
                }
                result
            }
            _ => Err(status_of_http(self.answer.http_status)),
        }
    }

    /// The error of a Connect unary call; whatever is not one is told by the HTTP status.
    fn error_body(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Step {
        let http = self.answer.http_status;
        if body.len() > SMALL_BODY {
            return Step::Outcome(Outcome::Local(status_of_http(http)));
        }
        match end {
            None => Step::Give(Read::NeedMore { need: body.len().saturating_add(1) }),
            Some(ReceiveEnd::Clean) => {
                let text = match self.inflate_small(self.inbound.coding.is_some(), &body.split().freeze()) {
                    Ok(text) => text,
                    Err(status) => return Step::Outcome(Outcome::Local(status)),
                };
                let status = connect_error::decode(&text, Code::from_http_status(http));
                Step::failed(status.unwrap_or_else(|_| status_of_http(http)).with_ended(EndedBy::Status))
            }
            Some(end) => self.broken(end),
        }
    }

    fn bare_body(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Step {
        if self.received > 0 {
            return match end {
                Some(_) => Step::Outcome(Outcome::Peer(Ok(()))),
                None => Step::Give(Read::NeedMore { need: 1 }),
            };
        }
        let declared = self.inbound.content_length.unwrap_or(0);
        if body.len().max(declared) > self.inbound.max {
            return Step::Outcome(Outcome::Local(too_large(self.inbound.max)));
        }
        match end {
            None => {
                let need = self.inbound.content_length.unwrap_or(usize::MAX);
                Step::Give(Read::NeedMore { need: need.max(body.len().saturating_add(1)) })
            }
            Some(ReceiveEnd::Clean) => {
                self.received = 1;
                let message = self.inbound.take_bare(body);
                if self.discarding {
                    Step::Outcome(Outcome::Peer(Ok(())))
                } else {
                    Step::Give(Read::Messages(message))
                }
            }
            Some(end) => self.broken(end),
        }
    }

    /// One look at a body in envelopes. `None`: something was taken that is not for the application.
    fn enveloped_body(&mut self, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Option<Step> {
        self.answer.has_body |= !body.is_empty();
        if self.protocol != Protocol::Grpc && self.answer.by_end.is_some() {
            return Some(self.behind_end(body, end));
        }
        // Of a single message, the one behind it is a fault of its own, wherever the body was cut.
        let most = if self.method.shape.returns_stream() { usize::MAX } else { 1 };
        let Ok(front) = self.inbound.look(body, most, end.is_some()) else { return Some(bad_text()) };
        Some(match front {
            Front::Run { bytes, count } => {
                self.received = self.received.saturating_add(u8::try_from(count).unwrap_or(u8::MAX));
                if self.received > 1 && !self.method.shape.returns_stream() {
                    return Some(Step::Outcome(Outcome::Local(Status::unimplemented(
                        "the response has more than one message; the method returns one",
                    ))));
                }
                let messages = self.inbound.take_run(body, bytes, count);
                if self.discarding {
                    return None;
                }
                Step::Give(Read::Messages(messages))
            }
            Front::Need(need) => self.incomplete(need, body, end),
            Front::TooLarge => Step::Outcome(Outcome::Local(too_large(self.inbound.max))),
            Front::Flags(prefix) if prefix.flags == COMPRESSED => {
                Step::local("a message is compressed, but the response names no coding")
            }
            Front::Flags(prefix) => return self.special(prefix, body, end),
        })
    }

    /// Nothing complete stands in front.
    fn incomplete(&mut self, need: usize, body: &BytesMut, end: Option<ReceiveEnd>) -> Step {
        match end {
            None => Step::Give(Read::NeedMore { need }),
            Some(ReceiveEnd::Clean) if self.inbound.left(body) == 0 => {
                Step::Outcome(Outcome::Peer(self.status_at_end()))
            }
            Some(ReceiveEnd::Clean) => match self.answer.by_end.take() {
                // A server that failed half-way says so in its trailers.
                Some(Err(status)) => Step::failed(status),
                _ => Step::local("the response ended inside a message"),
            },
            Some(end) => self.broken(end),
        }
    }

    /// The protocol's own end, as an envelope.
    fn special(&mut self, prefix: Prefix, body: &mut BytesMut, end: Option<ReceiveEnd>) -> Option<Step> {
        let (flag, limit) = match self.protocol {
            Protocol::Connect => (END_STREAM, SMALL_BODY),
            Protocol::GrpcWeb | Protocol::GrpcWebText => (TRAILERS, web_trailers::LENGTH_LIMIT),
            Protocol::Grpc => (0, 0),
        };
        if flag == 0 || prefix.flags & !COMPRESSED != flag {
            return Some(Step::local("a message has reserved flags"));
        }
        let length = prefix.length as usize;
        if length > limit {
            return Some(Step::local("the end of the response is larger than the limit"));
        }
        let need = PREFIX + length;
        if self.inbound.available(body) < need {
            // Text is decoded only as far as it is needed.
            match self.inbound.framing {
                Framing::Text => match self.inbound.decode_text(body, need, end.is_some()) {
                    Err(BadText) => return Some(bad_text()),
                    Ok(None) => return None,
                    Ok(Some(need)) => return Some(self.incomplete(need, body, end)),
                },
                _ => return Some(self.incomplete(need, body, end)),
            }
        }
        if self.is_good_end(prefix, self.inbound.front(body, need)) {
            self.inbound.skip(body, need);
            self.answer.by_end = Some(Ok(()));
            return None;
        }
        let payload = self.inbound.take(body, need).slice(PREFIX..);
        if prefix.is_compressed() && self.inbound.coding.is_none() {
            return Some(Step::local("the end of the response is compressed, but it names no coding"));
        }
        let text = match self.inflate_small(prefix.is_compressed(), &payload) {
            Ok(text) => text,
            Err(status) => return Some(Step::Outcome(Outcome::Local(status))),
        };
        self.read_end(&text).err().map(|status| Step::Outcome(Outcome::Local(status)))
    }

    /// Whether this is the end of nearly every call: it went well, and there are no trailers.
    fn is_good_end(&self, prefix: Prefix, envelope: &[u8]) -> bool {
        let text = envelope.get(PREFIX..).unwrap_or_default();
        let good =
            if self.protocol == Protocol::Connect { end_stream::GOOD_END } else { web_trailers::GOOD_END };
        !prefix.is_compressed() && text == good
    }

    fn read_end(&mut self, text: &[u8]) -> Result<(), Status> {
        if self.protocol == Protocol::Connect {
            let end = end_stream::decode(text)
                .map_err(|_| Status::internal("the end of the response is malformed"))?;
            self.answer.trailers = end.metadata;
            self.answer.by_end = Some(end.error.map_or(Ok(()), Err));
        } else {
            let fields = web_trailers::decode(text)?;
            self.answer.trailers = metadata_from(&fields);
            let missing = || Err(status_of_http(self.answer.http_status));
            self.answer.by_end = Some(decode_status(&fields).unwrap_or_else(missing));
        }
        Ok(())
    }

    /// The protocol's own end has been read: nothing may follow, and any end of the exchange will do.
    fn behind_end(&mut self, body: &BytesMut, end: Option<ReceiveEnd>) -> Step {
        if self.inbound.left(body) > 0 {
            return Step::local("the response goes on behind its end");
        }
        match end {
            None => Step::Give(Read::NeedMore { need: 1 }),
            Some(_) => Step::Outcome(Outcome::Peer(self.answer.by_end.take().unwrap_or(Ok(())))),
        }
    }

    /// The response ended before its time.
    fn broken(&mut self, end: ReceiveEnd) -> Step {
        match status_of_response_end(end) {
            Some(status) => Step::failed(status),
            None => Step::local("the response ended inside a message"),
        }
    }

    /// The plain text of an error or of the end of a stream.
    fn inflate_small(&self, compressed: bool, payload: &Bytes) -> Result<Bytes, Status> {
        match &self.inbound.coding {
            Some(coding) if compressed && !payload.is_empty() => {
                inflate(&**coding, payload, SMALL_BODY, &mut Vec::new())
                    .map_err(|error| inflate_failed(error, SMALL_BODY))
            }
            _ => Ok(payload.clone()),
        }
    }
}

enum Step {
    Give(Read),
    Outcome(Outcome),
}

enum Outcome {
    /// The peer's, and its answer is complete.
    Peer(Result<(), Status>),
    /// A fault found here.
    Local(Status),
}

impl Step {
    fn failed(status: Status) -> Self {
        Self::Outcome(Outcome::Peer(Err(status)))
    }

    fn local(rule: &'static str) -> Self {
        Self::Outcome(Outcome::Local(Status::internal(rule)))
    }
}

fn bad_text() -> Step {
    Step::local("the response is not base64")
}

fn wrong_codec() -> Status {
    Status::internal("the response has another codec than the request")
}

fn foreign() -> Status {
    Status::unknown("the response's content-type is of no protocol")
}

fn single<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    core::str::from_utf8(fields.get(name)?).ok()
}
