//! Handlers and clients tested without a socket, a runtime or a clock (feature `testing`, for dev-dependencies).
//!
//! A handler is a function: call it with halves and a context that the test holds the other ends of.
//!
//! ```
//! use antiphon_service::{Context, Receiver, Status, testing};
//!
//! async fn sum(_: &Context, mut numbers: Receiver<i32>) -> Result<i32, Status> {
//!     let mut sum = 0;
//!     while let Some(number) = numbers.recv().await? {
//!         sum += number;
//!     }
//!     Ok(sum)
//! }
//!
//! let numbers = testing::receiver(vec![1, 2, 3]);
//! assert_eq!(testing::block_on(sum(&testing::context(), numbers))?, 6);
//! # Ok::<(), Status>(())
//! ```
//!
//! The same for a handler that blocks and sends:
//!
//! ```
//! use antiphon_service::{Blocking, Context, Sender, Status, testing};
//!
//! fn count(_: &Context, to: i32, mut outbound: Sender<i32, Blocking>) -> Result<(), Status> {
//!     (1..=to).try_for_each(|number| outbound.send(number))
//! }
//!
//! let (outbound, sent) = testing::sender();
//! count(&testing::context(), 3, outbound)?;
//! assert_eq!(sent.take(), [1, 2, 3]);
//! # Ok::<(), Status>(())
//! ```
//!
//! A client is tested over the whole path: both machines, with every byte between them, in one process. Whoever waits
//! on a call moves both ends and polls its handler, and time stands still until the test [advances](Channel::advance)
//! it, so a test does the same each time.
//!
//! ```
//! use antiphon_service::{Bytes, CallOptions, Context, Router, testing};
//!
//! let router = Router::new().unary("/greet.Greeter/Greet", |_: Context, name: Bytes| async move { Ok(name) });
//!
//! let client = testing::channel(router.clone()).client();
//! let answer = testing::block_on(client.unary("/greet.Greeter/Greet", "Ada".into(), CallOptions::new()))?;
//! assert_eq!(*answer, "Ada");
//!
//! let client = testing::channel(router).blocking();
//! let answer = client.unary("/greet.Greeter/Greet", "Ada".into(), CallOptions::new())?;
//! assert_eq!(*answer, "Ada");
//! # Ok::<(), antiphon_service::Status>(())
//! ```
//!
//! With generated code it reads `FeedServiceClient::new(testing::channel(FeedServiceServer::new(Feed)).client())`.
//!
//! # Which of them
//! - [`receiver`], [`sender`] and [`context`] for one handler, with messages of any type: nothing is encoded. To have
//!   several of them belong to one call, and end with it, make them of one [context](TestContext).
//! - [`channel`] for clients, for services as a whole, and for what only happens on a connection: deadlines, cancels,
//!   a slow reader, lost bytes.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};

mod alone;
mod bell;
mod channel;
mod context;
mod end;
mod halves;
mod loose;
mod pair;
mod stage;

pub use alone::{failing_receiver, receiver, sender};
pub use channel::{Channel, ChannelBuilder, IntoRouter, channel};
pub use context::{TestContext, context};
pub use halves::{Feed, Sent};

/// Waits for a future in this thread. It is all the runtime that a test of handlers needs; any other will do as well.
///
/// Two futures that must go on together, such as a call and the passing of time, are one future made of two; crates of
/// futures call it `join` or `zip`.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = crate::wait::thread_waker();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
