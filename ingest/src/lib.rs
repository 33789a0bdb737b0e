//! From log to ledger, exactly once. Read `worker` first: it chooses batches; `events` and `commands` make rows of
//! them; `recover` completes what a crash or an unclear answer left open; `source` and `store` are the two ends.

pub mod source;
pub mod append;
pub mod intake;
pub mod intent;
pub mod batch;
pub mod events;
pub mod commands;
pub mod dedup;
pub mod quarantine;
pub mod registry;
pub mod book;
pub mod store;
pub mod recover;
pub mod worker;
pub mod progress;
pub mod metrics;
