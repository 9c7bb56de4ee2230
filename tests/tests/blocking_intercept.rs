//! Interceptors and observers over the blocking driver: no runtime anywhere.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use antiphon_blocking::{
    Bytes, CallInfo, CallOptions, Client, Code, Connector, Context, HttpVersion, Interceptor, Next, Observer,
    Receiver, Router, Sender, Server, Shutdown, Status, Summary, handler,
};

type Log = Arc<Mutex<Vec<String>>>;

struct Token(&'static str, Log);

impl Interceptor for Token {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        if context.is_client() {
            context.set_header("token", self.0)?;
        } else if context.headers().get("token") != Some(self.0) {
            return Err(Status::unauthenticated("no token, or another one"));
        }
        let log = Arc::clone(&self.1);
        context.on_message(move |message| {
            log.lock().unwrap().push(format!("{:?} {:?}", message.direction(), message.get::<Bytes>()));
            Ok(())
        });
        let result = next.run(context).await;
        let side = if context.is_client() { "client" } else { "server" };
        self.1.lock().unwrap().push(format!("{side} {:?}", result.as_ref().err().map(Status::code)));
        result
    }
}

struct Running(Shutdown, Option<thread::JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.drain();
        let ended = self.1.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

fn start(router: Router, version: HttpVersion) -> (Running, Client<antiphon_blocking::Blocking>) {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let thread = thread::spawn(move || server.serve(router));
    let client = Connector::new(version).connect(address.to_string()).unwrap();
    (Running(shutdown, Some(thread)), client)
}

fn router() -> Router {
    Router::new()
        .add("/t.T/Block", handler::blocking::unary(|_, message| Ok(message)))
        .unary("/t.T/Async", |_: Context, message: Bytes| async move { Ok(message) })
        .add(
            "/t.T/Bidi",
            handler::blocking::bidi(|_, mut inbound, mut out| {
                while let Some(message) = inbound.recv()? {
                    out.send(message)?;
                }
                Ok(())
            }),
        )
        .bidi(
            "/t.T/AsyncBidi",
            |_: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
                while let Some(message) = inbound.recv().await? {
                    out.send(message).await?;
                }
                Ok(())
            },
        )
}

fn options() -> CallOptions {
    CallOptions::new().timeout(Duration::from_secs(20))
}

fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("it never came to be: {what}");
}

#[test]
fn the_same_interceptor_without_a_runtime() {
    for version in [HttpVersion::Http11, HttpVersion::Http2] {
        let (near, far) = (Log::default(), Log::default());
        let (_running, plain) = start(router().intercept(Token("blue", Arc::clone(&far))), version);
        let refused = plain.unary("/t.T/Block", "x".into(), options()).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        let client = plain.intercept(Token("blue", Arc::clone(&near)));
        for path in ["/t.T/Block", "/t.T/Async"] {
            assert_eq!(client.unary(path, "x".into(), options()).unwrap().message, "x");
        }
        for path in ["/t.T/Bidi", "/t.T/AsyncBidi"] {
            let mut chat = client.bidi(path, options()).unwrap();
            chat.send("x".into()).unwrap();
            chat.close_send();
            assert_eq!(chat.recv().unwrap(), Some("x".into()));
            assert_eq!(chat.recv().unwrap(), None);
        }
        until("the server is done", || far.lock().unwrap().len() == 12);
        let near = near.lock().unwrap();
        assert_eq!(near[..], [r#"Sent Some(b"x")"#, r#"Received Some(b"x")"#, "client None"].repeat(4));
        let far = far.lock().unwrap();
        assert_eq!(far[..], [r#"Received Some(b"x")"#, r#"Sent Some(b"x")"#, "server None"].repeat(4));
    }
}

#[test]
fn the_halves_of_a_call_are_in_two_threads() {
    let log = Log::default();
    let (_running, client) = start(router().intercept(Token("blue", Log::default())), HttpVersion::Http2);
    let client = client.intercept(Token("blue", Arc::clone(&log)));
    let (mut sender, receiver) = client.bidi("/t.T/Bidi", options()).unwrap().split();
    let receiving = thread::spawn(move || receiver.map(|message| message.unwrap().len()).sum::<usize>());
    for _ in 0..50 {
        sender.send(vec![7; 20_000].into()).unwrap();
    }
    sender.close();
    assert_eq!(receiving.join().unwrap(), 1_000_000);
    assert_eq!(log.lock().unwrap().len(), 101);
}

/// Is woken by a thread of its own all the time, while both halves are at it.
struct Nervous(Arc<AtomicUsize>);

impl Interceptor for Nervous {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let mut call = pin!(next.run(context));
        let (done, mut waking) = (Arc::new(AtomicBool::new(false)), false);
        let result = poll_fn(|task| {
            self.0.fetch_add(1, Ordering::Relaxed);
            if !waking {
                waking = true;
                let (waker, done) = (task.waker().clone(), Arc::clone(&done));
                thread::spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        waker.wake_by_ref();
                        thread::yield_now();
                    }
                });
            }
            call.as_mut().poll(task)
        })
        .await;
        done.store(true, Ordering::Relaxed);
        result
    }
}

#[test]
fn a_chain_that_is_woken_all_the_time_is_polled_by_whoever_is_there() {
    let polls = Arc::new(AtomicUsize::new(0));
    let (_running, client) = start(router(), HttpVersion::Http2);
    let client = client.intercept(Nervous(Arc::clone(&polls)));
    for _ in 0..20 {
        let (mut sender, receiver) = client.bidi("/t.T/Bidi", options()).unwrap().split();
        let receiving = thread::spawn(move || receiver.map(Result::unwrap).count());
        for _ in 0..100 {
            sender.send("x".into()).unwrap();
        }
        sender.close();
        assert_eq!(receiving.join().unwrap(), 100);
    }
    // How often is the scheduler's affair; that nothing hangs is what counts.
    assert!(polls.load(Ordering::Relaxed) >= 20, "once for each call at least");
}

/// Behind the end of the call it waits for a while, which must not spin and must not hang.
struct Lingering(Log);

impl Interceptor for Lingering {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let result = next.run(context).await;
        let mut woken = false;
        let mut polls = 0;
        poll_fn(|task| {
            polls += 1;
            if woken {
                return std::task::Poll::Ready(());
            }
            woken = true;
            let waker = task.waker().clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                waker.wake();
            });
            std::task::Poll::Pending
        })
        .await;
        assert!(polls < 20, "{polls}");
        self.0.lock().unwrap().push(result.map_or_else(|status| status.code().to_string(), |()| "ok".into()));
        Err(Status::data_loss("replaced"))
    }
}

#[derive(Clone, Default)]
struct Codes(Arc<Mutex<Vec<Option<Code>>>>);

impl Observer for Codes {
    fn ended(&self, _: &CallInfo, summary: &Summary) {
        self.0.lock().unwrap().push(summary.code);
    }
}

#[test]
fn an_interceptor_waits_after_the_deadline() {
    let (near, far, codes) = (Log::default(), Log::default(), Codes::default());
    let lazy = Router::new().add(
        "/t.T/Lazy",
        handler::blocking::bidi(|_, mut inbound, _| {
            while inbound.recv()?.is_some() {}
            Ok(())
        }),
    );
    let router = lazy.intercept(Lingering(Arc::clone(&far))).observe(codes.clone());
    let (_running, client) = start(router, HttpVersion::Http2);
    let client = client.intercept(Lingering(Arc::clone(&near))).observe(codes.clone());
    let mut chat = client.bidi("/t.T/Lazy", CallOptions::new().timeout(Duration::from_millis(50))).unwrap();
    assert_eq!(chat.recv().unwrap_err().code(), Code::DataLoss);
    assert_eq!(near.lock().unwrap()[..], ["deadline_exceeded"]);
    until("the server's is done", || far.lock().unwrap().len() == 1 && codes.0.lock().unwrap().len() == 2);
    assert!(["deadline_exceeded", "canceled"].contains(&far.lock().unwrap()[0].as_str()));
    assert!(codes.0.lock().unwrap().contains(&Some(Code::DataLoss)), "the client's own word counts there");
}
