//! A message is sent, and nobody waits for it: nothing happens.
#![deny(unused_must_use)]

use antiphon_compile_fail::Event;
use antiphon_service::{Sender, Status};

pub async fn tell(mut outbound: Sender<Event>) -> Result<(), Status> {
    outbound.send(Event::default());
    Ok(())
}

fn main() {}
