//! The tour: a real server, a real client, real sockets; every shape of call over every protocol, and what crossed
//! the wire.

pub mod adapters;
mod args;
mod plan;
mod scenario;
mod serve;
mod show;
mod tap;

use std::sync::Arc;

pub use adapters::Adapter;
pub use args::{Args, HELP, UsageError};
pub(crate) use args::{full_address, optional_address};
pub use plan::{CHAPTERS, Chapter, Kind};
pub use scenario::Outcome;
pub use serve::{invitation, resolve, serve};
pub use show::Show;
pub use tap::{Tap, TapSplit};

use antiphon::Config;
use antiphon::rpc::RpcConfig;

/// How the connections of the tour behave: as they do by default, and only the codecs of the service exist.
pub fn config() -> Config {
    let mut rpc = RpcConfig::default();
    rpc.codecs = vec!["proto".into(), "json".into()];
    let mut config = Config::default();
    config.rpc = Arc::new(rpc);
    config
}
