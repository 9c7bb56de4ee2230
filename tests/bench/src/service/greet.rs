//! A service as the generator writes it: messages, trait, glue and client.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use antiphon_service::{
    CallOptions, Client, ClientStream, Context, Method, MethodCodecs, Receiver, Response, Router, Schema,
    Sender, Shape, Status, handler,
};

use crate::heads::PATH;
use crate::sides::Cut;

static SCHEMA: Schema = Schema::new(b"");

/// The message that is sent and echoed, of 16 bytes.
#[derive(Clone, PartialEq, Eq, Hash, ::antiphon_service::prost::Message)]
#[prost(prost_path = "::antiphon_service::prost")]
pub struct Hello {
    #[prost(string, tag = "1")]
    pub text: ::antiphon_service::prost::alloc::string::String,
}

impl Hello {
    pub fn example() -> Self {
        Self { text: "sixteen bytes.".into() }
    }
}

fn codecs() -> MethodCodecs<Hello, Hello> {
    SCHEMA.method("greet.v1.Hello", "greet.v1.Hello")
}

/// One method of each shape; a case serves one of them.
pub trait GreetService: Send + Sync + 'static {
    fn greet(&self, context: &Context, request: Hello) -> impl Future<Output = Result<Hello, Status>> + Send;

    fn upload(
        &self,
        context: &Context,
        inbound: Receiver<Hello>,
    ) -> impl Future<Output = Result<Hello, Status>> + Send;

    fn watch(
        &self,
        context: &Context,
        request: Hello,
        outbound: Sender<Hello>,
    ) -> impl Future<Output = Result<(), Status>> + Send;
}

/// A router that serves the path of all cases in this shape.
pub fn router<T: GreetService>(service: T, shape: Shape) -> Router {
    let service = Arc::new(service);
    let handler = match shape {
        Shape::Unary => handler::unary_with(codecs(), move |context: Context, request| {
            let service = Arc::clone(&service);
            async move { <T as GreetService>::greet(&service, &context, request).await }
        }),
        Shape::ClientStream => handler::client_stream_with(codecs(), move |context: Context, inbound| {
            let service = Arc::clone(&service);
            async move { <T as GreetService>::upload(&service, &context, inbound).await }
        }),
        _ => handler::server_stream_with(codecs(), move |context: Context, request, outbound| {
            let service = Arc::clone(&service);
            async move { <T as GreetService>::watch(&service, &context, request, outbound).await }
        }),
    };
    Router::new().route(PATH, Method::new(shape), handler)
}

/// A client of the service.
#[derive(Clone)]
pub struct GreetServiceClient {
    client: Client,
    codecs: Arc<MethodCodecs<Hello, Hello>>,
}

impl GreetServiceClient {
    pub fn new(client: Client) -> Self {
        Self { client, codecs: Arc::new(codecs()) }
    }

    pub async fn greet(&self, request: Hello, options: CallOptions) -> Result<Response<Hello>, Status> {
        self.client.unary_with(PATH, Method::new(Shape::Unary), &self.codecs, request, options).await
    }

    pub async fn upload(&self) -> Result<ClientStream<Hello, Hello>, Status> {
        self.client
            .client_stream_with(PATH, Method::new(Shape::ClientStream), &self.codecs, CallOptions::new())
            .await
    }

    pub async fn watch(&self, request: Hello) -> Result<Receiver<Hello>, Status> {
        self.client
            .server_stream_with(
                PATH,
                Method::new(Shape::ServerStream),
                &self.codecs,
                request,
                CallOptions::new(),
            )
            .await
    }
}

/// What the application does: as little as the bare engine's cases do.
#[derive(Clone)]
pub struct Application {
    /// Units that are done.
    pub done: Arc<AtomicU64>,
    /// How many messages are sent before the connection moves.
    pub stride: usize,
}

impl Application {
    pub fn new() -> Self {
        Self { done: Arc::default(), stride: 0 }
    }

    pub fn sending(cut: Cut) -> Self {
        let stride = if cut == Cut::Coalesced { cut.per_turn() } else { 1 };
        Self { done: Arc::default(), stride }
    }

    pub fn count(&self) {
        self.done.fetch_add(1, Relaxed);
    }

    /// Lets the connection move.
    pub async fn rest(&self) {
        let mut rested = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut rested, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

impl GreetService for Application {
    async fn greet(&self, _: &Context, request: Hello) -> Result<Hello, Status> {
        self.count();
        Ok(request)
    }

    async fn upload(&self, _: &Context, mut inbound: Receiver<Hello>) -> Result<Hello, Status> {
        while let Some(message) = inbound.recv().await? {
            std::hint::black_box(message);
            self.count();
        }
        Ok(Hello::default())
    }

    async fn watch(&self, _: &Context, request: Hello, mut outbound: Sender<Hello>) -> Result<(), Status> {
        loop {
            for _ in 0..self.stride {
                outbound.send(request.clone()).await?;
                self.count();
            }
            self.rest().await;
        }
    }
}
