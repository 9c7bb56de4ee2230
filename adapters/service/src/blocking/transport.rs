//! What a blocking transport has to offer: a half to read, a half to write, and a way to end both.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A transport whose two directions can be used by two threads at once.
///
/// Two blocking peers that both write and neither reads stand still for ever; with a thread that always reads, they
/// do not. Hence a transport that cannot be split cannot carry a connection here.
///
/// Given for [`TcpStream`], for unix sockets, and for any pair `(R, W)`, such as two pipes.
pub trait Split {
    /// The half that the reader thread owns.
    type Reader: Read + Send + 'static;
    /// The half that is written by whichever thread has something to send.
    type Writer: Write + Send + 'static;
    /// Ends directions from another thread.
    type Control: Control;

    /// Splits the transport.
    ///
    /// # Errors
    /// The transport's, when it cannot be used by two threads.
    fn split(self) -> io::Result<(Self::Reader, Self::Writer, Self::Control)>;
}

/// What can be done to a transport while other threads read and write it.
pub trait Control: Send + Sync + 'static {
    /// Bounds each write. `false`: the transport cannot; a write may then block as long as the peer likes.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> bool;

    /// Ends one direction or both, so that a blocked read returns. `false`: the transport cannot; closing then waits
    /// for the reader.
    fn shutdown(&self, how: Shutdown) -> bool;
}

/// One direction of a socket: both share one descriptor.
#[derive(Clone, Debug)]
pub struct Half<S>(Arc<S>);

macro_rules! socket {
    ($(#[$attribute:meta])* $socket:ty) => {
        $(#[$attribute])*
        impl Split for $socket {
            type Reader = Half<Self>;
            type Writer = Half<Self>;
            type Control = Arc<$socket>;

            fn split(self) -> io::Result<(Half<Self>, Half<Self>, Arc<Self>)> {
                let socket = Arc::new(self);
                Ok((Half(Arc::clone(&socket)), Half(Arc::clone(&socket)), socket))
            }
        }

        $(#[$attribute])*
        impl Read for Half<$socket> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (&*self.0).read(buffer)
            }
        }

        $(#[$attribute])*
        impl Write for Half<$socket> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                (&*self.0).write(bytes)
            }

            fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                (&*self.0).write_vectored(slices)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        $(#[$attribute])*
        impl Control for Arc<$socket> {
            fn set_write_timeout(&self, timeout: Option<Duration>) -> bool {
                <$socket>::set_write_timeout(self, timeout).is_ok()
            }

            fn shutdown(&self, how: Shutdown) -> bool {
                <$socket>::shutdown(self, how).is_ok()
            }
        }
    };
}

socket!(TcpStream);
socket!(
    #[cfg(unix)]
    std::os::unix::net::UnixStream
);

/// A pair of a reader and a writer. Dropping the writer is how its direction ends.
impl<R: Read + Send + 'static, W: Write + Send + 'static> Split for (R, W) {
    type Reader = R;
    type Writer = W;
    type Control = Pipes;

    fn split(self) -> io::Result<(R, W, Pipes)> {
        Ok((self.0, self.1, Pipes))
    }
}

/// The [`Control`] of a pair: it can do nothing.
#[derive(Clone, Copy, Debug)]
pub struct Pipes;

impl Control for Pipes {
    fn set_write_timeout(&self, _: Option<Duration>) -> bool {
        false
    }

    fn shutdown(&self, _: Shutdown) -> bool {
        false
    }
}
