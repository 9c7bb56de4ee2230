//! Listening and connecting: over TCP, and over any transport that can be split.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use antiphon_service::adapter::{AcceptPause, Configs, Place, Places, cannot, check_version};
use antiphon_service::antiphon::{Config, client, server};
use antiphon_service::blocking::{self, Pool, Split};
use antiphon_service::{Blocking, Client, HttpVersion, Peer, Router, Shutdown};

use crate::SystemClock;

/// A server on a TCP listener: a thread for each connection, and a pool of workers for handlers. It takes HTTP/1.1
/// and HTTP/2 with prior knowledge, as each client likes.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    configs: Configs,
    pool: Pool,
    places: Places,
    shutdown: Shutdown,
}

impl Server {
    /// How many connections a server has at once unless something else is said: each takes two threads.
    pub const DEFAULT_CONNECTIONS: usize = 8192;

    /// Listens at `address`, an IP address or a host name and a port; port 0 takes any free one.
    ///
    /// # Errors
    /// When it is taken, or may not be used: the system's reason, and the address.
    pub fn bind(address: impl Display) -> io::Result<Self> {
        let listener = TcpListener::bind(address.to_string());
        Ok(Self::new(listener.map_err(|error| cannot("listen at", address, &error))?))
    }

    /// Serves on a listener that is there already.
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            configs: Configs::default(),
            pool: Pool::default(),
            places: Places::new(Self::DEFAULT_CONNECTIONS),
            shutdown: Shutdown::new(),
        }
    }

    /// Limits, codings and policies of its connections. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.configs = config.into();
        self
    }

    /// The pool on which handlers run. Default: one of its own, of
    /// [512](antiphon_service::blocking::Pool::DEFAULT_WORKERS) workers at most.
    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// How many connections it has at once; others wait in the listener's queue. Default:
    /// [8192](Server::DEFAULT_CONNECTIONS).
    #[must_use]
    pub fn max_connections(mut self, max: usize) -> Self {
        self.places = Places::new(max);
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The handle that ends it. Take it before [`serve`](Server::serve).
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Serves `router` until it is [shut down](Server::shutdown) and the last connection is closed; blocks until then.
    /// Nothing else ends it: when connections cannot be accepted (no file descriptors left), it waits and tries again.
    pub fn serve(self, router: Router) {
        let Self { listener, configs, pool, places, shutdown } = self;
        // `accept` cannot be interrupted, so the end of the server knocks at its own door.
        let knock = Waker::from(Arc::new(Knock(listener.local_addr().ok())));
        let acceptor = Arc::new(Acceptor { router, configs, pool, shutdown, clock: SystemClock::new() });
        let mut pause = AcceptPause::default();
        let _awake = acceptor.shutdown.wake_at_drain(&knock);
        while let Some(place) = places.wait(&acceptor.shutdown) {
            match listener.accept() {
                Ok((stream, address)) => {
                    pause.reset();
                    acceptor.start(stream, address, place);
                }
                Err(error) => std::thread::sleep(pause.after(&error)),
            }
        }
        drop(listener);
        acceptor.shutdown.wait_finished();
    }
}

/// Serves connections that somebody else accepts, over any transport that can be [split](Split).
///
/// ```no_run
/// # #[cfg(unix)]
/// # fn run(router: antiphon_blocking::Router) -> std::io::Result<()> {
/// use antiphon_blocking::{Acceptor, Peer};
///
/// let acceptor = Acceptor::new(router);
/// for stream in std::os::unix::net::UnixListener::bind("choir.socket")?.incoming() {
///     let (acceptor, stream) = (acceptor.clone(), stream?);
///     std::thread::spawn(move || acceptor.serve_over(stream, Peer::Unix(None)));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Acceptor {
    router: Router,
    configs: Configs,
    pool: Pool,
    shutdown: Shutdown,
    clock: SystemClock,
}

impl Acceptor {
    /// Serves `router`.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            configs: Configs::default(),
            pool: Pool::default(),
            shutdown: Shutdown::new(),
            clock: SystemClock::new(),
        }
    }

    /// Limits, codings and policies of its connections. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.configs = config.into();
        self
    }

    /// The pool on which handlers run. Default: one of its own, of [512](Pool::DEFAULT_WORKERS) workers at most.
    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// The handle that ends its connections.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Serves one connection until it ends, in this thread and the pool's. What goes wrong on it ends it, and nothing
    /// else.
    ///
    /// # Errors
    /// When the transport cannot be split.
    pub fn serve_over<T: Split>(&self, transport: T, peer: Peer) -> io::Result<()> {
        let machine = server::Connection::new(self.configs.next());
        let (clock, router) = (Arc::new(self.clock), self.router.clone());
        blocking::serve(clock, transport, machine, peer, router, &self.pool, &self.shutdown)
    }

    /// Serves an accepted connection in a thread of its own. Without a thread for it the connection is closed, and
    /// the peer may try again.
    fn start(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, place: Place) {
        // The one that knocked is no client.
        if self.shutdown.is_draining() || stream.set_nodelay(true).is_err() {
            return;
        }
        let acceptor = Arc::clone(self);
        let serve = move || {
            let _ = acceptor.serve_over(stream, Peer::Tcp(address));
            drop(place);
        };
        let _ = std::thread::Builder::new().name("antiphon-reader".into()).spawn(serve);
    }
}

/// Makes connections, over TCP and over any transport that can be split.
#[derive(Clone, Debug)]
pub struct Connector {
    version: HttpVersion,
    configs: Configs,
    scheme: Box<str>,
    authority: Option<Box<str>>,
}

impl Connector {
    /// Speaks this version of HTTP: HTTP/2 with prior knowledge, or HTTP/1.1. With any other version connecting fails.
    pub fn new(version: HttpVersion) -> Self {
        Self { version, configs: Configs::default(), scheme: "http".into(), authority: None }
    }

    /// Limits, codings and policies of its connections. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.configs = config.into();
        self
    }

    /// The scheme that requests name: `https` over a transport that is encrypted. Default: `http`.
    #[must_use]
    pub fn scheme(mut self, scheme: &str) -> Self {
        self.scheme = scheme.into();
        self
    }

    /// The host and port that requests name. Default: the address connected to; over another transport, `localhost`.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Connects to `address`, a host and a port, over TCP. A thread moves the connection, until the last clone of the
    /// client is dropped and its calls have ended. Many threads may share the client.
    ///
    /// # Errors
    /// When nobody answers there: the system's reason, and the address. `InvalidInput` for a version of HTTP that is not
    /// spoken here.
    pub fn connect(&self, address: impl Display) -> io::Result<Client<Blocking>> {
        check_version(self.version)?;
        let address = address.to_string();
        let stream = TcpStream::connect(&*address);
        let stream = stream.map_err(|error| cannot("connect to", &address, &error))?;
        stream.set_nodelay(true)?;
        let peer = Peer::Tcp(stream.peer_addr()?);
        self.start(stream, peer, &address)
    }

    /// Connects over a transport that is there already, such as a Unix socket or two pipes.
    ///
    /// # Errors
    /// When the transport cannot be split. `InvalidInput` for a version of HTTP that is not spoken here.
    pub fn connect_over<T: Split>(&self, transport: T, peer: Peer) -> io::Result<Client<Blocking>> {
        check_version(self.version)?;
        self.start(transport, peer, "localhost")
    }

    fn start<T: Split>(&self, transport: T, peer: Peer, authority: &str) -> io::Result<Client<Blocking>> {
        let machine = client::Connection::new(self.configs.next(), self.version);
        let authority = self.authority.as_deref().unwrap_or(authority);
        blocking::connect(Arc::new(SystemClock::new()), transport, machine, peer, &self.scheme, authority)
    }
}

/// Connects to `address`, a host and a port, with this version of HTTP. A [`Connector`] can say more.
///
/// # Errors
/// As [`Connector::connect`].
pub fn connect(address: impl Display, version: HttpVersion) -> io::Result<Client<Blocking>> {
    Connector::new(version).connect(address)
}

/// Where a listener that waits can be woken, if it has an address.
struct Knock(Option<SocketAddr>);

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        let Some(mut address) = self.0 else { return };
        if address.ip().is_unspecified() {
            let local: IpAddr = match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            address.set_ip(local);
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
}
