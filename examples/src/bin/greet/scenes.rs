//! What a client of the greeter does.

use std::io::{self, Write, stdout};

use antiphon_examples::proto::greet::v1::{GreetRequest, GreetResponse, GreetServiceClient, blocking};
use antiphon_examples::stage::{Played, Venue, WAYS, ensure, scene};
use antiphon_service::{CallOptions, Code, HttpVersion, Metadata, Status};

use crate::token::Token;

pub(crate) async fn play(venue: Venue) -> Played {
    one_port(&venue).await?;
    by_get(&venue).await?;
    headers_are_read(&venue).await?;
    nobody_without_a_token(&venue).await?;
    name_by_name(&venue).await?;
    on_threads(venue).await
}

/// A client whose every call carries the token.
async fn connect(venue: &Venue, version: HttpVersion) -> io::Result<GreetServiceClient> {
    Ok(GreetServiceClient::new(venue.connect(version).await?.intercept(Token("let-me-in"))))
}

fn named(name: &str) -> GreetRequest {
    GreetRequest { name: name.to_owned() }
}

/// What a call came back with: the greeter's version, and every line of its greetings.
#[derive(PartialEq, Debug)]
struct Told {
    version: Option<String>,
    lines: Vec<String>,
}

impl Told {
    fn new(headers: &Metadata) -> Self {
        Self { version: headers.get("Greet-Version").map(str::to_owned), lines: Vec::new() }
    }

    fn hear(mut self, response: &GreetResponse) -> Self {
        self.lines.extend(response.greeting.lines().map(str::to_owned));
        self
    }

    fn check(&self, lines: &[&str]) -> Played {
        ensure(self.lines == lines, "these are other greetings")?;
        ensure(self.version.as_deref() == Some("v1"), "the greeter did not say its version")
    }
}

/// One name in, one greeting out.
async fn greet_once(client: &GreetServiceClient) -> Result<Told, Status> {
    let response = client.greet_once(named("Ann")).await?;
    Ok(Told::new(&response.headers).hear(&response))
}

/// Many names in, one greeting out.
async fn greet(client: &GreetServiceClient) -> Result<Told, Status> {
    let mut call = client.greet().await?;
    call.send(named("Ann")).await?;
    call.send(named("Bob")).await?;
    let response = call.close_and_recv().await?;
    Ok(Told::new(&response.headers).hear(&response))
}

/// One name in, many greetings out.
async fn greet_more(client: &GreetServiceClient) -> Result<Told, Status> {
    let mut greetings = client.greet_more(named("Ann")).await?;
    let mut told = Told::new(greetings.headers().await?);
    while let Some(greeting) = greetings.recv().await? {
        told = told.hear(&greeting);
    }
    Ok(told)
}

/// Many names in, many greetings out; over HTTP/1.1 all names come first.
async fn greet_each(client: &GreetServiceClient) -> Result<Told, Status> {
    let mut call = client.greet_each().await?;
    call.send(named("Ann")).await?;
    call.send(named("Bob")).await?;
    call.close_send();
    let mut told = Told::new(call.headers().await?);
    while let Some(greeting) = call.recv().await? {
        told = told.hear(&greeting);
    }
    Ok(told)
}

async fn one_port(venue: &Venue) -> Played {
    scene(&format!("Every protocol over HTTP/1.1 and h2c, on one port: {}", venue.address()))?;
    for (version, protocol, way) in WAYS {
        let client = connect(venue, version).await?.with(CallOptions::new().protocol(protocol));
        let shapes = [
            ("one in, one out", greet_once(&client).await?, &["Hello, Ann!"][..]),
            ("many in, one out", greet(&client).await?, &["Hello, Ann!", "Hello, Bob!"]),
            (
                "one in, many out",
                greet_more(&client).await?,
                &["Hello, Ann!", "Nice to see you, Ann!", "Take care, Ann!"],
            ),
            ("many in and out", greet_each(&client).await?, &["Hello, Ann!", "Hello, Bob!"]),
        ];
        for (shape, told, lines) in shapes {
            let version = told.version.as_deref().unwrap_or("none");
            writeln!(
                stdout(),
                "   {way:<18}  {shape:<16}  Greet-Version: {version}  {}",
                told.lines.join(" ")
            )?;
            told.check(lines)?;
        }
    }
    Ok(())
}

/// A method without side effects, by HTTP GET: a link that caches understand.
async fn by_get(venue: &Venue) -> Played {
    scene("Asking changes nothing: Connect by GET, which caches understand")?;
    for (version, name) in [(HttpVersion::Http11, "HTTP/1.1"), (HttpVersion::Http2, "HTTP/2")] {
        let client = connect(venue, version).await?.with(CallOptions::new().use_get(true).codec("json"));
        let told = greet_once(&client).await?;
        writeln!(stdout(), "   GET over {name}: {}", told.lines.join(" "))?;
        told.check(&["Hello, Ann!"])?;
    }
    Ok(())
}

async fn headers_are_read(venue: &Venue) -> Played {
    scene("The handler reads the headers of the request")?;
    let client = connect(venue, HttpVersion::Http2).await?;
    let told = greet(&client.with(CallOptions::new().header("Accept-Language", "fr")?)).await?;
    writeln!(stdout(), "   Accept-Language: fr  {}", told.lines.join(" "))?;
    told.check(&["Bonjour, Ann!", "Bonjour, Bob!"])
}

async fn nobody_without_a_token(venue: &Venue) -> Played {
    scene("Nobody is greeted without a token")?;
    for (version, protocol, way) in WAYS {
        // Only the interceptor is missing. A new connection for each call: over HTTP/1.1 it ends with a call that was
        // answered before the client had said everything.
        let bare = async || -> io::Result<GreetServiceClient> {
            let client = venue.connect(version).await?.with(CallOptions::new().protocol(protocol));
            Ok(GreetServiceClient::new(client))
        };
        for (shape, result) in [
            ("one in, one out", greet_once(&bare().await?).await),
            ("many in, one out", greet(&bare().await?).await),
            ("one in, many out", greet_more(&bare().await?).await),
            ("many in and out", greet_each(&bare().await?).await),
        ] {
            let Err(status) = result else { return ensure(false, "a call without a token was answered") };
            writeln!(stdout(), "   {way:<18}  {shape:<16}  {}: {}", status.code(), status.message())?;
            ensure(status.code() == Code::Unauthenticated, "it was refused for another reason")?;
        }
    }
    let wrong = venue.connect(HttpVersion::Http2).await?.intercept(Token("guess"));
    let result = greet(&GreetServiceClient::new(wrong)).await;
    let refused = result.is_err_and(|status| status.code() == Code::Unauthenticated);
    writeln!(stdout(), "   a wrong token: {}", if refused { "refused as well" } else { "let in" })?;
    ensure(refused, "a wrong token was not refused")
}

async fn name_by_name(venue: &Venue) -> Played {
    scene("Each is greeted before the next is named")?;
    let mut call = connect(venue, HttpVersion::Http2).await?.greet_each().await?;
    for name in ["Ann", "Bob", "Cleo"] {
        call.send(named(name)).await?;
        let greeting = call.recv().await?.ok_or("the call ended early")?.greeting;
        writeln!(stdout(), "   {name:<4}  {greeting}")?;
        ensure(greeting == format!("Hello, {name}!"), "somebody else was greeted")?;
    }
    call.close_send();
    ensure(call.recv().await?.is_none(), "somebody was greeted who was not named")?;
    writeln!(stdout(), "   half-closed; a clean end follows")?;
    Ok(())
}

async fn on_threads(venue: Venue) -> Played {
    scene("The same client and interceptor without async")?;
    let greetings: Vec<_> = smol::unblock(move || {
        let client = venue.connect_blocking(HttpVersion::Http2)?.intercept(Token("let-me-in"));
        let client = blocking::GreetServiceClient::new(client);
        let greetings: Result<Vec<_>, Status> = client.greet_more(named("Ann")).and_then(Iterator::collect);
        greetings.map_err(io::Error::other)
    })
    .await?;
    let greetings: Vec<_> = greetings.into_iter().map(|response| response.greeting).collect();
    writeln!(stdout(), "   {}", greetings.join(" "))?;
    ensure(greetings.len() == 3, "there were to be three greetings")
}
