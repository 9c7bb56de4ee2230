//! A message is sent when somebody has waited for it.
#![deny(unused_must_use)]

use antiphon_compile_fail::Event;
use antiphon_service::{Sender, Status};

pub async fn tell(mut outbound: Sender<Event>) -> Result<(), Status> {
    outbound.send(Event::default()).await?;
    Ok(())
}

fn main() {}
