//! Listening and connecting over TCP.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use antiphon::{Config, client, server};
use antiphon_service::{Client, HttpVersion, Peer, Router, Shutdown, driver};
use smol::net::{AsyncToSocketAddrs, TcpListener, TcpStream};

use crate::Smol;

/// A server on a TCP listener. It takes HTTP/1.1 and HTTP/2 with prior knowledge, as each client likes.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
}

impl Server {
    /// Listens at `address`.
    ///
    /// # Errors
    /// The system's.
    pub async fn bind(address: impl AsyncToSocketAddrs) -> io::Result<Self> {
        Ok(Self::new(TcpListener::bind(address).await?))
    }

    /// Serves on a listener that is there already.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, config: Config::default(), shutdown: Shutdown::new() }
    }

    /// Limits, codings and policies of its connections.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The handle that ends it.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Serves `router` until it is [shut down](Server::shutdown) and the last connection is closed. Nothing else ends
    /// it: when connections cannot be accepted (no file descriptors left), it waits and tries again.
    pub async fn serve(self, router: Router) {
        let Self { listener, config, shutdown } = self;
        let shared = Arc::new(config);
        let mut count = 0;
        let mut pause = Pause::default();
        while let Some(accepted) = until_drained(&shutdown, listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    pause = Pause::default();
                    count += 1;
                    let config = seeded(&shared, count);
                    let _ = stream.set_nodelay(true);
                    let machine = server::Connection::new(config);
                    let peer = Peer::Tcp(peer);
                    smol::spawn(driver::serve(Smol, stream, machine, peer, router.clone(), &shutdown))
                        .detach();
                }
                Err(error) => {
                    let wait = pause.after(&error);
                    if until_drained(&shutdown, smol::Timer::after(wait)).await.is_none() {
                        break;
                    }
                }
            }
        }
        drop(listener);
        shutdown.finished().await;
    }
}

/// Each connection spreads its timers differently.
fn seeded(config: &Arc<Config>, seed: u64) -> Arc<Config> {
    if config.max_age.is_none() {
        return Arc::clone(config);
    }
    let mut config = Config::clone(config);
    config.seed = config.seed.wrapping_add(seed);
    Arc::new(config)
}

/// How long to wait after a failed accept: not at all when a client went away, longer and longer when the system has
/// no more to give.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    fn after(&mut self, error: &io::Error) -> Duration {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return Duration::ZERO;
        }
        self.0 = (self.0 + 1).min(8);
        Duration::from_millis(4 << self.0)
    }
}

/// `None` when the server is to end first.
async fn until_drained<F: Future>(shutdown: &Shutdown, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if shutdown.poll_draining(context).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Makes connections over TCP.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<Config>,
    version: HttpVersion,
    authority: Option<Box<str>>,
}

impl Connector {
    /// Connects with this version of HTTP: HTTP/2 with prior knowledge, or HTTP/1.1.
    pub fn new(version: HttpVersion) -> Self {
        Self { config: Arc::default(), version, authority: None }
    }

    /// Limits, codings and policies of its connections.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// The authority that requests name, if it is not the address connected to.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Connects to `address`, a host and a port.
    ///
    /// # Errors
    /// The system's.
    pub async fn connect(&self, address: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let peer = Peer::Tcp(stream.peer_addr()?);
        let machine = client::Connection::new(Arc::clone(&self.config), self.version);
        let authority = self.authority.as_deref().unwrap_or(address);
        let (client, connection) = driver::connect(Smol, stream, machine, peer, "http", authority);
        smol::spawn(connection).detach();
        Ok(client)
    }
}

/// Connects to `address`, a host and a port, with this version of HTTP.
///
/// # Errors
/// The system's.
pub async fn connect(address: &str, version: HttpVersion) -> io::Result<Client> {
    Connector::new(version).connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_waits_longer_and_longer_for_what_the_system_lacks() {
        let mut pause = Pause::default();
        let lack = io::Error::other("no file descriptors left");
        let gone = io::Error::from(io::ErrorKind::ConnectionAborted);
        let first = pause.after(&lack);
        assert_eq!(pause.after(&gone), Duration::ZERO, "a client that went away is nobody's lack");
        assert!(first > Duration::ZERO && pause.after(&lack) > first);
        let longest = (0..100).map(|_| pause.after(&lack)).max();
        assert!(longest <= Some(Duration::from_secs(2)), "{longest:?}");
    }
}
