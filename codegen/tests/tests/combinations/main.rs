//! One service over every combination of protocol, version of HTTP, codec, compression and shape, on every adapter:
//! whatever carries a call, the application gets the same.
#![deny(warnings)]

mod caller;
mod service;
mod table;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use antiphon_codegen_tests::combine::v1::{CombineServiceClient, CombineServiceServer};
use antiphon_service::antiphon::rpc::{Codings, RpcConfig};
use antiphon_service::{
    CallInfo, Client, Code, Config, EndedBy, HttpVersion, Observer, Protocol, Router, Shutdown, Summary,
};

use caller::{Told, call};
use service::Combine;
use table::{PLOTS, Plot, Row, Way, rows};

/// 3 protocols × 2 versions and gRPC × 1 are 7, × 2 codecs × 2 codings × 4 shapes; and Connect GET in 8 ways.
const LEGAL: usize = 7 * 2 * 2 * 4 + 8;
/// How long an end may take to be seen.
const PATIENCE: Duration = Duration::from_secs(10);
/// gRPC over HTTP/1.1.
const ILLEGAL: usize = 2 * 2 * 4;

/// What knows a coding, or none but identity.
fn config(coding: Option<&str>) -> Config {
    if coding.is_none() {
        return Config::default();
    }
    let mut rpc = RpcConfig::default();
    rpc.codings = Codings::gzip();
    let mut config = Config::default();
    config.rpc = Arc::new(rpc);
    config
}

#[derive(Clone, Copy, Debug)]
enum Adapter {
    Blocking,
    Smol,
    Tokio,
}

/// What a server has seen of its calls.
#[derive(Clone, Default)]
struct Seen(Arc<(Mutex<Vec<Ended>>, Condvar)>);

type Ended = (CallInfo, Summary);

impl Seen {
    /// Waits until it has seen so many calls end: a server may notice an end after its client does.
    fn wait_for(&self, count: usize) {
        let (seen, more) = &*self.0;
        let waited =
            more.wait_timeout_while(seen.lock().unwrap(), PATIENCE, |seen| seen.len() < count).unwrap();
        assert_eq!(waited.0.len(), count, "the server saw other calls end than its clients made");
    }
}

impl Observer for Seen {
    fn ended(&self, call: &CallInfo, summary: &Summary) {
        let (seen, more) = &*self.0;
        seen.lock().unwrap().push((call.clone(), *summary));
        more.notify_all();
    }
}

/// A server, and the runtime of its clients.
struct Stage {
    adapter: Adapter,
    address: SocketAddr,
    shutdown: Shutdown,
    serving: thread::JoinHandle<()>,
    tokio: tokio::runtime::Runtime,
    seen: Seen,
}

impl Stage {
    fn new(adapter: Adapter) -> Self {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seen = Seen::default();
        let router = Router::new().add_service(CombineServiceServer::new(Combine)).observe(seen.clone());
        let any = "127.0.0.1:0";
        let (address, shutdown, serving) = match adapter {
            Adapter::Blocking => {
                let server = antiphon_blocking::Server::bind(any).unwrap().config(config(Some("gzip")));
                let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
                (address, shutdown, thread::spawn(move || server.serve(router)))
            }
            Adapter::Smol => {
                let server =
                    smol::block_on(antiphon_smol::Server::bind(any)).unwrap().config(config(Some("gzip")));
                let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
                (address, shutdown, thread::spawn(move || smol::block_on(server.serve(router))))
            }
            Adapter::Tokio => {
                let server =
                    tokio.block_on(antiphon_tokio::Server::bind(any)).unwrap().config(config(Some("gzip")));
                let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
                let handle = tokio.handle().clone();
                (address, shutdown, thread::spawn(move || handle.block_on(server.serve(router))))
            }
        };
        Self { adapter, address, shutdown, serving, tokio, seen }
    }

    /// Runs a caller where the adapter is at home.
    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        match self.adapter {
            Adapter::Blocking | Adapter::Smol => smol::block_on(future),
            Adapter::Tokio => self.tokio.block_on(future),
        }
    }

    async fn connect(&self, address: SocketAddr, row: Row) -> Client {
        let (version, config) = (row.version, config(row.coding));
        match self.adapter {
            Adapter::Blocking => {
                let connector = antiphon_blocking::Connector::new(version).config(config);
                connector.connect(address).unwrap().asynchronous()
            }
            Adapter::Smol => {
                antiphon_smol::Connector::new(version).config(config).connect(address).await.unwrap()
            }
            Adapter::Tokio => {
                antiphon_tokio::Connector::new(version).config(config).connect(address).await.unwrap()
            }
        }
    }

    /// One call on a connection of its own.
    async fn call(
        &self,
        address: SocketAddr,
        row: Row,
        plot: Plot,
    ) -> Result<Told, antiphon_service::Status> {
        let client = self.connect(address, row).await.with(row.options(plot).unwrap());
        call(&CombineServiceClient::new(client), row, plot).await
    }

    /// Plays the whole table, and tells of how many calls.
    fn play(&self) -> usize {
        let legal: Vec<_> = rows().into_iter().filter(|row| row.is_legal()).collect();
        assert_eq!(legal.len(), LEGAL);
        let mut calls = 0;
        self.run(async {
            for row in legal {
                for plot in PLOTS {
                    let told = self.call(self.address, row, plot).await;
                    let expected = Told::expected(row.way, plot);
                    told.unwrap().check(&expected, &(self.adapter, row, plot));
                    calls += 1;
                    self.seen.wait_for(calls);
                }
            }
        });
        calls
    }

    /// Ends it, and gives what it has seen.
    fn end(self) -> Vec<Ended> {
        self.shutdown.drain();
        self.serving.join().unwrap();
        let Seen(seen) = self.seen;
        core::mem::take(&mut *seen.0.lock().unwrap())
    }
}

/// The server saw what the table says, and not one combination under the names of all.
fn check_seen(seen: &[Ended]) {
    assert_eq!(seen.len(), LEGAL * PLOTS.len());
    let expected =
        rows().into_iter().filter(|row| row.is_legal()).flat_map(|row| PLOTS.map(|plot| (row, plot)));
    for ((call, summary), (row, plot)) in seen.iter().zip(expected) {
        let wanted = (Some(row.protocol), row.version, row.codec);
        assert_eq!((call.protocol, call.version, &*call.codec), wanted, "{row:?}");
        let method = match row.way {
            Way::Unary => "Unary",
            Way::Get => "Get",
            Way::ServerStream => "ServerStream",
            Way::ClientStream => "ClientStream",
            Way::Bidi => "Bidi",
        };
        assert_eq!(call.procedure, format!("/combine.v1.CombineService/{method}"));
        assert_eq!(summary.code.is_some(), matches!(plot, Plot::FailsFirst | Plot::FailsLater), "{row:?}");
        if plot == Plot::Good {
            for traffic in [summary.received, summary.sent] {
                let smaller = traffic.wire_bytes < traffic.bytes / 2;
                assert_eq!(smaller, row.coding.is_some(), "{row:?} {traffic:?}");
            }
        }
    }
}

fn all_on(adapter: Adapter) {
    let stage = Stage::new(adapter);
    assert_eq!(stage.play(), LEGAL * PLOTS.len());
    check_seen(&stage.end());
}

#[test]
fn all_are_alike_on_threads() {
    all_on(Adapter::Blocking);
}

#[test]
fn all_are_alike_on_smol() {
    all_on(Adapter::Smol);
}

#[test]
fn all_are_alike_on_tokio() {
    all_on(Adapter::Tokio);
}

#[test]
fn no_combination_is_missing() {
    let rows = rows();
    let legal = rows.iter().filter(|row| row.is_legal()).count();
    assert_eq!((legal, rows.len() - legal, LEGAL, ILLEGAL), (LEGAL, ILLEGAL, 120, 16));
    for (at, row) in rows.iter().enumerate() {
        assert!(!rows[..at].contains(row), "{row:?} is there twice");
    }
}

// A client says so before anything is sent.
#[test]
fn what_http1_cannot_carry_is_refused_by_clients() {
    for adapter in [Adapter::Blocking, Adapter::Smol, Adapter::Tokio] {
        let stage = Stage::new(adapter);
        let illegal: Vec<_> = rows().into_iter().filter(|row| !row.is_legal()).collect();
        assert_eq!(illegal.len(), ILLEGAL);
        for row in illegal {
            let client = stage.run(stage.connect(stage.address, row));
            let client = CombineServiceClient::new(client.with(row.options(Plot::Good).unwrap()));
            let status = stage.run(async {
                match row.way {
                    Way::Unary | Way::Get => client.unary(service::ask(1)).await.unwrap_err(),
                    Way::ServerStream => client.server_stream(service::ask(1)).await.unwrap_err(),
                    Way::ClientStream => client.client_stream().await.unwrap_err(),
                    Way::Bidi => client.bidi().await.unwrap_err(),
                }
            });
            assert_eq!((status.code(), status.ended()), (Code::Internal, EndedBy::Locally), "{row:?}");
            let clear = status.message().contains("HTTP");
            assert!(clear, "{row:?}: {}", status.message());
        }
        assert!(stage.end().is_empty());
    }
}

// A server answers whoever tries all the same: HTTP Version Not Supported, with a reason (RFC 9110 §15.6.6).
#[test]
fn what_http1_cannot_carry_is_refused_by_servers() {
    for adapter in [Adapter::Blocking, Adapter::Smol, Adapter::Tokio] {
        let stage = Stage::new(adapter);
        let illegal = rows().into_iter().filter(|row| !row.is_legal());
        for row in illegal {
            let mut stream = TcpStream::connect(stage.address).unwrap();
            let (codec, coding) = (row.codec, row.coding.unwrap_or("identity"));
            let way = row.way;
            write!(
                stream,
                "POST /combine.v1.CombineService/{way:?} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-type: application/grpc+{codec}\r\ngrpc-encoding: {coding}\r\nte: trailers\r\n\
                 content-length: 5\r\n\r\n\0\0\0\0\0"
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 505 "), "{adapter:?} {row:?}: {answer}");
        }
        assert!(stage.end().is_empty());
    }
}

/// The first bytes that a client sends through a relay to the server.
fn first_sent(stage: &Stage, row: Row) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, server) = (listener.local_addr().unwrap(), stage.address);
    let relay = thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut far = TcpStream::connect(server).unwrap();
        let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        let back = thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
        let (mut sent, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = near.read(&mut buffer) {
            sent.extend_from_slice(&buffer[..length]);
            far.write_all(&buffer[..length]).unwrap();
        }
        let _ = far.shutdown(std::net::Shutdown::Both);
        back.join().unwrap();
        sent
    });
    let told = stage.run(stage.call(address, row, Plot::Good)).unwrap();
    told.check(&Told::expected(row.way, Plot::Good), &row);
    relay.join().unwrap()
}

/// The first block of header fields that a client sends over HTTP/2 (RFC 9113 §4.1, §6.2).
fn first_header_block(sent: &[u8]) -> &[u8] {
    let mut rest = sent.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    loop {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        if rest[3] == 1 {
            return &rest[9..9 + length];
        }
        rest = &rest[9 + length..];
    }
}

// The rows named GET are one: a method without side effects, called without it, is a POST.
#[test]
fn get_is_a_get() {
    let stage = Stage::new(Adapter::Smol);
    for row in rows().into_iter().filter(|row| row.protocol == Protocol::Connect) {
        let sent = first_sent(&stage, row);
        let get = row.way == Way::Get;
        match row.version {
            // RFC 7541, appendix A: 2 is `:method: GET`, 3 is `:method: POST`.
            HttpVersion::Http2 => {
                assert_eq!(first_header_block(&sent)[0], if get { 0x82 } else { 0x83 }, "{row:?}");
            }
            _ => assert_eq!(sent.starts_with(b"GET "), get, "{row:?}"),
        }
    }
    stage.end();
}
