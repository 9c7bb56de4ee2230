//! What those who watch do.

use std::error::Error;
use std::io::{self, IsTerminal, Write, stdout};
use std::path::Path;
use std::time::Instant;

use antiphon_examples::proto::monitor::{MonitorClient, WatchRequest, WatchResponse};
use antiphon_examples::stage::{Played, Venue, WAYS, ensure, scene, until};
use antiphon_examples::transcript::Paint;
use antiphon_service::{CallOptions, Code, HttpVersion, Receiver};

use crate::machine::Machine;

const EVERY_SECOND: WatchRequest = WatchRequest { interval: 1 };

pub(crate) async fn play(venue: Venue) -> Played {
    a_plot(&venue).await?;
    every_protocol(&venue).await?;
    close_ends_it(&venue).await?;
    what_is_refused(&venue).await
}

async fn client(venue: &Venue, version: HttpVersion) -> io::Result<MonitorClient> {
    Ok(MonitorClient::new(venue.connect(version).await?))
}

/// A bar of 20 columns for a percentage, in eighths of a column.
fn bar(percent: f32) -> String {
    let eighths = (percent.clamp(0.0, 100.0) / 100.0 * 160.0).round() as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{:<20}", "█".repeat(eighths / 8) + rest)
}

async fn a_plot(venue: &Venue) -> Played {
    // Whoever looks on sees more of it.
    let readings = if stdout().is_terminal() { 10 } else { 3 };
    scene(&format!("This machine, every second, {readings} readings, each shown when it comes"))?;
    let paint = Paint::detect();
    let client = client(venue, HttpVersion::Http2).await?;
    let started = Instant::now();
    let mut machine = client.watch(EVERY_SECOND).await?;
    let mut after = 0.0;
    for _ in 0..readings {
        let reading = machine.recv().await?.ok_or("the monitor ended")?;
        after = started.elapsed().as_secs_f32();
        let WatchResponse { cpu, memory } = reading;
        let (busy, used) = (paint.received(&bar(cpu)), paint.name(&bar(memory)));
        writeln!(stdout(), "   {after:>4.1} s  cpu {cpu:>5.1} % {busy}  memory {memory:>5.1} % {used}")?;
        ensure((0.0..=100.0).contains(&cpu) && memory > 0.0 && memory < 100.0, "that is no percentage")?;
    }
    machine.cancel();
    ensure(after > (readings - 1) as f32, "the readings came too soon")
}

async fn every_protocol(venue: &Venue) -> Played {
    scene("The first reading, in every protocol")?;
    for (version, protocol, way) in WAYS {
        let client = client(venue, version).await?.with(CallOptions::new().protocol(protocol));
        let reading = client.watch(EVERY_SECOND).await?.recv().await?.ok_or("the monitor ended")?;
        writeln!(stdout(), "   {way:<18}  cpu {:>5.1} %  memory {:>5.1} %", reading.cpu, reading.memory)?;
    }
    Ok(())
}

/// How many watch, this call included; and the call.
async fn watch(client: &MonitorClient) -> Result<(u64, Receiver<WatchResponse>), Box<dyn Error>> {
    let mut machine = client.watch(EVERY_SECOND).await?;
    let count = machine.headers().await?.get("Watchers").ok_or("the monitor did not count")?.parse()?;
    Ok((count, machine))
}

async fn close_ends_it(venue: &Venue) -> Played {
    scene("The client closes, and the handler is gone")?;
    let client = client(venue, HttpVersion::Http2).await?;
    let alone = async || Ok(watch(&client).await?.0 == 1);
    until("others still watch", alone).await?; // those of the scenes before
    let (mut most, mut watching) = (0, Vec::new());
    for _ in 0..30 {
        let (count, machine) = watch(&client).await?;
        most = count;
        watching.push(machine);
    }
    watching.into_iter().for_each(Receiver::cancel);
    let took = until("somebody still watches", alone).await?;
    writeln!(stdout(), "   {most} watch; all close; {took:.0?} later a new one is the only one")?;
    ensure(most == 30, "some are not counted")
}

async fn what_is_refused(venue: &Venue) -> Played {
    scene("What is refused")?;
    let client = client(venue, HttpVersion::Http2).await?;
    for interval in [0, -5, 3601] {
        let Err(status) = client.watch(WatchRequest { interval }).await?.recv().await else {
            return ensure(false, "it was answered");
        };
        writeln!(stdout(), "   {}: {}", status.code(), status.message())?;
        ensure(status.code() == Code::InvalidArgument, "it failed otherwise")?;
    }
    // What the handler answers on a machine that is no Linux.
    let Err(status) = Machine::at(Path::new("/no/proc/here")) else { return ensure(false, "it was read") };
    writeln!(stdout(), "   {}: {}", status.code(), status.message())?;
    ensure(status.code() == Code::FailedPrecondition, "it failed otherwise")
}
