//! Antiphon on smol: a listener, a connector, timers and tasks. Everything else is
//! [`antiphon_service`]'s, and re-exported here.
//!
//! ```no_run
//! use antiphon_smol::{Bytes, CallOptions, Context, HttpVersion, Router, Server, connect};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let server = Server::bind("127.0.0.1:0").await?;
//!     let address = server.local_addr()?;
//!     let router =
//!         Router::new().unary("/greet.Greeter/Greet", |_: Context, name: Bytes| async move { Ok(name) });
//!     smol::spawn(server.serve(router)).detach();
//!
//!     let client = connect(address, HttpVersion::Http2).await?;
//!     let reply = client.unary("/greet.Greeter/Greet", "Ann".into(), CallOptions::new()).await?;
//!     assert_eq!(reply.message, "Ann");
//!     Ok(())
//! })
//! # }
//! ```
#![forbid(unsafe_code)]

mod net;
mod runtime;

pub use antiphon_service::*;
pub use net::{Acceptor, Connector, Server, connect};
pub use runtime::{Smol, SmolTimer};
