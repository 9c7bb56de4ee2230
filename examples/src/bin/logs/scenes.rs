//! What clients of the logs do.

use std::error::Error;
use std::io::{self, Write, stdout};
use std::time::{Duration, Instant};

use antiphon_examples::proto::example::{LogRequest, LogServiceClient};
use antiphon_examples::stage::{Played, Venue, WAYS, ensure, scene, until};
use antiphon_service::{CallOptions, Code, EndedBy, HttpVersion, Metadata};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

use crate::service::{FNV_OFFSET, PACE, fnv1a};

pub(crate) async fn play(venue: Venue) -> Played {
    headers_first_and_trailers_last(&venue).await?;
    the_source_stops(&venue).await?;
    a_method_that_is_new(&venue).await?;
    a_page(&venue).await
}

fn level(level: &str) -> LogRequest {
    LogRequest { level: level.to_owned() }
}

async fn client(venue: &Venue, version: HttpVersion) -> io::Result<LogServiceClient> {
    Ok(LogServiceClient::new(venue.connect(version).await?))
}

fn number(metadata: &Metadata, name: &str) -> Result<u64, Box<dyn Error>> {
    Ok(metadata.get(name).ok_or_else(|| format!("no {name}"))?.parse()?)
}

async fn headers_first_and_trailers_last(venue: &Venue) -> Played {
    scene("Headers before the first entry, trailers computed at the end")?;
    let mut early = 0;
    for (version, protocol, way) in WAYS {
        let options = CallOptions::new().protocol(protocol).header("Correlation-Id", "case-7")?;
        let client = client(venue, version).await?.with(options);
        let started = Instant::now();
        let mut entries = client.get_logs(level("")).await?;

        let headers = entries.headers().await?;
        let (count, id) =
            (number(headers, "Log-Count")?, headers.get("Correlation-Id").unwrap_or("none").to_owned());
        let headers_after = started.elapsed();

        let (mut read, mut checksum, mut first_after) = (0, FNV_OFFSET, None);
        while let Some(entry) = entries.recv().await? {
            first_after.get_or_insert(started.elapsed());
            read += 1;
            checksum = fnv1a(checksum, entry.message.as_bytes());
        }
        let first_after = first_after.ok_or("no entry came")?;

        let trailers = entries.trailers();
        let (sent, bytes) = (number(trailers, "Log-Sent")?, number(trailers, "Log-Bytes")?);
        let told = trailers.get("Log-Checksum").unwrap_or("none");
        writeln!(
            stdout(),
            "   {way:<18}  headers after {headers_after:.0?}: {count} to come, id {id}; first entry after \
             {first_after:.0?};\n{:23}trailers after {:.0?}: {sent} sent, {bytes} bytes, checksum {told}",
            "",
            started.elapsed()
        )?;
        early += usize::from(first_after - headers_after > PACE / 2);
        ensure(id == "case-7", "this is the id of another call")?;
        ensure(count == read && sent == read, "entries were lost")?;
        ensure(told == format!("{checksum:016x}"), "the checksum is another one here")?;
    }
    // Once is proof: a machine that is busy elsewhere may be late to look.
    ensure(early > 0, "the headers waited for the first entry")
}

/// Follows the logs, reads five entries, and ends it in three ways.
async fn the_source_stops(venue: &Venue) -> Played {
    scene("The source behind the handler stops when nobody listens any more")?;
    let asking = client(venue, HttpVersion::Http2).await?;
    for how in ["cancelled", "deadline passed", "connection lost"] {
        let (far_away, cable) = venue.over_cable().await?;
        let mut client = client(&far_away, HttpVersion::Http2).await?;
        if how == "deadline passed" {
            client = client.with(Duration::from_secs(1));
        }
        let mut entries = client.stream_logs(level("info")).await?;
        for _ in 0..5 {
            entries.recv().await?.ok_or("the logs ended")?;
        }
        let running = running(&asking).await?;
        ensure(running == 1, "no source was running")?;
        let ended = match how {
            "cancelled" => {
                entries.cancel();
                None
            }
            _ => {
                if how == "connection lost" {
                    cable.cut();
                }
                loop {
                    match entries.recv().await {
                        Ok(Some(_)) => {}
                        Ok(None) => return ensure(false, "an endless stream ended well"),
                        Err(status) => break Some(status),
                    }
                }
            }
        };
        let sentence = "the source still runs";
        let took = until(sentence, async || Ok(self::running(&asking).await? == 0)).await?;
        let code = ended.as_ref().map_or("nothing", |status| status.code().name());
        writeln!(
            stdout(),
            "   {how:<15}  5 entries read, {running} source running; none {took:.0?} later; told: {code}"
        )?;
        let right = match (how, ended) {
            // Whose clock is first says so: the client's, or the server's in a status.
            ("deadline passed", Some(status)) => status.code() == Code::DeadlineExceeded,
            ("connection lost", Some(status)) => status.ended() == EndedBy::LostConnection,
            (_, ended) => ended.is_none(),
        };
        ensure(right, "it ended otherwise")?;
    }
    Ok(())
}

/// How many sources the server runs.
async fn running(client: &LogServiceClient) -> Result<u64, Box<dyn Error>> {
    let mut entries = client.get_logs(level("")).await?;
    number(entries.headers().await?, "Sources-Running") // and the rest is not wanted
}

async fn a_method_that_is_new(venue: &Venue) -> Played {
    scene("The schema is ahead of the server")?;
    let client = client(venue, HttpVersion::Http2).await?;
    let Err(status) = client.count_logs(level("")).await else { return ensure(false, "it was answered") };
    writeln!(stdout(), "   CountLogs: {}: {}", status.code(), status.message())?;
    ensure(status.code() == Code::Unimplemented, "it failed otherwise")?;
    let mut entries = client.get_logs(level("loud")).await?;
    let Err(status) = entries.recv().await else { return ensure(false, "it was answered") };
    writeln!(stdout(), "   GetLogs of a level that nobody knows: {}: {}", status.code(), status.message())?;
    ensure(status.code() == Code::InvalidArgument, "it failed otherwise")
}

/// What `examples/web/logs.html` makes a browser do, byte for byte.
async fn a_page(venue: &Venue) -> Played {
    scene("A page of another origin, in a browser: a preflight, then entries in JSON as they come")?;
    let path = "/example.LogService/StreamLogs";
    let asked = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n";
    let request =
        format!("OPTIONS {path} HTTP/1.1\r\nHost: {}\r\nOrigin: null\r\n{asked}\r\n", venue.address());
    let mut socket = TcpStream::connect(venue.address()).await?;
    socket.write_all(request.as_bytes()).await?;
    let answer = receive(&mut socket, |text| text.contains("\r\n\r\n")).await?;
    let allowed = answer.contains("access-control-allow-origin: *") && answer.contains("content-type");
    writeln!(
        stdout(),
        "   preflight: {}, {}",
        answer.lines().next().unwrap_or_default(),
        if allowed { "allowed" } else { "refused" }
    )?;
    ensure(allowed, "the page may not call")?;

    let body = "\0\0\0\0\x10{\"level\":\"warn\"}";
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nOrigin: null\r\nContent-Type: application/connect+json\r\nContent-Length: {}\r\n\r\n",
        venue.address(),
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await?;
    let started = Instant::now();
    let mut times = Vec::new();
    let mut received = String::new();
    while times.len() < 3 {
        let seen = received.matches("\"message\"").count();
        received += &receive(&mut socket, |text| text.contains("\"message\"")).await?;
        ensure(received.matches("\"message\"").count() > seen, "it ended")?;
        times.push(format!("{:.0?}", started.elapsed()));
    }
    writeln!(stdout(), "   entries received after {}", times.join(", "))?;
    let entry = received.find('{').and_then(|at| received[at..].lines().next()).unwrap_or_default();
    writeln!(stdout(), "   the first: {entry}")?;
    ensure(
        received.contains("access-control-expose-headers") && entry.contains("warn: entry 1"),
        "it is another one",
    )
}

/// Reads until there is enough.
async fn receive(socket: &mut TcpStream, enough: impl Fn(&str) -> bool) -> Result<String, Box<dyn Error>> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !enough(&text) {
        let length = socket.read(&mut buffer).await?;
        if length == 0 {
            return Err("the server closed the connection".into());
        }
        text += &String::from_utf8_lossy(&buffer[..length]);
    }
    Ok(text)
}
