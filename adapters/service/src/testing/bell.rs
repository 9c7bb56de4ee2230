//! The news that something may move.

use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// Tells that something may move, and wakes those who would move it.
#[derive(Default)]
pub(super) struct Bell {
    news: AtomicBool,
    /// The thread that moves it now.
    mover: Mutex<Option<ThreadId>>,
    waiters: Mutex<Vec<Waker>>,
}

impl Bell {
    /// Something may move. Call it with no lock held.
    pub(super) fn ring(&self) {
        self.note();
        // Whoever moves it looks again before it leaves.
        if self.mover().is_none() {
            self.wake();
        }
    }

    /// As if it had rung, but nobody is woken: this thread is about to look.
    pub(super) fn note(&self) {
        self.news.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_news(&self) -> bool {
        self.news.load(Ordering::SeqCst)
    }

    pub(super) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::SeqCst)
    }

    /// From now on this thread moves it.
    pub(super) fn begin_move(&self) {
        *self.mover() = Some(std::thread::current().id());
    }

    pub(super) fn end_move(&self) {
        *self.mover() = None;
    }

    fn wake(&self) {
        let waiters = core::mem::take(&mut *self.waiters());
        waiters.into_iter().for_each(Waker::wake);
    }

    fn mover(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.mover.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This thread is in the middle of moving it: what it polls is a handler.
    pub(super) fn is_moved_here(&self) -> bool {
        *self.mover() == Some(std::thread::current().id())
    }

    pub(super) fn register(&self, waker: &Waker) {
        let waker = waker.clone();
        let mut waiters = self.waiters();
        if !waiters.iter().any(|known| known.will_wake(&waker)) {
            waiters.push(waker);
        }
    }
}
