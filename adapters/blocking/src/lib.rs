//! Antiphon on blocking sockets and threads: a listener, a connector and a clock. No async runtime anywhere.
//! Everything else is [`antiphon_service`]'s, and re-exported here.
//!
//! ```
//! use antiphon_blocking::handler::blocking::unary;
//! use antiphon_blocking::{Bytes, CallOptions, Context, HttpVersion, Router, Server, connect};
//!
//! let server = Server::bind("127.0.0.1:0")?;
//! let address = server.local_addr()?;
//! let router =
//!     Router::new().add("/greet.Greeter/Greet", unary(|_: Context, name: Bytes| Ok(name)));
//! let shutdown = server.shutdown();
//! let serving = std::thread::spawn(move || server.serve(router));
//!
//! let client = connect(address, HttpVersion::Http2)?;
//! let reply = client.unary("/greet.Greeter/Greet", "Ann".into(), CallOptions::new())?;
//! assert_eq!(reply.message, "Ann");
//!
//! drop(client);
//! shutdown.drain(); // open calls finish, new ones are refused
//! serving.join().expect("the server does not panic");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Handlers that block are made by [`handler::blocking`] and [added](Router::add); [`Router::unary`] and its
//! neighbours take `async` ones, which run here as well.
//!
//! # When something fails
//! `bind` and `connect` tell the system's reason and the address. A call fails with a [`Status`], and
//! [`antiphon_service`] has a table of [what to do then](antiphon_service#after-an-error). `serve` does not fail: what
//! goes wrong on a connection ends that connection.
//!
//! # Connecting again
//! A client is one connection, and does not connect again. Whoever wants that keeps the client of the day in an `RwLock`,
//! where each call clones it, and has a thread that blocks on its [`closed`](Client::closed), connects, and replaces it.
//!
//! # Other transports
//! [`Connector::connect_over`] and [`Acceptor::serve_over`] take anything that can be [split](Split): read by one
//! thread while another writes. Unix sockets, pipes
//! and pairs of a reader and a writer can.
#![forbid(unsafe_code)]

mod clock;
mod net;

pub use antiphon_service::blocking::{Control, Pool, Split};
pub use antiphon_service::*;
pub use clock::SystemClock;
pub use net::{Acceptor, Connector, Server, connect};
