//! Calls of every shape over a channel, in every way in which they can travel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon_service::testing::{self, Channel, block_on};
use antiphon_service::{
    Blocking, Bytes, CallOptions, Client, Code, Context, HttpVersion, Peer, Protocol, Receiver, Router,
    Sender, Service, Status, handler,
};

use crate::{WAYS, text};

async fn greet(context: Context, name: Bytes) -> Result<Bytes, Status> {
    context.set_header("seen", context.headers().get("tenant").unwrap_or("none"))?;
    context.set_trailer("length", name.len().to_string())?;
    if name.is_empty() {
        return Err(Status::invalid_argument("no name"));
    }
    Ok([b"Hello, ", &name[..]].concat().into())
}

async fn count(_: Context, to: Bytes, mut outbound: Sender<Bytes>) -> Result<(), Status> {
    for number in 0..to.len() {
        outbound.send(text(&number.to_string())).await?;
    }
    Ok(())
}

async fn join(_: Context, mut inbound: Receiver<Bytes>) -> Result<Bytes, Status> {
    let mut all = Vec::new();
    while let Some(message) = inbound.recv().await? {
        all.extend_from_slice(&message);
    }
    Ok(all.into())
}

async fn echo(_: Context, mut inbound: Receiver<Bytes>, mut outbound: Sender<Bytes>) -> Result<(), Status> {
    while let Some(message) = inbound.recv().await? {
        outbound.send(message).await?;
    }
    Ok(())
}

fn async_router() -> Router {
    Router::new()
        .unary("/a.A/Greet", greet)
        .server_stream("/a.A/Count", count)
        .client_stream("/a.A/Join", join)
        .bidi("/a.A/Echo", echo)
}

/// The same handlers, blocking.
fn blocking_router() -> Router {
    use handler::blocking::{bidi, client_stream, server_stream, unary};

    Router::new()
        .add("/a.A/Greet", unary(|context, name| block_on(greet(context, name))))
        .add(
            "/a.A/Count",
            server_stream(|_, to, mut outbound| {
                (0..to.len()).try_for_each(|number| outbound.send(text(&number.to_string())))
            }),
        )
        .add(
            "/a.A/Join",
            client_stream(|_, inbound: Receiver<Bytes, Blocking>| {
                let all: Result<Vec<Bytes>, Status> = inbound.collect();
                Ok(all?.concat().into())
            }),
        )
        .add(
            "/a.A/Echo",
            bidi(|_, inbound, mut outbound| inbound.into_iter().try_for_each(|item| outbound.send(item?))),
        )
}

async fn call_all(client: &Client, turns: bool) {
    let none = CallOptions::new;
    let answer = client.unary("/a.A/Greet", text("Ada"), none().header("tenant", "blue").unwrap());
    let answer = answer.await.unwrap();
    assert_eq!(&answer[..], b"Hello, Ada");
    assert_eq!((answer.headers.get("seen"), answer.trailers.get("length")), (Some("blue"), Some("3")));
    let status = client.unary("/a.A/Greet", Bytes::new(), none()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "no name"));

    let mut numbers = client.server_stream("/a.A/Count", text("xxx"), none()).await.unwrap();
    for number in ["0", "1", "2"] {
        assert_eq!(numbers.recv().await.unwrap().unwrap(), number);
    }
    assert!(numbers.recv().await.unwrap().is_none());

    let mut parts = client.client_stream("/a.A/Join", none()).await.unwrap();
    for part in ["a", "b", "c"] {
        parts.send(text(part)).await.unwrap();
    }
    assert_eq!(*parts.close_and_recv().await.unwrap(), "abc");

    let mut call = client.bidi("/a.A/Echo", none()).await.unwrap();
    if turns {
        for message in ["x", "y"] {
            call.send(text(message)).await.unwrap();
            assert_eq!(call.recv().await.unwrap().unwrap(), message);
        }
    } else {
        call.send(text("x")).await.unwrap();
    }
    call.close_send();
    assert_eq!(call.recv().await.unwrap().is_some(), !turns);
    assert!(call.recv().await.unwrap().is_none());
}

fn call_all_blocking(client: &Client<Blocking>, turns: bool) {
    let none = CallOptions::new;
    assert_eq!(&client.unary("/a.A/Greet", text("Ada"), none()).unwrap()[..], b"Hello, Ada");
    let status = client.unary("/a.A/Greet", Bytes::new(), none()).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);

    let numbers = client.server_stream("/a.A/Count", text("xxx"), none()).unwrap();
    let numbers: Result<Vec<_>, _> = numbers.collect();
    assert_eq!(numbers.unwrap(), ["0", "1", "2"]);

    let mut parts = client.client_stream("/a.A/Join", none()).unwrap();
    ["a", "b", "c"].into_iter().for_each(|part| parts.send(text(part)).unwrap());
    assert_eq!(*parts.close_and_recv().unwrap(), "abc");

    let mut call = client.bidi("/a.A/Echo", none()).unwrap();
    if turns {
        for message in ["x", "y"] {
            call.send(text(message)).unwrap();
            assert_eq!(call.recv().unwrap().unwrap(), message);
        }
    }
    call.close_send();
    assert!(call.recv().unwrap().is_none());
}

/// HTTP/1.1 carries a stream both ways here, but a peer may hold the answer back until the request is complete.
fn takes_turns(version: HttpVersion) -> bool {
    version == HttpVersion::Http2
}

#[test]
fn every_shape_in_every_way_with_clients_and_handlers_of_both_kinds() {
    for (version, protocol) in WAYS {
        for router in [async_router(), blocking_router()] {
            for cut in [usize::MAX, 7, 1] {
                let channel = Channel::builder().http_version(version).serve(router.clone());
                channel.cut(cut);
                let client = channel.client().with(CallOptions::new().protocol(protocol));
                block_on(call_all(&client, takes_turns(version)));
                call_all_blocking(&client.blocking(), takes_turns(version));
            }
        }
    }
}

#[test]
fn any_executor_will_do() {
    let channel = testing::channel(async_router());
    smol::block_on(call_all(&channel.client(), true));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(call_all(&channel.client(), true));
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let crossed = || {
        let channel = testing::channel(async_router());
        block_on(call_all(&channel.client(), true));
        call_all_blocking(&channel.blocking(), true);
        channel.run();
        channel.crossed()
    };
    let first = crossed();
    assert!(first.0 > 500 && first.1 > 500, "bytes do cross: {first:?}");
    assert!((0..20).all(|_| crossed() == first));
}

#[test]
fn a_service_is_served_as_it_is() {
    struct Greeter;

    impl Service for Greeter {
        fn register(self, router: Router) -> Router {
            router.unary("/a.A/Greet", greet)
        }
    }

    let client = testing::channel(Greeter).blocking();
    assert_eq!(&client.unary("/a.A/Greet", text("Ada"), CallOptions::new()).unwrap()[..], b"Hello, Ada");
}

#[test]
fn both_ends_know_their_peer() {
    async fn who(context: Context, _: Bytes) -> Result<Bytes, Status> {
        Ok(text(&context.peer().to_string()))
    }

    let router = Router::new().unary("/a.A/Who", who);
    let channel = Channel::builder().peer(Peer::Other("a test".into())).serve(router);
    assert_eq!(*channel.blocking().unary("/a.A/Who", Bytes::new(), CallOptions::new()).unwrap(), "a test");
    assert_eq!(channel.client().peer().to_string(), "a test");
}

// Design: the send queue is bounded by the peer's windows; a reader that rests holds its writer.
#[test]
fn a_reader_that_rests_holds_the_writer() {
    let sent = Arc::new(AtomicUsize::new(0));
    let flood = |counter: Arc<AtomicUsize>| {
        move |_: Context, _: Bytes, mut outbound: Sender<Bytes>| {
            let sent = Arc::clone(&counter);
            async move {
                let block = Bytes::from(vec![7; 10_000]);
                for _ in 0..1000 {
                    outbound.send(block.clone()).await?;
                    sent.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            }
        }
    };
    let counter = Arc::clone(&sent);
    let blocking = handler::blocking::server_stream(move |_, _, mut outbound: Sender<Bytes, Blocking>| {
        let block = Bytes::from(vec![7; 10_000]);
        (0..1000).try_for_each(|_| {
            outbound.send(block.clone())?;
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    });
    let router =
        Router::new().server_stream("/a.A/Flood", flood(Arc::clone(&sent))).add("/a.A/Blocking", blocking);
    for path in ["/a.A/Flood", "/a.A/Blocking"] {
        sent.store(0, Ordering::SeqCst);
        let channel = testing::channel(router.clone());
        let mut blocks = channel.blocking().server_stream(path, Bytes::new(), CallOptions::new()).unwrap();
        assert_eq!(sent.load(Ordering::SeqCst), 0, "nobody has waited yet");
        channel.run();
        let held = sent.load(Ordering::SeqCst);
        assert!((1..200).contains(&held), "{path}: {held}");
        channel.run();
        assert_eq!(sent.load(Ordering::SeqCst), held);
        let mut count = 0;
        while let Some(block) = blocks.recv().unwrap() {
            assert_eq!(block.len(), 10_000);
            count += 1;
        }
        assert_eq!((count, sent.load(Ordering::SeqCst)), (1000, 1000));
    }
}

#[test]
fn many_calls_at_once_do_not_wait_for_each_other() {
    let channel = testing::channel(async_router());
    let client = channel.client();
    block_on(async {
        let mut calls = Vec::new();
        for _ in 0..50 {
            calls.push(client.bidi("/a.A/Echo", CallOptions::new()).await.unwrap());
        }
        for (number, call) in calls.iter_mut().enumerate() {
            call.send(text(&number.to_string())).await.unwrap();
        }
        for (number, call) in calls.iter_mut().enumerate().rev() {
            assert_eq!(call.recv().await.unwrap().unwrap(), number.to_string());
        }
    });
}

#[test]
fn a_handler_may_be_a_client() {
    let back = testing::channel(async_router());
    let (client, blocking) = (back.client(), back.blocking());
    let front = Router::new()
        .unary("/b.B/Forward", move |_: Context, name: Bytes| {
            let client = client.clone();
            async move { Ok(client.unary("/a.A/Greet", name, CallOptions::new()).await?.into_inner()) }
        })
        .add(
            "/b.B/Blocking",
            handler::blocking::unary(move |_, name| {
                Ok(blocking.unary("/a.A/Greet", name, CallOptions::new())?.into_inner())
            }),
        );
    let channel = testing::channel(front);
    for path in ["/b.B/Forward", "/b.B/Blocking"] {
        let options = CallOptions::new().protocol(Protocol::Grpc);
        assert_eq!(&channel.blocking().unary(path, text("Ada"), options).unwrap()[..], b"Hello, Ada");
        let answer = channel.client().blocking().unary(path, text("Bo"), CallOptions::new());
        assert_eq!(&answer.unwrap()[..], b"Hello, Bo");
    }
}
