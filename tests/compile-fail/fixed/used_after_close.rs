//! Closing is the last.

use antiphon_compile_fail::Event;
use antiphon_service::{Sender, Status};

pub async fn tell(mut outbound: Sender<Event>) -> Result<(), Status> {
    outbound.send(Event::default()).await?;
    outbound.close();
    Ok(())
}

fn main() {}
