//! Where the example services play: a server and a client in one process, or each alone, on any adapter.
//!
//! A program says what it serves and what its client does, once; the adapter is chosen on the command line:
//!
//! ```no_run
//! use antiphon_examples::stage::Stage;
//! use antiphon_service::{Bytes, CallOptions, Context, HttpVersion, Router};
//!
//! fn main() -> std::process::ExitCode {
//!     let router = Router::new().unary("/greet.Greeter/Greet", |_: Context, name: Bytes| async move { Ok(name) });
//!     Stage::new("greet", "Greets whoever comes.").run(router, async |venue| {
//!         let client = venue.connect(HttpVersion::Http2).await?;
//!         let reply = client.unary("/greet.Greeter/Greet", "Ann".into(), CallOptions::new()).await?;
//!         println!("{:?}", reply.message);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Every service played here also tells how it is and what it serves: grpcurl and buf curl can list, describe and call it
//! without its .proto file.

mod args;
mod cable;
mod script;
mod until;

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;

use antiphon_health::{Health, ServingStatus};
use antiphon_reflection::Reflection;
use antiphon_service::blocking::Pool;
use antiphon_service::{Async, Blocking, Client, Config, HttpVersion, Limits, Router, Shutdown};

use crate::tour::{Adapter, adapters::tokio_runtime, resolve};

pub use args::{Args, Mode};
pub use cable::Cable;
pub use script::{WAYS, ensure, scene};
pub use until::until;

/// What a script comes back with.
pub type Played = Result<(), Box<dyn Error>>;

/// An example program: its name, what it shows, and what is said to those who call its server from elsewhere.
#[derive(Debug)]
pub struct Stage {
    name: &'static str,
    about: &'static str,
    commands: Vec<&'static str>,
    config: Config,
    workers: usize,
    health: Health,
}

/// Where a script finds its server.
#[derive(Clone, Debug)]
pub struct Venue {
    adapter: Adapter,
    address: String,
    config: Config,
}

impl Stage {
    /// A program of this name, which is that of its binary. `about` is one sentence for `--help`.
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            commands: Vec::new(),
            config: Config::default(),
            workers: Pool::DEFAULT_WORKERS,
            health: Health::new(),
        }
    }

    /// A command that talks to the server, printed by `--serve`. `ADDRESS` stands for the server's.
    #[must_use]
    pub fn command(mut self, command: &'static str) -> Self {
        self.commands.push(command);
        self
    }

    /// Limits and policies of both ends. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How many handlers may be at work at once on the blocking adapter, each in a thread. Default: 512.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// What the server says of its services' health: that each of them serves, unless it is told otherwise.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Reads the command line and does what it says: serves `router`, plays the script, or both. What goes wrong is
    /// printed, and told by the exit status.
    pub fn run(self, router: Router, script: impl AsyncFnOnce(Venue) -> Played) -> ExitCode {
        self.run_with(|_| router, script)
    }

    /// As [`run`](Stage::run), with a router for the adapter: its handlers may block where threads serve them.
    pub fn run_with(
        self,
        router: impl FnOnce(Adapter) -> Router,
        script: impl AsyncFnOnce(Venue) -> Played,
    ) -> ExitCode {
        let name = self.name;
        let result = Args::from_env().map_err(Into::into).and_then(|args| {
            let router = router(args.adapter);
            self.play(&args, router, script)
        });
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Whoever reads has read enough (`feed | head`).
                let broken =
                    error.downcast_ref::<io::Error>().map(io::Error::kind) == Some(ErrorKind::BrokenPipe);
                if !broken {
                    let _ = writeln!(io::stderr(), "{name}: {error}");
                }
                ExitCode::from(2)
            }
        }
    }

    fn play(self, args: &Args, router: Router, script: impl AsyncFnOnce(Venue) -> Played) -> Played {
        let (router, health) = (self.with_operations(router), self.health());
        let venue = |address: String| Venue { adapter: args.adapter, address, config: self.config.clone() };
        match &args.mode {
            Mode::Help => Ok(io::stdout().write_all(args::help(self.name, self.about).as_bytes())?),
            Mode::Connect(address) => on(args.adapter, script(venue(address.clone()))),
            Mode::Serve(address) => {
                let address = resolve(address)?;
                serve(args.adapter, address, self.tuning(), router, |address, shutdown| {
                    health.follow(&shutdown);
                    self.invite(address)
                })
            }
            Mode::Both => {
                let (sender, receiver) = std::sync::mpsc::channel();
                let tuning = self.tuning();
                let (adapter, any) = (args.adapter, SocketAddr::from(([127, 0, 0, 1], 0)));
                let serving = thread::spawn(move || {
                    serve(adapter, any, tuning, router, |address, shutdown| {
                        health.follow(&shutdown);
                        Ok(sender.send((address, shutdown)).map_err(io::Error::other)?)
                    })
                    .map_err(|error| error.to_string())
                });
                let Ok((address, shutdown)) = receiver.recv() else {
                    return Err(serving
                        .join()
                        .map_or("the server panicked".into(), |served| served.err().unwrap_or_default())
                        .into());
                };
                let played = on(adapter, script(venue(address.to_string())));
                shutdown.drain();
                serving.join().map_err(|_| "the server panicked")??;
                played
            }
        }
    }

    fn tuning(&self) -> Tuning {
        Tuning { config: self.config.clone(), workers: self.workers }
    }

    /// The router, and beside it what those who operate servers ask for: outside of its interceptors, for they ask
    /// without a user's credentials.
    fn with_operations(&self, router: Router) -> Router {
        for service in router.service_names() {
            if self.health.get(service).is_none() {
                self.health.set(service, ServingStatus::Serving);
            }
        }
        Router::new().merge(router).add_service(self.health()).add_service(Reflection::new())
    }

    fn invite(&self, address: SocketAddr) -> Played {
        let mut out = io::stdout().lock();
        writeln!(out, "{} at {address}: Connect, gRPC and gRPC-Web, HTTP/1.1 and HTTP/2.", self.name)?;
        for command in &self.commands {
            writeln!(out, "\n{}", command.replace("ADDRESS", &address.to_string()))?;
        }
        writeln!(out, "\ngrpcurl -plaintext {address} describe")?;
        writeln!(out, "\nThe client alone: cargo run --bin {} -- --connect {address}", self.name)?;
        writeln!(out, "End it with Ctrl-C.")?;
        Ok(out.flush()?)
    }
}

impl Venue {
    /// The same server, for clients with these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// The adapter that was chosen.
    pub fn adapter(&self) -> Adapter {
        self.adapter
    }

    /// The server's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A new connection. On the blocking adapter its threads move the bytes, and the script awaits as it does
    /// elsewhere.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn connect(&self, version: HttpVersion) -> io::Result<Client<Async>> {
        let config = self.config.clone();
        match self.adapter {
            Adapter::Blocking => Ok(self.connect_blocking(version)?.asynchronous()),
            Adapter::Smol => {
                antiphon_smol::Connector::new(version).config(config).connect(&self.address).await
            }
            Adapter::Tokio => {
                antiphon_tokio::Connector::new(version).config(config).connect(&self.address).await
            }
        }
    }

    /// A new connection on blocking sockets, whatever the adapter.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn connect_blocking(&self, version: HttpVersion) -> io::Result<Client<Blocking>> {
        antiphon_blocking::Connector::new(version).config(self.config.clone()).connect(&*self.address)
    }
}

/// Runs a script where the adapter is at home.
fn on(adapter: Adapter, script: impl Future<Output = Played>) -> Played {
    match adapter {
        Adapter::Blocking | Adapter::Smol => smol::block_on(script),
        Adapter::Tokio => tokio_runtime()?.block_on(script),
    }
}

/// How a server is set up.
struct Tuning {
    config: Config,
    workers: usize,
}

/// Serves until it is shut down; `listening` is told where.
fn serve(
    adapter: Adapter,
    address: SocketAddr,
    Tuning { config, workers }: Tuning,
    router: Router,
    listening: impl FnOnce(SocketAddr, Shutdown) -> Played,
) -> Played {
    match adapter {
        Adapter::Blocking => {
            let server = antiphon_blocking::Server::bind(address)?.config(config).pool(Pool::new(workers));
            listening(server.local_addr()?, server.shutdown())?;
            server.serve(router);
            Ok(())
        }
        Adapter::Smol => smol::block_on(async {
            let server = antiphon_smol::Server::bind(address).await?.config(config);
            listening(server.local_addr()?, server.shutdown())?;
            server.serve(router).await;
            Ok(())
        }),
        Adapter::Tokio => tokio_runtime()?.block_on(async {
            let server = antiphon_tokio::Server::bind(address).await?.config(config);
            listening(server.local_addr()?, server.shutdown())?;
            server.serve(router).await;
            Ok(())
        }),
    }
}
