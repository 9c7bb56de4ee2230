//! What a client of the reports does.

use std::io::{self, Write, stdout};
use std::time::{Duration, Instant};

use antiphon_examples::proto::{ReportChunk, ReportRequest, ReportServiceClient};
use antiphon_examples::stage::{Played, Venue, WAYS, ensure, scene};
use antiphon_service::{CallOptions, Code, EndedBy, HttpVersion, Metadata, Protocol, Receiver, Status};
use smol::Timer;

use crate::generator::PACE;

/// No report may take longer.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn play(venue: Venue) -> Played {
    as_they_are_made(&venue).await?;
    over_every_protocol(&venue).await?;
    cancelled(&venue).await?;
    too_long(&venue).await
}

/// A client whose every call ends after ten seconds, whatever it has received by then.
async fn connect(venue: &Venue, version: HttpVersion, protocol: Protocol) -> io::Result<ReportServiceClient> {
    let client = ReportServiceClient::new(venue.connect(version).await?);
    Ok(client.with(CallOptions::new().protocol(protocol).timeout(DEADLINE)))
}

fn report(id: &str) -> ReportRequest {
    ReportRequest { report_id: id.to_owned() }
}

fn number(headers: &Metadata, name: &str) -> Result<i32, Status> {
    let value = headers.get(name).and_then(|value| value.parse().ok());
    value.ok_or_else(|| Status::internal(format!("the server did not tell {name}")))
}

/// A report on its way: how far it is, and when its chunks came.
struct Progress {
    chunks: Receiver<ReportChunk>,
    started: Instant,
    total: i32,
    number: i32,
    first: Duration,
    last: Duration,
}

impl Progress {
    async fn start(client: &ReportServiceClient, id: &str) -> Result<Self, Status> {
        let started = Instant::now();
        let mut chunks = client.generate_report(report(id)).await?;
        // The headers come before the first chunk is made.
        let total = number(chunks.headers().await?, "Chunk-Count")?;
        Ok(Self { chunks, started, total, number: 0, first: Duration::ZERO, last: Duration::ZERO })
    }

    /// Whether another chunk came.
    async fn next(&mut self) -> Result<bool, Status> {
        let Some(chunk) = self.chunks.recv().await? else { return Ok(false) };
        self.last = self.started.elapsed();
        if self.number == 0 {
            self.first = self.last;
        }
        self.number += 1;
        if chunk.chunk_number != self.number {
            return Err(Status::data_loss(format!(
                "chunk {} came as number {}",
                chunk.chunk_number, self.number
            )));
        }
        Ok(true)
    }

    fn show(&self) -> io::Result<()> {
        let (done, percent) = (self.number * 24 / self.total, self.number * 100 / self.total);
        let bar: String = (0..24).map(|at| if at < done { '█' } else { '░' }).collect();
        let (seconds, number, total) = (self.last.as_secs_f32(), self.number, self.total);
        writeln!(stdout(), "   {seconds:5.2} s  chunk {number:>3} of {total:<3}  {bar} {percent:>3} %")
    }

    /// Chunks that had waited for each other would have come together. One does not take less than its pace.
    fn check_pace(&self) -> Played {
        let making = PACE * u32::try_from(self.total - 1)?;
        ensure(self.number == self.total, "chunks are missing")?;
        ensure(self.last - self.first > making / 2, "the chunks came all at once")
    }
}

async fn as_they_are_made(venue: &Venue) -> Played {
    scene("Chunks leave as they are made, one in 0.1 s, and the client sees how far it is")?;
    let client = connect(venue, HttpVersion::Http2, Protocol::Connect).await?;
    let mut progress = Progress::start(&client, "year").await?;
    while progress.next().await? {
        progress.show()?;
    }
    let (first, last) = (progress.first.as_secs_f32(), progress.last.as_secs_f32());
    writeln!(stdout(), "   the first chunk came after {first:.2} s, the last after {last:.2} s")?;
    progress.check_pace()
}

async fn over_every_protocol(venue: &Venue) -> Played {
    scene("The same over every protocol")?;
    for (version, protocol, way) in WAYS {
        let client = connect(venue, version, protocol).await?;
        let mut progress = Progress::start(&client, "week").await?;
        while progress.next().await? {}
        let (first, last) = (progress.first.as_secs_f32(), progress.last.as_secs_f32());
        writeln!(stdout(), "   {way:<18}  first chunk after {first:.2} s, last after {last:.2} s")?;
        progress.check_pace()?;
    }
    let client = connect(venue, HttpVersion::Http2, Protocol::Connect).await?;
    let mut unknown = client.generate_report(report("secrets")).await?;
    let Err(status) = unknown.recv().await else { return ensure(false, "an unknown report came") };
    writeln!(stdout(), "   {}: {}", status.code(), status.message())?;
    ensure(status.code() == Code::NotFound, "an unknown report failed for another reason")
}

async fn cancelled(venue: &Venue) -> Played {
    scene("A cancel in the middle stops the generator")?;
    let client = connect(venue, HttpVersion::Http2, Protocol::Connect).await?;
    let before = Count::at_rest(&client).await?;
    let mut progress = Progress::start(&client, "year").await?;
    while progress.number < 5 && progress.next().await? {
        progress.show()?;
    }
    progress.chunks.cancel();
    writeln!(stdout(), "   client: cancelled after {} of {} chunks", progress.number, progress.total)?;
    stays_at_rest(&client, before, progress.number).await
}

async fn too_long(venue: &Venue) -> Played {
    scene("A deadline of 10 s covers the whole stream")?;
    let client = connect(venue, HttpVersion::Http2, Protocol::Grpc).await?;
    let before = Count::at_rest(&client).await?;
    let mut progress = Progress::start(&client, "archive").await?;
    let status = loop {
        match progress.next().await {
            Ok(true) if progress.number % 20 == 0 => progress.show()?,
            Ok(true) => {}
            Ok(false) => return ensure(false, "the archive was complete before its time"),
            Err(status) => break status,
        }
    };
    let (took, number) = (progress.started.elapsed(), progress.number);
    writeln!(
        stdout(),
        "   client: {} after {:.2} s, with {number} chunks",
        status.code(),
        took.as_secs_f32()
    )?;
    ensure(status.code() == Code::DeadlineExceeded, "it failed for another reason")?;
    // Either side may be the first to see the time pass: the code is the same.
    let by_deadline = matches!(status.ended(), EndedBy::Deadline | EndedBy::Status);
    ensure(by_deadline, "it was ended by something else")?;
    ensure(took >= DEADLINE && took < DEADLINE * 2, "that was not its time")?;
    stays_at_rest(&client, before, number).await
}

/// The count of the server's generators, as each of its answers tells it.
#[derive(Clone, Copy, PartialEq)]
struct Count {
    running: i32,
    made: i32,
}

impl Count {
    async fn ask(client: &ReportServiceClient) -> Result<Self, Status> {
        let mut blank = client.generate_report(report("blank")).await?;
        let headers = blank.headers().await?;
        Ok(Self { running: number(headers, "Generators-Running")?, made: number(headers, "Chunks-Made")? })
    }

    /// Asks until no generator is at work.
    async fn at_rest(client: &ReportServiceClient) -> Result<Self, Status> {
        let client = client.with(DEADLINE);
        loop {
            let count = Self::ask(&client).await?;
            if count.running == 0 {
                return Ok(count);
            }
            Timer::after(PACE / 10).await;
        }
    }
}

/// A generator that had received an end, and gone on, would still count.
async fn stays_at_rest(client: &ReportServiceClient, before: Count, received: i32) -> Played {
    let stopped = Count::at_rest(client).await?;
    Timer::after(PACE * 5).await;
    let later = Count::ask(client).await?;
    let (made, more) = (stopped.made - before.made, later.made - stopped.made);
    writeln!(
        stdout(),
        "   server's count: {made} chunks made, {more} more in the next 0.5 s, {} generators at work",
        later.running
    )?;
    ensure(later == stopped, "the generator went on")?;
    ensure(made - received <= 5, "the generator stopped late")
}
