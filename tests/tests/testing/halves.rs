//! Loose halves and contexts: a handler is a function.

use core::time::Duration;
use std::net::SocketAddr;

use antiphon_service::testing::{self, block_on};
use antiphon_service::{
    Async, Blocking, Bytes, Code, Context, EndedBy, HttpVersion, Instant, Peer, Protocol, Receiver, Sender,
    Status, TrySendError,
};

use crate::poll_once;

/// A message that is neither bytes nor of prost.
#[derive(Clone, PartialEq, Debug)]
struct Event(&'static str);

async fn upload(context: &Context, mut events: Receiver<Event>) -> Result<usize, Status> {
    let mut count = 0;
    while let Some(event) = events.recv().await? {
        count += event.0.len();
    }
    context.set_trailer("count", count.to_string())?;
    Ok(count)
}

async fn chat(_: &Context, mut inbound: Receiver<Event>, mut outbound: Sender<Event>) -> Result<(), Status> {
    while let Some(event) = inbound.recv().await? {
        outbound.send(event).await?;
    }
    Ok(())
}

fn blocking_chat(
    _: &Context,
    inbound: Receiver<Event, Blocking>,
    mut outbound: Sender<Event, Blocking>,
) -> Result<(), Status> {
    inbound.into_iter().try_for_each(|event| outbound.send(event?))
}

#[test]
fn a_handler_is_tested_in_three_lines() {
    let events = testing::receiver(vec![Event("a"), Event("bc")]);
    let context = testing::context();
    assert_eq!(block_on(upload(&context, events)).unwrap(), 3);
    assert_eq!(context.response_trailers().get("count"), Some("3"));

    let (outbound, sent) = testing::sender();
    block_on(chat(&context, testing::receiver(vec![Event("a")]), outbound)).unwrap();
    assert_eq!(sent.take(), [Event("a")]);

    let (outbound, sent) = testing::sender();
    blocking_chat(&context, testing::receiver(vec![Event("a"); 2]), outbound).unwrap();
    assert_eq!(sent.take(), [Event("a"), Event("a")]);
}

#[test]
fn a_receiver_that_fails_gives_its_messages_first_and_its_error_for_ever() {
    let status = Status::canceled("the client left").with_ended(EndedBy::Cancel { reset: Some(8) });
    let mut events: Receiver<Event, Blocking> = testing::failing_receiver(vec![Event("a")], status);
    assert_eq!(events.recv().unwrap(), Some(Event("a")));
    for _ in 0..2 {
        let status = events.recv().unwrap_err();
        assert_eq!((status.code(), status.ended()), (Code::Canceled, EndedBy::Cancel { reset: Some(8) }));
    }
    assert!(block_on(upload(&testing::context(), testing::failing_receiver(vec![], status_of()))).is_err());
}

fn status_of() -> Status {
    Status::unavailable("the network is down")
}

#[test]
fn a_context_says_what_it_was_told() {
    let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let context = testing::context()
        .with_header("tenant", "blue")
        .with_header("trace-bin", &b"\x00\xff"[..])
        .with_timeout(Duration::from_secs(5))
        .with_peer(address)
        .with_procedure("/feed.v1.FeedService/Chat")
        .with_protocol(Protocol::Grpc)
        .with_http_version(HttpVersion::Http11)
        .with_codec("json");
    assert_eq!(context.headers().get("tenant"), Some("blue"));
    assert_eq!(context.headers().get_bin("trace-bin").next().unwrap().unwrap(), b"\x00\xff");
    assert_eq!(context.peer(), &Peer::Tcp(address));
    assert_eq!(context.procedure(), "/feed.v1.FeedService/Chat");
    assert_eq!((context.protocol(), context.codec()), (Some(Protocol::Grpc), "json"));
    assert_eq!(context.http_version(), HttpVersion::Http11);
    assert_eq!(context.deadline(), Some(Instant::EPOCH + Duration::from_secs(5)));
    context.advance(Duration::from_secs(2));
    assert_eq!(context.time_left(), Some(Duration::from_secs(3)));
    assert!(!context.is_cancelled());
    context.advance(Duration::from_secs(3));
    assert_eq!(context.time_left(), Some(Duration::ZERO));
    assert_eq!(block_on(context.cancelled()), EndedBy::Deadline);
}

#[test]
#[should_panic(expected = "\"bad name\" cannot be sent")]
fn a_header_that_cannot_be_sent_is_told_at_once() {
    let _ = testing::context().with_header("bad name", "x");
}

// Design, "How it is shared": nothing foreign runs under a lock.
#[test]
fn a_value_may_ask_its_own_context() {
    struct Asking<'a>(&'a antiphon_service::Context);

    impl antiphon_service::IntoValue for Asking<'_> {
        fn with_value<R>(self, take: impl FnOnce(antiphon::MetadataValue<'_>) -> R) -> R {
            self.0.set_header("first", "1").unwrap();
            self.0.set_trailer("last", "1").unwrap();
            "2".with_value(take)
        }
    }

    let context = testing::context();
    context.set_header("second", Asking(&context)).unwrap();
    context.set_trailer("third", Asking(&context)).unwrap();
    let sent: Vec<_> = context.response_headers().iter().map(|field| field.name.to_owned()).collect();
    assert_eq!(sent, ["first", "second", "first"]);
}

#[test]
fn the_first_message_sends_the_headers() {
    let context = testing::context();
    let (mut outbound, sent): (Sender<Event, Blocking>, _) = context.sender();
    context.set_header("cursor", "42").unwrap();
    assert!(!context.headers_sent());
    outbound.send(Event("a")).unwrap();
    assert!(context.headers_sent());
    assert_eq!(context.set_header("late", "1").unwrap_err().code(), Code::Internal);
    assert_eq!(context.response_headers().get("cursor"), Some("42"));
    assert!(!sent.is_closed());
    drop(outbound);
    assert!(sent.is_closed());
}

#[test]
fn sending_waits_for_room() {
    let (mut outbound, sent): (Sender<i32>, _) = testing::sender();
    sent.set_room(2);
    block_on(outbound.send(1)).unwrap();
    block_on(outbound.send(2)).unwrap();
    // Dropped while it waits, it has sent nothing.
    assert!(poll_once(outbound.send(3)).is_pending());
    assert!(matches!(outbound.try_send(4), Err(TrySendError::Full(4))));
    assert_eq!((sent.len(), sent.next()), (2, Some(1)));
    block_on(outbound.send(5)).unwrap();
    assert!(poll_once(outbound.ready()).is_pending());
    sent.set_room(3);
    block_on(outbound.ready()).unwrap();
    assert_eq!((sent.take(), sent.is_empty()), (vec![2, 5], true));
}

#[test]
fn a_thread_that_waits_for_room_goes_on_when_there_is_some() {
    let (mut outbound, sent): (Sender<i32, Blocking>, _) = testing::sender();
    sent.set_room(1);
    std::thread::scope(|scope| {
        scope.spawn(move || (0..100).for_each(|number| outbound.send(number).unwrap()));
        for number in 0..100 {
            let next = std::iter::repeat_with(|| sent.next()).inspect(|_| std::thread::yield_now());
            assert_eq!(next.flatten().next(), Some(number));
        }
    });
    assert!(sent.is_closed());
}

#[test]
fn a_cancel_ends_all_that_belongs_to_the_call() {
    let context = testing::context();
    let (feed, mut inbound) = context.feed::<Event, Async>();
    let (mut outbound, sent) = context.sender::<Event, Async>();
    feed.send(Event("a"));
    context.cancel();
    // What came before the end is still received.
    assert_eq!(block_on(inbound.recv()).unwrap(), Some(Event("a")));
    let by_cancel = EndedBy::Cancel { reset: None };
    assert_eq!(block_on(inbound.recv()).unwrap_err().ended(), by_cancel);
    assert_eq!(block_on(outbound.send(Event("b"))).unwrap_err().ended(), by_cancel);
    assert_eq!(block_on(context.cancelled()), by_cancel);
    assert!(sent.is_empty() && context.is_cancelled());
    // An end is never replaced by another.
    context.lose();
    assert_eq!(block_on(context.cancelled()), by_cancel);
}

#[test]
fn there_is_no_room_in_a_call_that_has_ended() {
    let context = testing::context();
    let (mut outbound, _sent) = context.sender::<Event, Async>();
    let (mut blocking, _also) = context.sender::<Event, Blocking>();
    assert!(block_on(outbound.ready()).is_ok() && blocking.ready().is_ok());
    // What these leave room for is never sent.
    block_on(outbound.send(Event("a"))).unwrap();
    context.lose();
    assert_eq!(block_on(outbound.ready()).unwrap_err().ended(), EndedBy::LostConnection);
    assert_eq!(blocking.ready().unwrap_err().ended(), EndedBy::LostConnection);
}

#[test]
fn a_cancel_wakes_whoever_waits() {
    let context = testing::context();
    let (_feed, mut inbound) = context.feed::<Event, Blocking>();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || inbound.recv().unwrap_err().ended());
        context.lose();
        assert_eq!(waiting.join().unwrap(), EndedBy::LostConnection);
    });
}

#[test]
fn a_receiver_can_be_fed_as_the_handler_goes() {
    let context = testing::context();
    let ((feed, inbound), (outbound, sent)) = (context.feed(), context.sender());
    let mut handler = Box::pin(chat(&context, inbound, outbound));
    assert!(poll_once(handler.as_mut()).is_pending());
    feed.send(Event("a"));
    assert!(poll_once(handler.as_mut()).is_pending());
    assert_eq!(sent.next(), Some(Event("a")));
    feed.close();
    block_on(handler).unwrap();
    assert!(!feed.is_dropped(), "it has read to the end");

    let (feed, inbound) = testing::context().feed::<Bytes, Async>();
    drop(inbound);
    assert!(feed.is_dropped());
}
