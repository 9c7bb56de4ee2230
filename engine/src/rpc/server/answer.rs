//! How a call is answered.

use bytes::BytesMut;

use super::shorten::{Form, shorten};
use super::{Answer, Decision, Refusal, ServerCall};
use crate::codec::{connect_error, grpc_status};
use crate::rpc::connect::{Decimal, push_trailers, put_end_stream};
use crate::rpc::direction::{AnswerEvent, Refusal as Refused};
use crate::rpc::grpc::OK_TRAILERS;
use crate::rpc::grpc_web::{GOOD_END, prefix_of, put_envelope, put_trailers};
use crate::rpc::inbound::Framing;
use crate::rpc::{Payload, Protocol, Sink};
use crate::{Fields, Head, Metadata, Misuse, Reply, SendError, Status};

/// What is needed to send an answer. Recycled.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Head,
    /// Fields that every head of this answer has, whoever decides it.
    extra: Metadata,
    /// `head` is that of an answer without metadata: good for this call, and for the next one if that is alike.
    head_ready: bool,
    head_sent: bool,
    fields: Fields,
    scratch: Vec<u8>,
    text: BytesMut,
    /// Connect unary: the headers and the message, kept until the trailers are known.
    kept_headers: Metadata,
    kept_message: Vec<u8>,
    kept_compressed: bool,
}

impl Output {
    pub(super) fn extra(&self) -> &Metadata {
        &self.extra
    }

    pub(super) fn forget_head(&mut self) {
        self.head_ready = false;
    }

    pub(super) fn reset(&mut self, changed: bool) {
        if changed {
            self.head_ready = false;
        }
        if !self.extra.is_empty() {
            self.extra.clear();
            self.head_ready = false;
        }
        self.head_sent = false;
        self.kept_headers.clear();
        self.kept_message.clear();
        self.kept_compressed = false;
    }
}

const NONE: &Metadata = &Metadata::new();

/// What the protocol's own fields take of a head with an error in it, at most, in bytes of RFC 9113 §6.5.2.
const HEAD: usize = 512;

impl ServerCall {
    /// Adds fields to every head that this call may be answered with, refusals and what the engine answers by itself
    /// included: what HTTP wants there, such as the fields of CORS. Does nothing once the head has been sent.
    pub fn add_fields(&mut self, fields: &Metadata) {
        if !self.output.head_sent {
            self.output.extra.extend_from(fields);
            self.output.head_ready = false;
        }
    }

    /// Answers with a status of HTTP and no body: a request that is no call, such as a preflight of CORS. It has the
    /// [fields](ServerCall::add_fields) that were added. Does nothing when the call has been answered.
    pub fn respond(&mut self, http_status: u16, out: &mut impl Sink) {
        self.refuse(Decision::Refusal(Refusal::Status(http_status)));
        self.flush(out);
    }

    /// Sends the headers, before the first message if this method is called before it. A Connect unary answer keeps them:
    /// its status is not known before the end. Does nothing when nobody wants the answer any more.
    ///
    /// # Errors
    /// [`Misuse::HeadersSent`], [`Misuse::AlreadyClosed`]; [`Misuse::WrongState`] without a protocol.
    pub fn send_headers(&mut self, metadata: &Metadata, out: &mut impl Sink) -> Result<(), Misuse> {
        match self.advance(AnswerEvent::Headers) {
            Ok(()) => {}
            Err(SendError::Misuse(misuse)) => return Err(misuse),
            Err(_) => return Ok(()),
        }
        if self.head.framing == Framing::Bare {
            self.output.kept_headers.extend_from(metadata);
        } else {
            self.put_head(metadata, out);
        }
        Ok(())
    }

    /// Sends a message, and the headers before it if they have not been sent. A Connect unary answer keeps a copy until
    /// [`finish`](ServerCall::finish): [`answer`](ServerCall::answer) does without.
    ///
    /// # Errors
    /// [`SendError::Ended`] when nobody wants the answer any more. [`Misuse::OneMessageOnly`], [`Misuse::AlreadyClosed`],
    /// [`Misuse::TooLarge`]; [`Misuse::WrongState`] without a protocol, and for a compressed message without an
    /// [`encoding`](ServerCall::encoding).
    pub fn send(&mut self, payload: Payload<'_>, out: &mut impl Sink) -> Result<(), SendError> {
        self.check_payload(payload)?;
        self.advance(AnswerEvent::Message)?;
        if self.head.framing == Framing::Bare {
            self.output.kept_message.clear();
            self.output.kept_message.extend_from_slice(payload.bytes());
            self.output.kept_compressed = payload.is_compressed();
            return Ok(());
        }
        self.put_head_once(NONE, out);
        self.put_message(payload, out);
        Ok(())
    }

    /// Gives the whole answer of one message: headers, message, trailers, end. Headers that were sent before stay; then
    /// `headers` must be empty.
    ///
    /// # Errors
    /// As [`send`](ServerCall::send); [`Misuse::HeadersSent`]. Nothing is sent then.
    pub fn answer(
        &mut self,
        headers: &Metadata,
        payload: Payload<'_>,
        trailers: &Metadata,
        out: &mut impl Sink,
    ) -> Result<(), SendError> {
        self.check_payload(payload)?;
        if self.answer == Answer::Fresh && self.replies_with(payload, trailers) {
            self.put_reply(headers, payload, trailers, out);
            return Ok(());
        }
        if self.answer != Answer::Fresh && !headers.is_empty() && !self.answer.is_over() {
            return Err(Misuse::HeadersSent.into());
        }
        self.advance(AnswerEvent::Message)?;
        self.advance(AnswerEvent::Finish)?;
        if self.head.framing == Framing::Bare {
            self.output.kept_headers.extend_from(headers);
            self.put_unary(payload, trailers, out);
            return Ok(());
        }
        self.put_head_once(headers, out);
        self.put_message(payload, out);
        self.put_end(None, trailers, out);
        Ok(())
    }

    /// Whether a good answer can go in one piece: all but those of streams of Connect, those in base64, those of gRPC-Web
    /// with trailers of their own, and large messages that are shared.
    #[inline]
    fn replies_with(&self, payload: Payload<'_>, trailers: &Metadata) -> bool {
        self.head.framing == Framing::Envelopes
            && !is_large(payload)
            && match self.head.protocol {
                Some(Protocol::Grpc) => true,
                Some(Protocol::GrpcWeb) => trailers.is_empty(),
                _ => false,
            }
    }

    /// Sends a good answer of one message in one piece.
    fn put_reply(
        &mut self,
        headers: &Metadata,
        payload: Payload<'_>,
        trailers: &Metadata,
        out: &mut impl Sink,
    ) {
        self.answer = Answer::Finished;
        self.make_head(headers);
        let prefix = prefix_of(0, payload);
        let (end, trailers) = match self.head.protocol {
            Some(Protocol::GrpcWeb) => (GOOD_END, None),
            _ if trailers.is_empty() => (&[][..], Some(&*OK_TRAILERS)),
            _ => {
                self.output.fields.clear();
                grpc_status::encode_status(None, trailers, &mut self.output.fields);
                (&[][..], Some(&self.output.fields))
            }
        };
        out.reply(&Reply { head: &self.output.head, body: [&prefix, payload.bytes(), end], trailers });
    }

    /// Ends the answer: well, or with a status, whose metadata joins the trailers. Does nothing when the engine has
    /// answered or nobody wants the answer any more.
    ///
    /// # Errors
    /// [`Misuse::NoMessage`] for a good end of a method that returns one message and sent none; [`Misuse::AlreadyClosed`];
    /// [`Misuse::WrongState`] for a good end without a protocol.
    pub fn finish(
        &mut self,
        result: Result<(), &Status>,
        trailers: &Metadata,
        out: &mut impl Sink,
    ) -> Result<(), Misuse> {
        let event = if result.is_ok() { AnswerEvent::Finish } else { AnswerEvent::Fail };
        match self.advance(event) {
            Ok(()) => {}
            Err(SendError::Misuse(misuse)) => return Err(misuse),
            Err(_) => return Ok(()),
        }
        if self.head.framing == Framing::Bare && result.is_ok() {
            let message = core::mem::take(&mut self.output.kept_message);
            let payload = match self.output.kept_compressed {
                true => Payload::Compressed(&message),
                false => Payload::Plain(&message),
            };
            self.put_unary(payload, trailers, out);
            self.output.kept_message = message;
        } else {
            self.put_end(result.err(), trailers, out);
        }
        Ok(())
    }

    /// Sends what the engine has decided to answer by itself. Does nothing if there is nothing, or twice.
    pub fn flush(&mut self, out: &mut impl Sink) {
        match self.decision.take() {
            None => {}
            Some(Decision::Status(status)) => self.put_end(Some(&status), NONE, out),
            Some(Decision::Refusal(refusal)) => self.put_refusal(refusal, out),
        }
    }

    fn advance(&mut self, event: AnswerEvent) -> Result<(), SendError> {
        if self.head.protocol.is_none() && event != AnswerEvent::Fail && !self.answer.is_over() {
            return Err(Misuse::WrongState.into());
        }
        self.answer = self.answer.next(event, self.returns_one()).map_err(|refused| match refused {
            Refused::Misuse(misuse) => SendError::Misuse(misuse),
            Refused::Ended => SendError::Ended,
        })?;
        Ok(())
    }

    fn check_payload(&self, payload: Payload<'_>) -> Result<(), Misuse> {
        if payload.bytes().len() > self.config.send_limit() {
            return Err(Misuse::TooLarge);
        }
        if payload.is_compressed() && self.head.response_coding.is_none() {
            return Err(Misuse::WrongState);
        }
        Ok(())
    }

    /// Sends the head of an answer in envelopes.
    fn put_head(&mut self, metadata: &Metadata, out: &mut impl Sink) {
        self.make_head(metadata);
        out.head(&self.output.head, false);
    }

    /// Makes the head of an answer in envelopes, which is sent at once.
    #[inline]
    fn make_head(&mut self, metadata: &Metadata) {
        if !self.output.head_ready || !metadata.is_empty() {
            self.build_head();
            grpc_status::push_metadata(metadata, &mut self.output.head.fields);
            self.output.head_ready = metadata.is_empty() && self.output.extra.is_empty();
        }
        self.output.head_sent = true;
    }

    fn put_head_once(&mut self, metadata: &Metadata, out: &mut impl Sink) {
        if !self.output.head_sent {
            self.put_head(metadata, out);
        }
    }

    /// The head of an answer in envelopes, without metadata.
    fn build_head(&mut self) {
        let (coding, accept) = match self.head.protocol {
            Some(Protocol::Connect) => ("connect-content-encoding", "connect-accept-encoding"),
            _ => ("grpc-encoding", "grpc-accept-encoding"),
        };
        let head = &mut self.output.head;
        self.output.head_ready = false;
        head.clear();
        head.set_response(200);
        head.fields.push("content-type", self.head.content_type.as_bytes());
        if let Some(agreed) = &self.head.response_coding {
            head.fields.push(coding, agreed.name().as_bytes());
        }
        self.push_accepted(accept);
        grpc_status::push_metadata(&self.output.extra, &mut self.output.head.fields);
    }

    /// Tells the codings that requests may have: those that are known, or that there are none if a request had one.
    fn push_accepted(&mut self, name: &str) {
        let names = self.config.codings.names();
        if !names.is_empty() {
            self.output.head.fields.push(name, names.as_bytes());
        } else if self.head.unknown_coding {
            self.output.head.fields.push(name, b"identity");
        }
    }

    fn put_message(&mut self, payload: Payload<'_>, out: &mut impl Sink) {
        let text = (self.head.framing == Framing::Text).then_some(&mut self.output.text);
        put_envelope(0, payload, text, out);
    }

    /// Ends the answer: in envelopes in any way, otherwise with an error.
    fn put_end(&mut self, status: Option<&Status>, trailers: &Metadata, out: &mut impl Sink) {
        if let Some((status, trailers)) = status.and_then(|status| self.shorten(status, trailers, out)) {
            return self.put_whole_end(Some(&status), &trailers, out);
        }
        self.put_whole_end(status, trailers, out);
    }

    /// An error that the peer would not take, as large as it does.
    fn shorten(&self, status: &Status, trailers: &Metadata, out: &impl Sink) -> Option<(Status, Metadata)> {
        let limit = out.max_header_list();
        let form = match self.head.protocol? {
            Protocol::Connect if self.head.framing == Framing::Bare => {
                // The rest of the head has its share.
                Form::Json(limit.saturating_sub(self.output.kept_headers.as_fields().list_size() + HEAD))
            }
            Protocol::Connect => Form::EndStream,
            // Trailers-Only has the fields of the head as well.
            Protocol::Grpc if !self.output.head_sent => {
                Form::Fields(limit.saturating_sub(self.output.extra.as_fields().list_size() + HEAD))
            }
            Protocol::Grpc => Form::Fields(limit),
            Protocol::GrpcWeb | Protocol::GrpcWebText => Form::Lines,
        };
        shorten(status, trailers, form)
    }

    fn put_whole_end(&mut self, status: Option<&Status>, trailers: &Metadata, out: &mut impl Sink) {
        match (self.head.protocol, status) {
            (None, status) => {
                let http = status.map_or(200, |status| status.code().http_status());
                self.put_refusal(Refusal::Status(http), out);
            }
            (Some(Protocol::Connect), Some(status)) if self.head.framing == Framing::Bare => {
                self.put_unary_error(status, trailers, out);
            }
            (Some(Protocol::Connect), status) => {
                self.put_head_once(NONE, out);
                put_end_stream(status, trailers, &mut self.output.scratch, out);
                out.end();
            }
            // Trailers-Only: one head and nothing else (gRPC PROTOCOL-HTTP2 "Responses").
            (Some(Protocol::Grpc), Some(status)) if !self.output.head_sent => {
                self.build_head();
                self.output.head_sent = true;
                grpc_status::encode_status(Some(status), trailers, &mut self.output.head.fields);
                out.head(&self.output.head, true);
            }
            (Some(Protocol::Grpc), status) => {
                self.put_head_once(NONE, out);
                if status.is_none() && trailers.is_empty() {
                    return out.trailers(&OK_TRAILERS);
                }
                self.output.fields.clear();
                grpc_status::encode_status(status, trailers, &mut self.output.fields);
                out.trailers(&self.output.fields);
            }
            (Some(Protocol::GrpcWeb | Protocol::GrpcWebText), status) => {
                self.put_head_once(NONE, out);
                let text = (self.head.framing == Framing::Text).then_some(&mut self.output.text);
                let (fields, block) = (&mut self.output.fields, &mut self.output.scratch);
                put_trailers(status, trailers, fields, block, text, out);
                out.end();
            }
        }
    }

    /// A good answer of Connect unary.
    fn put_unary(&mut self, payload: Payload<'_>, trailers: &Metadata, out: &mut impl Sink) {
        let head = &mut self.output.head;
        self.output.head_ready = false;
        head.clear();
        head.set_response(200);
        head.fields.push("content-type", self.head.content_type.as_bytes());
        if let Some(agreed) = self.head.response_coding.as_ref().filter(|_| payload.is_compressed()) {
            head.fields.push("content-encoding", agreed.name().as_bytes());
        }
        self.finish_unary_head(Some(payload.bytes().len()), trailers, NONE);
        self.put_unary_parts(payload, out);
    }

    /// A failure of Connect unary: the HTTP status of its code, and JSON whatever the codec is.
    fn put_unary_error(&mut self, status: &Status, trailers: &Metadata, out: &mut impl Sink) {
        if status.is_not_modified() && self.head.is_get {
            return self.put_not_modified(trailers, status.metadata(), out);
        }
        let mut body = core::mem::take(&mut self.output.scratch);
        body.clear();
        connect_error::encode(status, &mut body);
        let head = &mut self.output.head;
        self.output.head_ready = false;
        head.clear();
        let http = status.code().http_status();
        // A failure of code OK, which is none, must not look like success.
        head.set_response(if http == 200 { 500 } else { http });
        head.fields.push("content-type", b"application/json");
        self.finish_unary_head(Some(body.len()), trailers, status.metadata());
        self.put_unary_parts(Payload::Plain(&body), out);
        self.output.scratch = body;
    }

    /// What the client has is current: no body, and no length of one (RFC 9110 §15.4.5).
    fn put_not_modified(&mut self, trailers: &Metadata, more: &Metadata, out: &mut impl Sink) {
        self.output.head_ready = false;
        self.output.head.clear();
        self.output.head.set_response(304);
        self.finish_unary_head(None, trailers, more);
        self.put_unary_parts(Payload::Plain(b""), out);
    }

    fn finish_unary_head(&mut self, length: Option<usize>, trailers: &Metadata, more: &Metadata) {
        if length.is_some() {
            self.push_accepted("accept-encoding");
        }
        let fields = &mut self.output.head.fields;
        if let Some(length) = length {
            fields.push("content-length", Decimal::new(length).as_bytes());
        }
        if self.head.is_get {
            fields.push("vary", b"accept-encoding");
        }
        grpc_status::push_metadata(&self.output.extra, fields);
        grpc_status::push_metadata(&self.output.kept_headers, fields);
        push_trailers(trailers, fields);
        push_trailers(more, fields);
    }

    fn put_unary_parts(&mut self, payload: Payload<'_>, out: &mut impl Sink) {
        self.output.head_sent = true;
        if !is_large(payload) {
            let body = [payload.bytes(), &[], &[]];
            return out.reply(&Reply { head: &self.output.head, body, trailers: None });
        }
        out.head(&self.output.head, false);
        payload.put(out);
        out.end();
    }
}

/// Whether this is a message that is shared and not copied.
#[inline]
fn is_large(payload: Payload<'_>) -> bool {
    matches!(payload, Payload::Shared(bytes) if bytes.len() >= crate::Output::SHARE_FROM)
}
