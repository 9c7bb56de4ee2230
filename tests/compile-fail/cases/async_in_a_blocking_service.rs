//! A method of a blocking service is async.

use antiphon_compile_fail::blocking::FeedService;
use antiphon_compile_fail::{Event, Published};
use antiphon_service::{Context, Status};

struct Feed;

impl FeedService for Feed {
    async fn publish(&self, _: &Context, request: Event) -> Result<Published, Status> {
        Ok(Published { id: request.id })
    }
}

fn main() {}
