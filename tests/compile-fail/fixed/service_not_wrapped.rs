//! An implementation is added as a service.

use antiphon_compile_fail::{FeedService, FeedServiceServer};
use antiphon_service::Router;

struct Feed;

impl FeedService for Feed {}

pub fn router() -> Router {
    Router::new().add_service(FeedServiceServer::new(Feed))
}

fn main() {}
