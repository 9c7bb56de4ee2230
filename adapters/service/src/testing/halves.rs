//! The other ends of loose halves.

use std::sync::Arc;

use antiphon::Status;

use super::context::context;
use super::loose::{Loose, Queue};
use crate::{Receiver, Sender};

/// A receiver of these messages and a clean end.
///
/// ```
/// use antiphon_service::{Blocking, Receiver, testing};
///
/// let mut names: Receiver<&str, Blocking> = testing::receiver(vec!["Ada"]);
/// assert_eq!(names.recv()?, Some("Ada"));
/// assert_eq!(names.recv()?, None);
/// # Ok::<(), antiphon_service::Status>(())
/// ```
pub fn receiver<T: Send + 'static, W>(messages: Vec<T>) -> Receiver<T, W> {
    context().receiver(messages)
}

/// A receiver of these messages and then this error, such as a client's cancel.
///
/// ```
/// use antiphon_service::{Blocking, Code, Receiver, Status, testing};
///
/// let lost = Status::unavailable("the network is down");
/// let mut names: Receiver<&str, Blocking> = testing::failing_receiver(vec!["Ada"], lost);
/// assert_eq!(names.recv().unwrap(), Some("Ada"));
/// assert_eq!(names.recv().unwrap_err().code(), Code::Unavailable);
/// ```
pub fn failing_receiver<T: Send + 'static, W>(messages: Vec<T>, status: Status) -> Receiver<T, W> {
    let (feed, receiver) = context().feed();
    messages.into_iter().for_each(|message| feed.send(message));
    feed.fail(status);
    receiver
}

/// A sender, and its other end: where the test finds what was sent. There is room for everything, until the test says
/// [otherwise](Sent::set_room).
///
/// ```
/// use antiphon_service::{Async, Sender, TrySendError, testing};
///
/// let (mut outbound, sent): (Sender<i32>, _) = testing::sender();
/// sent.set_room(1);
/// assert!(outbound.try_send(1).is_ok());
/// assert!(matches!(outbound.try_send(2), Err(TrySendError::Full(2))));
/// assert_eq!(sent.take(), [1]);
/// assert!(outbound.try_send(2).is_ok()); // the peer has read
/// ```
pub fn sender<T: Clone + Send + 'static, W>() -> (Sender<T, W>, Sent<T>) {
    context().sender()
}

/// The other end of a [`sender`]: what was sent, and how much room there is. Cheap to clone.
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
