//! A method of an async service is not async.

use antiphon_compile_fail::{Event, FeedService, Published};
use antiphon_service::{Context, Status};

struct Feed;

impl FeedService for Feed {
    fn publish(&self, _: &Context, request: Event) -> Result<Published, Status> {
        Ok(Published { id: request.id })
    }
}

fn main() {}
