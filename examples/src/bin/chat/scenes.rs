//! What the people in the room do.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use antiphon_examples::proto::chat::{ChatClient, ConnectResponse, ConnectStreamingRequest};
use antiphon_examples::stage::{Played, Venue, ensure, scene};
use antiphon_service::{BidiStream, CallOptions, Code, HttpVersion, Protocol, Receiver, Sender, Status};
use smol::future;

type Call = BidiStream<ConnectStreamingRequest, ConnectResponse>;
type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) async fn play(venue: Venue) -> Played {
    three_in_a_room(&venue).await?;
    both_directions_free(&venue).await?;
    three_ways_out(&venue).await?;
    a_slow_reader(&venue).await
}

fn line(user_id: &str, message: impl Into<String>) -> ConnectStreamingRequest {
    ConnectStreamingRequest { user_id: user_id.to_owned(), message: message.into() }
}

/// A client on a connection of its own.
async fn client(venue: &Venue) -> Outcome<ChatClient> {
    Ok(ChatClient::new(venue.connect(HttpVersion::Http2).await?))
}

/// Somebody who is in the room, and how many are there then.
async fn enter(client: &ChatClient) -> Outcome<(Call, usize)> {
    let mut call = client.connect().await?;
    let count =
        call.headers().await?.get("Room-Count").ok_or("the room did not say how many are there")?.parse()?;
    Ok((call, count))
}

/// The next line that the room itself has to say.
async fn news(call: &mut Call) -> Outcome<String> {
    while let Some(heard) = call.recv().await? {
        if heard.user_id == "room" {
            return Ok(heard.message);
        }
    }
    Err("the room was closed".into())
}

/// Hears the news until they are these.
async fn until_told(call: &mut Call, awaited: &str) -> Outcome<String> {
    loop {
        let heard = news(call).await?;
        if heard == awaited {
            return Ok(heard);
        }
    }
}

/// Half-closes, and waits for the end.
async fn leave(call: Call) -> Result<(), Status> {
    let (outbound, inbound) = call.split();
    say_goodbye(outbound, inbound).await
}

async fn say_goodbye(
    outbound: Sender<ConnectStreamingRequest>,
    mut inbound: Receiver<ConnectResponse>,
) -> Result<(), Status> {
    outbound.close();
    while inbound.recv().await?.is_some() {}
    Ok(())
}

async fn three_in_a_room(venue: &Venue) -> Played {
    scene("Three in one room, by three protocols, on three connections")?;
    let (mut calls, people) = (Vec::new(), ["ann", "bob", "cleo"]);
    for protocol in [Protocol::Grpc, Protocol::Connect, Protocol::GrpcWeb] {
        let client = client(venue).await?.with(CallOptions::new().protocol(protocol));
        calls.push(enter(&client).await?.0);
    }
    for (speaker, name) in people.into_iter().enumerate() {
        calls[speaker].send(line(name, format!("this is {name}"))).await?;
        for (listener, call) in calls.iter_mut().enumerate().filter(|(listener, _)| *listener != speaker) {
            let heard = call.recv().await?.ok_or("the room was closed")?;
            writeln!(stdout(), "   {:<4} hears {}: {}", people[listener], heard.user_id, heard.message)?;
            ensure(heard.user_id == name && heard.timestamp.ends_with('Z'), "that was somebody else")?;
        }
    }
    for call in calls {
        leave(call).await?;
    }
    Ok(())
}

async fn both_directions_free(venue: &Venue) -> Played {
    scene("Three speak at once, and hear at the same time")?;
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(enter(&client(venue).await?).await?.0);
    }
    let mut tasks = Vec::new();
    for (call, name) in calls.into_iter().zip(["ann", "bob", "cleo"]) {
        // Two tasks for each, one for a half.
        let (mut outbound, mut inbound) = call.split();
        let speaking = smol::spawn(async move {
            for number in 1..=100 {
                outbound.send(line(name, format!("line {number}"))).await?;
            }
            Ok::<_, Status>(outbound) // not closed: whoever leaves hears no more
        });
        let hearing = smol::spawn(async move { hear(&mut inbound, 200).await.map(|lines| (inbound, lines)) });
        tasks.push((name, speaking, hearing));
    }
    for (name, speaking, hearing) in tasks {
        let (outbound, (inbound, heard)) = future::try_zip(speaking, hearing).await?;
        writeln!(stdout(), "   {name:<4} said 100 lines and heard {heard}")?;
        ensure(heard == 200, "some were not heard")?;
        say_goodbye(outbound, inbound).await?;
    }
    Ok(())
}

/// Hears so many lines of people.
async fn hear(inbound: &mut Receiver<ConnectResponse>, enough: usize) -> Result<usize, Status> {
    let mut lines = 0;
    while lines < enough {
        let Some(heard) = inbound.recv().await? else { break };
        lines += usize::from(heard.user_id != "room");
    }
    Ok(lines)
}

async fn three_ways_out(venue: &Venue) -> Played {
    const EACH: usize = 20;
    scene(&format!(
        "{EACH} leave by close_send, {EACH} by cancel, {EACH} by a lost connection: nobody is left behind"
    ))?;
    let ann = client(venue).await?;
    let (mut watching, _) = enter(&ann).await?;
    for how in ["half-closed", "cancelled", "lost the connection"] {
        let (far_away, cable) = venue.over_cable().await?;
        let crowd = client(&far_away).await?;
        let mut calls = Vec::new();
        for _ in 0..EACH {
            calls.push(enter(&crowd).await?);
        }
        let most = calls.iter().map(|(_, count)| *count).max().unwrap_or_default();
        let started = Instant::now();
        match how {
            "half-closed" => {
                for (call, _) in calls.drain(..) {
                    leave(call).await?;
                }
            }
            "cancelled" => calls.drain(..).for_each(|(call, _)| call.cancel()),
            _ => cable.cut(),
        }
        let last = future::or(until_told(&mut watching, &format!("one {how}, 1 here")), async {
            smol::Timer::after(Duration::from_secs(10)).await;
            Err("somebody was left behind".into())
        })
        .await?;
        writeln!(
            stdout(),
            "   {most} here; {EACH} {how}; the last news, after {:.0?}: {last}",
            started.elapsed()
        )?;
        if how == "lost the connection" {
            let lost = calls.remove(0).0.recv().await.err().map(|status| status.code());
            writeln!(stdout(), "   and at those who lost it: {}", lost.map_or("nothing", Code::name))?;
        }
    }
    leave(watching).await?;
    let (call, count) = enter(&ann).await?;
    writeln!(stdout(), "   Ann left last; who comes then counts {count}")?;
    ensure(count == 1, "somebody was left behind")?;
    Ok(leave(call).await?)
}

async fn a_slow_reader(venue: &Venue) -> Played {
    const SAID: usize = 2_000;
    scene("Somebody does not read: the others do not wait, and the room keeps 256 lines and no more")?;
    let (mut dan, _) = enter(&client(venue).await?).await?;
    let ann = client(venue).await?;
    let (mut call, _) = enter(&ann).await?;
    for _ in 0..SAID {
        call.send(line("ann", "x".repeat(1000))).await?;
    }
    leave(call).await?; // everything has been said
    let (call, count) = enter(&ann).await?;
    writeln!(stdout(), "   ann said {SAID} lines of 1,000 bytes; {count} here, and it is not dan")?;
    ensure(count == 1, "the slow one stayed")?;
    let mut read = 0;
    let status = loop {
        match dan.recv().await {
            Ok(Some(_)) => read += 1,
            Ok(None) => return ensure(false, "the end was said to be a good one"),
            Err(status) => break status,
        }
    };
    writeln!(stdout(), "   dan reads only now: {read} lines, then {}: {}", status.code(), status.message())?;
    ensure(status.code() == Code::ResourceExhausted && read < SAID, "he was not told why")?;
    Ok(leave(call).await?)
}
