//! Receiving changes the half, which is its handler's own.

use antiphon_compile_fail::{Event, FeedService, UploadResult};
use antiphon_service::{Context, Receiver, Status};

struct Feed;

impl FeedService for Feed {
    async fn upload_events(&self, _: &Context, mut inbound: Receiver<Event>) -> Result<UploadResult, Status> {
        let mut received = 0;
        while inbound.recv().await?.is_some() {
            received += 1;
        }
        Ok(UploadResult { received })
    }
}

fn main() {}
