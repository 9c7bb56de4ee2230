//! Interceptors around a client's call: a future that the call's own operations poll.
//!
//! ```text
//!  sender ──┐ poll: registers its waker, polls the chain if that was woken
//!           ├──► Flight ── chain ── … ── Calling ──► Gate ◄── settle: an operation has met the outcome
//!  receiver ┘      └ Tasks: the chain's waker, which wakes both
//! ```

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{self, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Wake;

use antiphon::{EndedBy, Metadata, Status};

use super::{Around, Next, Work, caught, discard};
use crate::Context;
use crate::call::{Call, ended_by};
use crate::slots::{WatchKey, Watchers};

type Outcome = Result<(), Status>;

/// Which half of a call, or which of its beginnings, polls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// The sender, and whoever starts the call.
    Sender = 0,
    Receiver = 1,
}

/// The waker of a chain: it wakes both halves of the call, which may be in two tasks.
struct Tasks {
    /// The chain has to be polled.
    woken: AtomicBool,
    wakers: Mutex<[Option<Waker>; 2]>,
}

impl Tasks {
    fn wakers(&self) -> MutexGuard<'_, [Option<Waker>; 2]> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A waker is compared under the lock, and cloned and dropped outside: that may run anybody's code.
    fn register(&self, side: Side, waker: &Waker) {
        if self.wakers()[side as usize].as_ref().is_some_and(|old| old.will_wake(waker)) {
            return;
        }
        let fresh = waker.clone();
        let old = self.wakers()[side as usize].replace(fresh);
        drop(old);
    }

    fn wake_both(&self) {
        let wakers = core::mem::take(&mut *self.wakers());
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.wake_both();
    }
}

/// What the interceptors of a client's call are told of it.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    headers: OnceLock<Metadata>,
    trailers: OnceLock<Metadata>,
}

#[derive(Default)]
struct State {
    /// The innermost interceptor runs the call.
    entered: bool,
    /// It has given the call up.
    left: bool,
    outcome: Option<Outcome>,
    waker: Option<Waker>,
    watchers: Watchers,
}

static NOTHING: Metadata = Metadata::new();

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response headers, once an operation has met them.
    pub(crate) fn headers(&self) -> &Metadata {
        self.headers.get().unwrap_or(&NOTHING)
    }

    pub(crate) fn trailers(&self) -> &Metadata {
        self.trailers.get().unwrap_or(&NOTHING)
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.state().outcome.is_some()
    }

    /// Tells the outcome, unless it has been told.
    fn settle(&self, outcome: Outcome) {
        let wakers = {
            let mut state = self.state();
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            (state.waker.take(), state.watchers.take())
        };
        wakers.0.into_iter().chain(wakers.1).for_each(Waker::wake);
    }

    pub(crate) fn ended(&self) -> Option<EndedBy> {
        self.state().outcome.as_ref().map(ended_by)
    }

    /// Waits for the outcome: for whoever else wants to know.
    pub(crate) fn poll_watch(&self, key: &mut WatchKey, context: &mut task::Context<'_>) -> Poll<EndedBy> {
        let fresh = context.waker().clone();
        let mut state = self.state();
        match &state.outcome {
            Some(outcome) => Poll::Ready(ended_by(outcome)),
            None => {
                let old = state.watchers.wait(key, fresh);
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }

    /// Waits for the outcome no longer.
    pub(crate) fn unwatch(&self, key: WatchKey) {
        let left = self.state().watchers.leave(key);
        drop(left);
    }
}

/// The call inside its interceptors.
struct Calling(Arc<Gate>);

impl Work for Calling {
    fn poll(&mut self, context: &mut task::Context<'_>) -> Poll<Outcome> {
        let fresh = context.waker().clone();
        let mut state = self.0.state();
        state.entered = true;
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        let old = state.waker.replace(fresh);
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn leave(&mut self) {
        let mut state = self.0.state();
        state.left = state.outcome.is_none();
    }
}

/// A client's call with interceptors around it. Its halves hold it; with the last of them it is dropped, and so are the
/// interceptors, wherever they are.
pub(crate) struct Flight {
    /// The call as the interceptors' contexts see it: from before it begins.
    view: Arc<Call>,
    gate: Arc<Gate>,
    tasks: Arc<Tasks>,
    waker: Waker,
    /// `None` while somebody polls it, and at its end.
    chain: Mutex<Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>>,
    end: OnceLock<Outcome>,
}

impl Flight {
    /// `view` has what is known of the call, and the headers that are to be sent.
    pub(crate) fn new(around: &Around, mut view: Call) -> Self {
        let gate = Arc::<Gate>::default();
        view.gate = Some(Arc::clone(&gate));
        let view = Arc::new(view);
        let (around, mut calling) = (Arc::clone(around), Calling(Arc::clone(&gate)));
        let context = Context::new(Arc::clone(&view));
        let chain = Box::pin(async move { Next { rest: &around, work: &mut calling }.run(&context).await });
        let tasks = Arc::new(Tasks { woken: AtomicBool::new(true), wakers: Mutex::default() });
        let waker = Waker::from(Arc::clone(&tasks));
        Self { view, gate, tasks, waker, chain: Mutex::new(Some(chain)), end: OnceLock::new() }
    }

    pub(crate) fn view(&self) -> &Call {
        &self.view
    }

    /// Polls the chain if it was woken. Ready with how the outermost interceptor ended the call. What is pending is
    /// woken with the chain.
    pub(crate) fn poll(&self, side: Side, context: &mut task::Context<'_>) -> Poll<Outcome> {
        if self.end.get().is_none() {
            self.tasks.register(side, context.waker());
            self.advance();
        }
        self.end.get().map_or(Poll::Pending, |end| Poll::Ready(end.clone()))
    }

    /// As [`poll`](Flight::poll), for those who do not wait.
    pub(crate) fn poll_now(&self) -> Option<Outcome> {
        self.advance();
        self.end.get().cloned()
    }

    /// The chain is polled with nothing locked. Who finds it gone leaves it woken: whoever has it looks again.
    fn advance(&self) {
        if !self.tasks.woken.load(Ordering::SeqCst) {
            return;
        }
        let Some(mut chain) = self.take_chain() else { return };
        let polled = caught(|| chain.as_mut().poll(&mut task::Context::from_waker(&self.waker)));
        let end = match polled {
            Ok(Poll::Pending) => {
                *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain);
                if self.tasks.woken.load(Ordering::SeqCst) {
                    self.tasks.wake_both();
                }
                return;
            }
            Ok(Poll::Ready(end)) => end,
            Err(status) => Err(status),
        };
        discard(chain);
        let _ = self.end.set(end);
        self.tasks.wake_both();
    }

    fn take_chain(&self) -> Option<Pin<Box<dyn Future<Output = Outcome> + Send>>> {
        let mut place = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = place.take()?;
        self.tasks.woken.store(false, Ordering::SeqCst);
        Some(chain)
    }

    /// Runs `begin`, which begins the call, once the innermost interceptor does. An error is the end that the
    /// interceptors made of it before it has begun.
    pub(crate) async fn around<F: Future>(&self, begin: F) -> Result<F::Output, Outcome> {
        let mut begin = pin!(begin);
        poll_fn(|context| {
            if let Poll::Ready(end) = self.poll(Side::Sender, context) {
                return Poll::Ready(Err(end));
            }
            let state = self.gate.state();
            if !state.entered || state.left {
                return Poll::Pending;
            }
            drop(state);
            begin.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// The chain's own end, behind an outcome that is known.
    pub(crate) async fn end(&self) -> Outcome {
        poll_fn(|context| self.poll(Side::Sender, context)).await
    }

    /// An operation has met the outcome: the innermost interceptor is told.
    pub(crate) fn settle(&self, outcome: Outcome) {
        self.gate.settle(outcome);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.gate.is_settled()
    }

    /// Whether the call itself has ended, and well: interceptors may say so of one that has not.
    pub(crate) fn has_succeeded(&self) -> bool {
        matches!(self.gate.state().outcome, Some(Ok(())))
    }

    /// Says whether the innermost interceptor has given the call up, once.
    pub(crate) fn was_left(&self) -> bool {
        core::mem::take(&mut self.gate.state().left)
    }

    pub(crate) fn met_headers(&self, headers: &Metadata) {
        self.gate.headers.get_or_init(|| headers.clone());
    }

    pub(crate) fn met_trailers(&self, trailers: &Metadata) {
        self.gate.trailers.get_or_init(|| trailers.clone());
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let chain = self.chain.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        chain.into_iter().for_each(discard);
        self.view.clear_extra();
        self.gate.settle(Err(
            Status::canceled("the call was given up").with_ended(EndedBy::Cancel { reset: None })
        ));
    }
}
