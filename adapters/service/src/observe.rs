//! What a program measures: calls as they start and end, with their messages, bytes and time.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock};

use antiphon::rpc::{HttpVersion, Method, Payload, Protocol, Shape};
use antiphon::{Code, Instant};

use crate::call::Call;
use crate::handler::caught;
use crate::{Link, Peer};

#[cfg(feature = "tracing")]
mod log;

#[cfg(feature = "tracing")]
pub use log::Tracing;

/// Sees calls start and end: at a server by [`Router::observe`](crate::Router::observe), at a client by
/// [`Client::observe`](crate::Client::observe). For metrics and logs; to change a call, use an
/// [`Interceptor`](crate::Interceptor).
///
/// Its methods run on the task or thread that starts or ends the call, with nothing locked: keep them short. A panic in
/// them is caught, and does nothing.
///
/// ```
/// use antiphon_service::{CallInfo, Observer, Router, Summary};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Default)]
/// struct Failures(AtomicU64);
///
/// impl Observer for Failures {
///     fn ended(&self, _: &CallInfo, summary: &Summary) {
///         self.0.fetch_add(summary.code.is_some().into(), Ordering::Relaxed);
///     }
/// }
///
/// let router = Router::new().observe(Failures::default());
/// # let _ = router;
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A call has started: at a client when it is made, before any interceptor; at a server when its handler is about to
    /// be called, with the interceptors around it. What never gets so far (a path that nobody serves, a request that is
    /// cancelled while it arrives) is not seen.
    fn started(&self, call: &CallInfo) {
        let _ = call;
    }

    /// It has ended: at a server when its answer has been handed to the connection, at a client when the end has been
    /// received or the call was dropped. Once for each call that started.
    fn ended(&self, call: &CallInfo, summary: &Summary);
}

impl<T: Observer> Observer for Arc<T> {
    fn started(&self, call: &CallInfo) {
        T::started(self, call);
    }

    fn ended(&self, call: &CallInfo, summary: &Summary) {
        T::ended(self, call, summary);
    }
}

/// Which call it is that an [`Observer`] sees.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallInfo {
    /// This side is the client's.
    pub client: bool,
    /// The path of the call, such as `/package.Service/Method`.
    pub procedure: String,
    /// The shape of the method, and whether it has side effects.
    pub method: Method,
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// The version of HTTP.
    pub version: HttpVersion,
    /// The name of the codec, such as `proto`.
    pub codec: String,
    /// Who is at the other end.
    pub peer: Peer,
}

/// How a call ended, and what it took.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// The code of its status; `None` for a good end. A call that its own side dropped is [`Code::Canceled`].
    pub code: Option<Code>,
    /// From its start to its end, on the connection's own clock: at a server from when the head of the request was
    /// looked at, at a client from when it was made.
    pub duration: Duration,
    /// What this side has sent: handed to the connection, that is.
    pub sent: Traffic,
    /// What this side has received.
    pub received: Traffic,
}

/// The messages of one direction of a call.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Traffic {
    /// How many.
    pub messages: u64,
    /// Their size in the call's codec, in bytes.
    pub bytes: u64,
    /// Their size in the body of the request or response, in bytes: compressed, with the prefixes of their envelopes.
    /// Heads, trailers and what HTTP and base64 add are not part of it.
    pub wire_bytes: u64,
}

/// Observers in the order in which they were added.
pub(crate) type Observers = Arc<[Arc<dyn Observer>]>;

/// What is counted of one call, and who is told. Dropped untold, it tells of a call that was dropped.
pub(crate) struct Watch {
    observers: Observers,
    info: CallInfo,
    link: Arc<dyn Link>,
    started: Instant,
    sent: Counter,
    received: Counter,
    /// What ended the call in front of its own answer.
    cut: OnceLock<Code>,
    told: AtomicBool,
}

#[derive(Default)]
struct Counter {
    messages: AtomicU64,
    bytes: AtomicU64,
    wire_bytes: AtomicU64,
}

impl Counter {
    fn add(&self, messages: u64, bytes: usize, wire_bytes: usize) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.wire_bytes.fetch_add(wire_bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            wire_bytes: self.wire_bytes.load(Ordering::Relaxed),
        }
    }
}

/// The prefix of an envelope, in bytes (gRPC `PROTOCOL-HTTP2.md`, "Length-Prefixed-Message"; Connect "Streaming").
const PREFIX: usize = 5;

impl Watch {
    /// Watches a call, and tells that it has started.
    pub(crate) fn start(observers: &Observers, call: &Call, started: Instant) -> Self {
        let info = CallInfo {
            client: call.client,
            procedure: call.procedure.clone(),
            method: call.method,
            protocol: call.protocol,
            version: call.version,
            codec: call.codec.clone(),
            peer: call.link.peer().clone(),
        };
        let watch = Self {
            observers: Arc::clone(observers),
            info,
            link: Arc::clone(&call.link),
            started,
            sent: Counter::default(),
            received: Counter::default(),
            cut: OnceLock::new(),
            told: AtomicBool::new(false),
        };
        watch.tell(|observer| observer.started(&watch.info));
        watch
    }

    fn tell(&self, say: impl Fn(&dyn Observer)) {
        for observer in self.observers.iter() {
            let _ = caught(|| say(&**observer));
        }
    }

    /// A message was handed to the connection; uncompressed it has `plain` bytes.
    pub(crate) fn count_sent(&self, plain: usize, payload: &Payload<'_>) {
        let size = payload.bytes().len();
        let bare = self.info.protocol == Some(Protocol::Connect) && self.info.method.shape == Shape::Unary;
        self.sent.add(1, plain, size + if bare { 0 } else { PREFIX });
    }

    pub(crate) fn count_received(&self, plain: usize) {
        self.received.add(1, plain, 0);
    }

    /// A run of messages was taken from the connection.
    pub(crate) fn count_run(&self, wire: usize) {
        self.received.add(0, 0, wire);
    }

    /// The call has ended before its answer was handed to the connection, or the answer was at fault.
    pub(crate) fn cut(&self, code: Code) {
        let _ = self.cut.set(code);
    }

    /// Tells that the call has ended, once.
    pub(crate) fn end(&self, code: Option<Code>) {
        if self.told.swap(true, Ordering::SeqCst) {
            return;
        }
        let summary = Summary {
            code: self.cut.get().copied().or(code),
            duration: self.link.now().duration_since(self.started),
            sent: self.sent.read(),
            received: self.received.read(),
        };
        self.tell(|observer| observer.ended(&self.info, &summary));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Some(Code::Canceled));
    }
}
