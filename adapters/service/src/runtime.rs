//! What an adapter gives to the async driver.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use antiphon::Instant;

/// A future that may be sent to another thread, in a box.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A timer of the runtime; each connection has one.
pub trait Timer: Send + Unpin + 'static {
    /// Makes it fire at `at`, or never. What was set before is forgotten.
    fn set(&mut self, at: Option<Instant>);

    /// Ready when the time has come. Whoever polled last is woken.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// An async runtime, as far as a connection needs one.
pub trait Runtime: Clone + Send + Sync + Unpin + 'static {
    /// Its timer.
    type Timer: Timer;

    /// The time. It never goes back; its epoch is the runtime's affair, and one for all its timers.
    fn now(&self) -> Instant;

    /// A timer that is not set.
    fn timer(&self) -> Self::Timer;

    /// Runs a task: a handler that was pending after its first poll, or a connection.
    fn spawn(&self, task: BoxFuture);

    /// Runs a blocking handler on a thread where it may block.
    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>);
}
