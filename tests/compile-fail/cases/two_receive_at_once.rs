//! Two wait for the next message of one half.

use antiphon_compile_fail::ChatMessage;
use antiphon_service::{Receiver, Status};
use futures_lite::future::try_zip;

pub async fn two(mut inbound: Receiver<ChatMessage>) -> Result<(), Status> {
    try_zip(inbound.recv(), inbound.recv()).await?;
    Ok(())
}

fn main() {}
