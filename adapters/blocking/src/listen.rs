//! A server on a TCP port.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use antiphon_service::antiphon::server;
use antiphon_service::blocking::{Pool, serve};
use antiphon_service::{Router, Shutdown};

use crate::{Config, SystemClock, tcp_peer};

/// How long the listener rests when the system has no descriptors left.
const REST: Duration = Duration::from_millis(50);

/// A server on a TCP port: a thread for each connection, and a pool of workers for handlers.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    config: Arc<Config>,
    pool: Pool,
    shutdown: Shutdown,
}

impl Server {
    /// Listens at `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is taken or may not be used.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address)?,
            config: Arc::default(),
            pool: Pool::default(),
            shutdown: Shutdown::new(),
        })
    }

    /// Replaces the configuration of connections.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// Replaces the pool on which handlers run.
    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The handle that ends it.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Serves until it is [shut down](Server::shutdown) and the last connection has closed. Blocks.
    ///
    /// # Errors
    /// When the port cannot be listened to any more. What goes wrong on one connection ends that connection alone.
    pub fn serve(self, router: Router) -> io::Result<()> {
        let address = self.listener.local_addr()?;
        // `accept` cannot be interrupted, so the end of the server knocks at its own door.
        let knock = Waker::from(Arc::new(Knock(address)));
        let clock = Arc::new(SystemClock::new());
        while self.shutdown.poll_draining(&mut Context::from_waker(&knock)).is_pending() {
            match self.listener.accept() {
                Ok((stream, from)) => self.start(stream, from, &clock, &router),
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => std::thread::sleep(REST),
            }
        }
        drop(self.listener);
        self.shutdown.wait_finished();
        Ok(())
    }

    fn start(&self, stream: TcpStream, from: SocketAddr, clock: &Arc<SystemClock>, router: &Router) {
        if self.shutdown.is_draining() || stream.set_nodelay(true).is_err() {
            return;
        }
        let (clock, router, pool) = (Arc::clone(clock), router.clone(), self.pool.clone());
        let (config, shutdown) = (Arc::clone(&self.config), self.shutdown.clone());
        // Without a thread for it the connection is closed, and the peer may try again.
        let _ = std::thread::Builder::new().name("antiphon-reader".into()).spawn(move || {
            let peer = tcp_peer(&stream, from);
            let machine = server::Connection::new(config);
            let _ = serve(clock, stream, machine, peer, router, &pool, &shutdown);
        });
    }
}

/// Whether an error of `accept` concerns a connection that is gone already, and not the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

struct Knock(SocketAddr);

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        let mut address = self.0;
        if address.ip().is_unspecified() {
            let local: std::net::IpAddr = match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            };
            address.set_ip(local);
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
}
