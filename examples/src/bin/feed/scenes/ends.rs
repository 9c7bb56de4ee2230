//! How streams end, at both sides.

use std::io::{Write, stdout};
use std::time::Duration;

use antiphon_examples::proto::feed::v1::{Event, FeedServiceClient, WatchRequest};
use antiphon_examples::stage::{Cable, Played, Venue, ensure, scene};
use antiphon_service::{Code, EndedBy, Receiver, Status};
use smol::Timer;

use super::{Counts, Outcome, connect, limited, topic, upload, watch};

const KINDS: [&str; 5] = ["returned", "returned an error", "cancelled", "deadline passed", "connection lost"];

/// How a stream ended, in the client's words.
async fn told(events: &mut Receiver<Event>) -> String {
    loop {
        match events.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => break "a clean end".to_owned(),
            Err(status) => {
                let by = match status.ended() {
                    // Either side may be the first to see the time pass: the code is the same.
                    EndedBy::Status if status.code() == Code::DeadlineExceeded => "by the deadline",
                    EndedBy::Status => "by the server's status",
                    EndedBy::Cancel { .. } => "by a cancel",
                    EndedBy::Deadline => "by the deadline",
                    EndedBy::LostConnection => "by a lost connection",
                    _ => "by something else",
                };
                break format!("{}, ended {by}", status.code());
            }
        }
    }
}

pub(super) async fn told_apart(venue: &Venue) -> Played {
    scene("Who ended the stream: told apart at the client and at the server")?;
    let (asking, topic) = (connect(venue).await?, topic("ends"));
    upload(&asking, &topic, 2, 10).await?;
    for (kind, expected) in [
        (0, "a clean end"),
        (1, "out_of_range, ended by the server's status"),
        (2, "it knows: it dropped the call"),
        (3, "deadline_exceeded, ended by the deadline"),
        (4, "unavailable, ended by a lost connection"),
    ] {
        let before = Counts::until(&asking, |counts| counts.subscribers == 0).await?;
        let (far_away, cable) = venue.over_cable().await?;
        let mut cable = Some(cable);
        let client = one_end(&far_away, &mut cable, &topic, kind).await?;
        // An end is counted a moment before its subscription is given up: none may stay.
        let over = |counts: &Counts| {
            counts.ends.iter().sum::<u64>() > before.ends.iter().sum::<u64>() && counts.subscribers == 0
        };
        let after = Counts::until(&asking, over).await?;
        let seen: Vec<_> = (0..5).filter(|&end| after.ends[end] > before.ends[end]).collect();
        let server = seen.iter().map(|&end| KINDS[end]).collect::<Vec<_>>().join(" and ");
        writeln!(stdout(), "   client: {client:<42}  server: {server}")?;
        ensure(client == expected, "the client was told something else")?;
        // The client's cancel may arrive before the server's own clock has reached the deadline.
        let same = seen == [kind] || (kind == 3 && seen == [2]);
        ensure(same, "the server was told something else")?;
    }
    Ok(())
}

/// Ends a stream in one of the ways, and says what the client saw.
async fn one_end(venue: &Venue, cable: &mut Option<Cable>, topic: &str, kind: usize) -> Outcome<String> {
    let client = connect(venue).await?;
    let (client, request) = match kind {
        0 => (limited(&client, 2)?, watch(topic)),
        1 => (client, WatchRequest { after_cursor: u64::MAX, ..watch(topic) }),
        3 => (client.with(Duration::from_millis(300)), watch(topic)),
        _ => (client, watch(topic)),
    };
    let mut events = client.watch(request).await?;
    if kind != 1 {
        events.recv().await?.ok_or("the topic is empty")?;
    }
    match kind {
        2 => {
            events.cancel();
            return Ok("it knows: it dropped the call".to_owned());
        }
        4 => *cable = None,
        _ => {}
    }
    Ok(told(&mut events).await)
}

pub(super) async fn no_leak(venue: &Venue) -> Played {
    const EACH: usize = 20;
    scene("A subscription never leaks: clients go in the middle of their streams")?;
    let (asking, topic) = (connect(venue).await?, topic("leak"));
    let publishing = smol::spawn(publish_for_ever(asking.clone(), topic.clone()));
    for how in ["cancelled", "past their deadline", "cut off", "aborted by their client"] {
        let (far_away, cable) = venue.over_cable().await?;
        let mut client = connect(&far_away).await?;
        if how == "past their deadline" {
            client = client.with(Duration::from_secs(3));
        }
        let mut calls = Vec::new();
        for _ in 0..EACH {
            let mut events = client.watch(watch(&topic)).await?;
            events.recv().await?;
            calls.push(events);
        }
        let most = Counts::ask(&asking).await?.subscribers;
        match how {
            "cancelled" => calls.clear(),
            "cut off" => cable.cut(),
            "aborted by their client" => client.client().abort(),
            _ => {}
        }
        let left = Counts::until(&asking, |counts| counts.subscribers == 0).await?.subscribers;
        writeln!(stdout(), "   {most} subscribers, {EACH} {how}: {left} subscribers")?;
        ensure(most == EACH as u64, "there were to be more subscribers")?;
    }
    drop(publishing); // which cancels its call
    Ok(())
}

/// An event every few milliseconds.
pub(super) async fn publish_for_ever(client: FeedServiceClient, topic: String) -> Result<(), Status> {
    let mut call = client.upload_events().await?;
    for number in 0.. {
        call.send(super::event(&topic, number, "news")).await?;
        Timer::after(Duration::from_millis(5)).await;
    }
    Ok(())
}
