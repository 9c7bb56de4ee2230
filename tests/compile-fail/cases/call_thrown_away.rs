//! A call is begun and dropped, which cancels it.
#![deny(unused_must_use)]

use antiphon_compile_fail::{FeedServiceClient, WatchRequest};
use antiphon_service::Status;

pub async fn warm_up(client: &FeedServiceClient) -> Result<(), Status> {
    client.watch(WatchRequest::default()).await?;
    client.chat().await?;
    Ok(())
}

fn main() {}
