//! Code around whole calls: the same trait at a client and at a server, for every shape, async and blocking.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{self, Poll};
use std::sync::Arc;

use antiphon::Status;

use crate::{Context, handler};

pub(crate) mod client;
pub(crate) mod extra;
pub(crate) mod server;

pub use extra::{Direction, Message};

/// Code around a whole call: at a server by [`Router::intercept`](crate::Router::intercept), at a client by
/// [`Client::intercept`](crate::Client::intercept). The first one added is the outermost.
///
/// ```
/// use antiphon_service::{Context, Interceptor, Next, Status};
///
/// /// A token on every request of a client, asked for at every server.
/// struct Token(&'static str);
///
/// impl Interceptor for Token {
///     async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
///         if context.is_client() {
///             context.set_header("token", self.0)?;
///         } else if context.headers().get("token") != Some(self.0) {
///             return Err(Status::unauthenticated("no token, or another one"));
///         }
///         next.run(context).await
///     }
/// }
///
/// # let router = antiphon_service::Router::new();
/// let router = router.intercept(Token("secret"));
/// # let _ = router;
/// ```
///
/// # What it may do
/// - Before [`Next::run`]: wait for anything; add and [change](Context::update_headers) the headers that this side
///   sends; look at those that a server has received; refuse the call by an error, without running it.
/// - See, change or refuse each message: [`Context::on_message`].
/// - After it: see how the call ended, and end it otherwise: the status that it returns counts. At a server it may
///   still set headers, unless they have been sent, and trailers.
/// - Answer by itself: [`Context::answer`], and return `Ok(())`.
///
/// State of a call is a local variable.
///
/// # When the call ends early
/// A cancel and the deadline drop the handler, and not the interceptors around it: [`Next::run`] returns the status of
/// that end, and the code after it runs. Until that has returned, the call keeps its slot, so that a peer cannot make
/// more of it wait than it may have calls open; but nothing else bounds it: do not wait for ever there.
///
/// At a client the deadline is watched from [`Next::run`] on: what waits before it bounds itself, by
/// [`Context::time_left`] for example. A client that drops its call drops the interceptors around it too, wherever they are: use a guard's `Drop` for what
/// must run.
///
/// # Where it runs
/// At a server on the task of the handler, or on its worker thread if it blocks. At a client inside the operations of
/// the call: whoever waits for the call polls it, a blocking caller as well. So an interceptor that needs an async
/// runtime's timers or sockets needs a caller, or a server, that has this runtime.
///
/// A panic in an interceptor ends its call `unknown`, and nothing else.
pub trait Interceptor: Send + Sync + 'static {
    /// Called once for each call. Write it as an `async fn`.
    ///
    /// # Errors
    /// How the call is to end.
    fn intercept(&self, context: &Context, next: Next<'_>)
    -> impl Future<Output = Result<(), Status>> + Send;
}

impl<T: Interceptor> Interceptor for Arc<T> {
    fn intercept(
        &self,
        context: &Context,
        next: Next<'_>,
    ) -> impl Future<Output = Result<(), Status>> + Send {
        T::intercept(&**self, context, next)
    }
}

/// What an interceptor is around: the next one, and at last the call itself.
pub struct Next<'a> {
    rest: &'a [Arc<dyn Erased>],
    work: &'a mut (dyn Work + 'static),
}

impl Next<'_> {
    /// Runs the call, and returns how it ended.
    ///
    /// At a server that is the handler's result, or the status of a cancel, the deadline or a lost connection. At a
    /// client it is the outcome as soon as one of the call's operations has met it: the sender an error, the receiver
    /// the end behind the last message. A client's call has not begun before this is called.
    ///
    /// Given up before it returns (by a timeout around it, for example), it drops the handler, or cancels the client's
    /// call.
    ///
    /// # Errors
    /// How the call ended.
    pub async fn run(self, context: &Context) -> Result<(), Status> {
        let Next { rest, work } = self;
        if let Some((first, rest)) = rest.split_first() {
            return first.intercept(context, Next { rest, work }).await;
        }
        let running = Running(work);
        poll_fn(|task| running.0.poll(task)).await
    }
}

impl core::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Next").field("interceptors", &self.rest.len()).finish_non_exhaustive()
    }
}

/// The call while it runs: given up, it is left.
struct Running<'a>(&'a mut (dyn Work + 'static));

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// What the innermost interceptor is around: a handler, or a client's call.
pub(crate) trait Work: Send {
    /// Ready with how the call ended.
    fn poll(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Status>>;

    /// Nobody will poll it again: it has ended, or is given up.
    fn leave(&mut self);
}

/// An interceptor without its type: a box for each call.
pub(crate) trait Erased: Send + Sync {
    fn intercept<'a>(
        &'a self,
        context: &'a Context,
        next: Next<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>>;
}

impl<T: Interceptor> Erased for T {
    fn intercept<'a>(
        &'a self,
        context: &'a Context,
        next: Next<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>> {
        Box::pin(Interceptor::intercept(self, context, next))
    }
}

/// Interceptors around a call, the outermost first. At least one: where there is none, there is no list.
pub(crate) type Around = Arc<[Arc<dyn Erased>]>;

/// Runs anybody's code; a panic becomes a status.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Status> {
    // What panicked is never polled again.
    handler::caught(work).ok_or_else(|| Status::unknown("an interceptor panicked"))
}

/// An interceptor returned `Ok` for a call of one answer, of which there is none.
pub(crate) fn unanswered() -> Status {
    Status::internal(
        "an interceptor ended the call well, but there is no answer: run the call, or use `Context::answer`",
    )
}

/// Drops what may panic while it is dropped.
fn discard<T>(value: T) {
    let _ = caught(move || drop(value));
}
