//! A network that dies when the scene wants it to.

use std::io;

use smol::net::{TcpListener, TcpStream};
use smol::{Task, future};

use super::Venue;

/// A cable between a client and the server: it carries one connection, and is cut when this is dropped. Neither end is
/// told anything but that the socket is gone.
#[derive(Debug)]
pub struct Cable {
    _relay: Task<io::Result<u64>>,
}

impl Cable {
    /// Cuts it.
    pub fn cut(self) {}
}

impl Venue {
    /// The same server at the other end of a cable.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn over_cable(&self) -> io::Result<(Self, Cable)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let venue = Self { address: listener.local_addr()?.to_string(), ..self.clone() };
        let server = self.address.clone();
        let relay = smol::spawn(async move {
            let (near, _) = listener.accept().await?;
            let far = TcpStream::connect(server).await?;
            let there = smol::io::copy(near.clone(), far.clone());
            future::or(there, smol::io::copy(far, near)).await
        });
        Ok((venue, Cable { _relay: relay }))
    }
}
