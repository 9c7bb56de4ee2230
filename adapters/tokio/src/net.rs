//! Listening and connecting: over TCP, and over any transport.

use core::fmt::Display;
use core::future::Future;
use std::io;
use std::net::SocketAddr;

use antiphon::{Config, client, server};
use antiphon_service::adapter::{AcceptPause, Configs, Places, cannot, check_version};
use antiphon_service::{Client, HttpVersion, Peer, Router, Shutdown, driver};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::{Compat, Tokio};

/// A server on a TCP listener. It takes HTTP/1.1 and HTTP/2 with prior knowledge, as each client likes.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    configs: Configs,
    places: Places,
    shutdown: Shutdown,
}

impl Server {
    /// Listens at `address`, an IP address or a host name and a port; port 0 takes any free one.
    ///
    /// # Errors
    /// When it is taken, or may not be used: the system's reason, and the address.
    pub async fn bind(address: impl Display) -> io::Result<Self> {
        let listener = TcpListener::bind(address.to_string()).await;
        Ok(Self::new(listener.map_err(|error| cannot("listen at", address, &error))?))
    }

    /// Serves on a listener that is there already.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, configs: Configs::default(), places: Places::default(), shutdown: Shutdown::new() }
    }

    /// Limits, codings and policies of its connections. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.configs = config.into();
        self
    }

    /// How many connections it has at once; others wait in the listener's queue. Default: as many as the system lets
    /// in.
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

    /// Serves `router` until it is [shut down](Server::shutdown) and the last connection is closed. Nothing else ends
    /// it: when connections cannot be accepted (no file descriptors left), it waits and tries again. Dropped, it stops
    /// listening; the connections that are open go on.
    pub async fn serve(self, router: Router) {
        let Self { listener, configs, places, shutdown } = self;
        let acceptor = Acceptor { router, configs, shutdown };
        let shutdown = &acceptor.shutdown;
        let mut pause = AcceptPause::default();
        while let Some(place) = shutdown.unless_draining(places.take()).await {
            let Some(accepted) = shutdown.unless_draining(listener.accept()).await else { break };
            match accepted {
                Ok((stream, address)) => {
                    pause.reset();
                    let _ = stream.set_nodelay(true);
                    let connection = acceptor.serve_over(stream, Peer::Tcp(address));
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    let rest = tokio::time::sleep(pause.after(&error));
                    let _ = shutdown.unless_draining(rest).await;
                }
            }
        }
        drop(listener);
        shutdown.finished().await;
    }
}

/// Serves connections that somebody else accepts, over any transport.
///
/// ```no_run
/// # use antiphon_tokio::{Acceptor, Peer, Router};
/// # async fn run(router: Router) -> std::io::Result<()> {
/// let acceptor = Acceptor::new(router);
/// let listener = tokio::net::UnixListener::bind("choir.socket")?;
/// loop {
///     let (stream, _) = listener.accept().await?;
///     tokio::spawn(acceptor.serve_over(stream, Peer::Unix(None)));
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Acceptor {
    router: Router,
    configs: Configs,
    shutdown: Shutdown,
}

impl Acceptor {
    /// Serves `router`.
    pub fn new(router: Router) -> Self {
        Self { router, configs: Configs::default(), shutdown: Shutdown::new() }
    }

    /// Limits, codings and policies of its connections. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.configs = config.into();
        self
    }

    /// The handle that ends its connections.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Serves one connection until it ends. What goes wrong on it ends it, and nothing else. The future moves it:
    /// await or spawn it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve_over<T>(&self, transport: T, peer: Peer) -> impl Future<Output = ()> + Send + use<T>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let machine = server::Connection::new(self.configs.next());
        driver::serve(Tokio::current(), Compat(transport), machine, peer, self.router.clone(), &self.shutdown)
    }
}

/// Makes connections, over TCP and over any transport.
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

    /// Connects to `address`, a host and a port, over TCP. A task of tokio's moves the connection, until the last
    /// clone of the client is dropped and its calls have ended.
    ///
    /// # Errors
    /// When nobody answers there: the system's reason, and the address. `InvalidInput` for a version of HTTP that is not
    /// spoken here.
    pub async fn connect(&self, address: impl Display) -> io::Result<Client> {
        check_version(self.version)?;
        let address = address.to_string();
        let stream = TcpStream::connect(&*address).await;
        let stream = stream.map_err(|error| cannot("connect to", &address, &error))?;
        stream.set_nodelay(true)?;
        let peer = Peer::Tcp(stream.peer_addr()?);
        Ok(self.start(stream, peer, &address))
    }

    /// Connects over a transport that is there already, such as a Unix socket or a TLS stream.
    ///
    /// # Errors
    /// `InvalidInput` for a version of HTTP that is not spoken here.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect_over<T>(&self, transport: T, peer: Peer) -> io::Result<Client>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        check_version(self.version)?;
        Ok(self.start(transport, peer, "localhost"))
    }

    fn start<T>(&self, transport: T, peer: Peer, authority: &str) -> Client
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let machine = client::Connection::new(self.configs.next(), self.version);
        let authority = self.authority.as_deref().unwrap_or(authority);
        let (client, connection) =
            driver::connect(Tokio::current(), Compat(transport), machine, peer, &self.scheme, authority);
        tokio::spawn(connection);
        client
    }
}

/// Connects to `address`, a host and a port, with this version of HTTP. A [`Connector`] can say more.
///
/// # Errors
/// As [`Connector::connect`].
pub async fn connect(address: impl Display, version: HttpVersion) -> io::Result<Client> {
    Connector::new(version).connect(address).await
}
