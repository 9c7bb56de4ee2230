//! Who is how, and who wants to know.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ServingStatus;

/// The state of all services, and those who watch it. Wakers run outside its lock.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    services: BTreeMap<String, ServingStatus>,
    watchers: BTreeMap<u64, Entry>,
    /// The number of watchers so far.
    watched: u64,
    /// Nothing changes any more.
    ended: bool,
}

#[derive(Debug)]
struct Entry {
    service: Arc<str>,
    /// Of a watcher that waits.
    waker: Option<Waker>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, service: &str, status: Option<ServingStatus>) {
        let wakers = {
            let mut state = self.lock();
            if state.ended || state.services.get(service).copied() == status {
                return;
            }
            match status {
                Some(status) => _ = state.services.insert(service.to_owned(), status),
                None => _ = state.services.remove(service),
            }
            state.waiting(|entry| *entry.service == *service)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn get(&self, service: &str) -> Option<ServingStatus> {
        self.lock().services.get(service).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (String, ServingStatus)> + use<> {
        self.lock().services.clone().into_iter()
    }

    pub(crate) fn shutdown(&self) {
        let wakers = {
            let mut state = self.lock();
            state.ended = true;
            state.services.values_mut().for_each(|status| *status = ServingStatus::NotServing);
            state.waiting(|_| true)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    #[cfg(test)]
    fn watchers(&self) -> usize {
        self.lock().watchers.len()
    }
}

impl State {
    /// The wakers of those who wait and are concerned.
    fn waiting(&mut self, concerned: impl Fn(&Entry) -> bool) -> Vec<Waker> {
        let entries = self.watchers.values_mut().filter(|entry| concerned(entry));
        entries.filter_map(|entry| entry.waker.take()).collect()
    }
}

/// One who watches a service.
pub(crate) struct Watcher {
    registry: Arc<Registry>,
    id: u64,
    service: Arc<str>,
    /// What it was told last.
    told: Option<Option<ServingStatus>>,
}

impl Watcher {
    pub(crate) fn new(registry: Arc<Registry>, service: &str) -> Self {
        let service: Arc<str> = service.into();
        let id = {
            let mut state = registry.lock();
            let id = state.watched;
            state.watched += 1;
            state.watchers.insert(id, Entry { service: Arc::clone(&service), waker: None });
            id
        };
        Self { registry, id, service, told: None }
    }

    /// How the service is, the first time at once and then when that has changed; `Some(None)` when it is not known.
    /// `None` when nothing will change any more.
    pub(crate) async fn changed(&mut self) -> Option<Option<ServingStatus>> {
        poll_fn(|context| self.poll_changed(context)).await
    }

    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<Option<Option<ServingStatus>>> {
        let fresh = context.waker().clone();
        // Dropped after the lock: a waker's drop is foreign code.
        let old;
        let mut state = self.registry.lock();
        let now = state.services.get(&*self.service).copied();
        if self.told != Some(now) {
            self.told = Some(now);
            return Poll::Ready(Some(now));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        old = state.watchers.get_mut(&self.id).and_then(|entry| entry.waker.replace(fresh));
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let entry = self.registry.lock().watchers.remove(&self.id);
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use ServingStatus::{NotServing, Serving};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Probe {
        watcher: Watcher,
        count: Arc<Count>,
    }

    impl Probe {
        fn new(registry: &Arc<Registry>, service: &str) -> Self {
            Self { watcher: Watcher::new(Arc::clone(registry), service), count: Arc::default() }
        }

        fn poll(&mut self) -> Poll<Option<Option<ServingStatus>>> {
            let waker = Waker::from(Arc::clone(&self.count));
            self.watcher.poll_changed(&mut Context::from_waker(&waker))
        }

        fn woken(&self) -> usize {
            self.count.0.load(Ordering::SeqCst)
        }
    }

    // health.proto, Watch: the state at once, then each change, and nothing while it stays.
    #[test]
    fn a_watcher_is_woken_by_a_change_of_its_own_service_alone() {
        let registry = Arc::new(Registry::default());
        let mut probe = Probe::new(&registry, "a.A");
        assert_eq!(probe.poll(), Poll::Ready(Some(None)), "unknown, and the watch goes on");
        assert_eq!(probe.poll(), Poll::Pending);
        registry.set("b.B", Some(Serving));
        assert_eq!(probe.woken(), 0);
        registry.set("a.A", Some(Serving));
        assert_eq!(probe.woken(), 1);
        assert_eq!(probe.poll(), Poll::Ready(Some(Some(Serving))));
        assert_eq!(probe.poll(), Poll::Pending);
        registry.set("a.A", Some(Serving));
        assert_eq!((probe.woken(), probe.poll()), (1, Poll::Pending), "nothing has changed");
        registry.set("a.A", Some(NotServing));
        registry.set("a.A", Some(Serving));
        assert_eq!((probe.woken(), probe.poll()), (2, Poll::Pending), "it is as the watcher knows it");
        registry.set("a.A", None);
        assert_eq!(probe.poll(), Poll::Ready(Some(None)));
    }

    #[test]
    fn a_shutdown_is_told_and_then_ends_the_watch_for_good() {
        let registry = Arc::new(Registry::default());
        registry.set("a.A", Some(Serving));
        let (mut known, mut unknown) = (Probe::new(&registry, "a.A"), Probe::new(&registry, "b.B"));
        assert_eq!(
            (known.poll(), unknown.poll()),
            (Poll::Ready(Some(Some(Serving))), Poll::Ready(Some(None)))
        );
        assert_eq!((known.poll(), unknown.poll()), (Poll::Pending, Poll::Pending));
        registry.shutdown();
        registry.set("a.A", Some(Serving));
        registry.set("b.B", Some(Serving));
        assert_eq!((known.woken(), unknown.woken()), (1, 1));
        assert_eq!((known.poll(), unknown.poll()), (Poll::Ready(Some(Some(NotServing))), Poll::Ready(None)));
        assert_eq!(known.poll(), Poll::Ready(None));
        assert_eq!(registry.get("a.A"), Some(NotServing));
    }

    #[test]
    fn a_watcher_that_left_leaves_nothing_behind() {
        let registry = Arc::new(Registry::default());
        let mut probes: Vec<_> = (0..100).map(|_| Probe::new(&registry, "a.A")).collect();
        assert!(probes.iter_mut().all(|probe| probe.poll().is_ready() && probe.poll().is_pending()));
        assert_eq!(registry.watchers(), 100);
        drop(probes);
        assert_eq!(registry.watchers(), 0);
    }
}
