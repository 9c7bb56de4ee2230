//! The two halves of a call: one is closed before the other, and each goes its own way.

use std::io::{Write, stdout};
use std::thread;

use antiphon_examples::proto::feed::v1::blocking;
use antiphon_examples::stage::{Played, Venue, ensure, scene};
use antiphon_service::{HttpVersion, Status};

use super::{connect, say};

/// How much is said.
const SAID: usize = 1_000;

pub(super) async fn half_close(venue: &Venue) -> Played {
    scene("close_send, and still receiving")?;
    let mut call = connect(venue).await?.chat().await?;
    for number in 0..SAID {
        call.send(say(number.to_string())).await?;
    }
    call.close_send();
    let refused = call.send(say("one more")).await.is_err();
    let mut heard = 0;
    while let Some(message) = call.recv().await? {
        ensure(message.text == heard.to_string(), "that was not next")?;
        heard += 1;
    }
    writeln!(stdout(), "   {SAID} said, then half-closed; after that {heard} heard, and a clean end")?;
    ensure(heard == SAID && refused, "something was lost, or said after the end")
}

pub(super) async fn two_tasks(venue: &Venue) -> Played {
    scene("Writing in one task, reading in another")?;
    let (mut outbound, mut inbound) = connect(venue).await?.chat().await?.split();
    let writing = smol::spawn(async move {
        for number in 0..SAID {
            outbound.send(say(number.to_string())).await?;
        }
        outbound.close(); // dropped without it, the call would be cancelled
        Ok::<_, Status>(SAID)
    });
    let reading = smol::spawn(async move {
        let mut heard = 0;
        while inbound.recv().await?.is_some() {
            heard += 1;
        }
        Ok::<_, Status>(heard)
    });
    let (said, heard) = smol::future::try_zip(writing, reading).await?;
    writeln!(stdout(), "   the one said {said}, the other heard {heard}")?;
    ensure(heard == SAID, "something was lost")
}

pub(super) async fn two_threads(venue: &Venue) -> Played {
    scene("Writing in one thread, reading in another, without async")?;
    let client = blocking::FeedServiceClient::new(venue.connect_blocking(HttpVersion::Http2)?);
    let heard = smol::unblock(move || {
        let (mut outbound, inbound) = client.chat()?.split();
        let writing = thread::spawn(move || {
            for number in 0..SAID {
                outbound.send(say(number.to_string()))?;
            }
            outbound.close();
            Ok::<_, Status>(())
        });
        let heard = inbound.collect::<Result<Vec<_>, _>>()?.len();
        writing.join().map_err(|_| Status::internal("the writing thread panicked"))??;
        Ok::<_, Status>(heard)
    });
    let heard = heard.await?;
    writeln!(stdout(), "   the one said {SAID}, the other heard {heard}")?;
    ensure(heard == SAID, "something was lost")
}
