//! Reflection as clients see it: both versions, from async and blocking servers.

use std::net::SocketAddr;
use std::thread;

use antiphon_health::Health;
use antiphon_reflection::Reflection;
use antiphon_reflection::v1::server_reflection_request::MessageRequest;
use antiphon_reflection::v1::server_reflection_response::MessageResponse;
use antiphon_reflection::v1::{
    ServerReflectionClient, ServerReflectionRequest, ServerReflectionResponse, blocking,
};
use antiphon_service::prost::Message;
use antiphon_service::prost_types::FileDescriptorProto;
use antiphon_service::{Bytes, CallOptions, Client, Code, Context, HttpVersion, Protocol, Router, Status};

const SERVICES: [&str; 4] = [
    "demo.Choir",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

fn router() -> Router {
    let router = Router::new().unary("/demo.Choir/Greet", |_: Context, name: Bytes| async move { Ok(name) });
    let health = Health::of(&router);
    let router = router.add_service(health).add_service(Reflection::new());
    // Added afterwards, it is kept to those who know of it.
    router.unary("/demo.Secret/Greet", |_: Context, name: Bytes| async move { Ok(name) })
}

fn on_smol() -> SocketAddr {
    let server = smol::block_on(antiphon_smol::Server::bind("127.0.0.1:0")).unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || smol::block_on(server.serve(router())));
    address
}

fn on_threads() -> SocketAddr {
    let server = antiphon_blocking::Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || server.serve(router()));
    address
}

fn request(question: MessageRequest) -> ServerReflectionRequest {
    ServerReflectionRequest { host: "host".to_owned(), message_request: Some(question) }
}

fn questions() -> [ServerReflectionRequest; 3] {
    [
        request(MessageRequest::ListServices("*".to_owned())),
        request(MessageRequest::FileContainingSymbol("demo.Choir".to_owned())),
        request(MessageRequest::FileContainingSymbol("grpc.health.v1.Health.Watch".to_owned())),
    ]
}

// reflection.proto: an answer for each request, in order, with the request in it; an error does not end the call.
fn check(answers: &[ServerReflectionResponse]) {
    for (answer, question) in answers.iter().zip(questions()) {
        assert_eq!((answer.valid_host.as_str(), &answer.original_request), ("host", &Some(question)));
    }
    let [Some(list), Some(error), Some(files)] = [0, 1, 2].map(|at| answers[at].message_response.clone())
    else {
        panic!("{answers:?}");
    };
    let MessageResponse::ListServicesResponse(list) = list else { panic!("{list:?}") };
    assert_eq!(list.service.iter().map(|service| &*service.name).collect::<Vec<_>>(), SERVICES);
    let MessageResponse::ErrorResponse(error) = error else { panic!("{error:?}") };
    assert_eq!(error.error_code, 5, "it has no schema: {}", error.error_message);
    let MessageResponse::FileDescriptorResponse(files) = files else { panic!("{files:?}") };
    let file = FileDescriptorProto::decode(&*files.file_descriptor_proto[0]).unwrap();
    assert_eq!(file.name(), "grpc/health/v1/health.proto");
}

async fn ask(client: &ServerReflectionClient) -> Result<(), Status> {
    let mut call = client.server_reflection_info().await?;
    let mut answers = Vec::new();
    for question in questions() {
        call.send(question).await?;
        answers.extend(call.recv().await?);
    }
    call.close_send();
    assert_eq!(call.recv().await?, None);
    check(&answers);
    // The answer repeats what was asked: that must not be long.
    let mut call = client.server_reflection_info().await?;
    call.send(request(MessageRequest::FileByFilename("\u{1}".repeat(100_000)))).await?;
    assert_eq!(call.recv().await.unwrap_err().code(), Code::ResourceExhausted);
    Ok(())
}

/// v1alpha has the same messages under another name.
async fn ask_alpha(client: &Client) -> Result<(), Status> {
    const PATH: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    let options = CallOptions::new().protocol(Protocol::Grpc).codec("proto");
    let mut call = client.bidi(PATH, options).await?;
    let mut answers = Vec::new();
    for question in questions() {
        call.send(question.encode_to_vec().into()).await?;
        let answer = call.recv().await?.unwrap_or_default();
        answers.push(ServerReflectionResponse::decode(answer).unwrap());
    }
    drop(call);
    check(&answers);

    let mut call = client.bidi(PATH, CallOptions::new().codec("json")).await?;
    call.send(r#"{"listServices":"*"}"#.into()).await?;
    let answer = call.recv().await?.unwrap_or_default();
    assert!(String::from_utf8_lossy(&answer).contains(r#"{"name":"demo.Choir"}"#), "{answer:?}");
    Ok(())
}

fn ask_blocking(client: &blocking::ServerReflectionClient) -> Result<(), Status> {
    let mut call = client.server_reflection_info()?;
    let mut answers = Vec::new();
    for question in questions() {
        call.send(question)?;
        answers.extend(call.recv()?);
    }
    check(&answers);
    Ok(())
}

fn ask_everything(address: SocketAddr) {
    smol::block_on(async {
        let client = antiphon_smol::connect(address, HttpVersion::Http2).await.unwrap();
        let reflection = ServerReflectionClient::new(client.clone());
        for options in [CallOptions::new().codec("json"), CallOptions::new().protocol(Protocol::Grpc)] {
            ask(&reflection.with(options)).await.unwrap();
        }
        ask_alpha(&client).await.unwrap();
    });
    let client = antiphon_blocking::connect(address, HttpVersion::Http2).unwrap();
    ask_blocking(&blocking::ServerReflectionClient::new(client)).unwrap();
}

#[test]
fn an_async_server_tells_what_it_serves() {
    ask_everything(on_smol());
}

#[test]
fn a_blocking_server_tells_what_it_serves() {
    ask_everything(on_threads());
}
