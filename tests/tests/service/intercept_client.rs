//! Interceptors at a client, whose operations poll them; and at both sides at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon::{Code, Config, EndedBy};
use antiphon_service::{
    Bytes, CallOptions, Client, Context, HttpVersion, Interceptor, Next, Receiver, Router, Sender, Status,
    TrySendError,
};

use crate::env::{BOTH, everywhere, sleep, until};
use crate::intercept::{
    Around, Impatient, Log, Noting, Panicking, Token, all_shapes, before, blocking_echo, echo, marking,
    options, unchanged,
};

#[test]
fn one_token_interceptor_serves_both_sides() {
    everywhere(|env| async move {
        for router in [echo(), blocking_echo()] {
            let served = env.serve(router.intercept(Token("blue"))).await;
            for version in BOTH {
                let client = served.connect(version).await;
                let refused = client.unary("/t.T/Unary", "x".into(), options()).await.unwrap_err();
                assert_eq!(refused.code(), Code::Unauthenticated);
                let client = client.intercept(Token("blue"));
                let taken = all_shapes(&client, options()).await.map(Result::unwrap);
                assert_eq!(taken, ["ab", "abab", "ab", "ab"]);
                let blocking = client.blocking();
                smol::unblock(move || {
                    let reply = blocking.unary("/t.T/Unary", "x".into(), options()).unwrap();
                    assert_eq!(reply.message, "x");
                    let mut chat = blocking.bidi("/t.T/Bidi", options()).unwrap();
                    chat.send("y".into()).unwrap();
                    chat.close_send();
                    assert_eq!(chat.recv().unwrap(), Some("y".into()));
                    assert_eq!(chat.recv().unwrap(), None);
                })
                .await;
            }
        }
    });
}

#[test]
fn the_first_one_added_is_the_outermost_and_each_sees_the_end() {
    everywhere(|env| async move {
        let log = Log::default();
        let served = env.serve(echo().intercept(Noting("server", log.clone()))).await;
        for version in BOTH {
            let plain = served.connect(version).await;
            let client =
                plain.intercept(Noting("a", log.clone())).intercept(Noting("b", log.clone())).with(options());
            let _ = all_shapes(&client, CallOptions::new()).await.map(Result::unwrap);
            let one = ["a in", "b in", "server in", "server ok", "b ok", "a ok"];
            assert_eq!(log.take(), one.repeat(4));
            // The view without it has none.
            plain.unary("/t.T/Unary", "x".into(), options()).await.unwrap();
            assert_eq!(log.take(), ["server in", "server ok"]);
            let status = client.unary("/t.T/None", "x".into(), CallOptions::new()).await.unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented);
            assert_eq!(log.take(), ["a in", "b in", "b unimplemented", "a unimplemented"]);
        }
    });
}

/// One that forgets to run the call, and one that hides how it failed.
#[derive(Clone, Copy)]
struct Careless {
    runs: bool,
}

impl Interceptor for Careless {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        if self.runs {
            let _ = next.run(context).await;
        }
        Ok(())
    }
}

#[test]
fn a_good_end_without_an_answer_is_told_at_both_sides() {
    everywhere(|env| async move {
        for careless in [Careless { runs: false }, Careless { runs: true }] {
            let served = env.serve(echo().intercept(careless)).await;
            for version in BOTH {
                let plain = served.connect(version).await;
                let path = if careless.runs { "/t.T/None" } else { "/t.T/Unary" };
                let ours = plain.intercept(careless).unary(path, "x".into(), options()).await.unwrap_err();
                assert_eq!(ours.code(), Code::Internal);
                assert!(ours.message().contains("run the call"), "{ours}");
                if !careless.runs {
                    let theirs = plain.unary(path, "x".into(), options()).await.unwrap_err();
                    assert_eq!(theirs.message(), ours.message());
                }
            }
        }
    });
}

#[test]
fn a_call_is_refused_before_it_begins() {
    everywhere(|env| async move {
        let log = Log::default();
        let served = env.serve(echo().intercept(Noting("server", log.clone()))).await;
        let client = served.connect(HttpVersion::Http2).await;
        let outer = Noting("a", log.clone());
        let client = client.intercept(outer).intercept(before(|_| Err(Status::aborted("not today"))));
        for result in all_shapes(&client, options()).await {
            assert_eq!(result.unwrap_err().code(), Code::Aborted);
        }
        assert_eq!(log.take(), ["a in", "a aborted"].repeat(4), "nothing has reached the server");
    });
}

#[test]
fn headers_are_rewritten_and_those_of_the_response_are_seen() {
    everywhere(|env| async move {
        let router = Router::new()
            .unary("/t.T/Ask", |context: Context, message: Bytes| async move {
                let tags: Vec<_> = context.headers().get_all("tag").collect();
                context.set_header("seen", tags.join(",").as_str())?;
                context.set_trailer("sum", 7)?;
                if message.is_empty() { Err(Status::not_found("empty")) } else { Ok(message) }
            })
            .merge(echo());
        let served = env.serve(router).await;
        let looked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&looked);
        let looking = Around(
            |context: &Context| {
                assert!(context.is_client() && !context.is_cancelled());
                assert_eq!((context.procedure(), context.codec()), ("/t.T/Ask", "proto"));
                assert!(context.time_left().is_some() && context.headers().is_empty());
                assert!(context.set_trailer("none", 1).is_err());
                context.update_headers(|headers| {
                    assert_eq!(headers.get("tag"), Some("blue"));
                    headers.insert("tag", "red").unwrap();
                })?;
                context.set_header("tag", "green")
            },
            move |context: &Context, result: Result<(), Status>| {
                assert_eq!(context.headers().get("seen"), Some("red,green"));
                if result.is_ok() {
                    assert_eq!(context.trailers().get("sum"), Some("7"));
                }
                assert!(context.is_cancelled() && context.set_header("late", 1).is_err());
                count.fetch_add(1, Ordering::SeqCst);
                result.map_err(|_| Status::data_loss("replaced"))
            },
        );
        for version in BOTH {
            let client = served.connect(version).await.intercept(Around(
                move |context: &Context| {
                    assert_eq!(context.http_version(), version);
                    Ok(())
                },
                unchanged,
            ));
            client.unary("/t.T/Unary", "x".into(), options()).await.unwrap();
        }
        let client = served.connect(HttpVersion::Http2).await.intercept(looking);
        let tagged = || options().header("tag", "blue").unwrap();
        let reply = client.unary("/t.T/Ask", "x".into(), tagged()).await.unwrap();
        assert_eq!(reply.headers.get("seen"), Some("red,green"));
        let status = client.unary("/t.T/Ask", Bytes::new(), tagged()).await.unwrap_err();
        assert_eq!(status.code(), Code::DataLoss);
        assert_eq!(looked.load(Ordering::SeqCst), 2);
    });
}

/// Answers from a cache, or after a failure.
struct Cache;

impl Interceptor for Cache {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let how = context.update_headers(|headers| headers.get("cache").map(str::to_owned))?;
        match how.as_deref() {
            Some("hit") if context.method().shape.returns_stream() => Ok(()),
            Some("hit") => context.answer(Bytes::from_static(b"cached")),
            Some("wrong") => context.answer("not bytes"),
            Some("stale") => match next.run(context).await {
                Ok(()) => context.answer(Bytes::from_static(b"replaced")),
                Err(_) => context.answer(Bytes::from_static(b"stale")),
            },
            _ => next.run(context).await,
        }
    }
}

#[test]
fn an_interceptor_answers_itself() {
    everywhere(|env| async move {
        let log = Log::default();
        let served = env.serve(echo().intercept(Noting("server", log.clone()))).await;
        for version in BOTH {
            let client = served.connect(version).await.intercept(Cache);
            let with = |how: &str| options().header("cache", how).unwrap();
            let mut upload = client.client_stream("/t.T/Client", with("hit")).await.unwrap();
            let status = upload.send("a".into()).await.unwrap_err();
            assert_eq!(status.ended(), EndedBy::Answer);
            assert_eq!(upload.close_and_recv().await.unwrap().message, "cached");
            let reply = client.unary("/t.T/Unary", "x".into(), with("hit")).await.unwrap();
            assert_eq!(reply.message, "cached");
            let mut stream = client.server_stream("/t.T/Server", "x".into(), with("hit")).await.unwrap();
            assert_eq!(stream.recv().await.unwrap(), None);
            let status = client.unary("/t.T/Unary", "x".into(), with("wrong")).await.unwrap_err();
            assert_eq!(status.code(), Code::Internal);
            let (sender, mut receiver) =
                client.client_stream("/t.T/Client", with("hit")).await.unwrap().split();
            sender.close();
            assert_eq!(receiver.recv().await.unwrap(), Some("cached".into()));
            assert_eq!(receiver.recv().await.unwrap(), None);
            assert_eq!(log.len(), 0, "nothing has reached the server");
            let reply = client.unary("/t.T/Unary", "x".into(), with("stale")).await.unwrap();
            assert_eq!(reply.message, "replaced");
            let reply = client.unary("/t.T/None", "x".into(), with("stale")).await.unwrap();
            assert_eq!(reply.message, "stale");
            log.take();
        }
    });
}

#[test]
fn messages_are_seen_changed_and_refused() {
    everywhere(|env| async move {
        let served = env.serve(echo()).await;
        for version in BOTH {
            let client = served.connect(version).await.intercept(marking("1")).intercept(marking("2"));
            let seen = all_shapes(&client, options()).await.map(Result::unwrap);
            // Out: outermost first; in: outermost last.
            assert_eq!(seen, ["ab1221", "ab1221ab1221", "a12b1221", "a1221b1221"]);
            // `?` is refused where it is sent, `!` where it is received.
            let call = |text: &'static str| client.unary("/t.T/Unary", text.into(), options());
            assert_eq!(call("?").await.unwrap_err().code(), Code::OutOfRange);
            assert_eq!(call("!").await.unwrap_err().code(), Code::InvalidArgument);
        }
        let client = served.connect(HttpVersion::Http2).await.intercept(marking("1"));
        let mut chat = client.bidi("/t.T/Bidi", options()).await.unwrap();
        assert_eq!(chat.send("?".into()).await.unwrap_err().code(), Code::OutOfRange);
        let Err(TrySendError::Failed(status)) = chat.try_send("?".into()) else { panic!("it is refused") };
        assert_eq!(status.code(), Code::OutOfRange);
        chat.send("a".into()).await.unwrap();
        assert_eq!(chat.recv().await.unwrap(), Some("a11".into()), "a message refused is not sent, no more");
        chat.send("!".into()).await.unwrap();
        assert_eq!(chat.recv().await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(chat.recv().await.unwrap_err().code(), Code::InvalidArgument);
    });
}

/// Does something beside the call all the time.
struct Ticking(Arc<AtomicUsize>);

impl Interceptor for Ticking {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let ticks = async {
            loop {
                sleep(1).await;
                smol::future::yield_now().await;
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        };
        let result = smol::future::or(next.run(context), ticks).await;
        // It is woken once more, behind the end.
        sleep(5).await;
        result
    }
}

async fn talk(client: &Client) {
    let (mut sender, mut receiver): (Sender<Bytes>, Receiver<Bytes>) =
        client.bidi("/t.T/Bidi", options()).await.unwrap().split();
    let sending = smol::spawn(async move {
        for _ in 0..30 {
            sender.send(vec![7; 20_000].into()).await.unwrap();
            sleep(1).await;
        }
        sender.close();
    });
    let receiving = smol::spawn(async move {
        let mut count = 0;
        while receiver.recv().await.unwrap().is_some() {
            count += 1;
        }
        count
    });
    sending.await;
    assert_eq!(receiving.await, 30);
}

#[test]
fn the_halves_of_a_call_poll_it_from_two_tasks() {
    everywhere(|env| async move {
        let served = env.serve(echo()).await;
        let ticks = Arc::new(AtomicUsize::new(0));
        let client = served.connect(HttpVersion::Http2).await.intercept(Ticking(Arc::clone(&ticks)));
        let client = client.intercept(Ticking(Arc::clone(&ticks)));
        for _ in 0..5 {
            talk(&client).await;
        }
        assert!(ticks.load(Ordering::SeqCst) > 20, "{ticks:?}");
    });
}

#[test]
fn a_call_that_is_given_up_ends_for_both_halves() {
    everywhere(|env| async move {
        let log = Log::default();
        let router = Router::new().bidi(
            "/t.T/Deaf",
            |_: Context, inbound: Receiver<Bytes>, _: Sender<Bytes>| async move {
                sleep(60_000).await;
                drop(inbound);
                Ok(())
            },
        );
        let served = env.serve(router.intercept(Noting("server", log.clone()))).await;
        let client = served.connect(HttpVersion::Http2).await.intercept(Impatient);
        let (mut sender, mut receiver) = client.bidi("/t.T/Deaf", options()).await.unwrap().split();
        let sending = smol::spawn(async move {
            loop {
                if let Err(status) = sender.send(vec![7; 20_000].into()).await {
                    return status;
                }
            }
        });
        // It waits for the peer, and is woken by the timer of the interceptor.
        assert_eq!(receiver.recv().await.unwrap_err().code(), Code::Aborted);
        assert_eq!(sending.await.code(), Code::Aborted);
        until("the server is told", || log.len() == 2).await;
        assert_eq!(log.take(), ["server in", "server canceled"]);
    });
}

/// An early error of the server, met by the sender alone.
#[test]
fn the_sender_meets_the_end_and_the_interceptors_replace_it() {
    everywhere(|env| async move {
        let log = Log::default();
        let router = Router::new().client_stream(
            "/t.T/Early",
            |_: Context, mut inbound: Receiver<Bytes>| async move {
                inbound.recv().await?;
                Err::<Bytes, _>(Status::resource_exhausted("enough"))
            },
        );
        let served = env.serve(router).await;
        let replacing = Around(
            |_: &Context| Ok(()),
            |_: &Context, result: Result<(), Status>| result.map_err(|_| Status::aborted("replaced")),
        );
        let client = served.connect(HttpVersion::Http2).await.intercept(replacing);
        let client = client.intercept(Noting("a", log.clone()));
        let (mut sender, mut receiver) = client.client_stream("/t.T/Early", options()).await.unwrap().split();
        let status = loop {
            if let Err(status) = sender.send("x".into()).await {
                break status;
            }
            sleep(1).await;
        };
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(log.take(), ["a in", "a resource_exhausted"]);
        assert_eq!(sender.send("x".into()).await.unwrap_err().code(), Code::Aborted);
        assert!(matches!(sender.try_send("x".into()), Err(TrySendError::Failed(_))));
        assert_eq!(receiver.recv().await.unwrap_err().code(), Code::Aborted);
    });
}

/// Says when it is dropped.
struct Dropped(Log);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

struct Guarded(Log);

impl Interceptor for Guarded {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let guard = Dropped(self.0.clone());
        // Its own context in a hook is no reason to live on.
        let own = context.clone();
        context.on_message(move |_| own.set_header("late", 1).or(Ok(())));
        let result = next.run(context).await;
        guard.0.note("ended");
        result
    }
}

#[test]
fn a_client_that_drops_its_call_drops_the_interceptors() {
    everywhere(|env| async move {
        let log = Log::default();
        let served = env.serve(echo()).await;
        let plain = served.connect(HttpVersion::Http2).await;
        let client = plain.intercept(Guarded(log.clone()));
        let mut chat = client.bidi("/t.T/Bidi", options()).await.unwrap();
        chat.send("x".into()).await.unwrap();
        assert_eq!(chat.recv().await.unwrap(), Some("x".into()));
        assert_eq!(log.len(), 0);
        drop(chat);
        assert_eq!(log.take(), ["dropped"]);

        let (sender, receiver) = client.bidi("/t.T/Bidi", options()).await.unwrap().split();
        drop(receiver);
        assert_eq!(log.len(), 0, "the other half holds it");
        drop(sender);
        assert_eq!(log.take(), ["dropped"]);

        // While it waits before the call.
        struct Waiting;
        impl Interceptor for Waiting {
            async fn intercept(&self, _: &Context, _: Next<'_>) -> Result<(), Status> {
                sleep(60_000).await;
                Ok(())
            }
        }
        let waiting = plain.intercept(Guarded(log.clone())).intercept(Waiting);
        let call = async { drop(waiting.unary("/t.T/Unary", "x".into(), options()).await) };
        smol::future::or(call, sleep(20)).await;
        assert_eq!(log.take(), ["dropped"]);
    });
}

#[test]
fn a_panic_ends_its_call_unknown_and_nothing_else() {
    everywhere(|env| async move {
        let served = env.serve(echo()).await;
        let plain = served.connect(HttpVersion::Http2).await;
        for place in ["before", "hook", "after"] {
            let client = plain.intercept(Panicking(place));
            for result in all_shapes(&client, options()).await {
                assert_eq!(result.unwrap_err().code(), Code::Unknown, "{place}");
            }
            plain.unary("/t.T/Unary", "x".into(), options()).await.unwrap();
        }
    });
}

#[test]
fn whoever_watches_learns_the_outcome() {
    everywhere(|env| async move {
        let served = env.serve(echo()).await;
        let (tell, told) = smol::channel::unbounded();
        let watching = before(move |context: &Context| {
            let (context, tell) = (context.clone(), tell.clone());
            smol::spawn(async move { tell.send(context.cancelled().await).await }).detach();
            Ok(())
        });
        let client = served.connect(HttpVersion::Http2).await.intercept(watching);
        client.unary("/t.T/Unary", "x".into(), options()).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), EndedBy::Answer);
        client.unary("/t.T/None", "x".into(), options()).await.unwrap_err();
        assert_eq!(told.recv().await.unwrap(), EndedBy::Status);
        drop(client.bidi("/t.T/Bidi", options()).await.unwrap());
        assert_eq!(told.recv().await.unwrap(), EndedBy::Cancel { reset: None });
    });
}

/// The first burst of a new connection goes above the server's limit, which is not known yet: some calls are refused
/// and begun again.
#[test]
fn a_call_that_is_begun_again_is_one_call() {
    everywhere(|env| async move {
        let mut config = Config::default();
        config.limits.streams = 3;
        let served = env.serve_with(config, echo()).await;
        let (log, marks) = (Log::default(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&marks);
        let counting = before(move |context: &Context| {
            let counted = Arc::clone(&counted);
            context.on_message(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            Ok(())
        });
        let client = served.connect(HttpVersion::Http2).await;
        let client = client.intercept(Noting("a", log.clone())).intercept(counting);
        let callers: Vec<_> = (0..30)
            .map(|_| {
                let client = client.clone();
                smol::spawn(async move { client.unary("/t.T/Unary", "x".into(), options()).await })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap().message, "x");
        }
        let mut entries = log.take();
        entries.sort();
        assert_eq!(entries, [["a in"; 30], ["a ok"; 30]].concat());
        assert_eq!(marks.load(Ordering::SeqCst), 60, "a message is seen once each way");
    });
}
