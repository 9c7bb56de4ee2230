//! Antiphon on blocking sockets and threads: a listener, a connector and a clock. No async runtime anywhere.
//!
//! ```
//! use antiphon_blocking::{Bytes, CallOptions, HttpVersion, Router, Server, connect, handler};
//!
//! let router = Router::new().add("/echo.v1.Echo/Unary", handler::blocking::unary(|_, request| Ok(request)));
//! let server = Server::bind("127.0.0.1:0")?;
//! let address = server.local_addr()?;
//! let shutdown = server.shutdown();
//! let serving = std::thread::spawn(move || server.serve(router));
//!
//! let client = connect(address, HttpVersion::Http2)?;
//! let answer = client.unary("/echo.v1.Echo/Unary", Bytes::from_static(b"hello"), CallOptions::new())?;
//! assert_eq!(&answer[..], b"hello");
//!
//! drop(client);
//! shutdown.drain();
//! serving.join().expect("the server thread")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod clock;
mod listen;

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;

pub use antiphon_service::blocking::{Pool, Split};
pub use antiphon_service::*;

pub use clock::SystemClock;
pub use listen::Server;

use antiphon_service::antiphon::client;

/// What a connection may be told beside its defaults.
pub use antiphon_service::antiphon::Config;

/// Connects to a server over TCP. The client may be cloned and shared by many threads.
///
/// # Errors
/// When no address answers.
pub fn connect(address: impl ToSocketAddrs, version: HttpVersion) -> io::Result<Client<Blocking>> {
    connect_with(address, version, &Arc::new(Config::default()))
}

/// Connects to a server over TCP, with a configuration.
///
/// # Errors
/// When no address answers.
pub fn connect_with(
    address: impl ToSocketAddrs,
    version: HttpVersion,
    config: &Arc<Config>,
) -> io::Result<Client<Blocking>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    connect_over(stream, Peer::Tcp(peer), &peer.to_string(), version, config)
}

/// Speaks to a server over any transport that can be split. `authority` is the host that requests name.
///
/// # Errors
/// When the transport cannot be split.
pub fn connect_over(
    transport: impl Split,
    peer: Peer,
    authority: &str,
    version: HttpVersion,
    config: &Arc<Config>,
) -> io::Result<Client<Blocking>> {
    let machine = client::Connection::new(Arc::clone(config), version);
    blocking::connect(Arc::new(SystemClock::new()), transport, machine, peer, "http", authority)
}

fn tcp_peer(stream: &TcpStream, accepted: SocketAddr) -> Peer {
    Peer::Tcp(stream.peer_addr().unwrap_or(accepted))
}
