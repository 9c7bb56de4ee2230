//! What is meant is said.
#![deny(unused_must_use)]

use antiphon_compile_fail::{FeedServiceClient, WatchRequest};
use antiphon_service::Status;

pub async fn warm_up(client: &FeedServiceClient) -> Result<(), Status> {
    let mut events = client.watch(WatchRequest::default()).await?;
    events.recv().await?;
    client.chat().await?.cancel();
    Ok(())
}

fn main() {}
