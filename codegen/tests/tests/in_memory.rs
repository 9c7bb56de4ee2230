//! Generated services and clients tested as their users test them: without a socket, a runtime or a clock.
#![deny(warnings)]

use std::sync::{Arc, Mutex};

use antiphon_codegen_tests::combine::v1 as combine;
use antiphon_codegen_tests::feed::v1::{
    ChatMessage, Event, FeedService, FeedServiceClient, FeedServiceServer, Published, UploadResult, blocking,
};
use antiphon_service::testing::{self, block_on};
use antiphon_service::{
    Blocking, CallOptions, Context, Interceptor, Method, Next, Protocol, Receiver, Sender, Shape, Status,
};

struct Feed;

impl FeedService for Feed {
    async fn publish(&self, context: &Context, request: Event) -> Result<Published, Status> {
        context.set_trailer("tenant", context.headers().get("tenant").unwrap_or("none"))?;
        Ok(Published { id: request.id })
    }

    async fn upload_events(&self, _: &Context, mut inbound: Receiver<Event>) -> Result<UploadResult, Status> {
        let mut received = 0;
        while inbound.recv().await?.is_some() {
            received += 1;
        }
        Ok(UploadResult { received })
    }
}

impl blocking::FeedService for Feed {
    fn chat(
        &self,
        _: &Context,
        inbound: Receiver<ChatMessage, Blocking>,
        mut outbound: Sender<ChatMessage, Blocking>,
    ) -> Result<(), Status> {
        inbound.into_iter().try_for_each(|message| outbound.send(message?))
    }
}

fn said(text: &str) -> ChatMessage {
    ChatMessage { text: text.to_owned() }
}

// The async and the blocking trait have the same names: a type that implements both says which.
#[test]
fn a_method_is_a_function() {
    let events = testing::receiver(vec![Event::default(); 3]);
    let context = testing::context();
    assert_eq!(block_on(FeedService::upload_events(&Feed, &context, events)).unwrap().received, 3);

    let (outbound, sent) = testing::sender();
    let inbound = testing::receiver(vec![said("hello")]);
    blocking::FeedService::chat(&Feed, &testing::context(), inbound, outbound).unwrap();
    assert_eq!(sent.take(), [said("hello")]);

    let context = testing::context().with_header("tenant", "blue");
    block_on(FeedService::publish(&Feed, &context, Event::default())).unwrap();
    assert_eq!(context.response_trailers().get("tenant"), Some("blue"));
}

#[test]
fn a_client_is_tested_over_the_whole_path() {
    for codec in ["proto", "json"] {
        for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
            let options = CallOptions::new().protocol(protocol).codec(codec);
            let client = FeedServiceClient::new(testing::channel(FeedServiceServer::new(Feed)).client());
            let event = Event { id: "7".to_owned(), ..Event::default() };
            let published = block_on(client.with(options.clone()).publish(event)).unwrap();
            assert_eq!((published.id.as_str(), published.trailers.get("tenant")), ("7", Some("none")));

            let channel = testing::channel(blocking::FeedServiceServer::new(Feed));
            let client = blocking::FeedServiceClient::new(channel.blocking()).with(options);
            let mut call = client.chat().unwrap();
            call.send(said("hello")).unwrap();
            assert_eq!(call.recv().unwrap(), Some(said("hello")));
            call.close_send();
            assert_eq!(call.recv().unwrap(), None);
        }
    }
}

struct Combine;

impl combine::CombineService for Combine {}

/// Writes down the methods of the calls that it is around, and refuses them.
#[derive(Clone, Default)]
struct Methods(Arc<Mutex<Vec<Method>>>);

impl Interceptor for Methods {
    async fn intercept(&self, context: &Context, _: Next<'_>) -> Result<(), Status> {
        self.0.lock().unwrap().push(context.method());
        Err(Status::unavailable("no more is asked"))
    }
}

// Whoever decides whether a call may be tried again sees what the .proto file says of it, in every shape, at both ends.
#[test]
fn the_idempotency_of_every_shape_is_known_at_both_ends() {
    use antiphon_service::{Client, Router};

    let expected = [
        Method::new(Shape::Unary),
        Method::new(Shape::Unary).without_side_effects(),
        Method::new(Shape::ServerStream).without_side_effects(),
        Method::new(Shape::ClientStream).idempotent(),
        Method::new(Shape::Bidi).idempotent(),
    ];
    fn call_all(client: Client) {
        let tasks = combine::CombineServiceClient::new(client.clone());
        let ask = combine::Ask::default;
        assert!(block_on(tasks.unary(ask())).is_err() && block_on(tasks.get(ask())).is_err());
        // A refusal is told when the call is opened, or by what is received.
        let _ = block_on(async { tasks.server_stream(ask()).await?.recv().await });
        let _ = block_on(async { tasks.client_stream().await?.close_and_recv().await });
        let _ = block_on(async { tasks.bidi().await?.recv().await });
        let threads = combine::blocking::CombineServiceClient::new(client.blocking());
        assert!(threads.unary(ask()).is_err() && threads.get(ask()).is_err());
        let _ = threads.server_stream(ask()).and_then(|mut call| call.recv());
        let _ = threads.client_stream().and_then(|call| call.close_and_recv());
        let _ = threads.bidi().and_then(|mut call| call.recv());
    }
    let twice = [expected, expected].concat();
    let (here, there) = (Methods::default(), Methods::default());
    call_all(testing::channel(combine::CombineServiceServer::new(Combine)).client().intercept(here.clone()));
    assert_eq!(*here.0.lock().unwrap(), twice);
    let router =
        Router::new().add_service(combine::CombineServiceServer::new(Combine)).intercept(there.clone());
    call_all(testing::channel(router).client());
    assert_eq!(*there.0.lock().unwrap(), twice);
}
