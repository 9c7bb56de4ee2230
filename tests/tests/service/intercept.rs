//! Interceptors at a server: around all shapes, async and blocking handlers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon::{Code, EndedBy};
use antiphon_service::{
    BidiStream, Bytes, CallOptions, Client, Context, Direction, HttpVersion, Interceptor, Next, Receiver,
    Router, Sender, Status, handler,
};

use crate::env::{BOTH, everywhere, sleep, until};

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Notes when it is entered and how the call has ended.
#[derive(Clone)]
pub(crate) struct Noting(pub(crate) &'static str, pub(crate) Log);

impl Interceptor for Noting {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        self.1.note(format!("{} in", self.0));
        let result = next.run(context).await;
        match &result {
            Ok(()) => self.1.note(format!("{} ok", self.0)),
            Err(status) => self.1.note(format!("{} {}", self.0, status.code())),
        }
        result
    }
}

/// An interceptor from a closure that needs no waiting before the call, and one for how it ended.
pub(crate) struct Around<B, A>(pub(crate) B, pub(crate) A);

impl<B, A> Interceptor for Around<B, A>
where
    B: Fn(&Context) -> Result<(), Status> + Send + Sync + 'static,
    A: Fn(&Context, Result<(), Status>) -> Result<(), Status> + Send + Sync + 'static,
{
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        (self.0)(context)?;
        let result = next.run(context).await;
        (self.1)(context, result)
    }
}

pub(crate) fn unchanged(_: &Context, result: Result<(), Status>) -> Result<(), Status> {
    result
}

pub(crate) fn before(
    work: impl Fn(&Context) -> Result<(), Status> + Send + Sync + 'static,
) -> impl Interceptor {
    Around(work, unchanged)
}

/// Echoes in every shape.
pub(crate) fn echo() -> Router {
    Router::new()
        .unary("/t.T/Unary", |_: Context, message: Bytes| async move { Ok(message) })
        .server_stream("/t.T/Server", |_: Context, message: Bytes, mut out: Sender<Bytes>| async move {
            out.send(message.clone()).await?;
            out.send(message).await
        })
        .client_stream("/t.T/Client", |_: Context, mut inbound: Receiver<Bytes>| async move {
            let mut all = Vec::new();
            while let Some(message) = inbound.recv().await? {
                all.extend_from_slice(&message);
            }
            Ok(Bytes::from(all))
        })
        .bidi("/t.T/Bidi", |_: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
            while let Some(message) = inbound.recv().await? {
                out.send(message).await?;
            }
            Ok(())
        })
}

/// The same, blocking.
pub(crate) fn blocking_echo() -> Router {
    use handler::blocking;
    Router::new()
        .add("/t.T/Unary", blocking::unary(|_, message| Ok(message)))
        .add(
            "/t.T/Server",
            blocking::server_stream(|_, message, mut out| {
                out.send(message.clone())?;
                out.send(message)
            }),
        )
        .add(
            "/t.T/Client",
            blocking::client_stream(|_, inbound| {
                Ok(Bytes::from(inbound.collect::<Result<Vec<_>, _>>()?.concat()))
            }),
        )
        .add(
            "/t.T/Bidi",
            blocking::bidi(|_, mut inbound, mut out| {
                while let Some(message) = inbound.recv()? {
                    out.send(message)?;
                }
                Ok(())
            }),
        )
}

pub(crate) fn options() -> CallOptions {
    CallOptions::new().timeout(Duration::from_secs(20))
}

/// An early good answer is none of the sender's business.
fn unless_answered(sent: Result<(), Status>) -> Result<(), Status> {
    sent.or_else(|status| if status.ended() == EndedBy::Answer { Ok(()) } else { Err(status) })
}

async fn drain(receiver: &mut Receiver<Bytes>) -> Result<String, Status> {
    let mut all = String::new();
    while let Some(message) = receiver.recv().await? {
        all.push_str(std::str::from_utf8(&message).unwrap());
    }
    Ok(all)
}

async fn converse(mut chat: BidiStream<Bytes, Bytes>, parts: &[&'static str]) -> Result<String, Status> {
    for part in parts {
        unless_answered(chat.send(Bytes::from_static(part.as_bytes())).await)?;
    }
    chat.close_send();
    drain(&mut chat.split().1).await
}

/// The answers of the four shapes to `ab`, joined; or the first error.
pub(crate) async fn all_shapes(client: &Client, options: CallOptions) -> [Result<String, Status>; 4] {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let unary = client.unary("/t.T/Unary", "ab".into(), options.clone()).await;
    let server =
        async { drain(&mut client.server_stream("/t.T/Server", "ab".into(), options.clone()).await?).await };
    let upload = async {
        let mut upload = client.client_stream("/t.T/Client", options.clone()).await?;
        unless_answered(upload.send("a".into()).await)?;
        unless_answered(upload.send("b".into()).await)?;
        upload.close_and_recv().await.map(|reply| text(&reply))
    };
    let chat = async { converse(client.bidi("/t.T/Bidi", options.clone()).await?, &["a", "b"]).await };
    [unary.map(|reply| text(&reply)), server.await, upload.await, chat.await]
}

fn codes(results: &[Result<String, Status>; 4]) -> Vec<Code> {
    results.iter().map(|result| result.as_ref().unwrap_err().code()).collect()
}

/// The whole of a token interceptor, for both sides.
pub(crate) struct Token(pub(crate) &'static str);

impl Interceptor for Token {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        if context.is_client() {
            context.set_header("token", self.0)?;
        } else if context.headers().get("token") != Some(self.0) {
            return Err(Status::unauthenticated("no token, or another one"));
        }
        next.run(context).await
    }
}

#[test]
fn a_server_asks_for_a_token_in_every_shape() {
    everywhere(|env| async move {
        for router in [echo(), blocking_echo()] {
            let served = env.serve(router.intercept(Token("blue"))).await;
            for version in BOTH {
                let client = served.connect(version).await;
                let refused = client.unary("/t.T/Unary", "x".into(), options()).await.unwrap_err();
                assert_eq!(refused.code(), Code::Unauthenticated);
                if version == HttpVersion::Http2 {
                    // HTTP/1.1 closes after an answer that came before the end of an upload.
                    let refused = all_shapes(&client, options()).await;
                    assert_eq!(codes(&refused), [Code::Unauthenticated; 4]);
                }
                let taken = all_shapes(&client, options().header("token", "blue").unwrap()).await;
                let taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
                assert_eq!(taken, ["ab", "abab", "ab", "ab"]);
            }
        }
    });
}

#[test]
fn the_first_one_added_is_the_outermost_and_a_merged_router_keeps_its_own() {
    everywhere(|env| async move {
        let log = Log::default();
        let noting = |name| Noting(name, log.clone());
        let own = Router::new()
            .intercept(noting("c"))
            .unary("/t.T/Merged", |_: Context, message: Bytes| async move { Ok(message) })
            .intercept(noting("d"));
        let router = Router::new()
            .intercept(noting("a"))
            .unary("/t.T/Own", |_: Context, message: Bytes| async move { Ok(message) })
            .merge(own)
            .intercept(noting("b"));
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        client.unary("/t.T/Merged", "x".into(), options()).await.unwrap();
        assert_eq!(log.take(), ["a in", "b in", "c in", "d in", "d ok", "c ok", "b ok", "a ok"]);
        client.unary("/t.T/Own", "x".into(), options()).await.unwrap();
        assert_eq!(log.take(), ["a in", "b in", "b ok", "a ok"]);
        client.unary("/t.T/None", "x".into(), options()).await.unwrap_err();
        assert_eq!(log.len(), 0, "nobody serves that path");
    });
}

#[test]
fn headers_and_trailers_are_added_and_changed_and_the_status_is_replaced() {
    everywhere(|env| async move {
        let failing = |context: Context, _: Bytes| async move {
            context.set_header("from", "handler")?;
            context.set_trailer("how", "badly")?;
            Err::<Bytes, _>(Status::not_found("a secret path"))
        };
        let hiding = Around(
            |context: &Context| context.set_header("first", 1),
            |context: &Context, result: Result<(), Status>| {
                let status = result.unwrap_err();
                context
                    .update_headers(|headers| headers.insert("from", status.code().to_string()).unwrap())?;
                context.update_trailers(|trailers| trailers.remove("how"))?;
                context.set_trailer("after", "it")?;
                Err(Status::permission_denied("no"))
            },
        );
        let served = env.serve(Router::new().unary("/t.T/Fail", failing).intercept(hiding)).await;
        for version in BOTH {
            let client = served.connect(version).await;
            let status = client.unary("/t.T/Fail", "x".into(), options()).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "no"));
            let metadata = status.metadata();
            assert_eq!(metadata.get("first"), Some("1"));
            assert_eq!(metadata.get_all("from").collect::<Vec<_>>(), ["not_found"]);
            assert_eq!((metadata.get("how"), metadata.get("after")), (None, Some("it")));
        }
    });
}

#[test]
fn an_interceptor_answers_itself() {
    struct Cache;

    impl Interceptor for Cache {
        async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
            match context.headers().get("cache") {
                Some("hit") if context.method().shape.returns_stream() => Ok(()),
                Some("hit") => context.answer(Bytes::from_static(b"cached")),
                Some("stale") => match next.run(context).await {
                    Err(status) if status.code() == Code::Unavailable => {
                        context.answer(Bytes::from_static(b"stale"))
                    }
                    result => result,
                },
                Some("wrong") => context.answer("not bytes"),
                Some("none") => Ok(()),
                _ => next.run(context).await,
            }
        }
    }

    everywhere(|env| async move {
        let failing = |_: Context, _: Bytes| async move { Err::<Bytes, _>(Status::unavailable("down")) };
        for router in [echo(), blocking_echo()] {
            let router = router.unary("/t.T/Down", failing).intercept(Cache);
            let served = env.serve(router).await;
            let client = served.connect(HttpVersion::Http2).await;
            let with = |how: &str| options().header("cache", how).unwrap();
            let hit = all_shapes(&client, with("hit")).await.map(|result| result.ok());
            assert_eq!(hit.map(Option::unwrap), ["cached", "", "cached", ""]);
            let stale = client.unary("/t.T/Down", "x".into(), with("stale")).await.unwrap();
            assert_eq!(stale.message, "stale");
            for how in ["wrong", "none"] {
                let status = client.unary("/t.T/Unary", "x".into(), with(how)).await.unwrap_err();
                assert_eq!(status.code(), Code::Internal, "{status}");
            }
            let plain = client.unary("/t.T/Unary", "x".into(), options()).await.unwrap();
            assert_eq!(plain.message, "x");
        }
    });
}

/// Appends its letter to every message, and refuses `!` on the way in and `?` on the way out.
pub(crate) fn marking(letter: &'static str) -> impl Interceptor {
    before(move |context: &Context| {
        context.on_message(move |message| {
            let (direction, size) = (message.direction(), message.encoded_len());
            let bytes = message.get_mut::<Bytes>().ok_or_else(|| Status::internal("another type"))?;
            // What was received had a size, which is that from before the first hook.
            assert!(size == Some(bytes.len()) || direction == Direction::Received);
            match (direction, &bytes[..1]) {
                (Direction::Received, b"!") => return Err(Status::invalid_argument("loud")),
                (Direction::Sent, b"?") => return Err(Status::out_of_range("curious")),
                _ => {}
            }
            *bytes = [bytes.as_ref(), letter.as_bytes()].concat().into();
            Ok(())
        });
        Ok(())
    })
}

#[test]
fn messages_are_seen_changed_and_refused() {
    everywhere(|env| async move {
        for router in [echo(), blocking_echo()] {
            let served = env.serve(router.intercept(marking("1")).intercept(marking("2"))).await;
            for version in BOTH {
                let client = served.connect(version).await;
                let seen = all_shapes(&client, options()).await.map(Result::unwrap);
                // In: outermost first; out: outermost last.
                assert_eq!(seen, ["ab1221", "ab1221ab1221", "a12b1221", "a1221b1221"]);
                let call = |text: &'static str| client.unary("/t.T/Unary", text.into(), options());
                assert_eq!(call("!").await.unwrap_err().code(), Code::InvalidArgument);
                assert_eq!(call("?").await.unwrap_err().code(), Code::OutOfRange);
                let chat = client.bidi("/t.T/Bidi", options()).await.unwrap();
                assert_eq!(converse(chat, &["a", "!"]).await.unwrap_err().code(), Code::InvalidArgument);
                let chat = client.bidi("/t.T/Bidi", options()).await.unwrap();
                assert_eq!(converse(chat, &["a", "?"]).await.unwrap_err().code(), Code::OutOfRange);
            }
        }
    });
}

/// Says when it is dropped.
struct Dropped(Log);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.note("handler dropped");
    }
}

/// An end before the handler's. The client's own deadline may be faster than the server's, and cancel the call or close
/// the connection.
fn early(entry: &str) -> bool {
    ["a deadline_exceeded", "a canceled", "a unavailable"].contains(&entry)
}

#[test]
fn cancel_and_deadline_drop_the_handler_and_not_the_interceptors() {
    everywhere(|env| async move {
        let log = Log::default();
        let noted = log.clone();
        let sleepy = move |_: Context, message: Bytes| {
            let dropped = Dropped(noted.clone());
            async move {
                dropped.0.note("handler in");
                sleep(60_000).await;
                Ok(message)
            }
        };
        let blocking = handler::blocking::bidi(|_, mut inbound, _: Sender<Bytes, _>| {
            while inbound.recv()?.is_some() {}
            Ok(())
        });
        // It still waits for something after the call has ended.
        struct Slow;
        impl Interceptor for Slow {
            async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
                let result = next.run(context).await;
                sleep(20).await;
                assert!(context.is_cancelled());
                result
            }
        }
        let router = Router::new().unary("/t.T/Sleep", sleepy).add("/t.T/Block", blocking);
        let served = env.serve(router.intercept(Noting("a", log.clone())).intercept(Slow)).await;
        for version in BOTH {
            let client = served.connect(version).await;
            let short = CallOptions::new().timeout(Duration::from_millis(100));
            let status = client.unary("/t.T/Sleep", "x".into(), short.clone()).await.unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded);
            until("the chain has ended", || log.len() == 4).await;
            let entries = log.take();
            assert_eq!(entries[..3], ["a in", "handler in", "handler dropped"]);
            assert!(early(&entries[3]), "{entries:?}");

            let client = served.connect(version).await;
            let mut chat = client.bidi("/t.T/Block", short).await.unwrap();
            assert_eq!(chat.recv().await.unwrap_err().code(), Code::DeadlineExceeded);
            until("the chain has ended", || log.len() == 2).await;
            let entries = log.take();
            assert!(entries[0] == "a in" && early(&entries[1]), "{entries:?}");

            let client = served.connect(version).await;
            let entered = until("it is entered", || log.len() == 2);
            let call = client.unary("/t.T/Sleep", "x".into(), CallOptions::new());
            smol::future::or(async { drop(call.await) }, entered).await;
            until("the chain has ended", || log.len() == 4).await;
            let entries = log.take();
            assert_eq!(entries[..3], ["a in", "handler in", "handler dropped"]);
            assert!(early(&entries[3]), "{entries:?}");
        }
    });
}

/// Gives the call up when it takes too long.
pub(crate) struct Impatient;

impl Interceptor for Impatient {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        smol::future::or(next.run(context), async {
            sleep(50).await;
            Err(Status::aborted("too slow"))
        })
        .await
    }
}

#[test]
fn a_call_that_is_given_up_drops_its_handler() {
    everywhere(|env| async move {
        let log = Log::default();
        let noted = log.clone();
        let sleepy = move |_: Context, message: Bytes| {
            let dropped = Dropped(noted.clone());
            async move {
                sleep(60_000).await;
                drop(dropped);
                Ok(message)
            }
        };
        let served = env.serve(Router::new().unary("/t.T/Sleep", sleepy).intercept(Impatient)).await;
        let client = served.connect(HttpVersion::Http2).await;
        let status = client.unary("/t.T/Sleep", "x".into(), options()).await.unwrap_err();
        assert_eq!((status.code(), log.take()), (Code::Aborted, vec!["handler dropped".to_owned()]));
    });
}

/// Panics where it is told to.
pub(crate) struct Panicking(pub(crate) &'static str);

impl Interceptor for Panicking {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let place = self.0;
        assert!(place != "before", "as told");
        context.on_message(move |_| panic!("as told: {place}"));
        let result = next.run(context).await;
        assert!(place != "after", "as told");
        result
    }
}

#[test]
fn a_panic_ends_its_call_unknown_and_nothing_else() {
    everywhere(|env| async move {
        for place in ["before", "hook", "after"] {
            for router in [echo(), blocking_echo()] {
                let safe =
                    Router::new().unary("/t.T/Safe", |_: Context, message: Bytes| async move { Ok(message) });
                let served = env.serve(safe.merge(router.intercept(Panicking(place)))).await;
                let client = served.connect(HttpVersion::Http2).await;
                for _ in 0..3 {
                    let results = all_shapes(&client, options()).await;
                    assert_eq!(codes(&results), [Code::Unknown; 4], "{place}");
                }
                client.unary("/t.T/Safe", "x".into(), options()).await.unwrap();
            }
        }
    });
}

#[test]
fn what_hooks_keep_is_dropped_with_the_call() {
    everywhere(|env| async move {
        let kept = Arc::new(());
        let witness = Arc::clone(&kept);
        let keeping = before(move |context: &Context| {
            // It holds its own context.
            let (own, kept) = (context.clone(), Arc::clone(&witness));
            context.on_message(move |_| {
                assert!(own.procedure().starts_with("/t.T/") && Arc::strong_count(&kept) > 1);
                Ok(())
            });
            Ok(())
        });
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        let plain = Router::new().unary("/t.T/Plain", move |context: Context, message: Bytes| {
            // A handler may look as well.
            let (own, counted) = (context.clone(), Arc::clone(&counted));
            context.on_message(move |_| {
                assert!(!own.is_client());
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            async move { Ok(message) }
        });
        let served = env.serve(plain.merge(echo().intercept(keeping))).await;
        let client = served.connect(HttpVersion::Http2).await;
        let _ = all_shapes(&client, options()).await.map(Result::unwrap);
        let dropped = || Arc::strong_count(&kept) == 2;
        until("the hooks are gone", dropped).await;
        client.unary("/t.T/Plain", "x".into(), options()).await.unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    });
}
