//! The two ways of waiting: in a task, or in a thread.

use core::cell::OnceCell;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::thread::Thread;

use antiphon::Instant;

use crate::Link;

/// Waiting is `async`: what waits is a future.
#[derive(Clone, Copy, Debug)]
pub enum Async {}

/// Waiting blocks the thread.
#[derive(Clone, Copy, Debug)]
pub enum Blocking {}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: OnceCell<Waker> = const { OnceCell::new() };
}

/// The waker that unparks this thread.
pub(crate) fn thread_waker() -> Waker {
    WAKER
        .try_with(|cell| cell.get_or_init(|| Waker::from(Arc::new(Unpark(std::thread::current())))).clone())
        .unwrap_or_else(|_| Waker::from(Arc::new(Unpark(std::thread::current()))))
}

/// Polls until it is ready, and [parks](Link::park) in between. The driver reads and writes; this thread only waits.
pub(crate) fn wait<T>(
    link: &Arc<dyn Link>,
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> T {
    let waker = thread_waker();
    let mut context = Context::from_waker(&waker);
    let mut deadline = deadline;
    loop {
        if let Poll::Ready(value) = poll(&mut context) {
            return value;
        }
        let passed = deadline.is_some_and(|deadline| deadline <= link.now());
        link.park(deadline);
        if passed {
            // It has fired. What is still waited for is something else: an interceptor after the call.
            deadline = None;
        }
    }
}

/// Waits for a future in this thread.
pub(crate) fn block_on<F: Future>(link: &Arc<dyn Link>, deadline: Option<Instant>, future: F) -> F::Output {
    let mut future = pin!(future);
    wait(link, deadline, |context| future.as_mut().poll(context))
}
