//! A channel that more than one thread has to do with.

use core::future::poll_fn;
use core::task::{Context as Polling, Poll, Waker};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use antiphon_service::testing::{self, block_on};
use antiphon_service::{Blocking, Bytes, CallOptions, Context, Receiver, Router, Sender, Status, handler};

use crate::text;

/// Something that happens outside.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    fn open(&self) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            core::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn pass(&self) {
        let passes = |context: &mut Polling<'_>| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(context.waker().clone());
            Poll::Pending
        };
        poll_fn(passes).await;
    }
}

fn gated() -> (Router, Gate) {
    let gate = Gate::default();
    let theirs = gate.clone();
    let wait = move |_: Context, _: Bytes| {
        let gate = theirs.clone();
        async move {
            gate.pass().await;
            Ok(text("open"))
        }
    };
    (Router::new().unary("/a.A/Wait", wait), gate)
}

#[test]
fn a_handler_that_is_woken_from_outside_wakes_whoever_waits() {
    for _ in 0..50 {
        let (router, gate) = gated();
        let channel = testing::channel(router);
        std::thread::scope(|scope| {
            let (blocking, client) = (channel.blocking(), channel.client());
            let one = scope.spawn(move || blocking.unary("/a.A/Wait", Bytes::new(), CallOptions::new()));
            let other =
                scope.spawn(move || block_on(client.unary("/a.A/Wait", Bytes::new(), CallOptions::new())));
            gate.open();
            assert_eq!(*one.join().unwrap().unwrap(), "open");
            assert_eq!(*other.join().unwrap().unwrap(), "open");
        });
    }
}

fn echo(
    _: Context,
    inbound: Receiver<Bytes, Blocking>,
    mut outbound: Sender<Bytes, Blocking>,
) -> Result<(), Status> {
    inbound.into_iter().try_for_each(|message| outbound.send(message?))
}

#[test]
fn two_threads_share_a_call() {
    let channel = testing::channel(Router::new().add("/a.A/Echo", handler::blocking::bidi(echo)));
    let (mut sender, receiver) = channel.blocking().bidi("/a.A/Echo", CallOptions::new()).unwrap().split();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..200 {
                sender.send(Bytes::from(vec![1; 5000])).unwrap();
            }
            sender.close();
        });
        assert_eq!(receiver.map(Result::unwrap).map(|message| message.len()).sum::<usize>(), 1_000_000);
    });
}

// A handler with a thread for each direction, as a blocking one is written that reads and writes at once.
#[test]
fn a_blocking_handler_may_have_threads_of_its_own() {
    let both = handler::blocking::bidi(|_, inbound: Receiver<Bytes, Blocking>, mut outbound| {
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || inbound.map(Result::unwrap).count());
            for number in 0..3 {
                outbound.send(text(&number.to_string()))?;
            }
            let count = reader.join().unwrap();
            outbound.send(text(&format!("{count} received")))
        })
    });
    let channel = testing::channel(Router::new().add("/a.A/Both", both));
    let mut call = channel.blocking().bidi("/a.A/Both", CallOptions::new()).unwrap();
    for number in ["0", "1", "2"] {
        call.send(text("x")).unwrap();
        assert_eq!(call.recv().unwrap().unwrap(), number);
    }
    call.close_send();
    assert_eq!(call.recv().unwrap().unwrap(), "3 received");
    assert!(call.recv().unwrap().is_none());
}

#[test]
fn a_blocking_handler_that_waits_for_something_else_is_left_behind_and_goes_on_later() {
    let (events, source) = mpsc::channel::<&str>();
    let source = Mutex::new(source);
    let watch = handler::blocking::server_stream(move |_, _, mut outbound: Sender<Bytes, Blocking>| {
        source.lock().unwrap().iter().try_for_each(|event| outbound.send(text(event)))
    });
    let channel = testing::channel(Router::new().add("/a.A/Watch", watch));
    let mut received =
        channel.blocking().server_stream("/a.A/Watch", Bytes::new(), CallOptions::new()).unwrap();
    channel.run();
    for event in ["a", "b"] {
        events.send(event).unwrap();
        assert_eq!(received.recv().unwrap().unwrap(), event);
    }
    drop(events);
    assert!(received.recv().unwrap().is_none());
}

#[test]
fn a_handler_that_never_rests_stops_nobody() {
    async fn spin(_: Context, _: Bytes) -> Result<Bytes, Status> {
        poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
        Ok(Bytes::new())
    }

    async fn yields(_: Context, request: Bytes) -> Result<Bytes, Status> {
        for _ in 0..5000 {
            smol::future::yield_now().await;
        }
        Ok(request)
    }

    let router = Router::new().unary("/a.A/Spin", spin).unary("/a.A/Yields", yields);
    let channel = testing::channel(router);
    let client = channel.client();
    let spinning = client.unary("/a.A/Spin", Bytes::new(), CallOptions::new());
    let answer = async { Ok(client.unary("/a.A/Yields", text("x"), CallOptions::new()).await) };
    let answer = block_on(smol::future::or(async { spinning.await.map(Ok) }, answer)).unwrap().unwrap();
    assert_eq!(*answer, "x");
    channel.advance(core::time::Duration::from_secs(1));
}
