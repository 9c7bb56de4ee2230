//! Backpressure by numbers, full duplex in two tasks, many callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon::Config;
use antiphon_service::{
    Blocking, Bytes, CallOptions, Client, Context, HttpVersion, Protocol, Receiver, Router, Sender,
    TrySendError,
};

use crate::env::{BOTH, everywhere, sleep, until};

#[test]
fn a_slow_reader_throttles_its_writer() {
    everywhere(|env| async move {
        for version in BOTH {
            let sent = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&sent);
            let router = Router::new().server_stream(
                "/t.T/Flood",
                move |_: Context, _: Bytes, mut out: Sender<Bytes>| {
                    let sent = Arc::clone(&counter);
                    async move {
                        for _ in 0..2000 {
                            out.send(vec![7; 10_000].into()).await?;
                            sent.fetch_add(1, Ordering::SeqCst);
                        }
                        Ok(())
                    }
                },
            );
            let served = env.serve(router).await;
            let client = served.connect(version).await;
            let mut flood =
                client.server_stream("/t.T/Flood", Bytes::new(), CallOptions::new()).await.unwrap();
            assert!(flood.recv().await.unwrap().is_some());
            sleep(300).await;
            let waiting = sent.load(Ordering::SeqCst);
            // A window and a queue of 64 KiB each, what the driver holds, and over HTTP/1.1 what the sockets hold.
            let most = if version == HttpVersion::Http2 { 40 } else { 1000 };
            assert!(
                waiting < most,
                "{waiting} messages were sent to a reader that stands still, {version:?}"
            );
            sleep(100).await;
            assert_eq!(sent.load(Ordering::SeqCst), waiting, "it stands still");
            let mut got = 1;
            while flood.recv().await.unwrap().is_some() {
                got += 1;
            }
            assert_eq!((got, sent.load(Ordering::SeqCst)), (2000, 2000));
        }
    });
}

#[test]
fn try_send_gives_the_message_back() {
    everywhere(|env| async move {
        let router = Router::new().bidi(
            "/t.T/Wait",
            |_: Context, mut inbound: Receiver<Bytes>, out: Sender<Bytes>| async move {
                sleep(300).await;
                let mut count = 0;
                while inbound.recv().await?.is_some() {
                    count += 1;
                }
                let mut out = out;
                out.send(format!("{count}").into()).await
            },
        );
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        let mut call = client.bidi("/t.T/Wait", CallOptions::new()).await.unwrap();
        let mut sent = 0;
        let back = loop {
            match call.try_send(vec![3; 10_000].into()) {
                Ok(()) => sent += 1,
                Err(TrySendError::Full(message)) => break message,
                Err(TrySendError::Failed(status)) => panic!("{status}"),
            }
            if sent % 4 == 0 {
                sleep(1).await;
            }
        };
        assert!(back.len() == 10_000 && sent < 40, "{sent}");
        call.send(back).await.unwrap();
        call.close_send();
        assert_eq!(call.recv().await.unwrap(), Some(format!("{}", sent + 1).into()));
        assert_eq!(call.recv().await.unwrap(), None);
    });
}

fn echo() -> Router {
    Router::new()
        .unary("/t.T/Echo", |_: Context, message: Bytes| async move { Ok(message) })
        .unary("/t.T/Later", |_: Context, message: Bytes| async move {
            sleep(5).await;
            Ok(message)
        })
        .bidi("/t.T/Bidi", |_: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
            while let Some(message) = inbound.recv().await? {
                out.send(message).await?;
            }
            Ok(())
        })
}

#[test]
fn a_call_is_split_in_two_tasks() {
    everywhere(|env| async move {
        let served = env.serve(echo()).await;
        let client = served.connect(HttpVersion::Http2).await;
        for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWebText] {
            let call = client.bidi("/t.T/Bidi", CallOptions::new().protocol(protocol)).await.unwrap();
            let (mut sender, mut receiver) = call.split();
            let sending = smol::spawn(async move {
                for at in 0..500u32 {
                    sender.send(vec![at as u8; 3000].into()).await.unwrap();
                }
                sender.close();
            });
            for at in 0..500u32 {
                assert_eq!(receiver.recv().await.unwrap(), Some(vec![at as u8; 3000].into()));
            }
            assert_eq!(receiver.recv().await.unwrap(), None);
            sending.await;
        }
    });
}

#[test]
fn a_hundred_callers_share_a_connection() {
    everywhere(|env| async move {
        let mut config = Config::default();
        // Far fewer slots than callers: the others wait for one.
        config.limits.streams = 10;
        let served = env.serve_with(config, echo()).await;
        for version in BOTH {
            let client = served.connect(version).await;
            let callers: Vec<_> = (0..100u32)
                .map(|caller| {
                    let client = client.clone();
                    smol::spawn(async move {
                        for round in 0..5 {
                            let path = if round % 2 == 0 { "/t.T/Echo" } else { "/t.T/Later" };
                            let message = Bytes::from(format!("{caller} {round}"));
                            let reply =
                                client.unary(path, message.clone(), CallOptions::new()).await.unwrap();
                            assert_eq!(reply.message, message);
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await;
            }
        }
    });
}

#[test]
fn who_waits_for_a_slot_and_gives_up_lets_the_next_one_in() {
    everywhere(|env| async move {
        let mut config = Config::default();
        config.limits.streams = 1;
        let served = env.serve_with(config, echo()).await;
        let client = served.connect(HttpVersion::Http2).await;
        client.unary("/t.T/Echo", "settings have come".into(), CallOptions::new()).await.unwrap();
        let held = client.bidi("/t.T/Bidi", CallOptions::new()).await.unwrap();
        let short = client.unary("/t.T/Echo", "a".into(), std::time::Duration::from_millis(100).into());
        let status = short.await.unwrap_err();
        assert_eq!(status.code(), antiphon::Code::DeadlineExceeded, "the deadline runs while it waits");
        assert!(status.unprocessed());
        let (one, two) = (client.clone(), client.clone());
        let first = smol::spawn(async move { one.unary("/t.T/Echo", "b".into(), CallOptions::new()).await });
        sleep(20).await;
        let second = smol::spawn(async move { two.unary("/t.T/Echo", "c".into(), CallOptions::new()).await });
        sleep(20).await;
        first.cancel().await;
        held.cancel();
        assert_eq!(second.await.unwrap().message, "c");
    });
}

#[test]
fn blocking_callers_share_an_async_connection() {
    everywhere(|env| async move {
        let served = env.serve(echo()).await;
        let client = served.connect(HttpVersion::Http2).await;
        let done = Arc::new(AtomicUsize::new(0));
        for caller in 0..8u32 {
            let client: Client<Blocking> = client.blocking();
            let done = Arc::clone(&done);
            std::thread::spawn(move || {
                for round in 0..20 {
                    let message = Bytes::from(format!("{caller} {round}"));
                    let reply = client.unary("/t.T/Later", message.clone(), CallOptions::new()).unwrap();
                    assert_eq!(reply.message, message);
                }
                let mut call = client.bidi("/t.T/Bidi", CallOptions::new()).unwrap();
                for round in 0..20 {
                    call.send(format!("{round}").into()).unwrap();
                    assert_eq!(call.recv().unwrap(), Some(format!("{round}").into()));
                }
                call.close_send();
                assert_eq!(call.recv().unwrap(), None);
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        until("all are done", || done.load(Ordering::SeqCst) == 8).await;
    });
}
