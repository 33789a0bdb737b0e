//! Waits for a condition with a deadline. The only place where a test pauses, and only between two looks.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two looks at a condition: most looks are queries, and too many would slow down what they wait for.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(40);

/// Asks `look` until it gives a value. Fails with `what` once `within` has passed; an error of `look` ends the wait at once.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {within:?} in vain for {what}");
        }
        thread::sleep(LOOK_AGAIN_AFTER);
    }
}

/// [`until`] for a condition that is asked asynchronously, such as a query.
pub async fn until_async<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {within:?} in vain for {what}");
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}
