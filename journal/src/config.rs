//! What a journal is told when it is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time in milliseconds since 1970, UTC.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Where a journal lives and what bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder of the journal, created where it is missing. One process at a time may have it open.
    pub path: PathBuf,
    /// The oldest blocks are dropped while all blocks together hold more than this many bytes, as far as every
    /// group's cursor allows.
    pub retention_bytes_max: u64,
    /// Blocks older than this many milliseconds are dropped, as far as every group's cursor allows.
    pub retention_age_ms_max: u64,
    /// A transaction takes no further request once it holds this many bytes.
    pub group_commit_bytes_max: usize,
    /// How long the first request of a transaction waits for company.
    pub group_commit_wait: Duration,
}

impl Config {
    /// A journal in `path` that keeps 8 GiB or 7 days, whichever is less, and gathers for 2 ms or 8 MiB.
    pub fn new(path: impl Into<PathBuf>) -> Config {
        Config {
            path: path.into(),
            retention_bytes_max: 8 << 30,
            retention_age_ms_max: 7 * 24 * 3_600_000,
            group_commit_bytes_max: 8 << 20,
            group_commit_wait: Duration::from_millis(2),
        }
    }
}

/// The system's clock; 0 where it stands before 1970.
pub(crate) fn system_clock() -> Clock {
    Arc::new(|| {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
    })
}
