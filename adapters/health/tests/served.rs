//! Health as clients see it: from async and blocking servers, by async and blocking clients, over each protocol.

use std::net::SocketAddr;
use std::thread;

use antiphon_health::v1::health_check_response::ServingStatus as Wire;
use antiphon_health::v1::{HealthCheckRequest, HealthClient, HealthListRequest, blocking};
use antiphon_health::{Health, ServingStatus};
use antiphon_service::{Bytes, CallOptions, Code, Context, HttpVersion, Protocol, Router, Shutdown, Status};

const SERVICE: &str = "demo.Choir";

fn health() -> (Router, Health) {
    let router = Router::new().unary("/demo.Choir/Greet", |_: Context, name: Bytes| async move { Ok(name) });
    let health = Health::of(&router);
    (router.add_service(health.clone()), health)
}

fn on_smol() -> (SocketAddr, Health, Shutdown) {
    let (router, health) = health();
    let server = smol::block_on(antiphon_smol::Server::bind("127.0.0.1:0")).unwrap();
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    thread::spawn(move || smol::block_on(server.serve(router)));
    (address, health, shutdown)
}

fn on_threads() -> (SocketAddr, Health, Shutdown) {
    let (router, health) = health();
    let server = antiphon_blocking::Server::bind("127.0.0.1:0").unwrap();
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    thread::spawn(move || server.serve(router));
    (address, health, shutdown)
}

/// What a client may say of its calls.
fn options() -> [CallOptions; 3] {
    [
        CallOptions::new().codec("json"),
        CallOptions::new().protocol(Protocol::Grpc),
        CallOptions::new().protocol(Protocol::GrpcWeb),
    ]
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

// health.proto: Check answers of what is known, and NOT_FOUND of the rest; List tells all; Watch tells at once and when
// it changes, SERVICE_UNKNOWN included, and goes on.
async fn ask(client: &HealthClient, health: &Health) -> Result<(), Status> {
    health.set(SERVICE, ServingStatus::Serving);
    health.remove("demo.Later");
    for name in ["", SERVICE] {
        assert_eq!(client.check(of(name)).await?.status(), Wire::Serving);
    }
    assert_eq!(client.check(of("demo.Later")).await.unwrap_err().code(), Code::NotFound);

    let mut known = client.watch(of(SERVICE)).await?;
    let mut unknown = client.watch(of("demo.Later")).await?;
    assert_eq!(known.recv().await?.map(|state| state.status()), Some(Wire::Serving));
    assert_eq!(unknown.recv().await?.map(|state| state.status()), Some(Wire::ServiceUnknown));
    health.set(SERVICE, ServingStatus::NotServing);
    health.set("demo.Later", ServingStatus::Serving);
    assert_eq!(known.recv().await?.map(|state| state.status()), Some(Wire::NotServing));
    assert_eq!(unknown.recv().await?.map(|state| state.status()), Some(Wire::Serving));
    health.remove("demo.Later");
    assert_eq!(unknown.recv().await?.map(|state| state.status()), Some(Wire::ServiceUnknown));

    assert_eq!(client.check(of(SERVICE)).await?.status(), Wire::NotServing);
    // A name is kept as long as it is watched: a peer must not make it long.
    let long = "x".repeat(100_000);
    assert_eq!(client.check(of(&long)).await.unwrap_err().code(), Code::ResourceExhausted);
    let mut states = client.watch(of(&long)).await?;
    assert_eq!(states.recv().await.unwrap_err().code(), Code::ResourceExhausted);
    let all = client.list(HealthListRequest {}).await?;
    let mut all: Vec<_> = all.statuses.iter().map(|(name, state)| (name.as_str(), state.status())).collect();
    all.sort_unstable();
    assert_eq!(all, [("", Wire::Serving), (SERVICE, Wire::NotServing)]);
    Ok(())
}

fn ask_blocking(client: &blocking::HealthClient, health: &Health) -> Result<(), Status> {
    health.set(SERVICE, ServingStatus::Serving);
    assert_eq!(client.check(of(SERVICE))?.status(), Wire::Serving);
    let mut states = client.watch(of(SERVICE))?;
    assert_eq!(states.recv()?.map(|state| state.status()), Some(Wire::Serving));
    health.set(SERVICE, ServingStatus::NotServing);
    assert_eq!(states.recv()?.map(|state| state.status()), Some(Wire::NotServing));
    Ok(())
}

fn ask_everything((address, health, shutdown): (SocketAddr, Health, Shutdown)) {
    let watched = smol::block_on(async {
        let client = antiphon_smol::connect(address, HttpVersion::Http2).await.unwrap();
        let client = HealthClient::new(client);
        for options in options() {
            ask(&client.with(options), &health).await.unwrap();
        }
        client.with(CallOptions::new().protocol(Protocol::Grpc)).watch(of("")).await.unwrap()
    });
    let client = antiphon_blocking::connect(address, HttpVersion::Http2).unwrap();
    let client = blocking::HealthClient::new(client);
    for options in options() {
        ask_blocking(&client.with(options), &health).unwrap();
    }

    // The end is told, and the open watch does not hold it up.
    health.follow(&shutdown);
    smol::block_on(async {
        let mut watched = watched;
        assert_eq!(watched.recv().await.unwrap().map(|state| state.status()), Some(Wire::Serving));
        shutdown.drain();
        assert_eq!(watched.recv().await.unwrap().map(|state| state.status()), Some(Wire::NotServing));
        assert_eq!(watched.recv().await.unwrap_err().code(), Code::Unavailable);
    });
    drop(client);
    shutdown.wait_finished();
}

#[test]
fn an_async_server_tells_its_health() {
    ask_everything(on_smol());
}

#[test]
fn a_blocking_server_tells_its_health() {
    ask_everything(on_threads());
}
