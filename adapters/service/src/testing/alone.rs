//! Loose halves, each of a call of its own.

use antiphon::Status;

use super::context::context;
use super::halves::Sent;
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
