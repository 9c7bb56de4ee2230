//! The client's end of a connection.
//!
//! ```text
//!   calls     the four shapes, with codecs and raw, to wait for or to block on
//!     │       options, response, streams: what is said, and what is got
//!   start     from a path to the two halves of a call: a slot, the interceptors, the first message
//!     │ Link
//! ```

use core::future::poll_fn;
use core::marker::PhantomData;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon::ConnectionError;
use bytes::Bytes;

use crate::call::Call;
use crate::handler::MethodCodecs;
use crate::interceptor::{Around, Erased};
use crate::observe::Observers;
use crate::slots::WatchKey;
use crate::wait::block_on;
use crate::{Async, Blocking, Interceptor, Link, Observer, Peer};

mod calls;
mod options;
mod response;
mod start;
mod streams;

pub use options::CallOptions;
pub use response::Response;
pub use streams::{BidiStream, ClientStream};

/// The client's end of a connection. Cheap to clone; many callers share it, and each waits for a slot when the peer
/// takes no more calls at once. When the last clone is dropped, the connection finishes its calls and closes.
///
/// `W` says how it waits: [`Async`] or [`Blocking`].
pub struct Client<W = Async> {
    connection: Arc<Connection>,
    defaults: Arc<CallOptions>,
    around: Option<Around>,
    observers: Option<Observers>,
    _wait: PhantomData<fn() -> W>,
}

struct Connection {
    link: Arc<dyn Link>,
    scheme: Box<str>,
    authority: Box<str>,
    raw: MethodCodecs<Bytes, Bytes>,
    /// Calls that are over, for their memory. Somebody may hold the response of one of them still.
    spare: Mutex<VecDeque<Arc<Call>>>,
}

/// Calls whose memory a connection keeps.
const SPARE: usize = 32;

impl Connection {
    fn spare(&self) -> MutexGuard<'_, VecDeque<Arc<Call>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that has not begun and that nobody else has, in the memory of another if that is free.
    fn call(&self) -> Arc<Call> {
        let spare = self.spare().pop_front();
        if let Some(mut spare) = spare {
            if let Some(call) = Arc::get_mut(&mut spare) {
                call.renew(Call::UNSTARTED);
                return spare;
            }
        }
        Arc::new(Call::new(Arc::clone(&self.link), Call::UNSTARTED, true))
    }

    /// Keeps a call whose outcome has been taken.
    fn keep(&self, call: Arc<Call>) {
        let mut spare = self.spare();
        if spare.len() < SPARE {
            spare.push_back(call);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.drain();
    }
}

impl<W> Clone for Client<W> {
    fn clone(&self) -> Self {
        self.waiting()
    }
}

impl<W> core::fmt::Debug for Client<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").field("peer", self.peer()).finish_non_exhaustive()
    }
}

impl<W> Client<W> {
    /// A client on a connection that a driver moves. `scheme` is `http` or `https`; `authority` is the host and port
    /// that requests name.
    pub fn new(link: Arc<dyn Link>, scheme: &str, authority: &str) -> Self {
        let connection = Connection {
            link,
            scheme: scheme.into(),
            authority: authority.into(),
            raw: MethodCodecs::raw(),
            spare: Mutex::default(),
        };
        Self {
            connection: Arc::new(connection),
            defaults: Arc::default(),
            around: None,
            observers: None,
            _wait: PhantomData,
        }
    }

    /// A view of this client whose calls have these options unless they say otherwise: [`CallOptions`], a
    /// [`Duration`](core::time::Duration), or a handler's [`&Context`](crate::Context) for the time that it has left.
    #[must_use]
    pub fn with(&self, options: impl Into<CallOptions>) -> Self {
        let defaults = options.into().over(&self.defaults);
        Self { defaults: Arc::new(defaults), ..self.clone() }
    }

    /// A view of this client with an interceptor around each of its calls, inside of those that this client has: the
    /// first one added is the outermost.
    #[must_use]
    pub fn intercept(&self, interceptor: impl Interceptor) -> Self {
        let inner: Arc<dyn Erased> = Arc::new(interceptor);
        let around = self.around.iter().flat_map(|around| around.iter()).cloned().chain([inner]).collect();
        Self { around: Some(around), ..self.clone() }
    }

    /// A view of this client that tells an observer of its calls too.
    #[must_use]
    pub fn observe(&self, observer: impl Observer) -> Self {
        let observer: Arc<dyn Observer> = Arc::new(observer);
        let known = self.observers.iter().flat_map(|observers| observers.iter()).cloned();
        Self { observers: Some(known.chain([observer]).collect()), ..self.clone() }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        self.connection.link.peer()
    }

    /// Begins a graceful end of the connection: no new calls; open ones finish.
    pub fn drain(&self) {
        self.connection.link.drain();
    }

    /// Ends the connection and all its calls at once. Here they are cancelled; at the server their connection is lost.
    /// Over HTTP/1.1, which has no other word for a cancel, a server that has the whole request takes it for one.
    pub fn abort(&self) {
        self.connection.link.abort();
    }

    /// Whether the connection takes no new calls any more: it drains, for whichever side's reason, or it has ended. It
    /// will not take any again: connect again. Calls that are open may go on.
    ///
    /// `false` is no promise. A call that comes too late ends `unavailable`,
    /// [by the lost connection](antiphon::EndedBy::LostConnection) and [`unprocessed`](antiphon::Status::unprocessed).
    pub fn is_closed(&self) -> bool {
        self.connection.link.is_closed()
    }

    async fn wait_closed(&self) -> Option<ConnectionError> {
        let mut watch = Closed { link: &self.connection.link, key: WatchKey::default() };
        poll_fn(|context| watch.link.poll_closed(&mut watch.key, context)).await
    }

    /// The connection, shared with its calls.
    pub fn link(&self) -> &Arc<dyn Link> {
        &self.connection.link
    }

    fn waiting<V>(&self) -> Client<V> {
        Client {
            connection: Arc::clone(&self.connection),
            defaults: Arc::clone(&self.defaults),
            around: self.around.clone(),
            observers: self.observers.clone(),
            _wait: PhantomData,
        }
    }
}

impl Client<Async> {
    /// Waits until the connection takes no new calls, as [`is_closed`](Client::is_closed) tells: the moment to connect
    /// again. `None`: it ended in peace, since one of the two sides drained it or it was idle or old; or writing has
    /// failed, and nothing was read yet that tells why. Otherwise why it failed.
    ///
    /// Whoever waits holds this client, and with it the connection.
    pub async fn closed(&self) -> Option<ConnectionError> {
        self.wait_closed().await
    }

    /// The same connection for callers that block. Never on a thread that drives it: in a runtime of one thread such a
    /// call waits for ever, whatever its deadline, since nobody moves the connection then.
    pub fn blocking(&self) -> Client<Blocking> {
        self.waiting()
    }
}

impl Client<Blocking> {
    /// Blocks until the connection takes no new calls, as [`is_closed`](Client::is_closed) tells: the moment to connect
    /// again. `None`: it ended in peace, since one of the two sides drained it or it was idle or old; or writing has
    /// failed, and nothing was read yet that tells why. Otherwise why it failed.
    ///
    /// Whoever waits holds this client, and with it the connection.
    pub fn closed(&self) -> Option<ConnectionError> {
        block_on(&self.connection.link, None, self.wait_closed())
    }

    /// The same connection for async callers.
    pub fn asynchronous(&self) -> Client<Async> {
        self.waiting()
    }
}

/// Waits for the end of a connection, and leaves no trace when it is dropped before.
struct Closed<'a> {
    link: &'a Arc<dyn Link>,
    key: WatchKey,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        if self.key != WatchKey::default() {
            self.link.unwatch_closed(self.key);
        }
    }
}
