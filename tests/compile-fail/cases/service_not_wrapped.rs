//! An implementation is added as it is.

use antiphon_compile_fail::FeedService;
use antiphon_service::Router;

struct Feed;

impl FeedService for Feed {}

pub fn router() -> Router {
    Router::new().add_service(Feed)
}

fn main() {}
