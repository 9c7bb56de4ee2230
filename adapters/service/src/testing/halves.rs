//! The other ends of loose halves.

use std::sync::Arc;

use antiphon::Status;

use super::loose::{Loose, Queue};

/// The other end of a [`sender`](super::sender): what was sent, and how much room there is. Cheap to clone.
pub struct Sent<T> {
    link: Arc<Loose>,
    queue: Arc<Queue<T>>,
}

impl<T> Sent<T> {
    pub(super) fn new(link: Arc<Loose>, queue: Arc<Queue<T>>) -> Self {
        Self { link, queue }
    }

    /// Everything that was sent since it was last taken. That makes room.
    pub fn take(&self) -> Vec<T> {
        let messages: Vec<T> = self.queue.messages().drain(..).collect();
        self.link.taken(messages.len());
        messages
    }

    /// The first message that was sent and has not been taken. That makes room for one.
    pub fn next(&self) -> Option<T> {
        let message = self.queue.messages().pop_front()?;
        self.link.taken(1);
        Some(message)
    }

    /// How many messages were sent and have not been taken.
    pub fn len(&self) -> usize {
        self.queue.messages().len()
    }

    /// Whether all that was sent has been taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages may be sent and not taken; with none, sending waits until [`take`](Sent::take) or
    /// [`next`](Sent::next), or until this is called again. Default: without limit.
    pub fn set_room(&self, messages: usize) {
        self.link.set_room(messages);
    }

    /// Whether the sender has been closed or dropped.
    pub fn is_closed(&self) -> bool {
        self.link.is_sender_dropped()
    }
}

impl<T> Clone for Sent<T> {
    fn clone(&self) -> Self {
        Self { link: Arc::clone(&self.link), queue: Arc::clone(&self.queue) }
    }
}

impl<T> core::fmt::Debug for Sent<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sent").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The other end of a receiver that the test [feeds](super::TestContext::feed) as it goes. Cheap to clone; dropping it
/// means nothing.
pub struct Feed<T> {
    link: Arc<Loose>,
    queue: Arc<Queue<T>>,
}

impl<T> Feed<T> {
    pub(super) fn new(link: Arc<Loose>, queue: Arc<Queue<T>>) -> Self {
        Self { link, queue }
    }

    /// One more message to receive.
    pub fn send(&self, message: T) {
        self.queue.messages().push_back(message);
        self.link.add_message();
    }

    /// No more messages follow, and that is a clean end: the client has half-closed.
    pub fn close(&self) {
        self.link.end_messages(Ok(()));
    }

    /// No more messages follow, because of this.
    pub fn fail(&self, status: Status) {
        self.link.end_messages(Err(status));
    }

    /// Whether the receiver has been dropped before its end: nobody reads any more.
    pub fn is_dropped(&self) -> bool {
        self.link.is_receiver_dropped()
    }
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self { link: Arc::clone(&self.link), queue: Arc::clone(&self.queue) }
    }
}

impl<T> core::fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}
