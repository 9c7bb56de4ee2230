//! Servers and clients of the service layer that do the least that an application does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use antiphon::rpc::{HttpVersion, Shape};
use antiphon_service::{CallOptions, Peer, Shutdown, driver};

use super::bed::Bed;
use super::greet::{Application, GreetServiceClient, Hello, router};
use crate::heads::{AUTHORITY, Heads, Wire};
use crate::replay::Side;
use crate::sides::{Cut, config};

/// How often tasks run in a turn.
fn beats(cut: Cut) -> usize {
    if cut == Cut::Single { cut.per_turn() } else { 1 }
}

pub struct Server {
    bed: Bed,
    application: Application,
    beats: usize,
}

impl Server {
    fn new(application: Application, shape: Shape, beats: usize) -> Self {
        let router = router(application.clone(), shape);
        let (bed, ()) = Bed::new(|runtime, io| {
            let machine = antiphon::server::Connection::new(config());
            let peer = Peer::unknown();
            (Box::pin(driver::serve(runtime, io, machine, peer, router, &Shutdown::new())), ())
        });
        Self { bed, application, beats }
    }

    pub fn unary() -> Self {
        Self::new(Application::new(), Shape::Unary, 1)
    }

    pub fn receiver() -> Self {
        Self::new(Application::new(), Shape::ClientStream, 1)
    }

    pub fn sender(cut: Cut) -> Self {
        Self::new(Application::sending(cut), Shape::ServerStream, beats(cut))
    }
}

impl Side for Server {
    fn turn(&mut self, input: &[u8], out: Option<&mut Vec<u8>>) {
        self.bed.turn(input, out, self.beats);
    }

    fn done(&self) -> u64 {
        self.application.done.load(Relaxed)
    }
}

pub struct Client {
    bed: Bed,
    application: Application,
    beats: usize,
}

impl Client {
    fn new(wire: Wire, application: Application, beats: usize) -> (Self, GreetServiceClient) {
        let (bed, client) = Bed::new(|runtime, io| {
            let version = if wire == Wire::Connect1 { HttpVersion::Http11 } else { HttpVersion::Http2 };
            let machine = antiphon::client::Connection::new(config(), version);
            let (client, connection) =
                driver::connect(runtime, io, machine, Peer::unknown(), "http", AUTHORITY);
            (Box::pin(connection), client.with(CallOptions::new().protocol(wire.protocol())))
        });
        (Self { bed, application, beats }, GreetServiceClient::new(client))
    }

    /// As many tasks as there are calls in flight; each calls again and again.
    pub fn unary(heads: Heads) -> Self {
        let (mut this, client) = Self::new(heads.wire, Application::new(), 1);
        let begun = Arc::new(AtomicU64::new(0));
        for _ in 0..heads.wire.batch() {
            let (application, client, begun) = (this.application.clone(), client.clone(), Arc::clone(&begun));
            this.bed.spawn(async move {
                loop {
                    let number = begun.fetch_add(1, Relaxed);
                    let mut options = CallOptions::new();
                    if heads.custom.timeout {
                        options = options.timeout(Duration::from_micros(999_999 - number % 500_000));
                    }
                    let response = client.greet(Hello::example(), options).await;
                    std::hint::black_box(response.expect("a good answer"));
                    application.count();
                }
            });
        }
        this
    }

    pub fn receiver() -> Self {
        let (mut this, client) = Self::new(Wire::Grpc, Application::new(), 1);
        let application = this.application.clone();
        this.bed.spawn(async move {
            let mut inbound = client.watch(Hello::example()).await.expect("a stream");
            while let Some(message) = inbound.recv().await.expect("an open stream") {
                std::hint::black_box(message);
                application.count();
            }
        });
        this
    }

    pub fn sender(cut: Cut) -> Self {
        let (mut this, client) = Self::new(Wire::Grpc, Application::sending(cut), beats(cut));
        let application = this.application.clone();
        this.bed.spawn(async move {
            let (mut outbound, _inbound) = client.upload().await.expect("a stream").split();
            let model = Hello::example();
            loop {
                for _ in 0..application.stride {
                    outbound.send(model.clone()).await.expect("an open stream");
                    application.count();
                }
                application.rest().await;
            }
        });
        this
    }
}

impl Side for Client {
    fn turn(&mut self, input: &[u8], out: Option<&mut Vec<u8>>) {
        self.bed.turn(input, out, self.beats);
    }

    fn done(&self) -> u64 {
        self.application.done.load(Relaxed)
    }
}
