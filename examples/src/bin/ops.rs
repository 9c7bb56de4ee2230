//! `cargo run --bin ops`: what those who operate a server ask of it, and how it answers: is it well (`grpc.health.v1`),
//! and what does it serve (`grpc.reflection.v1`).
//!
//! Every service that [`Stage`] plays does so; this one can be made unwell: with `--serve` it reads `down` and `up` from
//! its standard input, each followed by the name of a service, or by none for the server as a whole.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::thread;

use antiphon_examples::proto::greet::v1::{GreetRequest, GreetResponse, GreetService, GreetServiceServer};
use antiphon_examples::stage::{Args, Mode, Played, Stage, Venue};
use antiphon_health::v1::{HealthCheckRequest, HealthClient};
use antiphon_health::{Health, ServingStatus};
use antiphon_reflection::v1::server_reflection_request::MessageRequest;
use antiphon_reflection::v1::server_reflection_response::MessageResponse;
use antiphon_reflection::v1::{ServerReflectionClient, ServerReflectionRequest};
use antiphon_service::prost::Message;
use antiphon_service::prost_types::FileDescriptorProto;
use antiphon_service::{CallOptions, Context, HttpVersion, Protocol, Receiver, Router, Status};

/// The service that is asked about.
struct Greeter;

impl GreetService for Greeter {
    async fn greet(&self, _: &Context, mut inbound: Receiver<GreetRequest>) -> Result<GreetResponse, Status> {
        let mut names = Vec::new();
        while let Some(request) = inbound.recv().await? {
            names.push(request.name);
        }
        Ok(GreetResponse { greeting: format!("Hello, {}!", names.join(" and ")) })
    }
}

fn main() -> ExitCode {
    let stage = Stage::new("ops", "Tells how it is and what it serves.")
        .command("grpcurl -plaintext ADDRESS list")
        .command(r#"grpcurl -plaintext -d '{"name":"Ann"} {"name":"Bob"}' ADDRESS greet.v1.GreetService/Greet"#)
        .command(r#"grpcurl -plaintext -d '{"service":"greet.v1.GreetService"}' ADDRESS grpc.health.v1.Health/Check"#)
        .command("curl -s -H 'content-type: application/json' -d '{}' http://ADDRESS/grpc.health.v1.Health/List");
    let health = stage.health();
    let mode = Args::from_env().map(|args| args.mode);
    if let Ok(Mode::Serve(_)) = mode {
        let health = health.clone();
        thread::spawn(move || obey(&health));
    }
    // Of a server elsewhere nothing can be said here.
    let own = Some(health).filter(|_| matches!(mode, Ok(Mode::Both)));
    let router = Router::new().add_service(GreetServiceServer::new(Greeter));
    stage.run(router, async move |venue| play(venue, own).await)
}

/// Does what the lines of standard input say.
fn obey(health: &Health) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (word, service) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match word {
            "up" => health.set(service, ServingStatus::Serving),
            "down" => health.set(service, ServingStatus::NotServing),
            _ => _ = writeln!(io::stderr(), "ops: say `up` or `down`, and the name of a service"),
        }
    }
}

async fn play(venue: Venue, own: Option<Health>) -> Played {
    let client = venue.connect(HttpVersion::Http2).await?.with(CallOptions::new().protocol(Protocol::Grpc));
    let mut out = io::stdout().lock();

    writeln!(out, "What does it serve? A question and an answer each, in one call:")?;
    let mut call = ServerReflectionClient::new(client.clone()).server_reflection_info().await?;
    let questions = [
        MessageRequest::ListServices("*".to_owned()),
        MessageRequest::FileContainingSymbol("greet.v1.GreetService".to_owned()),
        MessageRequest::FileContainingSymbol("greet.v1.Secret".to_owned()),
    ];
    for question in questions {
        writeln!(out, "  ? {question:?}")?;
        call.send(ServerReflectionRequest { host: String::new(), message_request: Some(question) }).await?;
        let Some(answer) = call.recv().await?.and_then(|answer| answer.message_response) else { break };
        match answer {
            MessageResponse::ListServicesResponse(list) => {
                list.service.iter().try_for_each(|service| writeln!(out, "    {}", service.name))?;
            }
            MessageResponse::FileDescriptorResponse(files) => {
                for file in files.file_descriptor_proto {
                    let file = FileDescriptorProto::decode(file)?;
                    writeln!(out, "    {}: {} messages", file.name(), file.message_type.len())?;
                }
            }
            MessageResponse::ErrorResponse(error) => writeln!(out, "    {}", error.error_message)?,
            other => writeln!(out, "    {other:?}")?,
        }
    }
    call.close_send();

    writeln!(out, "\nIs it well? Told when it changes:")?;
    let service = "greet.v1.GreetService".to_owned();
    let mut states = HealthClient::new(client).watch(HealthCheckRequest { service: service.clone() }).await?;
    let mut changes = [ServingStatus::NotServing, ServingStatus::Serving].into_iter();
    while let Some(state) = states.recv().await? {
        writeln!(out, "  {service}: {}", state.status().as_str_name())?;
        match own.as_ref().zip(changes.next()) {
            Some((health, status)) => health.set(&service, status),
            None => break,
        }
    }
    Ok(())
}
