//! Waiting for what the other end brings about.

use std::error::Error;
use std::time::{Duration, Instant};

use smol::Timer;

/// How long a script waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks until it is so, every 10 ms, and tells how long that took: for what a client can only ask about.
///
/// # Errors
/// What the question came to, or the sentence if it is not so after 10 seconds.
pub async fn until(
    sentence: &str,
    mut question: impl AsyncFnMut() -> Result<bool, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    while !question().await? {
        if started.elapsed() > PATIENCE {
            return Err(format!("not as it should be: {sentence}").into());
        }
        Timer::after(Duration::from_millis(10)).await;
    }
    Ok(started.elapsed())
}
