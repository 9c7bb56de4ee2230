//! The client's scripts as calls of the service layer: each in the form of its own shape, raw; one that is to be
//! cancelled as two halves, since nobody else can give up what another waits for.

use antiphon::rpc::{Method, Protocol, Shape};
use antiphon::{Metadata, Status};
use antiphon_service::{Bytes, CallOptions, Client, ClientStream, Receiver, Response, Sender};

use crate::adapter::Adapter;
use crate::client::{self, Call, Step};
use crate::handlers::{path, shape};
use crate::proto::{self, ClientCompatRequest, ClientCompatResponse, StreamType};
use crate::waiting::Waiting;

/// Makes the call that a request describes, over a connection that is there.
pub async fn call<W: Waiting>(
    adapter: Adapter,
    client: Client<W>,
    request: ClientCompatRequest,
) -> ClientCompatResponse {
    let name = request.test_name.clone();
    match carry_out(adapter, client, request).await {
        Ok(response) => response,
        Err(reason) => client::failure(name, reason),
    }
}

async fn carry_out<W: Waiting>(
    adapter: Adapter,
    client: Client<W>,
    request: ClientCompatRequest,
) -> Result<ClientCompatResponse, String> {
    let mut script = Call::new(request)?;
    let mut wire = Wire::new(client, &script).await?;
    loop {
        match script.next_step() {
            Step::Wait(duration) => adapter.sleep(duration).await,
            Step::Send(message) => {
                let sent = wire.send(message.into()).await;
                script.sent(sent);
            }
            Step::CloseSend => wire.close().await,
            Step::Cancel => wire.cancel(),
            Step::Receive => {
                let received = wire.receive().await;
                script.received(received.as_ref().map(|message| message.as_deref()).map_err(Status::clone));
            }
            Step::Done => return Ok(script.finish(&wire.headers, &wire.trailers)),
        }
    }
}

/// What a request says of its call beside the messages.
fn options(script: &Call) -> Result<CallOptions, String> {
    let request = script.request();
    let protocol = match request.protocol() {
        proto::Protocol::Connect => Protocol::Connect,
        proto::Protocol::Grpc => Protocol::Grpc,
        proto::Protocol::GrpcWeb => Protocol::GrpcWeb,
        proto::Protocol::Unspecified => return Err("a protocol must be specified".into()),
    };
    let coding = match request.compression() {
        proto::Compression::Unspecified | proto::Compression::Identity => None,
        proto::Compression::Gzip => Some("gzip"),
        proto::Compression::Br => Some("br"),
        proto::Compression::Zstd => Some("zstd"),
        proto::Compression::Deflate => Some("deflate"),
        proto::Compression::Snappy => Some("snappy"),
    };
    let options = CallOptions::new()
        .protocol(protocol)
        .codec(script.codec().name())
        .coding(coding)
        .compress_from(0)
        .use_get(request.use_get_http_method)
        .metadata(&script.headers());
    Ok(match script.timeout() {
        Some(timeout) => options.timeout(timeout),
        None => options,
    })
}

/// A call under way.
struct Wire<W> {
    client: Client<W>,
    path: String,
    options: CallOptions,
    state: State<W>,
    headers: Metadata,
    trailers: Metadata,
}

#[allow(clippy::large_enum_variant)]
enum State<W> {
    /// A call of one message, which is held until the call is made.
    Holding {
        shape: Shape,
        message: Bytes,
    },
    Upload(ClientStream<Bytes, Bytes, W>),
    Halves(Option<Sender<Bytes, W>>, Receiver<Bytes, W>),
    Over(Result<(), Status>),
}

impl<W: Waiting> Wire<W> {
    async fn new(client: Client<W>, script: &Call) -> Result<Self, String> {
        let path = path(script.method().name());
        let options = options(script)?;
        let shape = match script.method() {
            client::Method::Known(method) => shape(method),
            client::Method::Unimplemented => Shape::Unary,
        };
        let cancelled = script.request().cancel.is_some();
        let opened = match shape {
            Shape::Unary | Shape::ClientStream if cancelled => {
                let method = Method::new(shape);
                let opened = W::open(&client, &path, method, options.clone()).await;
                opened.map(|(sender, receiver)| State::Halves(Some(sender), receiver))
            }
            Shape::Unary | Shape::ServerStream => Ok(State::Holding { shape, message: Bytes::new() }),
            Shape::ClientStream => W::client_stream(&client, &path, options.clone()).await.map(State::Upload),
            Shape::Bidi => W::bidi(&client, &path, options.clone()).await.map(|stream| {
                let (sender, receiver) = stream.split();
                State::Halves(Some(sender), receiver)
            }),
        };
        let state = opened.unwrap_or_else(|status| State::Over(Err(status)));
        Ok(Self { client, path, options, state, headers: Metadata::new(), trailers: Metadata::new() })
    }

    /// Says whether the message was sent.
    async fn send(&mut self, message: Bytes) -> bool {
        match &mut self.state {
            State::Holding { message: held, .. } => {
                *held = message;
                true
            }
            State::Upload(stream) => W::upload(stream, message).await.is_ok(),
            State::Halves(Some(sender), _) => W::send(sender, message).await.is_ok(),
            State::Halves(None, _) | State::Over(_) => false,
        }
    }

    async fn close(&mut self) {
        match &mut self.state {
            State::Halves(sender, _) => {
                if let Some(sender) = sender.take() {
                    sender.close();
                }
            }
            State::Holding { shape: Shape::ServerStream, message } => {
                let message = std::mem::take(message);
                let made = W::server_stream(&self.client, &self.path, message, self.options.clone()).await;
                self.state = match made {
                    Ok(receiver) => State::Halves(None, receiver),
                    Err(status) => State::Over(Err(status)),
                };
            }
            // The end goes with the call that waits for the answer.
            State::Holding { .. } | State::Upload(_) | State::Over(_) => {}
        }
    }

    /// Cancels as a user does, by dropping a half: the sender, as long as it is open, and then the receiver goes on to
    /// tell the outcome; or the receiver.
    fn cancel(&mut self) {
        let cancelled = Status::canceled("the receiver was dropped");
        match std::mem::replace(&mut self.state, State::Over(Err(cancelled))) {
            State::Halves(Some(_), receiver) => self.state = State::Halves(None, receiver),
            State::Over(result) => self.state = State::Over(result),
            State::Halves(None, _) | State::Holding { .. } | State::Upload(_) => {}
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        match std::mem::replace(&mut self.state, State::Over(Ok(()))) {
            State::Holding { message, .. } => {
                let answer = W::unary(&self.client, &self.path, message, self.options.clone()).await;
                self.answered(answer)
            }
            State::Upload(stream) => {
                let answer = W::close_and_recv(stream).await;
                self.answered(answer)
            }
            State::Halves(sender, mut receiver) => {
                let received = W::recv(&mut receiver).await;
                if let Ok(headers) = W::headers(&mut receiver).await {
                    self.headers = headers;
                }
                self.trailers.clone_from(receiver.trailers());
                self.state = State::Halves(sender, receiver);
                received
            }
            State::Over(result) => {
                self.state = State::Over(result.clone());
                result.map(|()| None)
            }
        }
    }

    fn answered(&mut self, answer: Result<Response<Bytes>, Status>) -> Result<Option<Bytes>, Status> {
        match answer {
            Ok(response) => {
                self.headers = response.headers;
                self.trailers = response.trailers;
                Ok(Some(response.message))
            }
            Err(status) => {
                self.state = State::Over(Err(status.clone()));
                Err(status)
            }
        }
    }
}

/// How many calls are under way at a time. Cases sleep up to 200 ms, and four servers are tried at once.
pub const WORKERS: usize = 32;

/// Whether the request is one that this client can make at all.
///
/// # Errors
/// What is missing.
pub fn check(request: &ClientCompatRequest) -> Result<(), String> {
    if !request.server_tls_cert.is_empty() {
        return Err("TLS is not supported".into());
    }
    if request.stream_type() == StreamType::Unspecified {
        return Err("a stream type must be specified".into());
    }
    Ok(())
}
