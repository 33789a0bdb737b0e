//! The versions of models over time: which row holds for a model at an instant, and which come before and after.

use std::collections::{HashMap, HashSet};

use ledger::event::Millis;
use ledger::prices::{ModelRow, Scope};

/// What the versions of one model's prices have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    provider: Option<String>,
    model: String,
    scope: String,
}

impl Key {
    /// The key of a row. Spellings of a provider's name that are one make one key.
    #[must_use]
    pub fn of(row: &ModelRow) -> Self {
        let scope = match &row.scope {
            Scope::Public => String::new(),
            Scope::ProviderAccount(account) => format!("provider_account {account}"),
            Scope::Plan(plan) => format!("plan {plan}"),
            Scope::Team(team) => format!("team {team}"),
            Scope::Customer(customer) => format!("customer {customer}"),
        };
        Self { provider: canonical(row.provider.as_deref()), model: row.model.clone(), scope }
    }
}

/// A provider's name in the one spelling of those that mean the same.
pub(super) fn canonical(provider: Option<&str>) -> Option<String> {
    provider.map(|name| if name == "vertex" { "vertex_ai".to_owned() } else { name.replace('-', "_") })
}

/// Rows by key and time. A row that another supersedes counts as never having been.
#[derive(Debug, Default)]
pub struct Versions {
    rows: Vec<ModelRow>,
    /// Positions in `rows` by time.
    by_key: HashMap<Key, Vec<usize>>,
}

impl Versions {
    /// Arranges rows, each with the time from which it holds.
    #[must_use]
    pub fn of(rows: Vec<ModelRow>) -> Self {
        let mut versions = Self::default();
        let superseded: HashSet<String> = rows.iter().filter_map(|row| row.supersedes.clone()).collect();
        for row in rows.into_iter().filter(|row| !superseded.contains(&row.id)) {
            versions.push(row);
        }
        versions
    }

    /// Adds a row, and leaves out the one that it supersedes.
    pub fn push(&mut self, row: ModelRow) {
        let Self { rows, by_key } = self;
        if let Some(replaced) = &row.supersedes {
            for positions in by_key.values_mut() {
                positions.retain(|position| rows[*position].id != *replaced);
            }
        }
        let positions = by_key.entry(Key::of(&row)).or_default();
        let at = positions.partition_point(|position| rows[*position].effective_from <= row.effective_from);
        positions.insert(at, rows.len());
        rows.push(row);
    }

    /// Whether there is a version of the model at all.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.by_key.get(key).is_some_and(|positions| !positions.is_empty())
    }

    /// The versions of a model by time.
    pub fn of_key(&self, key: &Key) -> impl Iterator<Item = &ModelRow> {
        self.by_key.get(key).into_iter().flatten().map(|position| &self.rows[*position])
    }

    /// The version of a model that holds at an instant.
    #[must_use]
    pub fn at(&self, key: &Key, at: Millis) -> Option<&ModelRow> {
        self.of_key(key).take_while(|row| row.effective_from.is_none_or(|from| from <= at)).last()
    }

    /// When a version ends, which begins at `from`: where the next one begins.
    #[must_use]
    pub fn end(&self, key: &Key, from: Option<Millis>) -> Option<Millis> {
        self.of_key(key).filter_map(|row| row.effective_from).find(|next| Some(*next) > from)
    }

    /// All versions.
    pub fn rows(&self) -> impl Iterator<Item = &ModelRow> {
        self.by_key.values().flatten().map(|position| &self.rows[*position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::import::{Origin, blank};

    fn row(id: &str, from: Option<i64>, supersedes: Option<&str>) -> ModelRow {
        ModelRow {
            id: id.into(),
            effective_from: from.map(Millis),
            supersedes: supersedes.map(Into::into),
            ..blank(Origin { name: "test", version: "1", license: None }, "open-ai", "gpt", "gpt")
        }
    }

    #[test]
    fn a_version_holds_from_its_instant_until_the_next_begins() {
        let versions =
            Versions::of(vec![row("b", Some(100), None), row("a", None, None), row("c", Some(200), None)]);
        let key = Key::of(&row("x", None, None));
        let at = |instant| versions.at(&key, Millis(instant)).map(|row| row.id.as_str());
        assert_eq!((at(99), at(100), at(199), at(200)), (Some("a"), Some("b"), Some("b"), Some("c")));
        assert_eq!(versions.end(&key, None), Some(Millis(100)));
        assert_eq!(versions.end(&key, Some(Millis(200))), None);
    }

    #[test]
    fn a_superseded_version_never_was() {
        let versions = Versions::of(vec![
            row("a", None, None),
            row("b", Some(100), None),
            row("c", Some(150), Some("b")),
        ]);
        let key = Key::of(&row("x", None, None));
        assert_eq!(versions.at(&key, Millis(120)).map(|row| row.id.as_str()), Some("a"));
        assert_eq!(versions.end(&key, None), Some(Millis(150)));
    }
}
