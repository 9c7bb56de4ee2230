//! How calls over a channel end: deadlines, cancels, lost connections, and a handler that goes wrong.

use core::future::pending;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon_service::testing::{self, Channel, block_on};
use antiphon_service::{
    Bytes, CallOptions, Code, Config, Context, EndedBy, Keepalive, Receiver, Router, Sender, Status, handler,
};

use crate::{WAYS, poll_once, text};

/// Counts drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Handlers that never end by themselves, and the number of those that were dropped.
fn hanging() -> (Router, Arc<AtomicUsize>) {
    let dropped = Arc::<AtomicUsize>::default();
    let guard = Arc::clone(&dropped);
    let hang = move |_: Context, _: Bytes| {
        let guard = Dropped(Arc::clone(&guard));
        async move {
            pending::<()>().await;
            drop(guard);
            Ok(Bytes::new())
        }
    };
    let guard = Arc::clone(&dropped);
    let listen = move |_: Context, mut inbound: Receiver<Bytes>, mut outbound: Sender<Bytes>| {
        let guard = Dropped(Arc::clone(&guard));
        async move {
            outbound.send(text("first")).await?;
            while inbound.recv().await?.is_some() {}
            pending::<()>().await;
            drop(guard);
            Ok(())
        }
    };
    (Router::new().unary("/a.A/Hang", hang).bidi("/a.A/Listen", listen), dropped)
}

#[test]
fn a_deadline_passes_when_the_test_says_so() {
    for (version, protocol) in WAYS {
        let (router, dropped) = hanging();
        let channel = Channel::builder().http_version(version).serve(router);
        let client =
            channel.client().with(CallOptions::new().protocol(protocol).timeout(Duration::from_secs(60)));
        let mut call = Box::pin(client.unary("/a.A/Hang", Bytes::new(), CallOptions::new()));
        assert!(poll_once(call.as_mut()).is_pending());
        channel.advance(Duration::from_millis(59_999));
        assert!(poll_once(call.as_mut()).is_pending());
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        channel.advance(Duration::from_millis(1));
        let status = block_on(call).unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{version:?} {protocol:?}");
        channel.run();
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "the handler was dropped");
    }
}

#[test]
fn a_thread_that_blocks_alone_skips_the_time() {
    let (router, _) = hanging();
    let channel = testing::channel(router);
    channel.auto_advance(true);
    let client = channel.blocking().with(Duration::from_secs(100 * 24 * 3600));
    let status = client.unary("/a.A/Hang", Bytes::new(), CallOptions::new()).unwrap_err();
    assert_eq!((status.code(), status.ended()), (Code::DeadlineExceeded, EndedBy::Deadline));
    assert_eq!(channel.now().since_epoch(), Duration::from_secs(100 * 24 * 3600));
}

#[test]
fn one_thread_may_wait_while_another_lets_time_pass() {
    let (router, _) = hanging();
    let channel = testing::channel(router);
    std::thread::scope(|scope| {
        let client = channel.blocking().with(Duration::from_secs(5));
        let call = scope.spawn(move || client.unary("/a.A/Hang", Bytes::new(), CallOptions::new()));
        while !call.is_finished() {
            channel.advance(Duration::from_secs(1));
        }
        assert_eq!(call.join().unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    });
}

#[test]
fn a_network_that_stands_still_is_met_by_the_deadline_and_by_keepalive() {
    let (router, dropped) = hanging();
    let mut config = Config::default();
    config.keepalive = Some(Keepalive {
        time: Duration::from_secs(20),
        timeout: Duration::from_secs(5),
        without_calls: false,
    });
    let channel = Channel::builder().client_config(config).serve(router);
    let client = channel.client();
    let mut call = block_on(client.bidi("/a.A/Listen", CallOptions::new())).unwrap();
    assert_eq!(block_on(call.recv()).unwrap().unwrap(), "first");
    let before = channel.crossed();
    channel.stall(true);
    let hurried = client.with(Duration::from_secs(3));
    let mut timed = Box::pin(hurried.unary("/a.A/Hang", text("x"), CallOptions::new()));
    assert!(poll_once(timed.as_mut()).is_pending());
    channel.advance(Duration::from_secs(3));
    assert_eq!(block_on(timed).unwrap_err().ended(), EndedBy::Deadline);
    assert_eq!(channel.crossed(), before);
    channel.advance(Duration::from_secs(60));
    assert_eq!(block_on(call.recv()).unwrap_err().ended(), EndedBy::LostConnection);
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "the server has not heard of it");
}

#[test]
fn a_call_that_is_dropped_is_cancelled() {
    let (router, dropped) = hanging();
    let channel = testing::channel(router);
    let mut call = channel.blocking().bidi("/a.A/Listen", CallOptions::new()).unwrap();
    call.recv().unwrap();
    drop(call);
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "nothing moves by itself");
    channel.run();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_lost_connection_ends_both_ends() {
    for (version, protocol) in WAYS {
        let (router, dropped) = hanging();
        let channel = Channel::builder().http_version(version).serve(router);
        let client = channel.client().with(CallOptions::new().protocol(protocol));
        let mut call = Box::pin(client.unary("/a.A/Hang", Bytes::new(), CallOptions::new()));
        assert!(poll_once(call.as_mut()).is_pending());
        channel.lose();
        assert_eq!(block_on(call).unwrap_err().ended(), EndedBy::LostConnection);
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "{version:?} {protocol:?}");
        let again = block_on(client.unary("/a.A/Hang", Bytes::new(), CallOptions::new())).unwrap_err();
        assert!(again.unprocessed());
    }
}

// Law of the calls: an answer is complete or an error, wherever the connection is lost.
#[test]
fn a_loss_at_any_byte_never_looks_like_an_end() {
    async fn three(_: Context, _: Bytes, mut outbound: Sender<Bytes>) -> Result<(), Status> {
        for number in ["1", "2", "3"] {
            outbound.send(text(number)).await?;
        }
        Ok(())
    }

    let router = Router::new().server_stream("/a.A/Three", three);
    for (version, protocol) in WAYS {
        let mut losses = 0;
        for bytes in 0.. {
            let channel = Channel::builder().http_version(version).serve(router.clone());
            channel.cut(1);
            channel.lose_after(bytes);
            let client = channel.blocking().with(CallOptions::new().protocol(protocol));
            let received: Result<Vec<Bytes>, Status> =
                match client.server_stream("/a.A/Three", text("x"), CallOptions::new()) {
                    Ok(stream) => stream.collect(),
                    Err(status) => Err(status),
                };
            match received {
                Ok(messages) => {
                    assert_eq!(messages, ["1", "2", "3"]);
                    break;
                }
                Err(status) => {
                    assert_eq!(status.ended(), EndedBy::LostConnection, "{version:?} {protocol:?} {bytes}")
                }
            }
            losses += 1;
        }
        assert!(losses > 100, "{version:?} {protocol:?} {losses}");
    }
}

#[test]
fn a_server_that_drains_finishes_what_is_open() {
    async fn late(_: Context, mut inbound: Receiver<Bytes>) -> Result<Bytes, Status> {
        while inbound.recv().await?.is_some() {}
        Ok(text("done"))
    }

    let channel = testing::channel(Router::new().client_stream("/a.A/Late", late));
    let client = channel.blocking();
    let mut call = client.client_stream("/a.A/Late", CallOptions::new()).unwrap();
    call.send(text("x")).unwrap();
    channel.drain_server();
    let refused = client.client_stream("/a.A/Late", CallOptions::new()).map(|_| ()).unwrap_err();
    assert!(refused.unprocessed(), "{refused:?}");
    assert_eq!(*call.close_and_recv().unwrap(), "done");
}

#[test]
fn handlers_end_with_the_channel() {
    let (router, dropped) = hanging();
    let told = Arc::<AtomicUsize>::default();
    let tell = Arc::clone(&told);
    let blocking = handler::blocking::bidi(move |_, mut inbound, mut outbound| {
        outbound.send(text("first"))?;
        let status = inbound.recv().unwrap_err();
        assert_eq!(status.ended(), EndedBy::LostConnection);
        tell.fetch_add(1, Ordering::SeqCst);
        Err(status)
    });
    let channel = testing::channel(router.add("/a.A/Blocking", blocking));
    let calls: Vec<_> = ["/a.A/Listen", "/a.A/Blocking"]
        .map(|path| {
            let mut call = channel.blocking().bidi(path, CallOptions::new()).unwrap();
            call.recv().unwrap();
            call
        })
        .into();
    drop(channel);
    assert_eq!((dropped.load(Ordering::SeqCst), told.load(Ordering::SeqCst)), (0, 0), "its calls hold it");
    drop(calls);
    assert_eq!((dropped.load(Ordering::SeqCst), told.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn a_panic_ends_its_call_and_nothing_else() {
    async fn panics(_: Context, request: Bytes) -> Result<Bytes, Status> {
        assert!(request.is_empty(), "a panic that this test wants");
        Ok(request)
    }

    let router = Router::new().unary("/a.A/Panics", panics).add(
        "/a.A/Blocking",
        handler::blocking::unary(|_, request: Bytes| {
            assert!(request.is_empty(), "a panic that this test wants");
            Ok(request)
        }),
    );
    let client = testing::channel(router).blocking();
    for path in ["/a.A/Panics", "/a.A/Blocking"] {
        let status = client.unary(path, text("x"), CallOptions::new()).unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
        assert!(client.unary(path, Bytes::new(), CallOptions::new()).is_ok());
    }
}
