//! How far each partition is, told to the store, so that a read-only API can say how complete its answers are.

use ledger::event::Millis;

use crate::store::Store;

/// One partition's progress.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the columns, which 0004_progress.sql explains")]
pub struct Progress {
    pub topic: String,
    pub partition: u32,
    pub partitions: u32,
    pub next: u64,
    pub end: u64,
    pub complete_through: Millis,
    pub commands_through: u64,
    pub worker: String,
    pub seen_at: Millis,
}

/// Writes the rows as one insert.
///
/// # Errors
/// Where the store does not take them; the next second's take their place.
pub fn tell(store: &Store, rows: &[Progress]) -> Result<(), clickhouse::error::Error> {
    let mut body = String::new();
    for row in rows {
        let line = serde_json::json!({
            "topic": row.topic,
            "partition": row.partition,
            "partitions": row.partitions,
            "next": row.next,
            "end": row.end,
            "complete_through": decimal_seconds(row.complete_through),
            "commands_through": row.commands_through,
            "worker": row.worker,
            "seen_at": decimal_seconds(row.seen_at),
        });
        body.push_str(&line.to_string());
        body.push('\n');
    }
    store.block_on(async {
        let mut insert = store
            .client()
            .insert_formatted_with("INSERT INTO progress FORMAT JSONEachRow")
            .with_setting("async_insert", "0");
        insert.send(body.into()).await?;
        insert.end().await
    })
}

/// An instant as `DateTime64(3)` reads it from text: seconds with three decimals.
fn decimal_seconds(at: Millis) -> String {
    let at = at.0.max(0);
    format!("{}.{:03}", at / 1000, at % 1000)
}
