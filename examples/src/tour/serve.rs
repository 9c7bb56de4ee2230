//! Serving for others: curl, grpcurl, and whoever else comes by.

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, ToSocketAddrs};

use super::adapters::{smol_sleep, tokio_runtime, tokio_sleep};
use super::{Adapter, config};
use crate::echo;
use crate::transcript::Paint;

/// The address that a user named.
///
/// # Errors
/// In words for the user.
pub fn resolve(address: &str) -> Result<SocketAddr, String> {
    let found = address.to_socket_addrs().map_err(|error| {
        format!(
            "{address:?} is no address to listen at ({error}): give a host and a port, as in 127.0.0.1:8080"
        )
    })?;
    found.into_iter().next().ok_or_else(|| format!("{address:?} is the name of no address"))
}

/// Serves the echo service until the process is ended; prints the invitation once it listens.
///
/// # Errors
/// When nobody can listen at `address`, in words for the user.
pub fn serve(
    adapter: Adapter,
    address: SocketAddr,
    out: &mut dyn Write,
    paint: Paint,
) -> Result<(), Box<dyn Error>> {
    match adapter {
        Adapter::Blocking => {
            let server =
                antiphon_blocking::Server::bind(address).map_err(|error| refusal(address, &error))?;
            let server = server.config(config());
            invitation(adapter, server.local_addr()?, out, paint)?;
            server.serve(echo::blocking::router());
        }
        Adapter::Smol => smol::block_on(async {
            let server =
                antiphon_smol::Server::bind(address).await.map_err(|error| refusal(address, &error))?;
            invitation(adapter, server.local_addr()?, out, paint)?;
            server.config(config()).serve(echo::service::router(smol_sleep)).await;
            Ok::<(), Box<dyn Error>>(())
        })?,
        Adapter::Tokio => tokio_runtime()?.block_on(async {
            let server =
                antiphon_tokio::Server::bind(address).await.map_err(|error| refusal(address, &error))?;
            invitation(adapter, server.local_addr()?, out, paint)?;
            server.config(config()).serve(echo::service::router(tokio_sleep)).await;
            Ok::<(), Box<dyn Error>>(())
        })?,
    }
    Ok(())
}

fn refusal(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "cannot listen at {address}: another program does already. End that one, or name another port \
             (--serve {}:0 takes any free one)",
            address.ip()
        ),
        ErrorKind::PermissionDenied => format!(
            "cannot listen at {address}: it is not permitted. Ports below 1024 are often reserved; try --serve {}:8080",
            address.ip()
        ),
        ErrorKind::AddrNotAvailable => {
            format!(
                "cannot listen at {address}: this machine has no such address; try --serve 127.0.0.1:8080"
            )
        }
        _ => format!("cannot listen at {address}: {error}"),
    }
}

/// The commands that talk to a server at `address`, each under its title; each is one line for a shell in the
/// project's root.
fn commands(address: SocketAddr) -> Vec<(&'static str, String)> {
    let url = format!("http://{address}/echo.v1.EchoService");
    let json = "-H 'content-type: application/json'";
    let grpcurl = "grpcurl -plaintext -import-path examples/proto -proto echo/v1/echo.proto";
    let grpc = format!("{address} echo.v1.EchoService");
    vec![
        ("Connect, unary, JSON", format!("curl -i {json} -d '{{\"text\":\"hello\"}}' {url}/Unary")),
        (
            "Connect by GET",
            format!("curl -i '{url}/Get?connect=v1&encoding=json&message=%7B%22text%22%3A%22hello%22%7D'"),
        ),
        ("Connect, an error with a detail", format!("curl -i {json} -d '{{}}' {url}/Unary")),
        (
            "Connect over HTTP/2",
            format!("curl -i --http2-prior-knowledge {json} -d '{{\"text\":\"hello\"}}' {url}/Unary"),
        ),
        (
            "Connect, server stream: three messages and the end in envelopes",
            format!(
                "printf '\\000\\000\\000\\000\\032{{\"text\":\"again\",\"count\":3}}' | curl -sN -H 'content-type: \
                 application/connect+json' --data-binary @- {url}/ServerStream | od -c"
            ),
        ),
        (
            "gRPC by hand, over HTTP/2",
            format!(
                "printf '\\000\\000\\000\\000\\007\\012\\005hello' | curl -sv --http2-prior-knowledge -H 'content-type: \
                 application/grpc' -H 'te: trailers' --data-binary @- -o /dev/null {url}/Unary"
            ),
        ),
        ("gRPC, unary", format!("{grpcurl} -d '{{\"text\":\"hello\"}}' {grpc}/Unary")),
        (
            "gRPC, server stream",
            format!("{grpcurl} -d '{{\"text\":\"again\",\"count\":3}}' {grpc}/ServerStream"),
        ),
        (
            "gRPC, bidi",
            format!("{grpcurl} -d '{{\"text\":\"hello\"}} {{\"text\":\"good bye\"}}' {grpc}/Bidi"),
        ),
    ]
}

/// Prints where the server is and how to talk to it.
///
/// # Errors
/// When it cannot be printed.
pub fn invitation(
    adapter: Adapter,
    address: SocketAddr,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let name = adapter.name();
    writeln!(
        out,
        "echo.v1.EchoService at {address}, on {name}: Connect, gRPC and gRPC-Web, HTTP/1.1 and HTTP/2."
    )?;
    writeln!(out, "From another shell, in the project's root:")?;
    for (title, command) in commands(address) {
        writeln!(out, "\n{}\n{command}", paint.dim(&format!("# {title}")))?;
    }
    writeln!(out, "\nEnd it with Ctrl-C.")?;
    out.flush()
}
