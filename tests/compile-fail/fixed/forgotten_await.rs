//! The answer of a call is waited for, and used.

use antiphon_compile_fail::{Event, FeedServiceClient};
use antiphon_service::Status;

pub async fn publish(client: &FeedServiceClient, event: Event) -> Result<String, Status> {
    let published = client.publish(event).await?;
    Ok(published.into_inner().id)
}

fn main() {}
