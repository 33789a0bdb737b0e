//! What was repaired, kept in the store before it is done, and in the command log as soon as that takes it.

use schemas::command::{Command, RecordRepair};
use schemas::log::{COMMANDS_TOPIC, Log};

use super::{Error, asked};
use crate::store::Store;

const UNRECORDED: &str = include_str!("../../../schemas/clickhouse/queries/repairs_unrecorded.sql");

/// One repair, as the table `repairs` has it.
#[derive(Clone, Debug, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
#[expect(missing_docs, reason = "fields are the columns, which 0014_repairs.sql explains")]
pub struct Repair {
    pub repair_id: String,
    /// Milliseconds since 1970, by the store's clock.
    pub repaired_ms: i64,
    pub actor: String,
    pub reason: String,
    pub topic_name: String,
    pub partition_number: u32,
    /// `point`, `complete` or `lose`.
    pub action_name: String,
    pub first: u64,
    pub next: u64,
    pub lost: u64,
    /// What group, ledger and log said, as JSON.
    pub seen: String,
}

impl Repair {
    pub(super) fn write(&self, store: &Store) -> Result<(), Error> {
        let row = serde_json::json!({
            "repair_id": self.repair_id,
            "repaired_at": decimal_seconds(self.repaired_ms),
            "actor": self.actor,
            "reason": self.reason,
            "topic": self.topic_name,
            "partition": self.partition_number,
            "action": self.action_name,
            "first": self.first,
            "next": self.next,
            "lost": self.lost,
            "seen": self.seen,
        });
        insert(store, "repairs", &row)
    }

    fn to_command(&self) -> Command {
        Command::RecordRepair(RecordRepair {
            reason: self.reason.clone(),
            repaired_at: self.repaired_ms,
            topic: self.topic_name.clone(),
            partition: self.partition_number,
            action: self.action_name.clone(),
            first: self.first,
            next: self.next,
            lost: self.lost,
            seen: self.seen.clone(),
        })
    }
}

/// Repairs that no command records yet, the oldest first.
///
/// # Errors
/// Where the store does not answer.
pub fn unrecorded(store: &Store) -> Result<Vec<Repair>, Error> {
    store
        .block_on(store.sequential(UNRECORDED).param("commands_topic", COMMANDS_TOPIC).fetch_all())
        .map_err(asked("listing the repairs that are not recorded"))
}

/// Appends the repairs to the command log. A repair that was appended before is refused there by its id.
///
/// # Errors
/// What the log said; the repairs stay in the store, and the next start of a worker tries again.
pub async fn record(log: &dyn Log, repairs: &[Repair]) -> Result<(), String> {
    for repair in repairs {
        let records = repair
            .to_command()
            .to_records(&repair.repair_id, &repair.actor)
            .map_err(|error| error.to_string())?;
        log.append(COMMANDS_TOPIC, records).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

pub(super) fn insert(store: &Store, table: &'static str, row: &serde_json::Value) -> Result<(), Error> {
    let mut line = row.to_string();
    line.push('\n');
    store
        .block_on(async {
            let mut insert = store
                .client()
                .insert_formatted_with(format!("INSERT INTO {table} FORMAT JSONEachRow"))
                .with_setting("async_insert", "0");
            insert.send(line.into()).await?;
            insert.end().await
        })
        .map_err(asked("writing down a repair"))
}

/// An instant as `DateTime64(3)` reads it from text: seconds with three decimals.
pub(super) fn decimal_seconds(at_ms: i64) -> String {
    let at = at_ms.max(0);
    format!("{}.{:03}", at / 1000, at % 1000)
}
