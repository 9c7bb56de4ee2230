//! The server's scripts as handlers of the service layer: each method in the form of its own shape, raw.

use antiphon::rpc::{self, Shape};
use antiphon::{Metadata, Status};
use antiphon_service::{Bytes, Context, Receiver, Router, Rules, Sender, handler};

use crate::adapter::{Adapter, blocked};
use crate::codec::Codec;
use crate::server::{Call, Method, Observed, Step};
use crate::waiting::Waiting;
use crate::{SERVICE, convert};

/// The conformance service, with handlers that suit the adapter.
pub fn router(adapter: Adapter) -> Router {
    // The judge's messages are small, and it looks whether they were compressed.
    let router = Router::new().rules("", Rules::new().compress_from(0));
    Method::ALL.into_iter().fold(router, |router, method| {
        let handler = match adapter {
            Adapter::Blocking => blocking_handler(method),
            Adapter::Smol | Adapter::Tokio => async_handler(method, adapter),
        };
        let mut described = rpc::Method::new(handler.shape());
        described.no_side_effects = method == Method::IdempotentUnary;
        router.route(&path(method.name()), described, handler)
    })
}

/// The path of a method of the service.
pub fn path(method: &str) -> String {
    format!("/{SERVICE}/{method}")
}

/// The shape of a method.
pub fn shape(method: Method) -> Shape {
    match method {
        Method::Unary | Method::IdempotentUnary => Shape::Unary,
        Method::ServerStream => Shape::ServerStream,
        Method::ClientStream => Shape::ClientStream,
        Method::BidiStream => Shape::Bidi,
    }
}

fn async_handler(method: Method, adapter: Adapter) -> handler::Handler {
    match shape(method) {
        Shape::Unary => handler::unary(move |context, message| async move {
            one(serve::<antiphon_service::Async>(adapter, method, context, Source::one(message), Sink::one())
                .await)
        }),
        Shape::ServerStream => handler::server_stream(move |context, message, sender| async move {
            none(serve(adapter, method, context, Source::one(message), Sink::Many(sender)).await)
        }),
        Shape::ClientStream => handler::client_stream(move |context, receiver| async move {
            one(serve(adapter, method, context, Source::Many(receiver), Sink::one()).await)
        }),
        Shape::Bidi => handler::bidi(move |context, receiver, sender| async move {
            none(serve(adapter, method, context, Source::Many(receiver), Sink::Many(sender)).await)
        }),
    }
}

fn blocking_handler(method: Method) -> handler::Handler {
    use handler::blocking;
    let adapter = Adapter::Blocking;
    match shape(method) {
        Shape::Unary => blocking::unary(move |context, message| {
            let serve = serve::<antiphon_service::Blocking>;
            one(blocked(serve(adapter, method, context, Source::one(message), Sink::one())))
        }),
        Shape::ServerStream => blocking::server_stream(move |context, message, sender| {
            none(blocked(serve(adapter, method, context, Source::one(message), Sink::Many(sender))))
        }),
        Shape::ClientStream => blocking::client_stream(move |context, receiver| {
            one(blocked(serve(adapter, method, context, Source::Many(receiver), Sink::one())))
        }),
        Shape::Bidi => blocking::bidi(move |context, receiver, sender| {
            none(blocked(serve(adapter, method, context, Source::Many(receiver), Sink::Many(sender))))
        }),
    }
}

/// Where the requests of a call come from.
#[allow(clippy::large_enum_variant)]
enum Source<W> {
    One(Option<Bytes>),
    Many(Receiver<Bytes, W>),
}

impl<W: Waiting> Source<W> {
    fn one(message: Bytes) -> Self {
        Self::One(Some(message))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        match self {
            Self::One(message) => Ok(message.take()),
            Self::Many(receiver) => W::recv(receiver).await,
        }
    }
}

/// Where its responses go.
#[allow(clippy::large_enum_variant)]
enum Sink<W> {
    One(Option<Bytes>),
    Many(Sender<Bytes, W>),
}

impl<W: Waiting> Sink<W> {
    fn one() -> Self {
        Self::One(None)
    }

    async fn send(&mut self, message: Bytes) -> Result<(), Status> {
        match self {
            Self::One(answer) => {
                *answer = Some(message);
                Ok(())
            }
            Self::Many(sender) => W::send(sender, message).await,
        }
    }
}

/// Carries out the script of one call. Returns the one message of its answer, if it was to be kept.
async fn serve<W: Waiting>(
    adapter: Adapter,
    method: Method,
    context: Context,
    mut source: Source<W>,
    mut sink: Sink<W>,
) -> Result<Option<Bytes>, Status> {
    let codec =
        Codec::from_name(context.codec()).ok_or_else(|| Status::internal("a codec that was not offered"))?;
    let mut call = Call::new(method, codec, observe(&context));
    loop {
        match call.next_step() {
            Step::Receive => call.received(source.receive().await?.as_deref()),
            Step::Metadata { headers, trailers } => {
                each(&headers, |name, value| context.set_header(name, value))?;
                each(&trailers, |name, value| context.set_trailer(name, value))?;
            }
            Step::SendHeaders => context.send_headers(),
            Step::Wait(duration) => adapter.sleep(duration).await,
            Step::Send(message) => sink.send(message.into()).await?,
            Step::Finish(result) => {
                result?;
                return Ok(if let Sink::One(answer) = sink { answer } else { None });
            }
        }
    }
}

fn observe(context: &Context) -> Observed {
    let timeout_ms = context.time_left().map(|left| i64::try_from(left.as_millis()).unwrap_or(i64::MAX));
    Observed { headers: convert::from_metadata(context.headers()), timeout_ms, query: None }
}

fn each(metadata: &Metadata, set: impl Fn(&str, &str) -> Result<(), Status>) -> Result<(), Status> {
    metadata.as_fields().iter().try_for_each(|field| set(field.name, &String::from_utf8_lossy(field.value)))
}

fn one(result: Result<Option<Bytes>, Status>) -> Result<Bytes, Status> {
    result?.ok_or_else(|| Status::internal("the script had no answer"))
}

fn none(result: Result<Option<Bytes>, Status>) -> Result<(), Status> {
    result.map(drop)
}
