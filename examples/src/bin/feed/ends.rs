//! How streams have ended, as the server sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use antiphon_service::{Context, EndedBy, Interceptor, Next, Status};

/// Counts the ends of streams, each by its kind. It is around every handler, and outlives one that a cancel or a
/// deadline drops.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Counts>);

#[derive(Default)]
struct Counts {
    returned: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    deadline: AtomicU64,
    lost: AtomicU64,
}

impl Interceptor for Ends {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let result = next.run(context).await;
        let count = match result.as_ref().map_err(Status::ended) {
            Ok(()) => &self.0.returned,
            Err(EndedBy::Cancel { .. }) => &self.0.cancelled,
            Err(EndedBy::Deadline) => &self.0.deadline,
            Err(EndedBy::LostConnection) => &self.0.lost,
            Err(_) => &self.0.failed, // by the handler's own error
        };
        if context.method().shape.returns_stream() {
            count.fetch_add(1, Ordering::SeqCst);
        }
        result
    }
}

/// In this order: returned, failed, cancelled, deadline, lost.
impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { returned, failed, cancelled, deadline, lost } = &*self.0;
        let [returned, failed, cancelled, deadline, lost] =
            [returned, failed, cancelled, deadline, lost].map(|count| count.load(Ordering::SeqCst));
        write!(f, "{returned} {failed} {cancelled} {deadline} {lost}")
    }
}
