//! Ending a server gracefully.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::Link;
use crate::handler::guarded;
use crate::slots::{WatchKey, Watchers};

/// The handle by which a server is ended: it tells listeners to stop, and connections to finish their calls and
/// close. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    draining: bool,
    aborted: bool,
    links: Vec<Option<Weak<dyn Link>>>,
    free: Vec<usize>,
    open: usize,
    wakers: Watchers,
    hooks: Vec<Hook>,
}

type Hook = Box<dyn FnOnce() + Send>;

/// Calls a hook. One that panics keeps nobody from ending.
fn call(hook: Hook) {
    let _ = guarded(|| {
        hook();
        Ok(())
    });
}

/// A connection's entry at a [`Shutdown`]: dropped when the connection has ended.
pub struct Registration {
    shutdown: Shutdown,
    at: usize,
}

impl Shutdown {
    /// A handle of a server that goes on.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the end: no new connections and no new calls; open calls finish.
    pub fn drain(&self) {
        let (links, wakers, hooks) = {
            let mut state = self.lock();
            state.draining = true;
            (state.links(), state.wakers.take(), std::mem::take(&mut state.hooks))
        };
        hooks.into_iter().for_each(call);
        wakers.for_each(Waker::wake);
        links.iter().for_each(|link| link.drain());
    }

    /// Ends all connections and their calls at once.
    pub fn abort(&self) {
        let (links, wakers, hooks) = {
            let mut state = self.lock();
            state.draining = true;
            state.aborted = true;
            (state.links(), state.wakers.take(), std::mem::take(&mut state.hooks))
        };
        hooks.into_iter().for_each(call);
        wakers.for_each(Waker::wake);
        links.iter().for_each(|link| link.abort());
    }

    /// Has `hook` called when the end begins, in the thread that begins it, before connections are told; at once when it
    /// has begun. For services with calls that would go on forever: open calls are waited for.
    pub fn on_drain(&self, hook: impl FnOnce() + Send + 'static) {
        let hook: Hook = Box::new(hook);
        let begun = {
            let mut state = self.lock();
            if state.draining {
                Some(hook)
            } else {
                state.hooks.push(hook);
                None
            }
        };
        begun.into_iter().for_each(call);
    }

    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.lock().open
    }

    /// Enters a connection. If the end has begun, the connection is told at once.
    pub fn register(&self, link: &Arc<dyn Link>) -> Registration {
        let (at, draining, aborted) = {
            let mut state = self.lock();
            let at = state.free.pop().unwrap_or(state.links.len());
            if at == state.links.len() {
                state.links.push(None);
            }
            state.links[at] = Some(Arc::downgrade(link));
            state.open += 1;
            (at, state.draining, state.aborted)
        };
        if aborted {
            link.abort();
        } else if draining {
            link.drain();
        }
        Registration { shutdown: self.clone(), at }
    }

    /// Waits until the end has begun.
    pub async fn draining(&self) {
        let mut waiting = Waiting::new(self);
        poll_fn(|context| waiting.poll(context, |state| state.draining)).await;
    }

    /// Waits until the end has begun and the last connection is closed.
    pub async fn finished(&self) {
        let mut waiting = Waiting::new(self);
        poll_fn(|context| waiting.poll(context, State::is_finished)).await;
    }

    /// Waits for `future`, or until the end has begun: `None` then. A future that is ready as well loses.
    pub async fn unless_draining<F: Future>(&self, future: F) -> Option<F::Output> {
        let (mut future, mut waiting) = (pin!(future), Waiting::new(self));
        poll_fn(|context| {
            if waiting.poll(context, |state| state.draining).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Blocks until the end has begun and the last connection is closed.
    pub fn wait_finished(&self) {
        let (waker, mut waiting) = (crate::wait::thread_waker(), Waiting::new(self));
        while waiting.poll(&mut Context::from_waker(&waker), State::is_finished).is_pending() {
            std::thread::park();
        }
    }

    /// Wakes `waker` when the end begins, until what is returned is dropped: for a listener that blocks.
    pub fn wake_at_drain(&self, waker: &Waker) -> Waiting<'_> {
        let mut waiting = Waiting::new(self);
        if waiting.poll(&mut Context::from_waker(waker), |state| state.draining).is_ready() {
            waker.wake_by_ref();
        }
        waiting
    }
}

/// One who waits for the end of a server, and leaves no trace when it is dropped before.
pub struct Waiting<'a> {
    shutdown: &'a Shutdown,
    key: WatchKey,
}

impl<'a> Waiting<'a> {
    fn new(shutdown: &'a Shutdown) -> Self {
        Self { shutdown, key: WatchKey::default() }
    }

    fn poll(&mut self, context: &mut Context<'_>, done: impl Fn(&State) -> bool) -> Poll<()> {
        let fresh = context.waker().clone();
        let mut state = self.shutdown.lock();
        if done(&state) {
            return Poll::Ready(());
        }
        let old = state.wakers.wait(&mut self.key, fresh);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.shutdown.lock().wakers.leave(self.key);
        drop(left);
    }
}

impl State {
    fn is_finished(&self) -> bool {
        self.draining && self.open == 0
    }

    fn links(&self) -> Vec<Arc<dyn Link>> {
        self.links.iter().flatten().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let (gone, wakers) = {
            let mut state = self.shutdown.lock();
            let gone = state.links.get_mut(self.at).and_then(Option::take);
            state.free.push(self.at);
            state.open -= 1;
            // Before the end has begun, nobody waits for this: whoever is woken for nothing comes back at once.
            let over = state.is_finished();
            let wakers = over.then(|| state.wakers.take());
            (gone, wakers)
        };
        drop(gone);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl core::fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl core::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let state = self.lock();
        f.debug_struct("Shutdown").field("draining", &state.draining).field("open", &state.open).finish()
    }
}

impl core::fmt::Debug for Registration {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn hooks_are_called_once_when_the_end_begins_or_at_once_after_it() {
        let (shutdown, calls) = (Shutdown::new(), Arc::new(AtomicUsize::new(0)));
        let hook = |amount| {
            let calls = Arc::clone(&calls);
            move || _ = calls.fetch_add(amount, Ordering::SeqCst)
        };
        shutdown.on_drain(hook(1));
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        shutdown.drain();
        shutdown.abort();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        shutdown.on_drain(hook(10));
        assert_eq!(calls.load(Ordering::SeqCst), 11);
    }
}
