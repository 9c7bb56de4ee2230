//! Calls under any input: a request's or response's head, body and end, in any pieces, between any calls of methods.
//!
//! The laws: no panic; the output is a head, bytes and one end; an outcome is told once and never changes; what a peer's
//! bytes mean does not depend on how they were cut.

use std::sync::Arc;
use std::time::Duration;

use antiphon::rpc::{
    ClientCall, ClientRequest, Coding, Codings, DecompressError, HttpCaps, Method, Part, Payload, Protocol,
    Read, RpcConfig, ServerCall, Shape, Sink,
};
use antiphon::{Fields, Head, Instant, Metadata, ReceiveEnd, Status};
use bytes::{Bytes, BytesMut};

use super::codec::Target;

/// All targets of this area by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("rpc_server", server),
    ("rpc_client", client),
    ("rpc_server_cuts", server_cuts),
    ("rpc_client_cuts", client_cuts),
];

const MAX: usize = 300;
const NONE: &Metadata = &Metadata::new();
const CODECS: [&str; 2] = ["proto", "json"];

/// Names and values that mean something; a value may be any bytes as well.
const NAMES: [&str; 20] = [
    "content-type",
    "content-type",
    "content-length",
    "content-encoding",
    "accept-encoding",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "connect-protocol-version",
    "connect-timeout-ms",
    "connect-content-encoding",
    "connect-accept-encoding",
    "trailer-x-tag",
    "x-tag-bin",
    "user-agent",
    "te",
    "x-tag",
];

const VALUES: [&str; 20] = [
    "application/grpc",
    "application/grpc+json",
    "application/grpc-web+proto",
    "application/grpc-web-text+proto",
    "application/connect+proto",
    "application/proto",
    "application/json; charset=utf-8",
    "text/html",
    "flip",
    "identity;q=0, flip;q=0.5",
    "br",
    "0",
    "1",
    "5",
    "16",
    "99999999H",
    "250",
    "CAUSAW4=",
    "%41%",
    "",
];

const PATHS: [&str; 8] = [
    "/s/M",
    "/s/M?connect=v1&base64=1&encoding=proto&message=AAEC_-8",
    "/s/M?encoding=json&message=%7B%7D",
    "/s/M?message=a&message=b",
    "/s/M?encoding=proto&compression=flip&message=abc",
    "/s/M?connect=v2&encoding=proto&message=",
    "/s/M?base64=1&encoding=proto&message=!",
    "/s/M?x",
];

/// Turns each byte round, and grows four times on the way out: messages can be over the limit when inflated only.
#[derive(Debug)]
struct Flip;

impl Coding for Flip {
    fn name(&self) -> &'static str {
        "flip"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        out.extend(message.iter().map(|byte| !byte));
    }

    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        assert!(!compressed.is_empty(), "what is empty is not inflated");
        if compressed.first() == Some(&7) {
            return Err(DecompressError::Corrupt);
        }
        let grown = compressed.iter().flat_map(|byte| [!byte; 4]);
        out.extend(grown.take(max + 1));
        if compressed.len() * 4 > max { Err(DecompressError::TooLarge) } else { Ok(()) }
    }
}

/// Takes choices off the front of the input; zeros when it is used up.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte() % 32).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn fields(&mut self, fields: &mut Fields) {
        for _ in 0..self.byte() % 8 {
            let name = self.one_of(&NAMES);
            if self.byte() % 4 == 0 {
                fields.push(name, self.bytes());
            } else {
                fields.push(name, self.one_of(&VALUES).as_bytes());
            }
        }
    }

    fn end(&mut self) -> ReceiveEnd {
        match self.byte() % 12 {
            0 => ReceiveEnd::Reset(u32::from(self.byte())),
            1 => ReceiveEnd::Malformed("rule"),
            2 => ReceiveEnd::TooLarge,
            3 => ReceiveEnd::Lost,
            4 => ReceiveEnd::Unprocessed,
            5 => ReceiveEnd::Local,
            6 => ReceiveEnd::Stalled,
            _ => ReceiveEnd::Clean,
        }
    }

    fn shape(&mut self) -> Shape {
        self.one_of(&[Shape::Unary, Shape::ServerStream, Shape::ClientStream, Shape::Bidi])
    }

    fn caps(&mut self) -> HttpCaps {
        self.one_of(&[HttpCaps::HTTP2, HttpCaps::HTTP2, HttpCaps::HTTP1, HttpCaps::FETCH])
    }
}

fn config() -> Arc<RpcConfig> {
    let mut config = RpcConfig::default();
    config.max_receive = MAX;
    config.codings = Codings::new([Arc::new(Flip) as Arc<dyn Coding>]);
    config.codecs = CODECS.map(Box::from).to_vec();
    Arc::new(config)
}

/// Judges the form of the output: one head, then bytes that are not empty, then one end and nothing.
#[derive(Default)]
struct Judge {
    parts: Vec<Part>,
    head: bool,
    ended: bool,
}

impl Judge {
    fn part(&mut self, part: Part) {
        assert!(!self.ended, "nothing follows the end");
        assert_eq!(self.head, !matches!(part, Part::Head(..)), "exactly one head, and first");
        self.head = true;
        self.parts.push(part);
    }
}

impl Sink for Judge {
    fn head(&mut self, head: &Head, end: bool) {
        self.part(Part::Head(head.clone(), end));
        self.ended = end;
    }

    fn data(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.part(Part::Data(Bytes::copy_from_slice(bytes)));
    }

    fn trailers(&mut self, trailers: &Fields) {
        self.part(Part::Trailers(trailers.clone()));
        self.ended = true;
    }

    fn end(&mut self) {
        self.part(Part::End);
        self.ended = true;
    }

    /// A reset may come at any time, once.
    fn reset(&mut self, code: u32) {
        assert!(!self.parts.iter().any(|part| matches!(part, Part::Reset(_))), "one reset");
        self.parts.push(Part::Reset(code));
        self.ended = true;
    }
}

/// What pulling has shown.
#[derive(Default, PartialEq, Debug)]
struct Pulled {
    messages: Vec<Bytes>,
    /// `None`: nothing yet.
    outcome: Option<Result<(), (u32, String)>>,
}

impl Pulled {
    /// Takes what one pull gave. Says whether to pull on, or what is wrong with a message.
    fn take(&mut self, read: Read, body: &BytesMut) -> Result<bool, Status> {
        match read {
            Read::NeedMore { need } => {
                assert!(self.outcome.is_none(), "an end is told again");
                assert!(need > body.len(), "needs more than there is");
                return Ok(false);
            }
            Read::Messages(mut run) => {
                assert!(self.outcome.is_none() && !run.is_empty());
                let mut scratch = Vec::new();
                while let Some(message) = run.next(&mut scratch) {
                    let message = message?;
                    assert!(message.len() <= MAX);
                    self.messages.push(message);
                }
                return Ok(true);
            }
            Read::End => self.tell(Ok(())),
            Read::Failed(status) => self.tell(Err((status.code().number(), status.message().to_owned()))),
        }
        Ok(false)
    }

    fn tell(&mut self, outcome: Result<(), (u32, String)>) {
        let told = self.outcome.get_or_insert_with(|| outcome.clone());
        assert_eq!(*told, outcome, "an outcome never changes");
    }
}

/// A server's call: any head, then pieces of any body between any calls of methods.
pub fn server(data: &[u8]) {
    let mut choices = Choices(data);
    let (head, method, caps) = request_head(&mut choices);
    let mut call = ServerCall::new(&head, caps, &config(), Instant::EPOCH);
    let mut out = Judge::default();
    if choices.byte() % 4 > 0 {
        call.route(method.as_ref());
    }
    let mut body = BytesMut::new();
    let mut pulled = Pulled::default();
    let mut end = None;
    while !choices.0.is_empty() {
        let before = body.len();
        match choices.byte() % 16 {
            0 => _ = call.send_headers(NONE, &mut out),
            1 => _ = call.send(Payload::Plain(choices.bytes()), &mut out),
            2 => _ = call.send(Payload::Compressed(choices.bytes()), &mut out),
            3 => _ = call.answer(NONE, Payload::Plain(b"abc"), NONE, &mut out),
            4 => _ = call.finish(Ok(()), NONE, &mut out),
            5 => _ = call.finish(Err(&Status::aborted("a\r\n%")), NONE, &mut out),
            6 if choices.byte() == 0 => _ = call.on_deadline(&mut out),
            7 if choices.byte() == 0 => call.stop_reading(),
            8 if choices.byte() == 0 => call.stopped(),
            9 => call.flush(&mut out),
            10 if end.is_none() && choices.byte() % 4 == 0 => end = Some(choices.end()),
            _ if end.is_none() => body.extend_from_slice(choices.bytes()),
            _ => {}
        }
        let pulls = choices.byte() % 3 == 0 || end.is_some();
        if pulls {
            let read = call.receive(Instant::EPOCH + Duration::from_secs(1), &mut body, end);
            assert!(body.len() <= before + 32);
            if !matches!((&read, &pulled.outcome), (Read::Failed(_), Some(Ok(())))) {
                // (A deadline after a stop to reading is told though the end was.)
                if let Err(status) = pulled.take(read, &body) {
                    call.fail(&status, &mut out);
                }
            }
        }
    }
    call.flush(&mut out);
    let answered = call.is_answered();
    let finished = call.finish(Err(&Status::internal("the end")), NONE, &mut out);
    assert!(answered || finished.is_ok());
    assert!(call.is_answered());
}

/// A client's call: any response to any request.
pub fn client(data: &[u8]) {
    let mut choices = Choices(data);
    let Some(mut call) = client_call(&mut choices) else { return };
    let mut out = Judge::default();
    let mut body = BytesMut::new();
    let mut pulled = Pulled::default();
    let mut end = None;
    let mut head = Head::default();
    while !choices.0.is_empty() {
        match choices.byte() % 16 {
            0 => call.start(&mut out),
            1 => _ = call.send(Payload::Plain(choices.bytes()), &mut out),
            2 => _ = call.send(Payload::Compressed(choices.bytes()), &mut out),
            3 => _ = call.half_close(&mut out),
            4 => _ = call.unary(Payload::Plain(b"abc"), &mut out),
            5 if choices.byte() == 0 => _ = call.cancel(),
            6 if choices.byte() == 0 => _ = call.on_deadline(),
            7 if choices.byte() == 0 => call.stop_reading(),
            8 if choices.byte() == 0 => call.stopped(),
            9 => call.flush(&mut out),
            10 | 11 => {
                response_head(&mut choices, &mut head);
                call.receive_head(&head);
            }
            12 if end.is_none() && choices.byte() % 4 == 0 => {
                let mut trailers = Fields::new();
                choices.fields(&mut trailers);
                call.receive_trailers(&trailers);
                end = Some(choices.end());
            }
            _ if end.is_none() => body.extend_from_slice(choices.bytes()),
            _ => {}
        }
        let told = call.outcome().map(|result| result.is_ok());
        if choices.byte() % 3 == 0 || end.is_some() {
            let read = call.receive(Instant::EPOCH + Duration::from_secs(1), &mut body, end);
            if let Err(status) = pulled.take(read, &body) {
                call.fail(status);
            }
        }
        let now = call.outcome().map(|result| result.is_ok());
        assert!(told.is_none() || now == told || (told, now) == (Some(true), Some(false)), "one outcome");
    }
    call.cancel();
    call.flush(&mut out);
    let mut last = || match call.receive(Instant::EPOCH, &mut body, end) {
        Read::Messages(_) | Read::NeedMore { .. } => panic!("an outcome is told at once"),
        Read::End => Ok(()),
        Read::Failed(status) => Err(status.code()),
    };
    let outcome = last();
    assert_eq!(last(), outcome);
    assert!(call.send(Payload::Plain(b""), &mut out).is_err(), "nothing is sent behind the outcome");
}

/// What a request means does not depend on how its body was cut.
pub fn server_cuts(data: &[u8]) {
    let mut choices = Choices(data);
    let (head, method, caps) = request_head(&mut choices);
    let end = choices.end();
    let (mut cuts, bytes) = halve(&mut choices);
    let run = |cuts: &mut dyn FnMut() -> usize| {
        let mut call = ServerCall::new(&head, caps, &config(), Instant::EPOCH);
        call.route(method.as_ref());
        let mut out = Judge::default();
        let mut pulled = Pulled::default();
        let mut body = BytesMut::new();
        feed(bytes, cuts, end, &mut |piece, end| {
            body.extend_from_slice(piece);
            while match pulled.take(call.receive(Instant::EPOCH, &mut body, end), &body) {
                Ok(more) => more,
                Err(status) => {
                    call.fail(&status, &mut out);
                    false
                }
            } {}
            call.flush(&mut out);
        });
        (
            pulled.messages,
            pulled.outcome.map(|outcome| outcome.map_err(|(code, _)| code)),
            statuses(&out.parts),
        )
    };
    let whole = run(&mut || usize::MAX);
    assert_eq!(run(&mut || 1), whole, "byte by byte");
    assert_eq!(run(&mut || usize::from(cuts.byte() % 16) + 1), whole, "in pieces");
}

/// What a response means does not depend on how its body was cut.
pub fn client_cuts(data: &[u8]) {
    let mut choices = Choices(data);
    let (before, mut head, mut trailers) = (choices.0, Head::default(), Fields::new());
    if client_call(&mut choices).is_none() {
        return;
    }
    response_head(&mut choices, &mut head);
    choices.fields(&mut trailers);
    let end = choices.end();
    let (mut cuts, bytes) = halve(&mut choices);
    let run = |cuts: &mut dyn FnMut() -> usize| {
        let Some(mut call) = client_call(&mut Choices(before)) else { unreachable!("made before") };
        let mut out = Judge::default();
        let _ = call.unary(Payload::Plain(b"abc"), &mut out);
        call.receive_head(&head);
        let mut pulled = Pulled::default();
        let mut body = BytesMut::new();
        feed(bytes, cuts, end, &mut |piece, end| {
            body.extend_from_slice(piece);
            if end.is_some() {
                call.receive_trailers(&trailers);
            }
            while match pulled.take(call.receive(Instant::EPOCH, &mut body, end), &body) {
                Ok(more) => more,
                Err(status) => {
                    call.fail(status);
                    false
                }
            } {}
        });
        (pulled.messages, pulled.outcome.map(|outcome| outcome.map_err(|(code, _)| code)))
    };
    let whole = run(&mut || usize::MAX);
    assert_eq!(run(&mut || 1), whole, "byte by byte");
    assert_eq!(run(&mut || usize::from(cuts.byte() % 16) + 1), whole, "in pieces");
}

/// The first half of what is left is for cuts, the rest is a body.
fn halve<'a>(choices: &mut Choices<'a>) -> (Choices<'a>, &'a [u8]) {
    let (cuts, bytes) = choices.0.split_at(choices.0.len().min(8));
    (Choices(cuts), bytes)
}

fn feed(
    mut bytes: &[u8],
    cuts: &mut dyn FnMut() -> usize,
    end: ReceiveEnd,
    take: &mut dyn FnMut(&[u8], Option<ReceiveEnd>),
) {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(cuts().min(bytes.len()));
        bytes = rest;
        take(piece, None);
    }
    take(b"", Some(end));
    take(b"", Some(end));
}

/// What an answer tells: everything but the wording of a failure.
fn statuses(parts: &[Part]) -> Vec<(u16, Option<Vec<u8>>)> {
    let of = |fields: &Fields| fields.get("grpc-status").map(<[u8]>::to_vec);
    parts
        .iter()
        .filter_map(|part| match part {
            Part::Head(head, _) => Some((head.status(), of(&head.fields))),
            Part::Trailers(trailers) => Some((0, of(trailers))),
            _ => None,
        })
        .collect()
}

fn request_head(choices: &mut Choices<'_>) -> (Head, Option<Method>, HttpCaps) {
    let verb = choices.one_of(&["POST", "POST", "POST", "GET", "PUT"]);
    let mut head = Head::request(verb, "http", "example.com", choices.one_of(&PATHS));
    choices.fields(&mut head.fields);
    let mut method = Method::new(choices.shape());
    method.no_side_effects = choices.byte() % 2 == 0;
    method.full_duplex_only = choices.byte() % 16 == 1;
    let known = choices.byte() % 16 != 1;
    (head, known.then_some(method), choices.caps())
}

fn response_head(choices: &mut Choices<'_>, head: &mut Head) {
    head.clear();
    head.set_response(choices.one_of(&[200, 200, 200, 200, 400, 404, 503, 100, 0, 999]));
    choices.fields(&mut head.fields);
}

fn client_call(choices: &mut Choices<'_>) -> Option<ClientCall> {
    let protocol =
        choices.one_of(&[Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText]);
    let mut method = Method::new(choices.shape());
    method.no_side_effects = choices.byte() % 2 == 0;
    let codec = choices.one_of(&CODECS);
    let deadline = (choices.byte() % 4 == 0).then_some(Instant::EPOCH + Duration::from_secs(1));
    let coding = (choices.byte() % 2 == 0).then_some("flip");
    let request = ClientRequest::new(protocol, codec, method, "example.com", "/s/M")
        .deadline(deadline)
        .coding(coding)
        .use_get(true);
    ClientCall::new(&request, choices.caps(), &config(), Instant::EPOCH).ok()
}
