//! A client and a service with a whole connection between them.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use antiphon::rpc::HttpVersion;
use antiphon::{Config, Instant, client, server};

use super::pair::Pair;
use crate::adapter::check_version;
use crate::{Async, Blocking, Client, Link, Peer, Router, Service};

/// A connection to a service, or to all that a router serves, in this process: over HTTP/2, with the default
/// configuration. See [`Channel::builder`] for others.
///
/// ```
/// use antiphon_service::{Bytes, CallOptions, Code, Context, Protocol, Router, Sender, Status, testing};
/// use core::time::Duration;
///
/// async fn forever(_: Context, _: Bytes, _: Sender<Bytes>) -> Result<(), Status> {
///     std::future::pending().await
/// }
///
/// let channel = testing::channel(Router::new().server_stream("/demo.Clock/Watch", forever));
/// channel.auto_advance(true);
///
/// let client = channel.blocking().with(CallOptions::new().protocol(Protocol::Grpc));
/// let mut ticks = client.with(Duration::from_secs(3600)).server_stream("/demo.Clock/Watch", "".into(), CallOptions::new())?;
/// assert_eq!(ticks.recv().unwrap_err().code(), Code::DeadlineExceeded); // at once
/// # Ok::<(), Status>(())
/// ```
pub fn channel(served: impl IntoRouter) -> Channel {
    Channel::builder().serve(served)
}

/// What can be served by a [`channel`]: a [`Router`], or one [`Service`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be served as it is",
    label = "this is neither a `Router` nor a `Service`",
    note = "an implementation of a generated trait `Name` is served as `NameServer::new(…)`"
)]
pub trait IntoRouter {
    /// The router.
    fn into_router(self) -> Router;
}

impl IntoRouter for Router {
    fn into_router(self) -> Router {
        self
    }
}

impl<S: Service> IntoRouter for S {
    fn into_router(self) -> Router {
        Router::new().add_service(self)
    }
}

/// A connection in this process: both machines, and every byte between them.
///
/// Nothing moves by itself. Whoever waits, by `.await` or by blocking, moves both ends, lets handlers run, and sleeps
/// only when nothing moves any more; [`run`](Channel::run) does the same without waiting for anything. Time stands
/// still until [`advance`](Channel::advance). Hence a test of one thread does the same each time.
///
/// # Handlers
/// Async handlers are polled by whoever waits, so they may use any runtime that the test itself runs on; but its
/// timers know nothing of the channel's time. Blocking handlers have threads, which take turns with whoever waits: one
/// runs at a time. A handler that waits for something else than its call, such as a lock that the test holds, is left
/// behind after half a second of real time, and goes on like any thread.
///
/// # Ending
/// When the channel and its clients and calls are dropped, the connection is lost: async handlers are dropped, and
/// blocking ones find their calls ended.
///
/// ```
/// use antiphon_service::{Bytes, CallOptions, Context, EndedBy, Router, testing};
///
/// let echo = Router::new().unary("/demo.Echo/Echo", |_: Context, request: Bytes| async move { Ok(request) });
/// // The call fails wherever the connection is lost, and never looks complete.
/// for bytes in 0.. {
///     let channel = testing::channel(echo.clone());
///     channel.lose_after(bytes);
///     match channel.blocking().unary("/demo.Echo/Echo", "hello".into(), CallOptions::new()) {
///         Ok(answer) => {
///             assert_eq!(*answer, "hello");
///             break;
///         }
///         Err(status) => assert_eq!(status.ended(), EndedBy::LostConnection),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Channel {
    pair: Arc<Pair>,
    client: Client,
}

impl Channel {
    /// A channel to be set up.
    pub fn builder() -> ChannelBuilder {
        ChannelBuilder {
            version: HttpVersion::Http2,
            client: Config::default(),
            server: Config::default(),
            peer: Peer::Other("testing".into()),
        }
    }

    /// An async client of it, for any executor, such as [`block_on`](super::block_on).
    pub fn client(&self) -> Client<Async> {
        self.client.clone()
    }

    /// A blocking client of it.
    pub fn blocking(&self) -> Client<Blocking> {
        self.client.blocking()
    }

    /// Moves both ends and lets handlers run, until nothing moves any more.
    pub fn run(&self) {
        self.pair.run();
    }

    /// The time, on the clock of both ends. It begins at [`Instant::EPOCH`].
    pub fn now(&self) -> Instant {
        self.pair.clock.now()
    }

    /// Lets time pass, and stops wherever one of the ends has something to do then. Everything moves as
    /// [`run`](Channel::run) says, before and after.
    ///
    /// A task that waits on a call is woken when its deadline passes. One task can do both:
    ///
    /// ```
    /// use antiphon_service::{Bytes, CallOptions, Code, Context, Router, Status, testing};
    /// use core::{future::{Future, pending}, pin::pin, task, time::Duration};
    ///
    /// async fn hang(_: Context, _: Bytes) -> Result<Bytes, Status> {
    ///     pending().await
    /// }
    ///
    /// let channel = testing::channel(Router::new().unary("/demo.Slow/Hang", hang));
    /// let client = channel.client().with(Duration::from_secs(5));
    /// let mut call = pin!(client.unary("/demo.Slow/Hang", "".into(), CallOptions::new()));
    /// let mut waiting = task::Context::from_waker(task::Waker::noop());
    /// assert!(call.as_mut().poll(&mut waiting).is_pending());
    /// channel.advance(Duration::from_millis(4999));
    /// assert!(call.as_mut().poll(&mut waiting).is_pending());
    /// channel.advance(Duration::from_millis(1));
    /// assert_eq!(testing::block_on(call).unwrap_err().code(), Code::DeadlineExceeded);
    /// ```
    pub fn advance(&self, by: Duration) {
        self.pair.advance_to(self.now() + by);
    }

    /// Whether a thread that blocks lets time pass when nothing moves any more, up to where one of the ends has
    /// something to do: for a test of one thread, which cannot [advance](Channel::advance) it while it blocks. Default:
    /// no, it waits for another thread.
    pub fn auto_advance(&self, on: bool) {
        self.pair.skips.store(on, Ordering::SeqCst);
    }

    /// From now on at most so many bytes arrive at once, in each direction; 0 counts as 1. Default: without limit.
    pub fn cut(&self, bytes: usize) {
        self.pair.change(|weather| weather.piece = bytes.max(1));
    }

    /// Whether the network stands still: what is written stays under way, and nothing arrives. Default: no.
    pub fn stall(&self, on: bool) {
        self.pair.change(|weather| weather.stalled = on);
    }

    /// The connection is lost: reading and writing fails at both ends, and what was under way is gone.
    pub fn lose(&self) {
        self.lose_after(0);
        self.run();
    }

    /// The connection is lost when so many more bytes have arrived, in both directions together.
    pub fn lose_after(&self, bytes: u64) {
        self.pair.change(|weather| weather.left = Some(bytes));
    }

    /// How many bytes have arrived at the server and at the client.
    pub fn crossed(&self) -> (u64, u64) {
        self.pair.crossed()
    }

    /// The server ends the connection gracefully: open calls finish, new ones are refused.
    pub fn drain_server(&self) {
        if let Some(server) = self.pair.server.get() {
            server.drain();
        }
        self.run();
    }
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Channel").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A [`Channel`] to be set up.
///
/// ```
/// use antiphon_service::{CallOptions, Code, HttpVersion, Router, testing::Channel};
///
/// let channel = Channel::builder().http_version(HttpVersion::Http11).serve(Router::new());
/// channel.cut(1); // every byte by itself
/// let status = channel.blocking().unary("/no.Such/Method", "".into(), CallOptions::new()).unwrap_err();
/// assert_eq!(status.code(), Code::Unimplemented);
/// ```
#[derive(Clone, Debug)]
pub struct ChannelBuilder {
    version: HttpVersion,
    client: Config,
    server: Config,
    peer: Peer,
}

impl ChannelBuilder {
    /// The version of HTTP that the client speaks; the server finds out. Default: HTTP/2.
    ///
    /// # Panics
    /// For a version that no client here speaks, as connecting fails.
    #[must_use]
    #[track_caller]
    pub fn http_version(mut self, version: HttpVersion) -> Self {
        if let Err(error) = check_version(version) {
            panic!("{error}");
        }
        self.version = version;
        self
    }

    /// The configuration of the client.
    #[must_use]
    pub fn client_config(mut self, config: Config) -> Self {
        self.client = config;
        self
    }

    /// The configuration of the server.
    #[must_use]
    pub fn server_config(mut self, config: Config) -> Self {
        self.server = config;
        self
    }

    /// Who each end says that the other is. Default: `testing`.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<Peer>) -> Self {
        self.peer = peer.into();
        self
    }

    /// Joins a client and a server of this.
    pub fn serve(self, served: impl IntoRouter) -> Channel {
        let client = client::Connection::new(Arc::new(self.client), self.version);
        let server = server::Connection::new(Arc::new(self.server));
        let router = served.into_router();
        let (pair, end) = Pair::join((client, self.peer.clone()), (server, self.peer), router);
        let client = Client::new(end as Arc<dyn Link>, "http", "testing");
        Channel { pair, client }
    }
}
