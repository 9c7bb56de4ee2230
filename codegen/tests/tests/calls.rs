//! Generated servers and clients talk to each other: all shapes, either kind of handler on either kind of server, from
//! tasks and from threads, in binary and in JSON.
#![deny(warnings)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use antiphon_codegen_tests::feed::v1::{
    ChatMessage, Event, FeedService, FeedServiceClient, FeedServiceServer, Published, SCHEMA, UploadResult,
    WatchRequest, blocking, event,
};
use antiphon_service::prost_types::Timestamp;
use antiphon_service::{
    Blocking, CallOptions, Code, Context, HttpVersion, Protocol, Receiver, Router, Sender, Shutdown, Status,
};

/// Handlers of tasks and of threads.
struct Feed;

fn event(number: u32, topic: &str) -> Event {
    Event {
        id: number.to_string(),
        topic: topic.to_owned(),
        payload: vec![0, 255],
        at: Some(Timestamp { seconds: 1, nanos: 500_000_000 }),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        kind: event::Kind::Told as i32,
    }
}

impl FeedService for Feed {
    async fn publish(&self, context: &Context, request: Event) -> Result<Published, Status> {
        context.set_trailer("sent", "yes")?;
        Ok(Published { id: format!("{} of {}", request.id, request.topic) })
    }

    async fn watch(
        &self,
        _: &Context,
        request: WatchRequest,
        mut outbound: Sender<Event>,
    ) -> Result<(), Status> {
        for number in 0..request.limit() {
            outbound.send(event(number, &request.topic)).await?;
        }
        Ok(())
    }

    async fn upload_events(&self, _: &Context, mut inbound: Receiver<Event>) -> Result<UploadResult, Status> {
        let mut received = 0;
        while inbound.recv().await?.is_some() {
            received += 1;
        }
        Ok(UploadResult { received })
    }

    async fn chat(
        &self,
        _: &Context,
        mut inbound: Receiver<ChatMessage>,
        mut outbound: Sender<ChatMessage>,
    ) -> Result<(), Status> {
        while let Some(message) = inbound.recv().await? {
            outbound.send(ChatMessage { text: message.text.to_uppercase() }).await?;
        }
        Ok(())
    }
}

impl blocking::FeedService for Feed {
    fn publish(&self, context: &Context, request: Event) -> Result<Published, Status> {
        context.set_trailer("sent", "yes")?;
        Ok(Published { id: format!("{} of {}", request.id, request.topic) })
    }

    fn watch(
        &self,
        _: &Context,
        request: WatchRequest,
        mut outbound: Sender<Event, Blocking>,
    ) -> Result<(), Status> {
        (0..request.limit()).try_for_each(|number| outbound.send(event(number, &request.topic)))
    }

    fn upload_events(
        &self,
        _: &Context,
        mut inbound: Receiver<Event, Blocking>,
    ) -> Result<UploadResult, Status> {
        let mut received = 0;
        while inbound.recv()?.is_some() {
            received += 1;
        }
        Ok(UploadResult { received })
    }

    fn chat(
        &self,
        _: &Context,
        mut inbound: Receiver<ChatMessage, Blocking>,
        mut outbound: Sender<ChatMessage, Blocking>,
    ) -> Result<(), Status> {
        while let Some(message) = inbound.recv()? {
            outbound.send(ChatMessage { text: message.text.to_uppercase() })?;
        }
        Ok(())
    }
}

const LIMIT: u32 = 3;

async fn call_all(client: &FeedServiceClient) -> Result<(), Status> {
    let published = client.publish(event(7, "news")).await?;
    assert_eq!(published.id, "7 of news");
    assert_eq!(published.trailers.get("sent"), Some("yes"));

    let request = WatchRequest { topic: "news".to_owned(), limit: Some(LIMIT), from: None };
    let mut events = client.watch(request).await?;
    for number in 0..LIMIT {
        assert_eq!(events.recv().await?, Some(event(number, "news")));
    }
    assert_eq!(events.recv().await?, None);

    let mut upload = client.upload_events().await?;
    for number in 0..LIMIT {
        upload.send(event(number, "news")).await?;
    }
    assert_eq!(upload.close_and_recv().await?.received, LIMIT);

    let mut chat = client.chat().await?;
    for text in ["one", "two"] {
        chat.send(ChatMessage { text: text.to_owned() }).await?;
        assert_eq!(chat.recv().await?.unwrap_or_default().text, text.to_uppercase());
    }
    chat.close_send();
    assert_eq!(chat.recv().await?, None);

    // Nobody wrote it.
    let status = client.now(()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("/feed.v1.FeedService/Now"), "{status}");
    Ok(())
}

fn call_all_blocking(client: &blocking::FeedServiceClient) -> Result<(), Status> {
    let published = client.publish(event(7, "news"))?;
    assert_eq!(published.id, "7 of news");
    assert_eq!(published.trailers.get("sent"), Some("yes"));

    let request = WatchRequest { topic: "news".to_owned(), limit: Some(LIMIT), from: None };
    let mut events = client.watch(request)?;
    for number in 0..LIMIT {
        assert_eq!(events.recv()?, Some(event(number, "news")));
    }
    assert_eq!(events.recv()?, None);

    let mut upload = client.upload_events()?;
    for number in 0..LIMIT {
        upload.send(event(number, "news"))?;
    }
    assert_eq!(upload.close_and_recv()?.received, LIMIT);

    let mut chat = client.chat()?;
    for text in ["one", "two"] {
        chat.send(ChatMessage { text: text.to_owned() })?;
        assert_eq!(chat.recv()?.unwrap_or_default().text, text.to_uppercase());
    }
    chat.close_send();
    assert_eq!(chat.recv()?, None);

    assert_eq!(client.now(()).unwrap_err().code(), Code::Unimplemented);
    Ok(())
}

/// What a client may say of its calls.
fn options() -> [CallOptions; 4] {
    [
        CallOptions::new(),
        CallOptions::new().codec("json"),
        CallOptions::new().protocol(Protocol::Grpc),
        CallOptions::new().protocol(Protocol::GrpcWeb).codec("json"),
    ]
}

fn call_everything(address: SocketAddr) {
    smol::block_on(async {
        let client = antiphon_smol::connect(address, HttpVersion::Http2).await.unwrap();
        let client = FeedServiceClient::new(client);
        for options in options() {
            call_all(&client.with(options)).await.unwrap();
        }
    });
    let client = antiphon_blocking::connect(address, HttpVersion::Http2).unwrap();
    let client = blocking::FeedServiceClient::new(client);
    for options in options() {
        call_all_blocking(&client.with(options)).unwrap();
    }
}

fn routers() -> [Router; 3] {
    let shared = Arc::new(Feed);
    [
        Router::new().add_service(FeedServiceServer::new(Feed)),
        Router::new().add_service(FeedServiceServer::from_arc(Arc::clone(&shared)).offload()),
        Router::new().add_service(blocking::FeedServiceServer::from_arc(shared)),
    ]
}

fn on_smol(router: Router, test: impl FnOnce(SocketAddr)) {
    let server = smol::block_on(antiphon_smol::Server::bind("127.0.0.1:0")).unwrap();
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let server = thread::spawn(move || smol::block_on(server.serve(router)));
    run(address, shutdown, test);
    server.join().unwrap();
}

fn on_threads(router: Router, test: impl FnOnce(SocketAddr)) {
    let server = antiphon_blocking::Server::bind("127.0.0.1:0").unwrap();
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let server = thread::spawn(move || server.serve(router));
    run(address, shutdown, test);
    server.join().unwrap();
}

fn run(address: SocketAddr, shutdown: Shutdown, test: impl FnOnce(SocketAddr)) {
    test(address);
    shutdown.drain();
}

#[test]
fn all_shapes_on_tasks() {
    for router in routers() {
        on_smol(router, call_everything);
    }
}

#[test]
fn all_shapes_on_threads() {
    for router in routers() {
        on_threads(router, call_everything);
    }
}

#[test]
fn a_router_knows_names_and_schemas() {
    let [router, ..] = routers();
    assert_eq!(router.service_names(), ["feed.v1.FeedService"]);
    assert_eq!(router.len(), 5);
    let [schema] = router.schemas() else { panic!("one schema") };
    assert!(core::ptr::eq(*schema, &SCHEMA));
}

/// Messages and services whose names are those of the library, of the language and of each other.
mod names {
    use antiphon_codegen_tests as proto;
    use antiphon_codegen_tests::{EchoClient_, EchoServer_, EchoService};

    use super::*;

    struct Names;

    impl EchoService for Names {
        async fn clone(
            &self,
            _: &Context,
            request: proto::Echo,
            mut outbound: Sender<proto::Result>,
        ) -> Result<(), Status> {
            for _ in 0..request.r#type.len() {
                outbound.send(proto::Result {}).await?;
            }
            Ok(())
        }

        async fn new(
            &self,
            _: &Context,
            _: proto::echo::Nested,
        ) -> Result<proto::echo::nested::Deeper, Status> {
            Ok(proto::echo::nested::Deeper {})
        }

        async fn router(&self, _: &Context, request: String) -> Result<bool, Status> {
            Ok(request == "yes")
        }

        async fn get_http_url_(&self, _: &Context, request: proto::Echo) -> Result<proto::Echo, Status> {
            Ok(request)
        }
    }

    #[test]
    fn are_all_called() {
        on_smol(Router::new().add_service(EchoServer_::new(Names)), |address| {
            smol::block_on(async {
                let client = antiphon_smol::connect(address, HttpVersion::Http2).await.unwrap();
                let client = EchoClient_::new(client);
                let echo = proto::Echo { r#type: "abc".to_owned(), ..Default::default() };
                let mut results = client.clone(echo.clone()).await.unwrap();
                let mut count = 0;
                while results.recv().await.unwrap().is_some() {
                    count += 1;
                }
                assert_eq!(count, 3);
                client.new_(proto::echo::Nested::default()).await.unwrap();
                assert!(client.router("yes".to_owned()).await.unwrap().message);
                assert_eq!(client.get_http_url_(echo.clone()).await.unwrap().message, echo);
                let unwritten = client.get_http_url(echo).await.unwrap_err();
                assert_eq!(unwritten.code(), Code::Unimplemented);
                // google.protobuf wrappers have a JSON form of their own.
                let json = client.with(CallOptions::new().codec("json"));
                assert!(!json.router("no".to_owned()).await.unwrap().message);
            });
        });
    }
}
