//! A handler holds something across an await that may not go to another thread.

use std::rc::Rc;

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
        let topic = Rc::new(request.topic);
        outbound.send(Event::default()).await?;
        drop(topic);
        Ok(())
    }
}

fn main() {}
