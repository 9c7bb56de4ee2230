//! Streams that take long, are cut, and are many.

use std::fs;
use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use antiphon_examples::proto::feed::v1::{Event, FeedServiceClient, WatchRequest};
use antiphon_examples::stage::{Cable, Played, Venue, ensure, scene};
use antiphon_service::{Code, EndedBy, Status};
use smol::Timer;

use super::ends::publish_for_ever;
use super::{Counts, Outcome, connect, count_all, event, limited, topic, upload, watch};

pub(super) async fn whole_stream(venue: &Venue) -> Played {
    const DEADLINE: Duration = Duration::from_secs(1);
    scene("A deadline covers the whole stream, however lively it is")?;
    let (client, topic) = (connect(venue).await?, topic("deadline"));
    let publishing = smol::spawn(publish_for_ever(client.clone(), topic.clone()));
    let started = Instant::now();
    let mut events = client.with(DEADLINE).watch(watch(&topic)).await?;
    let mut count = 0;
    let status = loop {
        match events.recv().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return ensure(false, "the stream has ended well"),
            Err(status) => break status,
        }
    };
    let took = started.elapsed();
    drop(publishing);
    let (code, seconds) = (status.code(), took.as_secs_f32());
    writeln!(stdout(), "   {count} events, one in 5 ms; after {seconds:.2} s {code}")?;
    ensure(code == Code::DeadlineExceeded && count > 20, "it was ended by something else")?;
    ensure(took >= DEADLINE && took < DEADLINE * 2, "that was not its time")
}

/// A watcher that goes on where it was, over a new connection.
struct Resuming {
    topic: String,
    /// The last event that was seen.
    cursor: u64,
    ids: Vec<usize>,
    cuts: usize,
}

impl Resuming {
    /// Watches up to `total` events, over a connection that is cut after each `every`.
    async fn watch(&mut self, venue: &Venue, total: usize, every: usize) -> Outcome<()> {
        while self.ids.len() < total {
            let (far_away, cable) = venue.over_cable().await?;
            let request = WatchRequest { topic: self.topic.clone(), after_cursor: self.cursor };
            let client = connect(&far_away).await?;
            match self.receive(&client, request, total, (Some(cable), every)).await {
                Err(status) if status.ended() == EndedBy::LostConnection => self.cuts += 1,
                result => result?,
            }
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        client: &FeedServiceClient,
        request: WatchRequest,
        total: usize,
        (mut cable, every): (Option<Cable>, usize),
    ) -> Result<(), Status> {
        let mut events = client.watch(request).await?;
        while self.ids.len() < total {
            let Some(Event { id, cursor, .. }) = events.recv().await? else { break };
            self.cursor = cursor;
            self.ids.push(id.parse().map_err(|_| Status::data_loss("whose event is that?"))?);
            if self.ids.len() % every == 0 {
                cable = None; // the network dies
            }
        }
        drop(cable);
        Ok(())
    }
}

pub(super) async fn resume(venue: &Venue) -> Played {
    const TOTAL: usize = 500;
    scene("After a cut, on by after_cursor: nothing lost, nothing twice")?;
    let (client, topic) = (connect(venue).await?, topic("resume"));
    let publishing = smol::spawn(publish(client, topic.clone(), TOTAL));
    let mut watching = Resuming { topic, cursor: 0, ids: Vec::new(), cuts: 0 };
    watching.watch(venue, TOTAL, 60).await?;
    let uploaded = publishing.await?;
    let Resuming { cursor, ids, cuts, .. } = watching;
    let (seen, in_order) = (ids.len(), ids.iter().copied().eq(0..TOTAL));
    writeln!(stdout(), "   {uploaded} uploaded, {cuts} cuts, {seen} seen, the last cursor is {cursor}")?;
    writeln!(
        stdout(),
        "   {}",
        if in_order { "each of them once, in order" } else { "not each of them once" }
    )?;
    ensure(in_order && cuts > 1, "some were lost or came twice, or nothing was cut")
}

async fn publish(client: FeedServiceClient, topic: String, count: usize) -> Result<u64, Status> {
    let mut call = client.upload_events().await?;
    for number in 0..count {
        call.send(event(&topic, number, "news")).await?;
        Timer::after(Duration::from_millis(2)).await;
    }
    Ok(call.close_and_recv().await?.received)
}

pub(super) async fn thousand(venue: &Venue) -> Played {
    const STREAMS: usize = 1_000;
    scene("A thousand streams on one connection, which the server allows explicitly")?;
    let (asking, topic) = (connect(venue).await?, topic("thousand"));
    let client = limited(&connect(venue).await?, 1)?;
    Counts::until(&asking, |counts| counts.subscribers == 0).await?;
    let (before, started) = (resident(), Instant::now());
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(client.watch(watch(&topic)).await?);
    }
    for events in &mut streams {
        events.headers().await?;
    }
    let (subscribers, took) = (Counts::ask(&asking).await?.subscribers, started.elapsed());
    writeln!(stdout(), "   {subscribers} subscribers on one connection, after {took:.0?}")?;
    match (before, resident()) {
        (Some(before), Some(after)) => {
            let each = after.saturating_sub(before) as f64 / STREAMS as f64;
            writeln!(
                stdout(),
                "   memory of this process: {before} KiB before, {after} KiB now, {each:.1} KiB a stream"
            )?;
        }
        _ => writeln!(stdout(), "   memory: this system does not tell")?,
    }
    upload(&asking, &topic, 1, 100).await?;
    let mut received = 0;
    for events in &mut streams {
        received += count_all(events).await?;
    }
    let left = Counts::until(&asking, |counts| counts.subscribers == 0).await?.subscribers;
    writeln!(stdout(), "   one event uploaded: {received} received, all returned, {left} subscribers")?;
    ensure(subscribers == STREAMS as u64 && received == STREAMS, "some streams were missing")
}

/// The memory that this process has of the machine's, in KiB.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
