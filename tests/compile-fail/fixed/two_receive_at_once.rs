//! One receives, and hands on.

use antiphon_compile_fail::ChatMessage;
use antiphon_service::{Receiver, Status};

pub async fn two(mut inbound: Receiver<ChatMessage>) -> Result<(), Status> {
    inbound.recv().await?;
    inbound.recv().await?;
    Ok(())
}

fn main() {}
