//! A half is used after it was closed.

use antiphon_compile_fail::Event;
use antiphon_service::{Sender, Status};

pub async fn tell(mut outbound: Sender<Event>) -> Result<(), Status> {
    outbound.close();
    outbound.send(Event::default()).await
}

fn main() {}
