//! From log to ledger, exactly once. Read `worker` first: it chooses batches; `events` and `commands` make rows of
//! them; `recover` completes what a crash or an unclear answer left open; `source` and `store` are the two ends.

pub mod append;
pub mod batch;
pub mod book;
pub mod commands;
pub mod dedup;
pub mod events;
mod fault;
pub mod intake;
pub mod intent;
pub mod metrics;
pub mod progress;
pub mod quarantine;
pub mod recover;
pub mod registry;
pub mod repair;
pub mod source;
pub mod store;
pub mod worker;
