//! What clients of the feed do.

mod ends;
mod flow;
mod halves;
mod long;

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use antiphon_examples::proto::feed::v1::{ChatMessage, Event, FeedServiceClient, WatchRequest};
use antiphon_examples::stage::{Played, Venue, WAYS, ensure, scene};
use antiphon_service::{CallOptions, HttpVersion, Receiver, Status};
use smol::Timer;

type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) async fn play(venue: Venue) -> Played {
    three_shapes(&venue).await?;
    ends::told_apart(&venue).await?;
    ends::no_leak(&venue).await?;
    halves::half_close(&venue).await?;
    halves::two_tasks(&venue).await?;
    halves::two_threads(&venue).await?;
    flow::slow_watcher(&venue).await?;
    flow::larger_windows(&venue).await?;
    flow::one_direction(&venue).await?;
    flow::other_direction(&venue).await?;
    long::whole_stream(&venue).await?;
    long::resume(&venue).await?;
    long::thousand(&venue).await
}

/// A client on a connection of its own.
async fn connect(venue: &Venue) -> Outcome<FeedServiceClient> {
    Ok(FeedServiceClient::new(venue.connect(HttpVersion::Http2).await?))
}

/// A topic of this run's own.
fn topic(name: &str) -> String {
    format!("{name}/{}", std::process::id())
}

fn watch(topic: &str) -> WatchRequest {
    WatchRequest { topic: topic.to_owned(), after_cursor: 0 }
}

fn event(topic: &str, number: usize, body: impl Into<String>) -> Event {
    Event { id: number.to_string(), topic: topic.to_owned(), body: body.into(), ..Event::default() }
}

fn say(text: impl Into<String>) -> ChatMessage {
    ChatMessage { from: "ann".to_owned(), text: text.into() }
}

/// Uploads `count` events of `bytes` bytes each.
async fn upload(client: &FeedServiceClient, topic: &str, count: usize, bytes: usize) -> Result<u64, Status> {
    let mut call = client.upload_events().await?;
    for number in 0..count {
        call.send(event(topic, number, "x".repeat(bytes))).await?;
    }
    Ok(call.close_and_recv().await?.received)
}

/// The server returns after so many events.
fn limited(client: &FeedServiceClient, events: usize) -> Outcome<FeedServiceClient> {
    Ok(client.with(CallOptions::new().header("Feed-Limit", events)?))
}

/// Receives events up to a clean end.
async fn count_all(events: &mut Receiver<Event>) -> Result<usize, Status> {
    let mut count = 0;
    while events.recv().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// What the server counts: an upload of nothing tells.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Counts {
    subscribers: u64,
    sent: u64,
    /// Streams that were returned, failed, cancelled, past their deadline, lost.
    ends: [u64; 5],
}

impl Counts {
    async fn ask(client: &FeedServiceClient) -> Outcome<Self> {
        let told = client.upload_events().await?.close_and_recv().await?;
        let number = |name: &str| told.headers.get(name).unwrap_or_default().parse();
        let mut ends = [0; 5];
        let words = told.headers.get("Feed-Ends").unwrap_or_default().split(' ');
        for (end, word) in ends.iter_mut().zip(words) {
            *end = word.parse()?;
        }
        Ok(Self { subscribers: number("Feed-Subscribers")?, sent: number("Feed-Sent")?, ends })
    }

    /// Asks until it is so.
    async fn until(client: &FeedServiceClient, so: impl Fn(&Self) -> bool) -> Outcome<Self> {
        for _ in 0..1_000 {
            let counts = Self::ask(client).await?;
            if so(&counts) {
                return Ok(counts);
            }
            Timer::after(Duration::from_millis(10)).await;
        }
        Err(format!("the server still counts {:?}", Self::ask(client).await?).into())
    }

    /// Asks until the server has sent something after `before`, and then nothing for a while: how much it was.
    async fn until_blocked(client: &FeedServiceClient, before: Self) -> Outcome<u64> {
        let mut last = Self::until(client, |counts| counts.sent > before.sent).await?.sent;
        loop {
            Timer::after(Duration::from_millis(300)).await;
            let now = Self::ask(client).await?.sent;
            if now == last {
                return Ok(now - before.sent);
            }
            last = now;
        }
    }
}

async fn three_shapes(venue: &Venue) -> Played {
    scene("Three shapes over one broker: upload, watch, chat")?;
    for (version, protocol, way) in WAYS {
        let options = CallOptions::new().protocol(protocol);
        let client = async || -> Outcome<FeedServiceClient> {
            Ok(FeedServiceClient::new(venue.connect(version).await?.with(options.clone())))
        };
        let topic = topic(way);
        let uploaded = upload(&client().await?, &topic, 3, 10).await?;
        let mut events = limited(&client().await?, 3)?.watch(watch(&topic)).await?;
        let watched = count_all(&mut events).await?;
        // What is said is an event of the same broker.
        let mut chat = client().await?.chat().await?;
        chat.send(say("hello")).await?;
        chat.send(say("goodbye")).await?;
        chat.close_send();
        let mut heard = Vec::new();
        while let Some(message) = chat.recv().await? {
            heard.push(message.text);
        }
        let heard = heard.join(", ");
        writeln!(stdout(), "   {way:<18}  {uploaded} uploaded, {watched} watched, heard back: {heard}")?;
        ensure(uploaded == 3 && watched == 3 && heard == "hello, goodbye", "something was lost")?;
    }
    Ok(())
}
