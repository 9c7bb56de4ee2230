//! What makes the chunks, and counts them.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use antiphon_examples::proto::ReportChunk;

/// How long a chunk takes to make.
pub(crate) const PACE: Duration = Duration::from_millis(100);

/// What all generators of the server have done.
#[derive(Default)]
pub(crate) struct Tally {
    /// Generators at work.
    pub(crate) running: AtomicU64,
    /// Chunks that were made.
    pub(crate) made: AtomicU64,
}

/// Makes one report. It is at work until it is dropped, and then says how far it came.
pub(crate) struct Generator {
    report: String,
    chunks: i32,
    made: i32,
    tally: Arc<Tally>,
}

impl Generator {
    /// `None` if there is no such report.
    pub(crate) fn new(report: &str, tally: &Arc<Tally>) -> Option<Self> {
        let chunks = match report {
            "blank" => 0,
            "week" => 7,
            "year" => 12,
            "archive" => 150,
            _ => return None,
        };
        tally.running.fetch_add(1, Ordering::SeqCst);
        Some(Self { report: report.to_owned(), chunks, made: 0, tally: Arc::clone(tally) })
    }

    /// How many chunks the report has.
    pub(crate) fn chunks(&self) -> i32 {
        self.chunks
    }

    /// The next chunk, after the [time](PACE) that the caller has waited for it.
    pub(crate) fn make(&mut self) -> ReportChunk {
        self.made += 1;
        self.tally.made.fetch_add(1, Ordering::SeqCst);
        let text = format!("chapter {} of the {}'s report\n", self.made, self.report);
        ReportChunk { data: text.into_bytes(), chunk_number: self.made }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.tally.running.fetch_sub(1, Ordering::SeqCst);
        if self.chunks > 0 {
            let Self { report, made, chunks, .. } = self;
            let _ = writeln!(stdout(), "   generator: {report}: {made} of {chunks} chunks made, now at rest");
        }
    }
}
