//! The tour on each adapter: a server on a free port of the loopback interface, and a client for each chapter.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use antiphon::client;
use antiphon_service::{Async, Blocking, BoxFuture, Client, Peer, driver};

use super::{CHAPTERS, Chapter, Show, Tap, TapSplit, config, scenario};
use crate::echo;
use crate::transcript::Recorder;

/// What moves the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adapter {
    /// Blocking sockets and threads.
    Blocking,
    /// smol.
    Smol,
    /// tokio.
    Tokio,
}

impl Adapter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Blocking, Self::Smol, Self::Tokio];

    /// The name by which it is chosen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Smol => "smol",
            Self::Tokio => "tokio",
        }
    }

    /// Makes the tour.
    ///
    /// # Errors
    /// When there are no sockets to be had, or nothing can be printed. A call that goes wrong is no error here: the
    /// show tells.
    pub fn tour(self, show: &mut Show<'_>) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Blocking => blocking(show),
            Self::Smol => smol::block_on(on_smol(show)),
            Self::Tokio => tokio_runtime()?.block_on(on_tokio(show)),
        }
    }
}

/// A runtime of tokio's with all that it has.
pub(crate) fn tokio_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

pub(super) fn smol_sleep(time: std::time::Duration) -> BoxFuture {
    Box::pin(async move {
        smol::Timer::after(time).await;
    })
}

pub(super) fn tokio_sleep(time: std::time::Duration) -> BoxFuture {
    Box::pin(tokio::time::sleep(time))
}

fn blocking(show: &mut Show<'_>) -> Result<(), Box<dyn Error>> {
    let server = antiphon_blocking::Server::bind("127.0.0.1:0")?.config(config());
    let (address, shutdown) = (server.local_addr()?, server.shutdown());
    let serving = thread::spawn(move || server.serve(echo::blocking::router()));
    show.welcome(Adapter::Blocking, address)?;
    for chapter in CHAPTERS {
        let recorder = show.chapter(chapter)?;
        let client = blocking_client(address, chapter, recorder)?;
        scenario::blocking::chapter(chapter, client, show)?;
    }
    shutdown.drain();
    serving.join().map_err(|_| "the server panicked")?;
    Ok(())
}

fn blocking_client(
    address: SocketAddr,
    chapter: &Chapter,
    recorder: Recorder,
) -> io::Result<Client<Blocking>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (transport, peer) = (TapSplit(stream, recorder), Peer::Tcp(address));
    let connector = antiphon_blocking::Connector::new(chapter.version).config(config());
    connector.authority(&address.to_string()).connect_over(transport, peer)
}

async fn on_smol(show: &mut Show<'_>) -> Result<(), Box<dyn Error>> {
    let server = antiphon_smol::Server::bind("127.0.0.1:0").await?.config(config());
    let (address, shutdown) = (server.local_addr()?, server.shutdown());
    let serving = smol::spawn(server.serve(echo::service::router(smol_sleep)));
    show.welcome(Adapter::Smol, address)?;
    for chapter in CHAPTERS {
        let recorder = show.chapter(chapter)?;
        let client = smol_client(address, chapter, recorder).await?;
        scenario::asynchronous::chapter(chapter, client, show).await?;
    }
    shutdown.drain();
    serving.await;
    Ok(())
}

async fn smol_client(
    address: SocketAddr,
    chapter: &Chapter,
    recorder: Recorder,
) -> io::Result<Client<Async>> {
    let stream = smol::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let connector = antiphon_smol::Connector::new(chapter.version).config(config());
    let connector = connector.authority(&address.to_string());
    connector.connect_over(Tap::new(stream, recorder), Peer::Tcp(address))
}

async fn on_tokio(show: &mut Show<'_>) -> Result<(), Box<dyn Error>> {
    let server = antiphon_tokio::Server::bind("127.0.0.1:0").await?.config(config());
    let (address, shutdown) = (server.local_addr()?, server.shutdown());
    let serving = tokio::spawn(server.serve(echo::service::router(tokio_sleep)));
    show.welcome(Adapter::Tokio, address)?;
    for chapter in CHAPTERS {
        let recorder = show.chapter(chapter)?;
        let client = tokio_client(address, chapter, recorder).await?;
        scenario::asynchronous::chapter(chapter, client, show).await?;
    }
    shutdown.drain();
    serving.await?;
    Ok(())
}

async fn tokio_client(
    address: SocketAddr,
    chapter: &Chapter,
    recorder: Recorder,
) -> io::Result<Client<Async>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let machine = client::Connection::new(Arc::new(config()), chapter.version);
    let transport = Tap::new(antiphon_tokio::Compat(stream), recorder);
    let (runtime, peer, authority) =
        (antiphon_tokio::Tokio::current(), Peer::Tcp(address), address.to_string());
    let (client, connection) = driver::connect(runtime, transport, machine, peer, "http", &authority);
    tokio::spawn(connection);
    Ok(client)
}
