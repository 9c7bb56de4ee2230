//! The client under test of connectconformance: `conformance-client --adapter blocking|smol|tokio`. Each call has a
//! connection of its own.

use std::error::Error;
use std::io;

use antiphon_conformance::adapter::{Adapter, blocked, config, http_version};
use antiphon_conformance::caller::{WORKERS, call, check};
use antiphon_conformance::client::{failure, run};
use antiphon_conformance::proto::{ClientCompatRequest, ClientCompatResponse};

fn main() -> Result<(), Box<dyn Error>> {
    let adapter = Adapter::from_arguments(std::env::args())?;
    let make = |perform: &(dyn Fn(ClientCompatRequest) -> Result<ClientCompatResponse, String> + Sync)| {
        run(&mut io::stdin(), io::stdout(), WORKERS, |request| {
            let name = request.test_name.clone();
            perform(request).unwrap_or_else(|reason| failure(name, reason))
        })
    };
    match adapter {
        Adapter::Blocking => make(&|request| {
            let connector = antiphon_blocking::Connector::new(prepare(&request)?);
            let connector = connector.config(config(request.message_receive_limit));
            let client = connector.connect(address(&request)).map_err(told)?;
            Ok(blocked(call(adapter, client, request)))
        })?,
        Adapter::Smol => make(&|request| {
            smol::block_on(async {
                let connector = antiphon_smol::Connector::new(prepare(&request)?);
                let connector = connector.config(config(request.message_receive_limit));
                let client = connector.connect(address(&request)).await.map_err(told)?;
                Ok(call(adapter, client, request).await)
            })
        })?,
        Adapter::Tokio => {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            make(&|request| {
                runtime.block_on(async {
                    let connector = antiphon_tokio::Connector::new(prepare(&request)?);
                    let connector = connector.config(config(request.message_receive_limit));
                    let client = connector.connect(address(&request)).await.map_err(told)?;
                    Ok(call(adapter, client, request).await)
                })
            })?;
        }
    }
    Ok(())
}

fn prepare(request: &ClientCompatRequest) -> Result<antiphon::rpc::HttpVersion, String> {
    check(request)?;
    http_version(request.http_version())
}

fn address(request: &ClientCompatRequest) -> String {
    format!("{}:{}", request.host, request.port)
}

fn told(error: io::Error) -> String {
    error.to_string()
}
