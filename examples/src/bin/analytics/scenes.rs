//! What a client of the ingest does.

use std::io::{Write, stdout};
use std::time::Instant;

use antiphon_examples::proto::analytics::{AnalyticsClient, ProcessStreamingRequest as Event};
use antiphon_examples::stage::{Played, Venue, WAYS, ensure, scene};
use antiphon_service::details::{BadRequest, ErrorInfo};
use antiphon_service::{CallOptions, Code, EndedBy, HttpVersion, Status};

use crate::service::MAX_BATCH;

pub(crate) async fn play(venue: Venue) -> Played {
    a_batch(&venue).await?;
    a_bad_event(&venue).await?;
    more_than_a_batch(&venue).await
}

fn event(number: usize) -> Event {
    Event {
        event_type: ["view", "click", "purchase"][number % 3].to_owned(),
        timestamp: format!("2026-11-21T12:{:02}:{:02}Z", number / 60 % 60, number % 60),
        data: format!(r#"{{"user":{number},"page":"/products/{}"}}"#, number % 97),
    }
}

/// What became of a batch.
struct Ingested {
    /// The events that were sent before the answer was there.
    sent: usize,
    /// How [`send`](antiphon_service::ClientStream::send) told of an answer that came early.
    early: Option<EndedBy>,
    answer: Result<usize, Status>,
}

/// Sends events until they are all sent, or the server has answered.
async fn ingest(client: &AnalyticsClient, events: impl Iterator<Item = Event>) -> Result<Ingested, Status> {
    let mut call = client.process().await?;
    let (mut sent, mut early) = (0, None);
    for event in events {
        // An error tells that the server hears no more. Why, tells the answer.
        if let Err(status) = call.send(event).await {
            early = Some(status.ended());
            break;
        }
        sent += 1;
    }
    let answer = call.close_and_recv().await.map(|response| response.processed_count as usize);
    Ok(Ingested { sent, early, answer })
}

async fn a_batch(venue: &Venue) -> Played {
    scene("Many events in, one answer out")?;
    for (version, protocol, way) in WAYS {
        let client = AnalyticsClient::new(venue.connect(version).await?);
        let client = client.with(CallOptions::new().protocol(protocol));
        let started = Instant::now();
        let processed = ingest(&client, (1..=5_000).map(event)).await?.answer?;
        let millis = started.elapsed().as_millis();
        writeln!(stdout(), "   {way:<18}  5000 sent, {processed} processed in {millis} ms")?;
        ensure(processed == 5_000, "the server counted otherwise")?;
    }
    Ok(())
}

async fn a_bad_event(venue: &Venue) -> Played {
    scene("Event 418 of 100000 is bad: the server says so while the client still sends")?;
    for (version, protocol, way) in WAYS {
        let client = AnalyticsClient::new(venue.connect(version).await?);
        let client = client.with(CallOptions::new().protocol(protocol));
        let events = (1..=100_000).map(|number| match number {
            418 => Event { timestamp: "yesterday".to_owned(), ..event(number) },
            number => event(number),
        });
        let Ingested { sent, answer, .. } = ingest(&client, events).await?;
        let Err(status) = answer else { return ensure(false, "the bad event was taken in") };
        writeln!(stdout(), "   {way:<18}  {sent} sent; {}: {}", status.code(), status.message())?;
        ensure(status.code() == Code::InvalidArgument, "it was refused for another reason")?;
        ensure(sent < 100_000, "the answer was not early")?;

        let info: ErrorInfo = status.detail().ok_or("no google.rpc.ErrorInfo")?;
        let request: BadRequest = status.detail().ok_or("no google.rpc.BadRequest")?;
        let violation = request.field_violations.first().ok_or("no violation")?;
        let number = info.metadata.get("event").ok_or("no number")?;
        writeln!(
            stdout(),
            "      google.rpc.ErrorInfo   {} of {}, event {number}",
            info.reason,
            info.domain
        )?;
        writeln!(stdout(), "      google.rpc.BadRequest  {} {}", violation.field, violation.description)?;
        ensure(number == "418" && violation.field == "events[418].timestamp", "another event was named")?;
    }
    Ok(())
}

async fn more_than_a_batch(venue: &Venue) -> Played {
    scene(&format!(
        "A batch is {MAX_BATCH} events: the server answers then, and the client goes on behind them"
    ))?;
    let client = AnalyticsClient::new(venue.connect(HttpVersion::Http2).await?);
    let (total, mut done) = (25_000, 0);
    while done < total {
        let Ingested { sent, early, answer } = ingest(&client, (done + 1..=total).map(event)).await?;
        let processed = answer?;
        let how = if early == Some(EndedBy::Answer) { "answered early" } else { "answered at the end" };
        writeln!(stdout(), "   from {:>5}: {sent:>5} sent, {how}: {processed} processed", done + 1)?;
        ensure(processed > 0 && processed <= MAX_BATCH as usize, "that is no batch")?;
        done += processed;
    }
    writeln!(stdout(), "   {done} of {total} events, each once")?;
    ensure(done == total, "the counts do not add up")
}
