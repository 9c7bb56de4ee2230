//! What observers are told, at both sides.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon::rpc::{Codings, RpcConfig};
use antiphon::{Code, Config};
use antiphon_service::{
    Bytes, CallInfo, CallOptions, Context, HttpVersion, Observer, Peer, Protocol, Receiver, Router, Sender,
    Status, Summary, Traffic, handler,
};

use crate::env::{BOTH, everywhere, sleep, until};
use crate::intercept::{all_shapes, before, blocking_echo, echo, options};

#[derive(Clone, Default)]
struct Book {
    started: Arc<Mutex<Vec<String>>>,
    ended: Arc<Mutex<Vec<(String, Summary)>>>,
}

impl Book {
    fn len(&self) -> usize {
        self.ended.lock().unwrap().len()
    }

    /// All calls so far, by their procedures. As many have started as have ended.
    fn take(&self) -> Vec<(String, Summary)> {
        let mut ended = std::mem::take(&mut *self.ended.lock().unwrap());
        let mut started = std::mem::take(&mut *self.started.lock().unwrap());
        ended.sort_by(|one, other| one.0.cmp(&other.0));
        started.sort();
        assert_eq!(started, ended.iter().map(|(procedure, _)| procedure.clone()).collect::<Vec<_>>());
        ended
    }
}

impl Observer for Book {
    fn started(&self, call: &CallInfo) {
        self.started.lock().unwrap().push(call.procedure.clone());
    }

    fn ended(&self, call: &CallInfo, summary: &Summary) {
        assert!(matches!(call.peer, Peer::Tcp(_)) && call.codec == "proto");
        assert!(summary.duration < Duration::from_secs(20), "{summary:?}");
        self.ended.lock().unwrap().push((call.procedure.clone(), *summary));
    }
}

fn gzip() -> Config {
    let mut rpc = RpcConfig::default();
    rpc.codings = Codings::gzip();
    let mut config = Config::default();
    config.rpc = Arc::new(rpc);
    config
}

fn counts(traffic: Traffic) -> (u64, u64) {
    (traffic.messages, traffic.bytes)
}

#[test]
fn both_sides_count_the_same() {
    everywhere(|env| async move {
        for router in [echo(), blocking_echo()] {
            let (near, far) = (Book::default(), Book::default());
            let served = env.serve_with(gzip(), router.observe(far.clone())).await;
            for version in BOTH {
                let client = served.connect_with(version, gzip()).await.observe(near.clone());
                for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
                    if (protocol, version) == (Protocol::Grpc, HttpVersion::Http11) {
                        continue;
                    }
                    for coding in [None, Some("gzip")] {
                        let options = options().protocol(protocol).coding(coding);
                        let _ = all_shapes(&client, options).await.map(Result::unwrap);
                        until("both have ended", || (near.len(), far.len()) == (4, 4)).await;
                        let (near, far) = (near.take(), far.take());
                        // Client, bidi, server stream, unary: `Bidi`, `Client`, `Server`, `Unary`.
                        let sent = near.iter().map(|(_, summary)| counts(summary.sent));
                        assert_eq!(sent.collect::<Vec<_>>(), [(2, 2), (2, 2), (1, 2), (1, 2)]);
                        let received = near.iter().map(|(_, summary)| counts(summary.received));
                        assert_eq!(received.collect::<Vec<_>>(), [(2, 2), (1, 2), (2, 4), (1, 2)]);
                        for (near, far) in near.iter().zip(&far) {
                            assert_eq!((&near.0, near.1.code), (&far.0, far.1.code));
                            assert_eq!(near.1.sent, far.1.received, "{near:?} {far:?}");
                            assert_eq!(near.1.received, far.1.sent, "{near:?} {far:?}");
                            assert_eq!(near.1.code, None);
                        }
                    }
                }
            }
        }
    });
}

fn troubled() -> Router {
    Router::new()
        .unary("/t.T/Fail", |_: Context, _: Bytes| async move {
            Err::<Bytes, _>(Status::not_found("no such thing"))
        })
        .unary("/t.T/Panic", |_: Context, _: Bytes| async move { panic!("as told") })
        .bidi("/t.T/Sleep", |_: Context, mut inbound: Receiver<Bytes>, out: Sender<Bytes>| async move {
            inbound.recv().await?;
            sleep(60_000).await;
            drop(out);
            Ok(())
        })
        .add(
            "/t.T/Block",
            handler::blocking::bidi(|_, mut inbound, _| {
                while inbound.recv()?.is_some() {}
                Ok(())
            }),
        )
}

#[test]
fn codes_are_those_of_the_end() {
    everywhere(|env| async move {
        let (near, far) = (Book::default(), Book::default());
        let refusing = before(|context: &Context| match context.headers().get("refuse") {
            Some(_) => Err(Status::permission_denied("as asked")),
            None => Ok(()),
        });
        let served = env.serve(troubled().intercept(refusing).observe(far.clone())).await;
        let client = served.connect(HttpVersion::Http2).await.observe(near.clone());
        let ask =
            async |path: &'static str, options| client.unary(path, "x".into(), options).await.unwrap_err();
        let codes = async |near: &Book, far: &Book| {
            until("both have ended", || (near.len(), far.len()) == (1, 1)).await;
            let code = |book: &Book| book.take()[0].1.code;
            (code(near), code(far))
        };
        let both = |code| (Some(code), Some(code));
        ask("/t.T/Fail", options()).await;
        assert_eq!(codes(&near, &far).await, both(Code::NotFound));
        ask("/t.T/Panic", options()).await;
        assert_eq!(codes(&near, &far).await, both(Code::Unknown));
        ask("/t.T/Fail", options().header("refuse", 1).unwrap()).await;
        assert_eq!(codes(&near, &far).await, both(Code::PermissionDenied));
        for path in ["/t.T/Sleep", "/t.T/Block"] {
            let mut chat = client.bidi(path, options()).await.unwrap();
            chat.send("x".into()).await.unwrap();
            sleep(20).await;
            drop(chat);
            assert_eq!(codes(&near, &far).await, both(Code::Canceled), "{path}");
            let mut chat =
                client.bidi(path, CallOptions::new().timeout(Duration::from_millis(50))).await.unwrap();
            chat.send("x".into()).await.unwrap();
            chat.recv().await.unwrap_err();
            let (near, far) = codes(&near, &far).await;
            assert_eq!(near, Some(Code::DeadlineExceeded));
            assert!(matches!(far, Some(Code::DeadlineExceeded | Code::Canceled)), "{far:?}");
        }
        // Nobody serves it: the server's observer sees nothing.
        ask("/t.T/None", options()).await;
        assert_eq!(near.take()[0].1.code, Some(Code::Unimplemented));
        assert_eq!(far.len(), 0);
        let client = client.intercept(before(|_| Err(Status::aborted("not today"))));
        client.unary("/t.T/Fail", "x".into(), options()).await.unwrap_err();
        assert_eq!(near.take()[0].1.code, Some(Code::Aborted));
        client.abort();
        client.bidi("/t.T/Sleep", options()).await.map(drop).unwrap_err();
        assert_eq!(near.take().len(), 1);
    });
}

struct Clumsy;

impl Observer for Clumsy {
    fn started(&self, _: &CallInfo) {
        panic!("as told");
    }

    fn ended(&self, _: &CallInfo, _: &Summary) {
        panic!("as told");
    }
}

#[test]
fn an_observer_that_panics_harms_nobody() {
    everywhere(|env| async move {
        let book = Book::default();
        let merged = Router::new()
            .merge(echo().observe(book.clone()))
            .unary("/t.T/Other", |_: Context, message: Bytes| async move { Ok(message) })
            .observe(Clumsy);
        let served = env.serve(merged).await;
        let client = served.connect(HttpVersion::Http2).await.observe(Clumsy);
        let _ = all_shapes(&client, options()).await.map(Result::unwrap);
        client.unary("/t.T/Other", "x".into(), options()).await.unwrap();
        until("they have ended", || book.len() == 4).await;
        assert_eq!(book.take().len(), 4, "a merged router's observer sees its own methods");
    });
}
