//! A client and a server over two buffers in memory: no socket, no thread, no runtime, no clock. What is copied from
//! one machine to the other here may go over anything: a vsock, a pipe, a serial line, a simulated network.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use antiphon::rpc::{ClientRequest, HttpVersion, Method, Payload, Protocol, Shape};
use antiphon::{CallId, Config, Event, Instant, Metadata, Pump, Status, client, server};

/// Time is a number that the embedder gives; here it stands still.
const NOW: Instant = Instant::EPOCH;

fn main() -> Result<(), Box<dyn Error>> {
    let config = Arc::new(Config::default());
    let mut client = Pump::new(client::Connection::new(Arc::clone(&config), HttpVersion::Http2));
    let mut server = Pump::new(server::Connection::new(config));
    let mut out = std::io::stdout().lock();
    for (shape, path) in [(Shape::Unary, "/demo.Choir/Greet"), (Shape::ServerStream, "/demo.Choir/Sing")] {
        let request = ClientRequest::new(Protocol::Grpc, "text", Method::new(shape), "in-memory", path);
        let call = client.machine.start(NOW, &request)?;
        client.machine.send_last(NOW, call, Payload::Plain(b"antiphon"))?;
        writeln!(out, "{path} ({shape:?})")?;
        while client.machine.outcome(call).is_none() {
            let there = client.take_output(NOW);
            server.feed(NOW, &there);
            serve(&mut server)?;
            let back = server.take_output(NOW);
            client.feed(NOW, &back);
            writeln!(out, "  {} bytes to the server, {} bytes back", there.len(), back.len())?;
        }
        receive(&mut client, call, &mut out)?;
    }
    Ok(())
}

/// Prints what came back.
fn receive(
    client: &mut Pump<client::Connection>,
    call: CallId,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    loop {
        match client.machine.read(NOW, call)? {
            client::Read::Messages(mut run) => {
                while let Some(message) = run.next(&mut Vec::new()) {
                    writeln!(out, "  received {:?}", message?)?;
                }
            }
            client::Read::Pending => return Err("the other side is silent".into()),
            client::Read::End(outcome) => {
                writeln!(out, "  the end: {outcome:?}")?;
                client.machine.drop_call(NOW, call);
                return Ok(());
            }
        }
    }
}

/// Answers the calls whose request is complete: the whole server.
fn serve(server: &mut Pump<server::Connection>) -> Result<(), Box<dyn Error>> {
    let none = Metadata::new();
    while let Some(event) = server.next_event() {
        let Event::Readable(call) = event else { continue };
        let server::Read::Messages(mut run) = server.machine.read(NOW, call)? else { continue };
        let Some(name) = run.next(&mut Vec::new()).transpose()? else { continue };
        let name = String::from_utf8_lossy(&name).into_owned();
        let path = server.machine.request(call).map(|request| request.path().to_owned());
        let verses = if path.as_deref() == Some("/demo.Choir/Sing") { 3 } else { 1 };
        for verse in 1..=verses {
            let line = format!("hello, {name} {verse}/{verses}");
            server.machine.send(NOW, call, Payload::Plain(line.as_bytes()))?;
        }
        let end: Result<(), &Status> = Ok(());
        server.machine.finish(NOW, call, end, &none)?;
        server.machine.drop_call(NOW, call);
    }
    Ok(())
}
