//! The rpc floor alone, with hyper as its HTTP stack: Antiphon knows the three protocols, hyper moves the bytes.
//!
//! Without arguments it serves itself a few calls over loopback and prints what came back. With an address it listens
//! there: `cargo run --bin hyper -- 127.0.0.1:8080`. The service says back what it is told, in any codec:
//! `/echo.v1.EchoService/` with `Unary`, `Get`, `ServerStream` (three times), `ClientStream` (the last) and `Bidi`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use antiphon::rpc::{
    ClientCall, ClientRequest, HttpCaps, HttpVersion, Method, Payload, Protocol, Read, RpcConfig, ServerCall,
    Shape, Sink,
};
use antiphon::{Fields, Head, Instant, Metadata, ReceiveEnd, Status};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

type AnyError = Box<dyn Error + Send + Sync>;

const NONE: &Metadata = &Metadata::new();

// ---- What travels: from a sink to a body of hyper ----

/// A part of a body, or why it ends before its time.
type Piece = Result<Frame<Bytes>, Reset>;

/// The call was reset. hyper resets the stream, or closes the connection of HTTP/1.1.
#[derive(Debug)]
struct Reset(u32);

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the call was reset with code {}", self.0)
    }
}

impl Error for Reset {}

/// A body of hyper: whatever comes through a channel of 16 pieces, so that a slow peer holds back who sends.
struct Outgoing(mpsc::Receiver<Piece>);

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// Where a call's output goes: a head for whoever waits for it, and pieces of a body until they are sent on.
struct Wire {
    head: Option<oneshot::Sender<Head>>,
    pieces: VecDeque<Piece>,
    /// `None`: the body has ended.
    body: Option<mpsc::Sender<Piece>>,
    ended: bool,
}

impl Wire {
    fn new() -> (Self, oneshot::Receiver<Head>, Outgoing) {
        let (head, arrived) = oneshot::channel();
        let (body, outgoing) = mpsc::channel(16);
        let wire = Self { head: Some(head), pieces: VecDeque::new(), body: Some(body), ended: false };
        (wire, arrived, Outgoing(outgoing))
    }

    /// Sends on what a call has put out; waits while the peer does. `false`: the peer is gone.
    async fn send(&mut self) -> bool {
        let Some(body) = &self.body else { return true };
        while let Some(piece) = self.pieces.pop_front() {
            if body.send(piece).await.is_err() {
                return false;
            }
        }
        if self.ended {
            self.body = None;
        }
        true
    }
}

impl Sink for Wire {
    fn head(&mut self, head: &Head, end: bool) {
        if let Some(waiting) = self.head.take() {
            let _ = waiting.send(head.clone());
        }
        self.ended = end;
    }

    fn data(&mut self, bytes: &[u8]) {
        self.pieces.push_back(Ok(Frame::data(Bytes::copy_from_slice(bytes))));
    }

    fn data_bytes(&mut self, bytes: &Bytes) {
        self.pieces.push_back(Ok(Frame::data(bytes.clone())));
    }

    fn trailers(&mut self, trailers: &Fields) {
        // What the engine sends is valid: the conversion fails only above 32,768 fields.
        self.pieces.extend(trailers.to_header_map().ok().map(|map| Ok(Frame::trailers(map))));
        self.ended = true;
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn reset(&mut self, code: u32) {
        self.pieces.push_back(Err(Reset(code)));
        self.ended = true;
    }
}

/// What hyper receives, as a call wants it: bytes that wait, trailers, and how it ended.
struct Received {
    incoming: Incoming,
    body: BytesMut,
    trailers: Option<Fields>,
    end: Option<ReceiveEnd>,
}

impl Received {
    fn new(incoming: Incoming) -> Self {
        Self { incoming, body: BytesMut::new(), trailers: None, end: None }
    }

    /// Waits for more.
    async fn more(&mut self) {
        match self.incoming.frame().await {
            None => self.end = Some(ReceiveEnd::Clean),
            Some(Err(_)) => self.end = Some(ReceiveEnd::Lost),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.body.extend_from_slice(&data),
                Err(frame) => self.trailers = frame.trailers_ref().map(Fields::from_header_map),
            },
        }
    }
}

/// The time of this program, as the engine sees it.
fn now(start: std::time::Instant) -> Instant {
    Instant::from_epoch(start.elapsed())
}

fn caps(version: http::Version) -> HttpCaps {
    match version {
        http::Version::HTTP_2 => HttpCaps::HTTP2,
        http::Version::HTTP_10 => HttpCaps { version: HttpVersion::Http10, ..HttpCaps::HTTP1 },
        // hyper reads and writes at once over HTTP/1.1 too.
        _ => HttpCaps { full_duplex: true, ..HttpCaps::HTTP1 },
    }
}

// ---- The server ----

#[derive(Clone)]
struct Server {
    config: Arc<RpcConfig>,
    start: std::time::Instant,
}

impl Server {
    fn new() -> Self {
        let mut config = RpcConfig::default();
        config.codecs = vec!["proto".into(), "json".into(), "text".into()];
        Self { config: Arc::new(config), start: std::time::Instant::now() }
    }

    async fn listen(self, listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let server = self.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(|request| server.clone().serve(request));
                let connection = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A connection that fails ends; the others go on.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    /// One exchange: the call runs by itself, and its head is the response.
    async fn serve(self, request: Request<Incoming>) -> Result<Response<Outgoing>, Infallible> {
        let (parts, incoming) = request.into_parts();
        let head = Head::from_request_parts(&parts);
        let call = ServerCall::new(&head, caps(parts.version), &self.config, now(self.start));
        let (wire, arrived, body) = Wire::new();
        tokio::spawn(self.run(call, Received::new(incoming), wire));
        let head = arrived.await.unwrap_or_else(|_| Head::response(500));
        Ok(match head.to_response_parts() {
            Ok(parts) => Response::from_parts(parts, body),
            Err(_) => Response::new(body),
        })
    }

    async fn run(self, mut call: ServerCall, mut received: Received, mut wire: Wire) {
        let method = route(call.path());
        if call.route(method.as_ref()) {
            let left = call.deadline().map(|deadline| deadline.duration_since(now(self.start)));
            let left = left.unwrap_or(std::time::Duration::MAX);
            let work = echo(&mut call, &mut received, &mut wire, self.start);
            if tokio::time::timeout(left, work).await.is_err() {
                call.on_deadline(&mut wire);
            }
        }
        call.flush(&mut wire);
        wire.send().await;
    }
}

/// The methods that there are.
fn route(path: &str) -> Option<Method> {
    Some(match path.strip_prefix("/echo.v1.EchoService/")? {
        "Unary" => Method::new(Shape::Unary),
        "Get" => Method::new(Shape::Unary).without_side_effects(),
        "ServerStream" => Method::new(Shape::ServerStream),
        "ClientStream" => Method::new(Shape::ClientStream),
        "Bidi" => Method::new(Shape::Bidi),
        _ => return None,
    })
}

/// The handler of all methods: says back what it is told.
async fn echo(call: &mut ServerCall, received: &mut Received, wire: &mut Wire, start: std::time::Instant) {
    let (times, only_last) = match call.path().rsplit('/').next() {
        Some("ServerStream") => (3, false),
        Some("ClientStream") => (1, true),
        _ => (1, false),
    };
    let mut last = Bytes::new();
    let mut scratch = Vec::new();
    loop {
        match call.receive(now(start), &mut received.body, received.end) {
            Read::Messages(mut run) => {
                while let Some(message) = run.next(&mut scratch) {
                    match message {
                        Ok(message) => last = message,
                        Err(status) => return call.fail(&status, wire),
                    }
                    for _ in 0..if only_last { 0 } else { times } {
                        // An error means that nobody is there to be answered.
                        if call.send(Payload::Shared(&last), wire).is_err() || !wire.send().await {
                            return;
                        }
                    }
                }
            }
            Read::NeedMore { .. } => received.more().await,
            Read::End => break,
            // The call answers by itself what can be answered.
            Read::Failed(_) => return,
        }
    }
    if only_last && call.send(Payload::Shared(&last), wire).is_err() {
        return;
    }
    let good: Result<(), &Status> = Ok(());
    if call.finish(good, NONE, wire).is_err() {
        call.fail(&Status::internal("the handler sent no message"), wire);
    }
}

// ---- A client, for the demonstration ----

/// What came back: the messages, and the outcome.
type Outcome = (Vec<Bytes>, Result<(), Status>);

/// One call over a connection of its own.
async fn ask(
    address: std::net::SocketAddr,
    request: &ClientRequest<'_>,
    messages: &[&[u8]],
) -> Result<Outcome, AnyError> {
    let start = std::time::Instant::now();
    let version =
        if request.protocol == Protocol::Grpc { http::Version::HTTP_2 } else { http::Version::HTTP_11 };
    let config = Arc::new(RpcConfig::default());
    let mut call = ClientCall::new(request, caps(version), &config, now(start))?;
    let (mut wire, head, body) = Wire::new();
    call.start(&mut wire);
    for message in messages {
        call.send(Payload::Plain(message), &mut wire)?;
    }
    call.half_close(&mut wire)?;

    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let mut parts = head.await?.to_request_parts()?;
    parts.version = version;
    tokio::spawn(async move { wire.send().await });
    let response = if version == http::Version::HTTP_2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        sender.send_request(Request::from_parts(parts, body)).await
    } else {
        // HTTP/1.1 wants a path and a host.
        if let Some(authority) = parts.uri.authority() {
            parts.headers.insert(http::header::HOST, http::HeaderValue::from_str(authority.as_str())?);
        }
        parts.uri = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).parse()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        sender.send_request(Request::from_parts(parts, body)).await
    };
    let (parts, incoming) = response?.into_parts();
    call.receive_head(&Head::from_response_parts(&parts));
    receive(call, Received::new(incoming), start).await
}

async fn receive(
    mut call: ClientCall,
    mut received: Received,
    start: std::time::Instant,
) -> Result<Outcome, AnyError> {
    let (mut messages, mut scratch) = (Vec::new(), Vec::new());
    loop {
        match call.receive(now(start), &mut received.body, received.end) {
            Read::Messages(mut run) => {
                while let Some(message) = run.next(&mut scratch) {
                    match message {
                        Ok(message) => messages.push(message),
                        Err(status) => call.fail(status),
                    }
                }
            }
            Read::NeedMore { .. } => {
                received.more().await;
                if let Some(trailers) = received.trailers.take() {
                    call.receive_trailers(&trailers);
                }
            }
            Read::End => return Ok((messages, Ok(()))),
            Read::Failed(status) => return Ok((messages, Err(status))),
        }
    }
}

/// Every protocol and shape once, and some failures.
async fn demonstrate(address: std::net::SocketAddr, out: &mut dyn Write) -> Result<(), AnyError> {
    use Shape::{Bidi, ClientStream, ServerStream, Unary};
    let authority = address.to_string();
    for (protocol, name, shape, messages) in [
        (Protocol::Grpc, "Unary", Unary, 1),
        (Protocol::Grpc, "ServerStream", ServerStream, 1),
        (Protocol::Grpc, "ClientStream", ClientStream, 3),
        (Protocol::Grpc, "Bidi", Bidi, 3),
        (Protocol::Grpc, "Nothing", Unary, 1),
        (Protocol::GrpcWeb, "ServerStream", ServerStream, 1),
        (Protocol::GrpcWebText, "Unary", Unary, 1),
        (Protocol::Connect, "Unary", Unary, 1),
        (Protocol::Connect, "Get", Unary, 1),
        (Protocol::Connect, "ServerStream", ServerStream, 1),
        (Protocol::Connect, "Bidi", Bidi, 3),
        (Protocol::Connect, "Nothing", Unary, 1),
    ] {
        let path = format!("/echo.v1.EchoService/{name}");
        let method = Method::new(shape).without_side_effects();
        let request = ClientRequest::new(protocol, "text", method, &authority, &path).use_get(name == "Get");
        let told: Vec<&[u8]> = [&b"kyrie"[..], b"christe", b"kyrie"].into_iter().take(messages).collect();
        let (heard, outcome) = ask(address, &request, &told).await?;
        let outcome = outcome.map_or_else(|status| status.to_string(), |()| "ok".to_owned());
        writeln!(out, "{protocol:?} {name}: {heard:?}, {outcome}")?;
    }
    Ok(())
}

async fn demonstration(out: &mut dyn Write) -> Result<(), AnyError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(Server::new().listen(listener));
    demonstrate(address, out).await
}

fn main() -> Result<(), AnyError> {
    let runtime = tokio::runtime::Runtime::new()?;
    match std::env::args().nth(1) {
        None => runtime.block_on(demonstration(&mut std::io::stdout())),
        Some(address) => runtime.block_on(async {
            let listener = TcpListener::bind(&*address).await?;
            writeln!(std::io::stderr(), "listening on {}", listener.local_addr()?)?;
            Ok(Server::new().listen(listener).await?)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_and_shape_over_hyper() {
        let mut out = Vec::new();
        tokio::runtime::Runtime::new().unwrap().block_on(demonstration(&mut out)).unwrap();
        let expected = [
            r#"Grpc Unary: [b"kyrie"], ok"#,
            r#"Grpc ServerStream: [b"kyrie", b"kyrie", b"kyrie"], ok"#,
            r#"Grpc ClientStream: [b"kyrie"], ok"#,
            r#"Grpc Bidi: [b"kyrie", b"christe", b"kyrie"], ok"#,
            r#"Grpc Nothing: [], unimplemented: there is no such method"#,
            r#"GrpcWeb ServerStream: [b"kyrie", b"kyrie", b"kyrie"], ok"#,
            r#"GrpcWebText Unary: [b"kyrie"], ok"#,
            r#"Connect Unary: [b"kyrie"], ok"#,
            r#"Connect Get: [b"kyrie"], ok"#,
            r#"Connect ServerStream: [b"kyrie", b"kyrie", b"kyrie"], ok"#,
            r#"Connect Bidi: [b"kyrie", b"christe", b"kyrie"], ok"#,
            r#"Connect Nothing: [], unimplemented: the server answered with HTTP status 404: it serves nothing at this path"#,
        ];
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    }
}
