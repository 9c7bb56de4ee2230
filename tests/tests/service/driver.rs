//! The async driver over a test's own runtime: what is spawned, and what is woken where.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Task, Poll, Wake, Waker};

use antiphon::{CallId, Config, client, server};
use antiphon_service::drive::Link;
use antiphon_service::{
    BoxFuture, Bytes, CallOptions, Client, Context, HttpVersion, Instant, Interceptor, Next, Peer, Receiver,
    Router, Runtime, Sender, Shutdown, Status, driver, handler,
};
use antiphon_smol::{Smol, SmolTimer};

use crate::env::{BOTH, sleep};

/// smol, and a count of what is spawned.
#[derive(Clone, Default)]
struct Counting {
    tasks: Arc<AtomicUsize>,
    jobs: Arc<AtomicUsize>,
}

impl Counting {
    fn counts(&self) -> (usize, usize) {
        (self.tasks.load(Ordering::SeqCst), self.jobs.load(Ordering::SeqCst))
    }
}

impl Runtime for Counting {
    type Timer = SmolTimer;

    fn now(&self) -> Instant {
        Smol.now()
    }

    fn timer(&self) -> SmolTimer {
        Smol.timer()
    }

    fn spawn(&self, task: BoxFuture) {
        self.tasks.fetch_add(1, Ordering::SeqCst);
        Smol.spawn(task);
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) {
        self.jobs.fetch_add(1, Ordering::SeqCst);
        Smol.spawn_blocking(job);
    }
}

async fn pair(runtime: &Counting, router: Router, version: HttpVersion) -> Client {
    let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = smol::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let config = Arc::new(Config::default());
    let machine = server::Connection::new(Arc::clone(&config));
    let peer = Peer::Other("a test".into());
    let serving = driver::serve(runtime.clone(), far, machine, peer.clone(), router, &Shutdown::new());
    smol::spawn(serving).detach();
    let machine = client::Connection::new(config, version);
    let (client, connection) = driver::connect(runtime.clone(), near, machine, peer, "http", "test");
    smol::spawn(connection).detach();
    client
}

#[test]
fn a_handler_done_at_its_first_poll_is_never_spawned() {
    smol::block_on(async {
        for version in BOTH {
            let runtime = Counting::default();
            let router = Router::new()
                .unary("/t.T/Echo", |_: Context, message: Bytes| async move { Ok(message) })
                .server_stream("/t.T/Few", |_: Context, message: Bytes, mut out: Sender<Bytes>| async move {
                    for _ in 0..3 {
                        out.send(message.clone()).await?;
                    }
                    Ok(())
                })
                .unary("/t.T/Later", |_: Context, message: Bytes| async move {
                    sleep(1).await;
                    Ok(message)
                })
                .add("/t.T/Own", handler::unary(|_, message| async move { Ok(message) }).offload())
                .add("/t.T/Block", handler::blocking::unary(|_, message| Ok(message)));
            let client = pair(&runtime, router, version).await;
            let call = |path| client.unary(path, Bytes::from_static(b"x"), CallOptions::new());
            for _ in 0..100 {
                call("/t.T/Echo").await.unwrap();
                let mut few = client.server_stream("/t.T/Few", "x".into(), CallOptions::new()).await.unwrap();
                while few.recv().await.unwrap().is_some() {}
            }
            assert_eq!(runtime.counts(), (0, 0));
            call("/t.T/Later").await.unwrap();
            assert_eq!(runtime.counts(), (1, 0), "a pending one has a task");
            call("/t.T/Own").await.unwrap();
            assert_eq!(runtime.counts(), (2, 0), "so has one that is never polled inline");
            call("/t.T/Block").await.unwrap();
            assert_eq!(runtime.counts(), (2, 1));
        }
    });
}

/// A waker that takes the connection's lock: it deadlocks if it is woken under it.
struct Nosy {
    link: Arc<dyn Link>,
    inner: Waker,
    woken: AtomicUsize,
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.link.ended(CallId { index: 0, generation: 0 });
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.inner.wake_by_ref();
    }
}

/// Polls `future` with a nosy waker.
async fn nosily<F: Future>(link: &Arc<dyn Link>, woken: &AtomicUsize, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut nosy: Option<Arc<Nosy>> = None;
    let output = std::future::poll_fn(|task: &mut Task<'_>| {
        let nosy = nosy.get_or_insert_with(|| {
            let (link, inner) = (Arc::clone(link), task.waker().clone());
            Arc::new(Nosy { link, inner, woken: AtomicUsize::new(0) })
        });
        let waker = Waker::from(Arc::clone(nosy));
        match future.as_mut().poll(&mut Task::from_waker(&waker)) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    if let Some(nosy) = nosy {
        woken.fetch_add(nosy.woken.load(Ordering::SeqCst), Ordering::SeqCst);
    }
    output
}

/// Wakes itself all the time: its waker wakes both halves of the call.
struct Restless;

impl Interceptor for Restless {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let mut call = pin!(next.run(context));
        let mut polls = 0;
        let result = std::future::poll_fn(|task: &mut Task<'_>| {
            polls += 1;
            if polls % 8 != 0 {
                task.waker().wake_by_ref();
            }
            call.as_mut().poll(task)
        });
        result.await
    }
}

#[test]
fn nobody_is_woken_under_the_lock() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let woken = AtomicUsize::new(0);
        smol::block_on(async {
            let runtime = Counting::default();
            let router = Router::new()
                .unary("/t.T/Later", |_: Context, message: Bytes| async move {
                    sleep(1).await;
                    Ok(message)
                })
                .bidi(
                    "/t.T/Slow",
                    |_: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
                        while let Some(message) = inbound.recv().await? {
                            sleep(1).await;
                            out.send(message).await?;
                        }
                        Ok(())
                    },
                );
            let client = pair(&runtime, router, HttpVersion::Http2).await;
            let link = Arc::clone(client.link());
            for _ in 0..20 {
                let call = client.unary("/t.T/Later", "x".into(), CallOptions::new());
                nosily(&link, &woken, call).await.unwrap();
            }
            let client = client.intercept(Restless);
            let call = client.bidi("/t.T/Slow", CallOptions::new()).await.unwrap();
            let (mut sender, mut receiver) = call.split();
            let sending = async {
                for _ in 0..40 {
                    sender.send(vec![1; 20_000].into()).await.unwrap();
                }
                sender.close();
            };
            let receiving = async {
                let mut count = 0;
                while receiver.recv().await.unwrap().is_some() {
                    count += 1;
                }
                count
            };
            let both = smol::future::zip(nosily(&link, &woken, sending), nosily(&link, &woken, receiving));
            assert_eq!(both.await.1, 40);
        });
        done.send(woken.into_inner()).unwrap();
    });
    let woken =
        finished.recv_timeout(std::time::Duration::from_secs(30)).expect("a waker waits for the lock");
    assert!(woken > 20, "{woken}");
}
