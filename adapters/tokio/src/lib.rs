//! Antiphon on tokio: a listener, a connector, timers and tasks. Everything else is
//! [`antiphon_service`]'s, and re-exported here.
//!
//! ```
//! use antiphon_tokio::{Bytes, CallOptions, Context, HttpVersion, Router, Server, connect};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let server = Server::bind("127.0.0.1:0").await?;
//! let address = server.local_addr()?;
//! let router =
//!     Router::new().unary("/greet.Greeter/Greet", |_: Context, name: Bytes| async move { Ok(name) });
//! let shutdown = server.shutdown();
//! let serving = tokio::spawn(server.serve(router));
//!
//! let client = connect(address, HttpVersion::Http2).await?;
//! let reply = client.unary("/greet.Greeter/Greet", "Ann".into(), CallOptions::new()).await?;
//! assert_eq!(reply.message, "Ann");
//!
//! shutdown.drain(); // open calls finish, new ones are refused
//! serving.await?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! A handle of the [`Shutdown`] may go anywhere: to a task that waits for `tokio::signal::ctrl_c()` and then drains, or to a
//! handler that would go on for ever, by [`Shutdown::unless_draining`].
//!
//! # When something fails
//! `bind` and `connect` tell the system's reason and the address. A call fails with a [`Status`], and
//! [`antiphon_service`] has a table of [what to do then](antiphon_service#after-an-error). `serve` does not fail: what
//! goes wrong on a connection ends that connection.
//!
//! # Connecting again
//! A client is one connection, and does not connect again. Whoever wants that keeps the client of the day where each call
//! clones it, and has a task replace it:
//!
//! ```
//! use antiphon_tokio::{Client, HttpVersion, connect};
//! use std::sync::{Arc, RwLock};
//! use std::time::Duration;
//!
//! async fn keep_connected(address: &str, current: Arc<RwLock<Client>>) {
//!     loop {
//!         let client = current.read().unwrap().clone();
//!         let why = client.closed().await; // an error, or none: the server drains, for example
//!         drop(client);
//!         let next = loop {
//!             match connect(address, HttpVersion::Http2).await {
//!                 Ok(next) => break next,
//!                 Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
//!             }
//!         };
//!         *current.write().unwrap() = next;
//!         # let _ = why;
//!     }
//! }
//! ```
//!
//! # Other transports
//! [`Connector::connect_over`] and [`Acceptor::serve_over`] take anything that is tokio's `AsyncRead` and `AsyncWrite`. TLS comes in that way:
//! wrap the stream, and set [`Connector::scheme`] to `https`.
#![forbid(unsafe_code)]

mod compat;
mod net;
mod runtime;

pub use antiphon_service::*;
pub use compat::Compat;
pub use net::{Acceptor, Connector, Server, connect};
pub use runtime::{Tokio, TokioTimer};
