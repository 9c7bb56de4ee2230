//! Keeps the events, and tells those who wait for them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use antiphon_examples::proto::feed::v1::Event;
use antiphon_service::Status;
use smol::channel;

/// How many events are kept for those who come late.
pub(crate) const KEPT: usize = 20_000;

/// One broker for all topics. A subscription is a place in its log: it holds no events of its own, so a slow one costs
/// no memory.
#[derive(Default)]
pub(crate) struct Broker {
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    events: VecDeque<Event>,
    last: u64,
    /// Who waits, by a key of its own.
    waiting: HashMap<u64, channel::Sender<()>>,
    next_key: u64,
}

/// The events of a topic from a cursor on. Dropping it is all there is to unsubscribing.
pub(crate) struct Subscription {
    broker: Arc<Broker>,
    topic: String,
    cursor: u64,
    key: u64,
    notice: channel::Receiver<()>,
    end: Arc<AtomicU64>,
}

/// Ends a subscription from elsewhere.
pub(crate) struct Closer {
    end: Arc<AtomicU64>,
    notify: channel::Sender<()>,
}

impl Broker {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an event and tells the subscribers. Returns its cursor.
    pub(crate) fn publish(&self, mut event: Event) -> u64 {
        let mut log = self.log();
        log.last += 1;
        event.cursor = log.last;
        event.at.get_or_insert_with(|| SystemTime::now().into());
        if log.events.len() == KEPT {
            log.events.pop_front();
        }
        log.events.push_back(event);
        for notify in log.waiting.values() {
            // A notice that nobody has taken yet is enough.
            let _ = notify.try_send(());
        }
        log.last
    }

    /// The cursor of the newest event.
    pub(crate) fn last(&self) -> u64 {
        self.log().last
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.log().waiting.len()
    }

    /// The events of `topic` after a cursor; the empty topic is all of them.
    ///
    /// # Errors
    /// `out_of_range` for a cursor that no event has had.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        topic: &str,
        after: u64,
    ) -> Result<(Subscription, Closer), Status> {
        let mut log = self.log();
        if after > log.last {
            return Err(Status::out_of_range(format!("the last event has the cursor {}", log.last)));
        }
        log.next_key += 1;
        let (notify, notice) = channel::bounded(1);
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let key = log.next_key;
        log.waiting.insert(key, notify.clone());
        let closer = Closer { end: Arc::clone(&end), notify };
        let (broker, topic) = (Arc::clone(self), topic.to_owned());
        Ok((Subscription { broker, topic, cursor: after, key, notice, end }, closer))
    }
}

impl Closer {
    /// The event with this cursor is the last one.
    pub(crate) fn end_after(&self, cursor: u64) {
        self.end.store(cursor, Ordering::SeqCst);
        let _ = self.notify.try_send(());
    }
}

impl Subscription {
    /// The next event; `None` after the last one, where there is a last one.
    ///
    /// # Errors
    /// `out_of_range` when it is kept no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Status> {
        loop {
            if let Some(event) = self.find()? {
                return Ok(Some(event));
            }
            if self.cursor >= self.end.load(Ordering::SeqCst) {
                return Ok(None);
            }
            // The broker has the other end for as long as this is subscribed.
            let _ = self.notice.recv().await;
        }
    }

    fn find(&mut self) -> Result<Option<Event>, Status> {
        let log = self.broker.log();
        let oldest = log.events.front().map_or(0, |event| event.cursor);
        // Whoever begins at the beginning asks for what there is; whoever goes on, for all of it.
        if self.cursor > 0 && self.cursor + 1 < oldest {
            return Err(Status::out_of_range(format!("events before the cursor {oldest} are kept no more")));
        }
        let seen = usize::try_from((self.cursor + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        for event in log.events.iter().skip(seen) {
            self.cursor = event.cursor;
            if self.topic.is_empty() || self.topic == event.topic {
                return Ok(Some(event.clone()));
            }
        }
        Ok(None)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.broker.log().waiting.remove(&self.key);
    }
}
