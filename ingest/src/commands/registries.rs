//! Sets versions of markups, accounts and owners. What a change comes to is decided by `schemas::registries`, from the
//! versions that earlier commands set.

use schemas::registries::{Change, apply};
use schemas::tables::RegistryRows;

use super::{CommandMaker, Effect, Place, Refusal};
use crate::book::stored;

impl CommandMaker {
    /// Adds versions to a registry, whose rows `rows` takes from the effect.
    pub(super) fn set<C: Change, T: RegistryRows>(
        &self,
        place: &Place<'_>,
        changes: &[C],
        rows: impl FnOnce(&mut Effect) -> &mut T,
    ) -> Result<Effect, Refusal> {
        let stored = stored::<C>(&self.store, &place.partition.topic, place.offset)?;
        let outcome = apply(&stored, changes, place.log_time).map_err(Refusal::Refused)?;
        let mut effect = Effect {
            detail: format!("{} versions set, {} unchanged", outcome.set.len(), outcome.unchanged),
            ..Effect::default()
        };
        let table = rows(&mut effect);
        for (ordinal, set) in (0..).zip(&outcome.set) {
            if !place.is_held(C::TABLE, ordinal) {
                table.push(place.origin(ordinal), place.log_time, set);
            }
        }
        let shown = outcome.set.iter().map(|set| {
            serde_json::json!({
                "id": set.id,
                "kind": set.kind,
                "version": set.version,
                "effective_from_ms": set.effective_from.map(|from| from.0),
            })
        });
        let shown: Vec<_> = shown.collect();
        effect.result = serde_json::json!({ "set": shown, "unchanged": outcome.unchanged }).to_string();
        Ok(effect)
    }
}
