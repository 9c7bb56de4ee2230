//! The library of `examples/library`, which knows no runtime, used unchanged on each.

use std::thread;

use antiphon_service::details::ResourceInfo;
use antiphon_service::{CallOptions, Client, Code, HttpVersion, Protocol, Status};
use glossary::v1::{ExplainRequest, GlossaryServiceClient};

const WORDS: [(&str, &str); 3] =
    [("antiphon", "two choirs that answer each other"), ("anthem", "one of them"), ("stave", "five lines")];
const LINES: [&str; 2] = ["anthem: one of them", "antiphon: two choirs that answer each other"];

/// What any user of the library does, over every protocol.
async fn use_it(client: Client) -> Result<(), Status> {
    for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
        for codec in ["proto", "json"] {
            let client = client.with(CallOptions::new().protocol(protocol).codec(codec));
            assert_eq!(glossary::teach(&client, &WORDS, "ant").await?, LINES);
            let client = GlossaryServiceClient::new(client.with(CallOptions::new().use_get(true)));
            let entry = client.explain(ExplainRequest { word: "stave".into() }).await?;
            assert_eq!(entry.meaning, "five lines");
            let unknown = client.explain(ExplainRequest { word: "neume".into() }).await.unwrap_err();
            assert_eq!(unknown.code(), Code::NotFound);
            assert_eq!(unknown.detail::<ResourceInfo>().unwrap_or_default().resource_name, "neume");
        }
    }
    Ok(())
}

#[test]
fn on_smol() {
    smol::block_on(async {
        let server = antiphon_smol::Server::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
        let serving = smol::spawn(server.serve(glossary::router()));
        use_it(antiphon_smol::connect(address, HttpVersion::Http2).await.unwrap()).await.unwrap();
        shutdown.drain();
        serving.await;
    });
}

#[test]
fn on_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = antiphon_tokio::Server::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
        let serving = tokio::spawn(server.serve(glossary::router()));
        use_it(antiphon_tokio::connect(address, HttpVersion::Http2).await.unwrap()).await.unwrap();
        shutdown.drain();
        serving.await.unwrap();
    });
}

#[test]
fn on_threads() {
    let server = antiphon_blocking::Server::bind("127.0.0.1:0").unwrap();
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let serving = thread::spawn(move || server.serve(glossary::router()));
    let client = antiphon_blocking::connect(address, HttpVersion::Http2).unwrap();
    assert_eq!(glossary::blocking::teach(&client, &WORDS, "ant").unwrap(), LINES);
    smol::block_on(use_it(client.asynchronous())).unwrap();
    drop(client);
    shutdown.drain();
    serving.join().unwrap();
}
