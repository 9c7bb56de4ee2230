//! Which adapter is judged, and what every adapter is given.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use antiphon::Config;
use antiphon::rpc::{Codings, HttpVersion, RpcConfig};

use crate::proto;

/// An adapter of the service layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adapter {
    /// Threads and blocking sockets.
    Blocking,
    /// The smol runtime.
    Smol,
    /// The tokio runtime.
    Tokio,
}

impl Adapter {
    /// The adapter that `--adapter NAME` names.
    ///
    /// # Errors
    /// How to call the program.
    pub fn from_arguments(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let arguments: Vec<_> = arguments.into_iter().skip(1).collect();
        match &*arguments.iter().map(String::as_str).collect::<Vec<_>>() {
            ["--adapter", "blocking"] => Ok(Self::Blocking),
            ["--adapter", "smol"] => Ok(Self::Smol),
            ["--adapter", "tokio"] => Ok(Self::Tokio),
            _ => Err("usage: --adapter blocking|smol|tokio".into()),
        }
    }

    /// Waits. The blocking adapter's future blocks when it is polled.
    pub fn sleep(self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::Blocking => Box::pin(async move { std::thread::sleep(duration) }),
            Self::Smol => Box::pin(async move {
                let _ = smol::Timer::after(duration).await;
            }),
            Self::Tokio => Box::pin(tokio::time::sleep(duration)),
        }
    }
}

/// The value of a future that never waits: what is written for both ways of waiting, and blocks.
///
/// # Panics
/// When the future waits after all.
pub fn blocked<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a blocking call returned before it was done"),
    }
}

/// The configuration of connections that take messages of at most `max_receive` bytes; 0 is the default limit.
pub fn config(max_receive: u32) -> Config {
    let mut rpc = RpcConfig::default();
    rpc.codings = Codings::all();
    rpc.codecs = ["proto", "json"].map(Box::from).into();
    if max_receive > 0 {
        rpc.max_receive = max_receive as usize;
    }
    let mut config = Config::default();
    config.rpc = Arc::new(rpc);
    config
}

/// The version of HTTP of a test.
///
/// # Errors
/// Which versions there are.
pub fn http_version(version: proto::HttpVersion) -> Result<HttpVersion, String> {
    match version {
        proto::HttpVersion::HttpVersion1 => Ok(HttpVersion::Http11),
        proto::HttpVersion::HttpVersion2 => Ok(HttpVersion::Http2),
        other => Err(format!("{} is not one of HTTP_VERSION_1 and HTTP_VERSION_2", other.as_str_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_adapter_is_named() {
        let parse = |arguments: &[&str]| {
            Adapter::from_arguments(arguments.iter().map(|argument| (*argument).to_owned()))
        };
        assert_eq!(parse(&["program", "--adapter", "smol"]), Ok(Adapter::Smol));
        assert!(parse(&["program"]).is_err());
        assert!(parse(&["program", "--adapter", "other"]).is_err());
    }
}
