//! smol as a runtime of the async driver.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::OnceLock;

use antiphon_service::{BoxFuture, Instant, Runtime, Timer};

/// smol's global executor, its reactor's timers, and its pool for blocking work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smol;

/// A timer of smol's reactor.
#[derive(Debug)]
pub struct SmolTimer(smol::Timer);

/// The epoch of all instants of this adapter: its first use.
fn epoch() -> std::time::Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(std::time::Instant::now)
}

impl Timer for SmolTimer {
    fn set(&mut self, at: Option<Instant>) {
        match at.and_then(|at| epoch().checked_add(at.since_epoch())) {
            Some(at) => self.0.set_at(at),
            None => self.0 = smol::Timer::never(),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

impl Runtime for Smol {
    type Timer = SmolTimer;

    fn now(&self) -> Instant {
        Instant::from_epoch(epoch().elapsed())
    }

    fn timer(&self) -> SmolTimer {
        SmolTimer(smol::Timer::never())
    }

    fn spawn(&self, task: BoxFuture) {
        smol::spawn(task).detach();
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) {
        smol::unblock(job).detach();
    }
}
