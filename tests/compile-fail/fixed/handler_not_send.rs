//! What a handler holds across an await may go to another thread.

use std::sync::Arc;

use antiphon_compile_fail::{Event, FeedService, WatchRequest};
use antiphon_service::{Context, Sender, Status};

struct Feed;

impl FeedService for Feed {
    async fn watch(
        &self,
        _: &Context,
        request: WatchRequest,
        mut outbound: Sender<Event>,
    ) -> Result<(), Status> {
        let topic = Arc::new(request.topic);
        outbound.send(Event::default()).await?;
        drop(topic);
        Ok(())
    }
}

fn main() {}
