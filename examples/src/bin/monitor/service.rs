//! The monitor as a service.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon_examples::proto::monitor::{Monitor, MonitorServer, WatchRequest, WatchResponse};
use antiphon_service::{Context, Router, Sender, Status};
use smol::Timer;

use crate::machine::Machine;

/// What the server serves.
pub(crate) fn router() -> Router {
    Router::new().add_service(MonitorServer::new(Watched::default()))
}

/// The machine that is watched. Every call that watches it holds the token.
#[derive(Default)]
struct Watched {
    watchers: Arc<()>,
}

impl Monitor for Watched {
    async fn watch(
        &self,
        context: &Context,
        request: WatchRequest,
        mut outbound: Sender<WatchResponse>,
    ) -> Result<(), Status> {
        let interval = match request.interval {
            1..=3600 => Duration::from_secs(request.interval.unsigned_abs().into()),
            other => {
                return Err(Status::invalid_argument(format!(
                    "an interval of {other} s: it may be 1 to 3,600"
                )));
            }
        };
        let mut machine = Machine::at(Path::new("/proc"))?;
        let _watcher = Arc::clone(&self.watchers);
        context.set_header("Watchers", (Arc::strong_count(&self.watchers) - 1) as u64)?;
        context.send_headers();
        Timer::after(Duration::from_millis(100)).await; // what the first reading is of
        loop {
            // No end of its own: the client closes, and this is dropped where it waits.
            outbound.send(machine.read()?).await?;
            Timer::after(interval).await;
        }
    }
}
