//! The logs as a service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use antiphon_examples::proto::example::{LogEntry, LogRequest, LogService, LogServiceServer};
use antiphon_service::prost_types::Timestamp;
use antiphon_service::{Context, Cors, Router, Sender, Status};
use smol::channel::{self, Receiver};
use smol::{Task, Timer};

const LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];
/// How long the archive looks for an entry, and a source waits for one.
pub(crate) const PACE: Duration = Duration::from_millis(20);

/// What the server serves, also to pages of other origins: they may read these headers.
pub(crate) fn router() -> Router {
    let cors = Cors::any().response_header("log-count").response_header("correlation-id");
    Router::new().add_service(LogServiceServer::new(Logs::default())).cors(cors)
}

/// The service. Every source that runs holds the token.
#[derive(Default)]
struct Logs {
    sources: Arc<()>,
}

impl LogService for Logs {
    async fn get_logs(
        &self,
        context: &Context,
        request: LogRequest,
        mut outbound: Sender<LogEntry>,
    ) -> Result<(), Status> {
        let entries = archive(&request.level)?;
        context.set_header("Log-Count", entries.len() as u64)?;
        context.set_header("Sources-Running", (Arc::strong_count(&self.sources) - 1) as u64)?;
        self.begin(context)?;
        let mut totals = Totals::default();
        for entry in entries {
            Timer::after(PACE).await;
            totals.add(&entry);
            outbound.send(entry).await?;
        }
        totals.tell(context)
    }

    async fn stream_logs(
        &self,
        context: &Context,
        request: LogRequest,
        mut outbound: Sender<LogEntry>,
    ) -> Result<(), Status> {
        let source = Source::follow(known(&request.level)?, Arc::clone(&self.sources));
        self.begin(context)?;
        while let Ok(entry) = source.entries.recv().await {
            outbound.send(entry).await?;
        }
        Err(Status::unavailable("the source ended"))
    }

    // The schema has CountLogs as well: a method that is not written here does not break the build, and answers that
    // it is not implemented.
}

impl Logs {
    /// Sends the headers at once: the client reads them before there is any entry.
    fn begin(&self, context: &Context) -> Result<(), Status> {
        let given = context.headers().get("Correlation-Id").map(str::to_owned);
        let made = || format!("{:x}", SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos());
        context.set_header("Correlation-Id", given.unwrap_or_else(made))?;
        context.send_headers();
        Ok(())
    }
}

/// What makes entries for one call. A cancel, a deadline or a lost connection drops the handler, with it this, and with
/// that the task: it stops at once, and not at the next entry.
struct Source {
    entries: Receiver<LogEntry>,
    _task: Task<()>,
}

impl Source {
    fn follow(levels: &'static [&'static str], token: Arc<()>) -> Self {
        let (sender, entries) = channel::bounded(16); // a slow reader slows the source down
        let task = smol::spawn(async move {
            let _token = token;
            for (number, level) in (1..).zip(levels.iter().cycle()) {
                Timer::after(PACE).await;
                if sender.send(entry(level, number)).await.is_err() {
                    return;
                }
            }
        });
        Self { entries, _task: task }
    }
}

/// What is told at the end.
struct Totals {
    sent: u64,
    bytes: u64,
    checksum: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self { sent: 0, bytes: 0, checksum: FNV_OFFSET }
    }
}

impl Totals {
    fn add(&mut self, entry: &LogEntry) {
        self.sent += 1;
        self.bytes += entry.message.len() as u64;
        self.checksum = fnv1a(self.checksum, entry.message.as_bytes());
    }

    fn tell(&self, context: &Context) -> Result<(), Status> {
        context.set_trailer("Log-Sent", self.sent)?;
        context.set_trailer("Log-Bytes", self.bytes)?;
        context.set_trailer("Log-Checksum", format!("{:016x}", self.checksum))
    }
}

/// Where a checksum begins: the offset basis of FNV-1a of 64 bits.
pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with a checksum: FNV-1a.
pub(crate) fn fnv1a(checksum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(checksum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The levels that were asked for.
fn known(level: &str) -> Result<&'static [&'static str], Status> {
    if level.is_empty() {
        return Ok(&LEVELS);
    }
    let at = LEVELS.iter().position(|known| *known == level);
    let at =
        at.ok_or_else(|| Status::invalid_argument(format!("{level:?} is none of {}", LEVELS.join(", "))))?;
    Ok(&LEVELS[at..=at])
}

/// The entries that are there.
fn archive(level: &str) -> Result<Vec<LogEntry>, Status> {
    let levels = known(level)?;
    let all = (1..=16).zip(LEVELS.iter().cycle());
    Ok(all.filter(|(_, level)| levels.contains(level)).map(|(number, level)| entry(level, number)).collect())
}

fn entry(level: &str, number: u64) -> LogEntry {
    let timestamp = Timestamp::from(SystemTime::now()).to_string();
    LogEntry { message: format!("{level}: entry {number}"), timestamp }
}
