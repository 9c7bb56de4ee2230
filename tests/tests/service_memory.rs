//! What both ends of a connection keep when it rests, whatever passed before.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use antiphon::rpc::{Codings, Snappy};
use antiphon_service::{Bytes, CallOptions, Config, Context, HttpVersion, Receiver, Router, Sender};
use smol::block_on;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        NOW.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that no coding makes smaller.
fn noise(length: usize) -> Bytes {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Waits for all of them at once.
async fn all<F: Future + Unpin>(mut futures: Vec<F>) {
    poll_fn(|context| {
        futures.retain_mut(|future| std::pin::Pin::new(future).poll(context).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

// Design, "Bounds": buffers are kept for the next message, but not large ones, of which a connection would have dozens.
#[test]
fn large_messages_leave_no_large_buffers() {
    let mut config = Config::default();
    Arc::make_mut(&mut config.rpc).codings = Codings::default().with(Snappy::default());
    let large = noise(512 << 10);
    let answer = large.clone();
    let router = Router::new().unary("/t.T/Large", move |_: Context, _: Bytes| {
        let answer = answer.clone();
        async move { Ok(answer) }
    });
    let event = noise(512 << 10);
    let router =
        router.server_stream("/t.T/Watch", move |_: Context, _: Bytes, mut outbound: Sender<Bytes>| {
            let event = event.clone();
            async move {
                outbound.send(event).await?;
                std::future::pending().await
            }
        });
    let router = router.bidi(
        "/t.T/Sink",
        |_: Context, mut inbound: Receiver<Bytes>, mut outbound: Sender<Bytes>| async move {
            while inbound.recv().await?.is_some() {
                outbound.send(Bytes::new()).await?;
            }
            Ok(())
        },
    );
    let server = smol::block_on(antiphon_smol::Server::bind("127.0.0.1:0")).unwrap().config(config.clone());
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let thread = std::thread::spawn(move || smol::block_on(server.serve(router)));
    let connector = antiphon_smol::Connector::new(HttpVersion::Http2).config(config);
    let client = block_on(connector.connect(address)).unwrap();
    let call = |message: Bytes| {
        let client = client.clone();
        Box::pin(async move {
            let options = CallOptions::new().coding(Some("snappy"));
            drop(client.unary("/t.T/Large", message, options).await.unwrap());
        })
    };
    block_on(all(vec![call(Bytes::new())]));
    let before = NOW.load(Relaxed);
    for message in [Bytes::new(), large] {
        block_on(all((0..32).map(|_| call(message.clone())).collect()));
    }
    // Streams that rest after a large message.
    let mut streams = Vec::new();
    for _ in 0..32 {
        let watch = client.server_stream("/t.T/Watch", Bytes::new(), CallOptions::new());
        let mut events = block_on(watch).unwrap();
        assert!(block_on(events.recv()).unwrap().is_some());
        streams.push(events);
    }
    let mut old = Vec::new();
    for _ in 0..32 {
        let client = block_on(antiphon_smol::connect(address, HttpVersion::Http11)).unwrap();
        drop(block_on(client.unary("/t.T/Large", noise(512 << 10), CallOptions::new())).unwrap());
        old.push(client);
    }
    let mut sinks = Vec::new();
    for _ in 0..32 {
        let mut sink = block_on(client.bidi("/t.T/Sink", CallOptions::new())).unwrap();
        block_on(sink.send(noise(512 << 10))).unwrap();
        assert!(block_on(sink.recv()).unwrap().is_some());
        sinks.push(sink);
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    let kept = NOW.load(Relaxed).saturating_sub(before);
    assert!(kept < 2 << 20, "{kept} bytes");
    drop(client);
    shutdown.abort();
    thread.join().unwrap();
}
