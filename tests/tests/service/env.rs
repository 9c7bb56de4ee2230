//! The two adapters, side by side.

use std::future::Future;
use std::time::Duration;

use antiphon::Config;
use antiphon_service::{Client, HttpVersion, Router, Shutdown};

/// One of the two adapters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Env {
    Smol,
    Tokio,
}

/// A server that runs.
pub(crate) struct Served {
    env: Env,
    pub(crate) address: String,
    pub(crate) shutdown: Shutdown,
}

pub(crate) const BOTH: [HttpVersion; 2] = [HttpVersion::Http11, HttpVersion::Http2];

/// Runs a test on each adapter. What the test itself sleeps and spawns with does not matter: it uses smol's.
pub(crate) fn everywhere<F: Future<Output = ()>>(test: impl Fn(Env) -> F) {
    smol::block_on(limited(test(Env::Smol)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(limited(test(Env::Tokio)));
}

/// A test that hangs fails.
async fn limited(test: impl Future<Output = ()>) {
    let limit = async {
        sleep(40_000).await;
        panic!("the test hangs");
    };
    smol::future::or(test, limit).await;
}

pub(crate) async fn sleep(millis: u64) {
    smol::Timer::after(Duration::from_millis(millis)).await;
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        sleep(5).await;
    }
    panic!("it never came to be: {what}");
}

impl Env {
    pub(crate) async fn serve(self, router: Router) -> Served {
        self.serve_with(Config::default(), router).await
    }

    pub(crate) async fn serve_with(self, config: Config, router: Router) -> Served {
        match self {
            Self::Smol => {
                let server = antiphon_smol::Server::bind("127.0.0.1:0").await.unwrap().config(config);
                let (address, shutdown) = (server.local_addr().unwrap().to_string(), server.shutdown());
                smol::spawn(server.serve(router)).detach();
                Served { env: self, address, shutdown }
            }
            Self::Tokio => {
                let server = antiphon_tokio::Server::bind("127.0.0.1:0").await.unwrap().config(config);
                let (address, shutdown) = (server.local_addr().unwrap().to_string(), server.shutdown());
                tokio::spawn(server.serve(router));
                Served { env: self, address, shutdown }
            }
        }
    }
}

impl Served {
    pub(crate) async fn connect(&self, version: HttpVersion) -> Client {
        self.connect_with(version, Config::default()).await
    }

    pub(crate) async fn connect_with(&self, version: HttpVersion, config: Config) -> Client {
        match self.env {
            Env::Smol => {
                antiphon_smol::Connector::new(version).config(config).connect(&self.address).await.unwrap()
            }
            Env::Tokio => {
                antiphon_tokio::Connector::new(version).config(config).connect(&self.address).await.unwrap()
            }
        }
    }

    /// Connects, by the same adapter, to somebody else.
    pub(crate) async fn connect_to(&self, address: &str, version: HttpVersion) -> Client {
        match self.env {
            Env::Smol => antiphon_smol::connect(address, version).await.unwrap(),
            Env::Tokio => antiphon_tokio::connect(address, version).await.unwrap(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.abort();
    }
}
