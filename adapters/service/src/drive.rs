//! What a driver is made of: for those who write one of their own, over completion I/O for example. Users of an adapter
//! need nothing of it.
//!
//! ```text
//!   transport ◄──► the driver ── turn, rest ──► Shared<M, E, D> ◄── access ── halves, clients (a Link)
//!                      │                        the machine and its lock         │
//!                      │                              └── Drive::flush ──────────┘ there is something to do
//!                      └── a server: Dispatcher: accept ─► begin ─► submit ─► tidy
//! ```
//! [`driver`](crate::driver) and [`blocking`](crate::blocking) are two of them, made of nothing else.

pub use crate::dispatch::{Begun, BlockingJob, Dispatcher, HandlerTask, Incoming};
pub use crate::endpoint::{Endpoint, Pulled};
pub use crate::link::Link;
pub use crate::reply::Answer;
pub use crate::shared::{Access, Drive, Rest, Shared};
pub use crate::shutdown::Registration;
