//! The server under test of connectconformance: `conformance-server --adapter blocking|smol|tokio`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use antiphon_conformance::adapter::{Adapter, config};
use antiphon_conformance::handlers::router;
use antiphon_conformance::proto::{ServerCompatRequest, ServerCompatResponse};
use antiphon_conformance::{adapter, frame};

/// Any free port.
const ANY: &str = "127.0.0.1:0";

fn main() -> Result<(), Box<dyn Error>> {
    let adapter = Adapter::from_arguments(std::env::args())?;
    let request: ServerCompatRequest =
        frame::read(&mut io::stdin())?.ok_or("no request on standard input")?;
    if request.use_tls {
        return Err("TLS is not supported".into());
    }
    // The server takes whichever version its client speaks; it must be one that there is.
    adapter::http_version(request.http_version())?;
    let config = config(request.message_receive_limit);
    let router = router(adapter);
    match adapter {
        Adapter::Blocking => {
            let server = antiphon_blocking::Server::bind(ANY)?.config(config);
            announce(server.local_addr()?)?;
            server.serve(router);
        }
        Adapter::Smol => smol::block_on(async {
            let server = antiphon_smol::Server::bind(ANY).await?.config(config);
            announce(server.local_addr()?)?;
            server.serve(router).await;
            io::Result::Ok(())
        })?,
        Adapter::Tokio => {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(async {
                let server = antiphon_tokio::Server::bind(ANY).await?.config(config);
                announce(server.local_addr()?)?;
                server.serve(router).await;
                io::Result::Ok(())
            })?;
        }
    }
    Ok(())
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let response = ServerCompatResponse {
        host: address.ip().to_string(),
        port: address.port().into(),
        ..ServerCompatResponse::default()
    };
    frame::write(&mut io::stdout(), &response)
}
