//! Generated services and clients tested as their users test them: without a socket, a runtime or a clock.
#![deny(warnings)]

use antiphon_codegen_tests::feed::v1::{
    ChatMessage, Event, FeedService, FeedServiceClient, FeedServiceServer, Published, UploadResult, blocking,
};
use antiphon_service::testing::{self, block_on};
use antiphon_service::{Blocking, CallOptions, Context, Protocol, Receiver, Sender, Status};

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
