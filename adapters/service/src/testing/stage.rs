//! Where blocking handlers run: on threads of their own, which take turns with whoever waits on the call, so that one
//! of them runs at a time.

use core::cell::RefCell;
use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use super::bell::Bell;
use crate::dispatch::BlockingJob;

/// How long a handler may take until it waits for its call, ends, or is taken for one that waits for something else:
/// whoever waits on the call goes on without it then.
const PATIENCE: Duration = Duration::from_millis(500);

/// The threads of a channel's blocking handlers.
pub(super) struct Stage {
    state: Mutex<State>,
    changed: Condvar,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct State {
    last: u64,
    /// Who waits for its call, and for its turn.
    parked: Vec<(u64, Thread)>,
    turn: Option<u64>,
    /// Somebody has waited or ended since the last turn was given.
    yielded: bool,
    /// Those that wait for something else: they run as ordinary threads do.
    free: Vec<u64>,
}

thread_local! {
    /// The stage and the number of the handler that this thread runs.
    static ROLE: RefCell<Option<(Arc<Stage>, u64)>> = const { RefCell::new(None) };
}

impl Stage {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), bell }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a handler until it waits or ends.
    pub(super) fn start(self: &Arc<Self>, job: BlockingJob) {
        let id = {
            let mut state = self.lock();
            state.last += 1;
            state.yielded = false;
            state.last
        };
        let stage = Arc::clone(self);
        let thread = std::thread::Builder::new().name("antiphon-handler".into()).spawn(move || {
            ROLE.set(Some((Arc::clone(&stage), id)));
            job.run();
            ROLE.set(None);
            stage.leave();
        });
        // A thread that cannot be had has dropped the job, and that has answered its call.
        if thread.is_ok() {
            self.await_yield(id);
        }
    }

    /// A handler has ended.
    fn leave(&self) {
        self.lock().yielded = true;
        self.changed.notify_all();
        self.bell.ring();
    }

    fn await_yield(&self, id: u64) {
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !state.yielded)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.yielded {
            state.free.push(id);
        }
    }

    /// Gives a turn to each handler that waits.
    pub(super) fn resume_all(&self) {
        let waiting = self.lock().parked.clone();
        for (id, thread) in waiting {
            {
                let mut state = self.lock();
                state.yielded = false;
                state.turn = Some(id);
            }
            thread.unpark();
            self.await_yield(id);
        }
    }

    pub(super) fn has_parked(&self) -> bool {
        !self.lock().parked.is_empty()
    }

    /// A thread that a handler has started is about to wait: its handler probably waits for it.
    pub(super) fn excuse(&self) {
        self.lock().yielded = true;
        self.changed.notify_all();
    }

    /// Waits for a turn.
    fn wait(&self, id: u64) {
        {
            let mut state = self.lock();
            if state.free.contains(&id) {
                drop(state);
                return std::thread::park();
            }
            state.parked.push((id, std::thread::current()));
            state.yielded = true;
        }
        self.changed.notify_all();
        loop {
            std::thread::park();
            let mut state = self.lock();
            if state.turn == Some(id) {
                state.turn = None;
                // A turn that comes too late, after somebody else has yielded, finds it here still.
                state.parked.retain(|(parked, _)| *parked != id);
                return;
            }
            drop(state);
            // Woken by something else than a turn: by another connection that this handler waits for, say.
            self.bell.ring();
        }
    }
}

/// A thread is about to wait for a call. A handler waits for its turn; `false` for any other thread.
pub(super) fn wait_for_turn() -> bool {
    let role = ROLE.try_with(|role| role.borrow().clone()).ok().flatten();
    let Some((stage, id)) = role else { return false };
    stage.wait(id);
    true
}
