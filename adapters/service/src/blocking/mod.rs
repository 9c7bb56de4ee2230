//! The blocking driver: connections over transports that are read and written by threads.
//!
//! A transport is [split](Split): a reader thread owns the reading half and never writes; whoever has something to
//! send takes the writer's token and writes for all. Two peers that both write then never stand still, and a slow
//! peer holds up nobody but those who wait for it.

mod drive;
mod pool;
mod serve;
mod transport;
mod writer;

use std::io;
use std::sync::Arc;

use antiphon::{Event, Machine, client};

use crate::{Blocking, Client, Link, Peer, Shared};

pub use drive::{BlockingDrive, Clock};
pub use pool::Pool;
pub use serve::serve;
pub use transport::{Control, Half, Pipes, Split};

/// The client's end of a connection, moved by a thread of its own. `machine` is a [`client::Connection`], or
/// something around one; `scheme` and `authority` are what requests name.
///
/// # Errors
/// When the transport cannot be split, or the thread not be started.
pub fn connect<T, M>(
    clock: Arc<dyn Clock>,
    transport: T,
    machine: M,
    peer: Peer,
    scheme: &str,
    authority: &str,
) -> io::Result<Client<Blocking>>
where
    T: Split,
    M: Machine<Event = Event> + AsMut<client::Connection> + Send + 'static,
{
    let (reader, writer, control) = transport.split()?;
    let drive = BlockingDrive::new(clock, writer, control, None);
    let shared = Arc::new(Shared::new(machine, peer, drive));
    shared.drive().attach(&shared);
    let moved = Arc::clone(&shared);
    std::thread::Builder::new()
        .name("antiphon-reader".into())
        .spawn(move || moved.drive().reader(&moved, reader))?;
    shared.drive().transmit(&shared);
    let link: Arc<dyn Link> = shared;
    Ok(Client::new(link, scheme, authority))
}
