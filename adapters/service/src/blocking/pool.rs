//! The threads on which a blocking server's handlers run.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a worker without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// A piece of work.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The worker threads of a blocking server. Cheap to clone.
///
/// Workers start when they are needed, up to a maximum, and leave when idle. Work above the maximum is refused and
/// never queued: a caller learns at once that the server is full.
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
}

impl Pool {
    /// How many handlers run at once unless something else is said.
    pub const DEFAULT_WORKERS: usize = 512;

    /// A pool of at most `max_workers` handlers at once.
    pub fn new(max_workers: usize) -> Self {
        let state = State { jobs: VecDeque::new(), idle: 0, workers: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), work: Condvar::new(), max_workers }))
    }

    /// The number of worker threads at the moment.
    pub fn workers(&self) -> usize {
        self.0.lock().workers
    }

    /// Runs `job` on a worker, or gives it back when there is none for it.
    pub(super) fn try_run(&self, job: Job) -> Result<(), Job> {
        self.start(job, self.0.max_workers)
    }

    /// Runs `job` on a worker even above the maximum: for the short work of taking calls to their handlers.
    pub(super) fn run(&self, job: Job) {
        if let Err(job) = self.start(job, usize::MAX) {
            job();
        }
    }

    fn start(&self, job: Job, max: usize) -> Result<(), Job> {
        let mut state = self.0.lock();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(job);
            drop(state);
            self.0.work.notify_one();
            return Ok(());
        }
        if state.workers >= max {
            return Err(job);
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
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(job) = first {
            job();
        }
        while let Some(job) = self.next() {
            job();
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
    fn work_above_the_maximum_is_refused_and_never_queued() {
        let pool = Pool::new(2);
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let (done, finished) = mpsc::channel();
        for _ in 0..2 {
            let (held, done) = (Arc::clone(&held), done.clone());
            let job: Job = Box::new(move || {
                let _ = held.lock().unwrap().recv();
                let _ = done.send(());
            });
            assert!(pool.try_run(job).is_ok());
        }
        assert!(pool.try_run(Box::new(|| ())).is_err());
        release.send(()).unwrap();
        release.send(()).unwrap();
        finished.recv().unwrap();
        finished.recv().unwrap();
    }

    #[test]
    fn an_idle_worker_is_used_again() {
        let pool = Pool::new(1);
        for _ in 0..100 {
            let (done, finished) = mpsc::channel();
            let mut job: Job = Box::new(move || {
                let _ = done.send(());
            });
            // The worker may not have come back yet from the job before.
            while let Err(refused) = pool.try_run(job) {
                job = refused;
                std::thread::yield_now();
            }
            finished.recv().unwrap();
        }
        assert_eq!(pool.workers(), 1);
    }
}
