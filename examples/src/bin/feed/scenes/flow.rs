//! Who does not read holds up who writes, and nobody else.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use antiphon_examples::stage::{Played, Venue, ensure, scene};
use antiphon_service::{CallOptions, Limits};
use smol::{Timer, future};

use super::{Counts, connect, count_all, limited, say, topic, upload, watch};

/// Events and messages are this large, and there are so many of them.
const BYTES: usize = 1_000;
const MANY: usize = 2_000;

pub(super) async fn slow_watcher(venue: &Venue) -> Played {
    scene("A slow reader throttles the producer")?;
    let (asking, topic) = (connect(venue).await?, topic("slow"));
    upload(&asking, &topic, MANY, BYTES).await?;
    let before = Counts::ask(&asking).await?;
    let mut events = limited(&connect(venue).await?, MANY)?.watch(watch(&topic)).await?;
    let sent = Counts::until_blocked(&asking, before).await?;
    writeln!(
        stdout(),
        "   {MANY} events of {BYTES} bytes; nobody reads: the server has sent {sent}, and waits"
    )?;
    let read = count_all(&mut events).await?;
    writeln!(stdout(), "   the client reads: {read} events, and a clean end")?;
    ensure(sent < 250, "the producer did not wait")?;
    ensure(read == MANY, "events were lost")
}

pub(super) async fn larger_windows(venue: &Venue) -> Played {
    scene("Larger windows on request: how far the server gets ahead of a client that does not read")?;
    let (asking, topic) = (connect(venue).await?, topic("windows"));
    upload(&asking, &topic, MANY, BYTES).await?;
    let mut last = 0;
    for window in [64 << 10, 256 << 10, 1 << 20] {
        let mut limits = Limits::default();
        limits.window = window;
        let before = Counts::until(&asking, |counts| counts.subscribers == 0).await?;
        let events = connect(&venue.clone().limits(limits)).await?.watch(watch(&topic)).await?;
        let sent = Counts::until_blocked(&asking, before).await?;
        writeln!(stdout(), "   a window of {:>4} KiB: {sent:>4} events of {BYTES} bytes", window >> 10)?;
        ensure(sent > last, "a larger window made no difference")?;
        ensure(sent * BYTES as u64 > u64::from(window), "the window was not used")?;
        last = sent;
        events.cancel();
    }
    Ok(())
}

pub(super) async fn one_direction(venue: &Venue) -> Played {
    scene("A client that does not read may say what it likes")?;
    let mut call = connect(venue).await?.chat().await?;
    let started = Instant::now();
    for _ in 0..MANY {
        call.send(say("x".repeat(BYTES))).await?;
    }
    call.close_send();
    let took = started.elapsed();
    writeln!(stdout(), "   {MANY} messages of {BYTES} bytes sent in {took:.0?}, and none read")?;
    let mut read = 0;
    while call.recv().await?.is_some() {
        read += 1;
    }
    writeln!(stdout(), "   then {read} read")?;
    ensure(read == MANY, "messages were lost")
}

pub(super) async fn other_direction(venue: &Venue) -> Played {
    const PACE: u64 = 500;
    scene("A server that does not read may still write")?;
    let slow = connect(venue).await?.with(CallOptions::new().header("Feed-Read-Pace", PACE)?);
    let others_client = connect(venue).await?;
    let mut call = slow.chat().await?;
    call.headers().await?;
    let mut said = 0;
    // A send that is given up has sent nothing.
    while future::or(async { Some(call.send(say("x".repeat(BYTES))).await) }, in_vain())
        .await
        .transpose()?
        .is_some()
    {
        said += 1;
    }
    let started = Instant::now();
    let uploading = smol::spawn(async move { upload(&others_client, "chat", MANY, BYTES).await });
    let (mut others, mut own) = (0, 0);
    while others < MANY {
        match call.recv().await?.ok_or("the call has ended")?.from.as_str() {
            "ann" => own += 1,
            _ => others += 1,
        }
    }
    let took = started.elapsed();
    uploading.await?;
    writeln!(
        stdout(),
        "   the server reads a message in {PACE} ms: {said} of {BYTES} bytes sent, then the client waits"
    )?;
    writeln!(
        stdout(),
        "   the other way meanwhile: {others} messages of {BYTES} bytes in {took:.0?}, and {own} of its own"
    )?;
    ensure(said < 250, "the client did not wait")?;
    ensure(own < said / 2, "the server did read")?;
    call.cancel();
    Ok(())
}

async fn in_vain<T>() -> Option<T> {
    Timer::after(Duration::from_millis(300)).await;
    None
}
