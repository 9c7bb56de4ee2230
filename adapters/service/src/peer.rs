//! Who is at the other end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Who is at the other end of a connection, as its transport knows it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// An address of TCP.
    Tcp(SocketAddr),
    /// A Unix-domain socket, with its path if it has one.
    Unix(Option<PathBuf>),
    /// Anything else, in words: a pipe, a vsock address, the name in a certificate.
    Other(Arc<str>),
}

impl Peer {
    /// A peer of which nothing is known.
    pub fn unknown() -> Self {
        Self::Other(Arc::from(""))
    }
}

impl core::fmt::Display for Peer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:(unnamed)"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}
