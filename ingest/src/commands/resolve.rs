//! Commands about records in quarantine. The first command about a record decides; a later one finds it decided and
//! leaves it as it is, so of two that are sent at once one is refused and nothing is sent twice.

use std::collections::HashMap;

use schemas::command::{ConfirmReplays, Envelope, RecordId, Resolution, ResolveQuarantine};
use schemas::resolutions::{ResolutionRow, Resolved};

use super::{CommandMaker, Effect, Place, Refusal};

const TABLE: &str = "quarantine_resolutions";
/// Records that one question to the store names: their ids travel in its address, which has a bound.
const NAMED_MAX: usize = 100;
/// Bytes that the name of a topic may have.
const TOPIC_BYTES_MAX: usize = 249;
const DECIDED: &str = include_str!("../../../schemas/clickhouse/queries/quarantine_decided.sql");

/// What an earlier command decided about a record.
#[derive(Clone, Debug, clickhouse::Row, serde::Deserialize)]
struct Decided {
    record_id: String,
    state_name: String,
    command_id: String,
    actor: String,
}

/// What earlier commands decided about the records of one.
#[derive(Default)]
struct Earlier {
    /// The decision, by the record's id.
    decisions: HashMap<String, Decided>,
    /// The confirmation of a replay, by the record's id.
    confirmations: HashMap<String, Decided>,
}

impl CommandMaker {
    /// Replays or discards those of the records that nobody did before; refused where that is none.
    pub(super) fn resolve(
        &self,
        place: &Place<'_>,
        envelope: &Envelope,
        command: &ResolveQuarantine,
    ) -> Result<Effect, Refusal> {
        let earlier = self.decided(place, command.records.iter().map(|record| &record.record))?;
        let mut effect = Effect::default();
        let (mut resolved, mut decided) = (Vec::new(), Vec::new());
        for record in &command.records {
            let id = record.record.to_string();
            match earlier.decisions.get(&id) {
                Some(before) => decided.push(before),
                // A record that is named twice is resolved once.
                None if resolved.contains(&id) => {}
                None => {
                    let what = match command.resolution {
                        Resolution::Replay => Resolved::Replayed { event: record.event.as_deref() },
                        Resolution::Discard => Resolved::Discarded,
                    };
                    push(&mut effect, place, envelope, resolved.len(), &record.record, what, &command.note);
                    resolved.push(id);
                }
            }
        }
        if resolved.is_empty() {
            return Err(Refusal::Refused(match decided.first() {
                Some(before) => format!("there is nothing left to do: {}", sentence(before)),
                None => "it names no record".to_owned(),
            }));
        }
        let past = match command.resolution {
            Resolution::Replay => "replayed",
            Resolution::Discard => "discarded",
        };
        effect.detail = format!("{} records {past}, {} were resolved before", resolved.len(), decided.len());
        effect.result = serde_json::json!({ "resolved": resolved }).to_string();
        Ok(effect)
    }

    /// Notes where the events of replays lie; refused where that is known of each.
    pub(super) fn confirm(
        &self,
        place: &Place<'_>,
        envelope: &Envelope,
        command: &ConfirmReplays,
    ) -> Result<Effect, Refusal> {
        let earlier = self.decided(place, command.replays.iter().map(|replay| &replay.record))?;
        let mut effect = Effect::default();
        let mut confirmed: Vec<String> = Vec::new();
        for replay in &command.replays {
            let id = replay.record.to_string();
            let is_replayed = earlier
                .decisions
                .get(&id)
                .is_some_and(|before| before.state_name == Resolved::Replayed { event: None }.state());
            if !is_replayed || earlier.confirmations.contains_key(&id) || confirmed.contains(&id) {
                continue;
            }
            let what = Resolved::Logged(&replay.logged);
            push(&mut effect, place, envelope, confirmed.len(), &replay.record, what, "");
            confirmed.push(id);
        }
        if confirmed.is_empty() {
            return Err(Refusal::Refused("each of these replays was confirmed before, or is none".into()));
        }
        effect.detail = format!("{} replays are logged", confirmed.len());
        effect.result = serde_json::json!({ "confirmed": confirmed }).to_string();
        Ok(effect)
    }

    fn decided<'a>(
        &self,
        place: &Place<'_>,
        records: impl Iterator<Item = &'a RecordId>,
    ) -> Result<Earlier, Refusal> {
        let records: Vec<&RecordId> = records.collect();
        if let Some(odd) = records.iter().find(|record| record.topic.len() > TOPIC_BYTES_MAX) {
            return Err(Refusal::Refused(format!(
                "no topic has a name of {} bytes; a record is named by its topic, partition and offset",
                odd.topic.len()
            )));
        }
        let mut found: Vec<Decided> = Vec::new();
        for records in records.chunks(NAMED_MAX) {
            found.extend(self.decided_about(place, records)?);
        }
        let mut earlier = Earlier::default();
        for decided in found {
            let is_confirmation = decided.state_name == "logged";
            let map = if is_confirmation { &mut earlier.confirmations } else { &mut earlier.decisions };
            map.entry(decided.record_id.clone()).or_insert(decided);
        }
        Ok(earlier)
    }

    fn decided_about(&self, place: &Place<'_>, records: &[&RecordId]) -> Result<Vec<Decided>, Refusal> {
        let mut topics: Vec<&str> = records.iter().map(|record| record.topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        let offsets: Vec<u64> = records.iter().map(|record| record.offset).collect();
        let ids: Vec<String> = records.iter().map(ToString::to_string).collect();
        let query = self.store.sequential(DECIDED);
        Ok(self.store.block_on(
            query
                .param("topic", place.partition.topic.as_ref())
                .param("offset", place.offset)
                .param("record_topics", topics)
                .param("record_offsets", offsets)
                .param("records", ids)
                .fetch_all(),
        )?)
    }
}

fn push(
    effect: &mut Effect,
    place: &Place<'_>,
    envelope: &Envelope,
    index: usize,
    record: &RecordId,
    resolved: Resolved<'_>,
    note: &str,
) {
    let ordinal = u32::try_from(index).unwrap_or(u32::MAX);
    if place.is_held(TABLE, ordinal) {
        return;
    }
    effect.resolutions.push(&ResolutionRow {
        origin: place.origin(ordinal),
        record,
        resolved,
        command_id: &envelope.command_id,
        actor: &envelope.actor,
        note,
        resolved_at: place.log_time,
    });
}

fn sentence(decided: &Decided) -> String {
    let Decided { record_id, state_name, command_id, actor } = decided;
    format!("record {record_id} was {state_name} by token {actor} (operation {command_id})")
}
