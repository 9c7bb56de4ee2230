//! How calls end: cancels, deadlines, dropped halves, panics, early answers, shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon::Code;
use antiphon_service::{
    Bytes, CallOptions, Context, EndedBy, HttpVersion, Peer, Protocol, Receiver, Router, Sender, Status,
    handler,
};

use crate::env::{BOTH, everywhere, sleep, until};

/// Counts how often a handler was dropped, by its return or otherwise.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

struct Guard(Drops);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drops {
    fn guard(&self) -> Guard {
        Guard(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Handlers that never end by themselves.
fn endless(drops: &Drops) -> Router {
    let (one, two) = (drops.clone(), drops.clone());
    Router::new()
        .unary("/t.T/Sleep", move |_: Context, _: Bytes| {
            let guard = one.guard();
            async move {
                let _guard = guard;
                std::future::pending::<Result<Bytes, Status>>().await
            }
        })
        .bidi("/t.T/Listen", move |_: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| {
            let guard = two.guard();
            async move {
                let _guard = guard;
                while let Some(message) = inbound.recv().await? {
                    out.send(message).await?;
                }
                std::future::pending().await
            }
        })
        .unary("/t.T/Echo", |_: Context, message: Bytes| async move { Ok(message) })
}

#[test]
fn a_cancel_drops_the_handler() {
    everywhere(|env| async move {
        let drops = Drops::default();
        let served = env.serve(endless(&drops)).await;
        for (at, version) in BOTH.into_iter().enumerate() {
            let client = served.connect(version).await;
            let call = client.unary("/t.T/Sleep", Bytes::new(), CallOptions::new());
            let gone = smol::future::or(async { Some(call.await) }, async {
                sleep(100).await;
                None
            });
            assert!(gone.await.is_none());
            until("the handler is dropped", || drops.count() == at + 1).await;
        }
    });
}

#[test]
fn the_deadline_drops_the_handler_and_is_told() {
    everywhere(|env| async move {
        let drops = Drops::default();
        let served = env.serve(endless(&drops)).await;
        for (at, version) in BOTH.into_iter().enumerate() {
            let client = served.connect(version).await;
            let status = client
                .unary("/t.T/Sleep", Bytes::new(), Duration::from_millis(100).into())
                .await
                .unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded);
            until("the handler is dropped", || drops.count() == at + 1).await;
        }
    });
}

#[test]
fn halves_that_a_client_drops_cancel() {
    everywhere(|env| async move {
        let drops = Drops::default();
        let served = env.serve(endless(&drops)).await;
        let client = served.connect(HttpVersion::Http2).await;

        // A sender without `close`: an abandoned upload never looks complete.
        let (mut sender, mut receiver) =
            client.bidi("/t.T/Listen", CallOptions::new()).await.unwrap().split();
        sender.send("a".into()).await.unwrap();
        assert_eq!(receiver.recv().await.unwrap(), Some("a".into()));
        drop(sender);
        let status = receiver.recv().await.unwrap_err();
        assert_eq!((status.code(), status.ended()), (Code::Canceled, EndedBy::Cancel { reset: None }));
        until("the handler is dropped", || drops.count() == 1).await;

        // A closed sender does not cancel; a receiver does.
        let (sender, receiver) = client.bidi("/t.T/Listen", CallOptions::new()).await.unwrap().split();
        sender.close();
        sleep(50).await;
        assert_eq!(drops.count(), 1);
        drop(receiver);
        until("the handler is dropped", || drops.count() == 2).await;
        let reply = client.unary("/t.T/Echo", "still here".into(), CallOptions::new()).await.unwrap();
        assert_eq!(reply.message, "still here");
    });
}

#[test]
fn a_server_that_drops_its_receiver_answers_on() {
    everywhere(|env| async move {
        let router = Router::new().bidi(
            "/t.T/Deaf",
            |_: Context, inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
                drop(inbound);
                for at in 0..50u8 {
                    out.send(vec![at; 1000].into()).await?;
                    smol::Timer::after(Duration::from_millis(1)).await;
                }
                Ok(())
            },
        );
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        let call = client.bidi("/t.T/Deaf", CallOptions::new()).await.unwrap();
        let (mut sender, mut receiver) = call.split();
        // Far more than all windows: what nobody reads is discarded and credited.
        let sending = smol::spawn(async move {
            for _ in 0..100 {
                if sender.send(vec![0; 20_000].into()).await.is_err() {
                    break;
                }
            }
            sender.close();
        });
        for at in 0..50u8 {
            assert_eq!(receiver.recv().await.unwrap(), Some(vec![at; 1000].into()));
        }
        assert_eq!(receiver.recv().await.unwrap(), None);
        sending.await;
    });
}

#[test]
fn a_panic_ends_its_call_and_nothing_else() {
    everywhere(|env| async move {
        let boom = |_: Context, _: Bytes| async move {
            if true {
                panic!("boom");
            }
            Ok(Bytes::new())
        };
        let late = |_: Context, _: Bytes| async move {
            sleep(20).await;
            panic!("boom");
            #[allow(unreachable_code)]
            Ok(Bytes::new())
        };
        let blocking = handler::blocking::unary(|_, _| panic!("boom"));
        let router = Router::new()
            .unary("/t.T/Boom", boom)
            .unary("/t.T/Late", late)
            .add("/t.T/Blocking", blocking)
            .unary("/t.T/Echo", |_: Context, message: Bytes| async move { Ok(message) });
        let served = env.serve(router).await;
        for version in BOTH {
            let client = served.connect(version).await;
            for path in ["/t.T/Boom", "/t.T/Late", "/t.T/Blocking"] {
                let status = client.unary(path, Bytes::new(), CallOptions::new()).await.unwrap_err();
                assert_eq!(status.code(), Code::Unknown, "{path}");
                let reply = client.unary("/t.T/Echo", "well".into(), CallOptions::new()).await.unwrap();
                assert_eq!(reply.message, "well");
            }
        }
    });
}

#[test]
fn an_early_answer_ends_a_loop_that_sends_and_is_not_lost() {
    everywhere(|env| async move {
        let router = Router::new()
            .client_stream("/t.T/Enough", |_: Context, mut inbound: Receiver<Bytes>| async move {
                inbound.recv().await?;
                Ok(Bytes::from_static(b"enough"))
            })
            .client_stream("/t.T/Never", |_: Context, mut inbound: Receiver<Bytes>| async move {
                inbound.recv().await?;
                Err(Status::permission_denied("not you"))
            });
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
            let options = || CallOptions::new().protocol(protocol);
            let mut upload = client.client_stream("/t.T/Enough", options()).await.unwrap();
            let status = loop {
                if let Err(status) = upload.send(vec![1; 5000].into()).await {
                    break status;
                }
            };
            assert_eq!(status.ended(), EndedBy::Answer, "{protocol:?} {status:?}");
            assert_eq!(upload.close_and_recv().await.unwrap().message, "enough");

            let mut upload = client.client_stream("/t.T/Never", options()).await.unwrap();
            let status = loop {
                if let Err(status) = upload.send(vec![1; 5000].into()).await {
                    break status;
                }
            };
            assert_eq!(status.code(), Code::PermissionDenied, "the peer's own status");
            assert_eq!(upload.close_and_recv().await.unwrap_err().code(), Code::PermissionDenied);
        }
    });
}

#[test]
fn a_half_that_outlives_its_call_gets_an_error() {
    everywhere(|env| async move {
        let (out, outlived) = smol::channel::bounded(1);
        let router = Router::new().bidi(
            "/t.T/Leave",
            move |context: Context, inbound: Receiver<Bytes>, sender: Sender<Bytes>| {
                let out = out.clone();
                async move {
                    let _ = out.send((context, inbound, sender)).await;
                    Ok(())
                }
            },
        );
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        let mut call = client.bidi("/t.T/Leave", CallOptions::new()).await.unwrap();
        assert_eq!(call.recv().await.unwrap(), None, "the return ends the call, wherever the halves are");
        let (context, mut inbound, mut sender) = outlived.recv().await.unwrap();
        assert!(sender.send("late".into()).await.is_err());
        assert!(inbound.recv().await.is_err());
        assert!(context.set_header("a", "b").is_err());
        assert!(context.set_trailer("a", "b").is_err());
        context.cancelled().await;
    });
}

#[test]
fn detached_work_learns_of_the_cancel() {
    everywhere(|env| async move {
        let (out, told) = smol::channel::bounded(1);
        let router = Router::new().unary("/t.T/Detach", move |context: Context, _: Bytes| {
            let out = out.clone();
            async move {
                smol::spawn(async move {
                    let _ = out.send(context.cancelled().await).await;
                })
                .detach();
                std::future::pending().await
            }
        });
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        let call = client.unary("/t.T/Detach", Bytes::new(), Duration::from_millis(100).into()).await;
        assert_eq!(call.unwrap_err().code(), Code::DeadlineExceeded);
        let ended = told.recv().await.unwrap();
        assert!(matches!(ended, EndedBy::Deadline | EndedBy::Cancel { .. }), "{ended:?}");
    });
}

#[test]
fn a_graceful_end_finishes_calls_and_takes_no_new_ones() {
    everywhere(|env| async move {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let router = Router::new().unary("/t.T/Slow", move |_: Context, message: Bytes| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                sleep(300).await;
                Ok(message)
            }
        });
        let served = env.serve(router).await;
        let clients = [served.connect(BOTH[0]).await, served.connect(BOTH[1]).await];
        let calls: Vec<_> = clients
            .iter()
            .cloned()
            .map(|client| {
                smol::spawn(async move { client.unary("/t.T/Slow", "kept".into(), CallOptions::new()).await })
            })
            .collect();
        until("both calls have begun", || begun.load(Ordering::SeqCst) == 2).await;
        served.shutdown.drain();
        for call in calls {
            assert_eq!(call.await.unwrap().message, "kept");
        }
        served.shutdown.finished().await;
        assert_eq!(served.shutdown.connections(), 0);
        sleep(50).await;
        for client in clients {
            let status = client.unary("/t.T/Slow", "late".into(), CallOptions::new()).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.unprocessed());
        }
    });
}

#[test]
fn a_lost_connection_ends_its_calls() {
    everywhere(|env| async move {
        let drops = Drops::default();
        let served = env.serve(endless(&drops)).await;
        let client = served.connect(HttpVersion::Http2).await;
        let mut call = client.bidi("/t.T/Listen", CallOptions::new()).await.unwrap();
        call.send("a".into()).await.unwrap();
        assert_eq!(call.recv().await.unwrap(), Some("a".into()));
        served.shutdown.abort();
        let status = call.recv().await.unwrap_err();
        assert!(matches!(status.code(), Code::Unavailable | Code::Canceled), "{status:?}");
        until("the handler is dropped", || drops.count() == 1).await;
    });
}

#[test]
fn the_last_client_that_goes_closes_the_connection_after_its_calls() {
    everywhere(|env| async move {
        let drops = Drops::default();
        let served = env.serve(endless(&drops)).await;
        for version in BOTH {
            let client = served.connect(version).await;
            client.unary("/t.T/Echo", "a".into(), CallOptions::new()).await.unwrap();
            let mut call = client.bidi("/t.T/Listen", CallOptions::new()).await.unwrap();
            call.send("b".into()).await.unwrap();
            drop(client);
            if version == HttpVersion::Http2 {
                assert_eq!(call.recv().await.unwrap(), Some("b".into()), "its calls go on");
                sleep(50).await;
                assert_eq!(served.shutdown.connections(), 1);
            }
            call.cancel();
            until("the connection is closed", || served.shutdown.connections() == 0).await;
        }
    });
}

#[test]
fn a_peer_that_speaks_something_else_is_told_of() {
    let banner = b"SSH-2.0-OpenSSH_9.6 of somebody\r\n";
    let texts = smol::block_on(async {
        let (near, mut far) = smol::net::unix::UnixStream::pair().unwrap();
        smol::io::AsyncWriteExt::write_all(&mut far, banner).await.unwrap();
        let client =
            antiphon_smol::Connector::new(HttpVersion::Http2).connect_over(near, Peer::Unix(None)).unwrap();
        let mut texts = Vec::new();
        for _ in 0..2 {
            let status = client.unary("/t.T/Echo", "hi".into(), CallOptions::new()).await.unwrap_err();
            assert_eq!((status.code(), status.ended()), (Code::Unavailable, EndedBy::LostConnection));
            texts.push(status.to_string());
        }
        texts
    });
    for text in texts {
        // RFC 9113 §3.4: the preface of a server is a SETTINGS frame.
        assert!(text.contains(": HTTP/2 "), "{text}");
        assert!(!text.contains("SSH"), "no byte of the peer's may be in it: {text}");
    }
}

#[test]
fn a_missing_slash_is_added_at_both_ends() {
    everywhere(|env| async move {
        let router = Router::new().unary("t.T/Echo", |_: Context, message: Bytes| async move { Ok(message) });
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        for path in ["t.T/Echo", "/t.T/Echo"] {
            assert_eq!(client.unary(path, "hi".into(), CallOptions::new()).await.unwrap().message, "hi");
        }
    });
}

#[test]
fn a_client_tells_when_to_connect_again() {
    everywhere(|env| async move {
        for version in BOTH {
            let served = env.serve(endless(&Drops::default())).await;
            let client = served.connect(version).await;
            client.unary("/t.T/Echo", "x".into(), CallOptions::new()).await.unwrap();
            assert!(!client.is_closed());
            let waiting = smol::spawn({
                let client = client.clone();
                async move { client.closed().await }
            });
            served.shutdown.drain();
            assert_eq!(waiting.await, None, "in peace");
            assert!(client.is_closed());
            let late = client.unary("/t.T/Echo", "x".into(), CallOptions::new()).await.unwrap_err();
            assert_eq!((late.ended(), late.unprocessed()), (EndedBy::LostConnection, true));
        }
    });
}

// A server that speaks something else: the reason is the rule that it broke.
#[test]
fn a_client_tells_why_its_connection_failed() {
    use antiphon_service::ConnectionError;

    everywhere(|env| async move {
        let served = env.serve(Router::new()).await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let foreign = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 mail.example.com ESMTP\r\n").unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let client = served.connect_to(&address.to_string(), HttpVersion::Http2).await;
        let reason = client.closed().await;
        assert!(matches!(reason, Some(ConnectionError::Http2 { .. })), "{reason:?}");
        drop(client);
        foreign.join().unwrap();
    });
}
