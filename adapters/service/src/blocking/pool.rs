//! The threads on which a blocking server's handlers run.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::handler::guarded;

/// How long a worker without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// A piece of work.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The worker threads of a blocking server. Cheap to clone.
///
/// Workers start when they are needed, and leave when idle. At most `max_workers` of them run handlers; a call above
/// that is refused and never queued: a caller learns at once that the server is full. Taking calls to their handlers
/// is short work, and not counted.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    work: Condvar,
    max_workers: usize,
}

struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    workers: usize,
    /// Permits that are out.
    handlers: usize,
}

/// The right to run one handler, until it is dropped.
pub(super) struct Permit(Arc<Inner>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().handlers -= 1;
    }
}

impl Pool {
    /// How many handlers run at once unless something else is said.
    pub const DEFAULT_WORKERS: usize = 512;

    /// A pool of at most `max_workers` handlers at once.
    pub fn new(max_workers: usize) -> Self {
        let state = State { jobs: VecDeque::new(), idle: 0, workers: 0, handlers: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), work: Condvar::new(), max_workers }))
    }

    /// The number of worker threads at the moment.
    pub fn workers(&self) -> usize {
        self.0.lock().workers
    }

    /// The right to run a handler, unless as many run as may.
    pub(super) fn permit(&self) -> Option<Permit> {
        let mut state = self.0.lock();
        if state.handlers >= self.0.max_workers {
            return None;
        }
        state.handlers += 1;
        Some(Permit(Arc::clone(&self.0)))
    }

    /// Runs `job` on a worker, or gives it back when the system has no thread for it.
    pub(super) fn start(&self, job: Job) -> Result<(), Job> {
        let mut state = self.0.lock();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(job);
            drop(state);
            self.0.work.notify_one();
            return Ok(());
        }
        state.workers += 1;
        drop(state);
        let inner = Arc::clone(&self.0);
        let slot = Arc::new(Mutex::new(Some(job)));
        let first = Arc::clone(&slot);
        let started =
            std::thread::Builder::new().name("antiphon-worker".into()).spawn(move || inner.worker(&first));
        match started {
            Ok(_) => Ok(()),
            Err(_) => {
                self.0.lock().workers -= 1;
                let job = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                job.map_or(Ok(()), Err)
            }
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(&self, first: &Mutex<Option<Job>>) {
        let mut next = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        while let Some(job) = next {
            // Handlers are guarded already; whatever else panics must not take a worker away from the count.
            let _ = guarded(|| {
                job();
                Ok(())
            });
            next = self.next();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        state.idle += 1;
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, IDLE, |state| state.jobs.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        let job = state.jobs.pop_front();
        if job.is_none() {
            state.workers -= 1;
        }
        job
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(Self::DEFAULT_WORKERS)
    }
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool").field("max_workers", &self.0.max_workers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn permits_are_as_many_as_handlers_may_run() {
        let pool = Pool::new(2);
        let first = pool.permit();
        let second = pool.permit();
        assert!(first.is_some() && second.is_some() && pool.permit().is_none());
        drop(first);
        assert!(pool.permit().is_some());
    }

    #[test]
    fn an_idle_worker_is_used_again() {
        let pool = Pool::new(1);
        for _ in 0..100 {
            let (done, finished) = mpsc::channel();
            let job: Job = Box::new(move || {
                let _ = done.send(());
            });
            assert!(pool.start(job).is_ok());
            finished.recv().unwrap();
            while pool.0.lock().idle == 0 {
                std::thread::yield_now();
            }
        }
        assert_eq!(pool.workers(), 1);
    }

    #[test]
    fn a_job_that_panics_takes_no_worker_away() {
        let pool = Pool::new(1);
        assert!(pool.start(Box::new(|| panic!("a job's panic"))).is_ok());
        while pool.0.lock().idle == 0 {
            std::thread::yield_now();
        }
        assert_eq!(pool.workers(), 1);
    }
}
