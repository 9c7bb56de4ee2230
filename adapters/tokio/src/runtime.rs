//! tokio as a runtime of the async driver.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::OnceLock;

use antiphon_service::{BoxFuture, Instant, Runtime, Timer};
use tokio::runtime::Handle;
use tokio::time::Sleep;

/// A tokio runtime.
#[derive(Clone, Debug)]
pub struct Tokio(Handle);

impl Tokio {
    /// The runtime that this code runs on.
    ///
    /// # Panics
    /// Outside of one.
    pub fn current() -> Self {
        Self(Handle::current())
    }

    /// A runtime of one's own.
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }
}

/// A timer of tokio's.
#[derive(Debug)]
pub struct TokioTimer {
    handle: Handle,
    sleep: Option<Pin<Box<Sleep>>>,
    set: bool,
}

/// The epoch of all instants of this adapter: its first use, whatever clock a runtime's test may have made up.
fn epoch() -> tokio::time::Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    (*EPOCH.get_or_init(std::time::Instant::now)).into()
}

impl Timer for TokioTimer {
    fn set(&mut self, at: Option<Instant>) {
        let Some(at) = at.and_then(|at| epoch().checked_add(at.since_epoch())) else {
            self.set = false;
            return;
        };
        self.set = true;
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            None => {
                let _inside = self.handle.enter();
                self.sleep = Some(Box::pin(tokio::time::sleep_until(at)));
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.set => sleep.as_mut().poll(context),
            _ => Poll::Pending,
        }
    }
}

impl Runtime for Tokio {
    type Timer = TokioTimer;

    /// On tokio's clock, which a test can pause: a timer and the time must not be of two minds.
    fn now(&self) -> Instant {
        Instant::from_epoch(epoch().elapsed())
    }

    fn timer(&self) -> TokioTimer {
        TokioTimer { handle: self.0.clone(), sleep: None, set: false }
    }

    fn spawn(&self, task: BoxFuture) {
        self.0.spawn(task);
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) {
        self.0.spawn_blocking(job);
    }
}
