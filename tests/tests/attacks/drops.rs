//! Halves and futures dropped at each moment, at both ends, many times on one connection: no place for a call is lost
//! by it, no handler stays, and the next call is served.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Waker};
use std::time::Duration;

use antiphon::Config;
use antiphon_service::{
    BidiStream, Bytes, CallOptions, Client, Context, HttpVersion, Receiver, Router, Sender,
};

use crate::kit::{ALL, Adapter, alone};

/// As many calls as the server takes at once.
const PLACES: usize = 8;
const ROUNDS: usize = 25;

type Call = BidiStream<Bytes, Bytes>;

/// What the handlers do with their halves.
const HANDLERS: [&str; 6] = ["echo", "early", "deaf", "keeps", "never", "panics"];

/// Halves that have outlived their handlers.
type Kept = Arc<Mutex<Vec<(Receiver<Bytes>, Sender<Bytes>)>>>;

/// `live` is held by each handler that runs.
fn router(live: &Arc<()>, kept: &Kept) -> Router {
    let mut router =
        Router::new().unary("/t.T/unary", |_: Context, message: Bytes| async move { Ok(message) });
    for name in HANDLERS {
        let (live, kept) = (Arc::clone(live), Arc::clone(kept));
        let handler = move |_: Context, mut inbound: Receiver<Bytes>, mut outbound: Sender<Bytes>| {
            let (live, kept) = (Arc::clone(&live), Arc::clone(&kept));
            async move {
                let _live = live;
                match name {
                    "early" => return outbound.send("early".into()).await,
                    "deaf" => drop(inbound),
                    "keeps" => {
                        kept.lock().unwrap().push((inbound, outbound));
                        return Ok(());
                    }
                    "never" => std::future::pending().await,
                    "panics" => {
                        inbound.recv().await?;
                        std::panic::resume_unwind(Box::new("on purpose"));
                    }
                    _ => {
                        while let Some(message) = inbound.recv().await? {
                            outbound.send(message).await?;
                        }
                    }
                }
                outbound.send("end".into()).await
            }
        };
        router = router.bidi(&format!("/t.T/{name}"), handler);
    }
    router
}

/// Polls once and drops.
fn poke<F: Future>(future: F) {
    let _ = pin!(future).poll(&mut Task::from_waker(Waker::noop()));
}

/// What a client does before it drops what it has.
const MOMENTS: [&str; 15] = [
    "not polled",
    "begun",
    "split: sender first",
    "split: receiver first",
    "sent",
    "closed",
    "headers polled",
    "headers",
    "one message polled",
    "one message",
    "the end",
    "cancelled",
    "context kept",
    "half in a task",
    "sender closed, receiver dropped",
];

/// One call up to a moment. What it gets is no matter: with some handlers that is an error.
async fn drop_at(client: &Client, path: &str, moment: &str) {
    let options = CallOptions::new().timeout(Duration::from_secs(20));
    let beginning = client.bidi(path, options);
    if moment == "not polled" {
        return;
    }
    let Ok(mut call): Result<Call, _> = beginning.await else { return };
    match moment {
        "begun" => return,
        "split: sender first" => {
            let (sender, receiver) = call.split();
            drop(sender);
            return drop(receiver);
        }
        "split: receiver first" => {
            let (sender, receiver) = call.split();
            drop(receiver);
            return drop(sender);
        }
        "sender closed, receiver dropped" => {
            let (sender, receiver) = call.split();
            sender.close();
            return drop(receiver);
        }
        "headers polled" => return poke(call.headers()),
        "cancelled" => return call.cancel(),
        "context kept" => {
            let context = call.context();
            drop(call);
            assert!(context.is_cancelled() || context.procedure() == path);
            return;
        }
        _ => {}
    }
    let _ = call.send("one".into()).await;
    match moment {
        "closed" => call.close_send(),
        // With the others no headers come, or only with the end.
        "headers" if path.ends_with("echo") || path.ends_with("early") => drop(call.headers().await),
        "one message polled" => poke(call.recv()),
        "one message" if !path.ends_with("never") => drop(call.recv().await),
        "the end" if !path.ends_with("never") => {
            call.close_send();
            while let Ok(Some(_)) = call.recv().await {}
        }
        "half in a task" => {
            let (sender, mut receiver) = call.split();
            let task = smol::spawn(async move { receiver.recv().await });
            drop(sender);
            drop(task);
        }
        _ => {}
    }
}

/// All places are free: so many calls are open at once, and each is served.
async fn all_places(client: &Client) {
    let mut calls = Vec::new();
    for _ in 0..PLACES {
        let mut call: Call =
            client.bidi("/t.T/echo", CallOptions::new().timeout(Duration::from_secs(20))).await.unwrap();
        call.send("here".into()).await.unwrap();
        calls.push(call);
    }
    for call in &mut calls {
        assert_eq!(call.recv().await.unwrap().as_deref(), Some(&b"here"[..]));
    }
    for mut call in calls {
        call.close_send();
        while call.recv().await.unwrap().is_some() {}
    }
}

async fn on_one_connection(adapter: Adapter, client: &Client, live: &Arc<()>, kept: &Kept) {
    for handler in HANDLERS {
        let path = format!("/t.T/{handler}");
        for moment in MOMENTS {
            for round in 0..ROUNDS {
                drop_at(client, &path, moment).await;
                if round % 5 == 0 {
                    let unary = client.unary("/t.T/unary", "x".into(), CallOptions::new());
                    if round % 2 == 0 {
                        poke(unary);
                    } else {
                        drop(unary);
                    }
                }
            }
            let late = std::mem::take(&mut *kept.lock().unwrap());
            drop(late);
            let what = format!("{adapter:?} {handler} {moment}");
            let limit = async {
                smol::Timer::after(Duration::from_secs(15)).await;
                panic!("{what}: a place is lost");
            };
            smol::future::or(all_places(client), limit).await;
            for _ in 0..1000 {
                if Arc::strong_count(live) == 1 + HANDLERS.len() {
                    break;
                }
                smol::Timer::after(Duration::from_millis(5)).await;
            }
            assert_eq!(Arc::strong_count(live), 1 + HANDLERS.len(), "{what}: a handler stays");
        }
    }
}

#[test]
fn what_is_dropped_at_any_moment_leaves_nothing() {
    let _alone = alone();
    for adapter in ALL {
        let (live, kept) = (Arc::new(()), Kept::default());
        let mut config = Config::default();
        config.limits.streams = PLACES as u32;
        let running = adapter.serve(config, router(&live, &kept));
        smol::block_on(async {
            let client = antiphon_smol::connect(running.address, HttpVersion::Http2).await.unwrap();
            on_one_connection(adapter, &client, &live, &kept).await;
            assert!(!client.is_closed());
        });
    }
}
