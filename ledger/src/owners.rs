//! Whose a gateway key is: the owners that an event leaves out, as of the event.

use std::collections::HashMap;

use crate::event::{self, Millis};
use crate::timeline::{Timeline, Version};

/// Whose a key is. What is absent here stays absent on the entry, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the meaning")]
pub struct Owner {
    pub team: Option<String>,
    pub app: Option<String>,
    pub environment: Option<String>,
    pub customer: Option<String>,
    pub project: Option<String>,
    pub cost_center: Option<String>,
}

/// All keys and whose they were when. A key that was deleted keeps its history.
#[derive(Debug, Default)]
pub struct Owners {
    keys: HashMap<String, Timeline<Owner>>,
}

/// Owners of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owned<'e> {
    /// What the event says, and what it leaves out from the owners of its key.
    pub owners: event::Owners<'e>,
    /// The cost center of the key.
    pub cost_center: Option<&'e str>,
}

impl Owners {
    /// Adds a version of a key's owner.
    pub fn insert(&mut self, key: String, version: Version<Owner>) {
        self.keys.entry(key).or_default().insert(version);
    }

    /// Whether no key was ever assigned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whose a key was at an instant.
    #[must_use]
    pub fn at(&self, key: &str, at: Millis) -> Option<&Owner> {
        self.keys.get(key)?.at(at).map(|(_, owner)| owner)
    }

    /// Fills in what an event leaves out.
    #[must_use]
    pub fn fill<'e>(&'e self, event: &event::UsageEvent<'e>) -> Owned<'e> {
        let said = event.owners;
        let Some(owner) = self.at(event.key, event.occurred_at) else {
            return Owned { owners: said, cost_center: None };
        };
        Owned {
            owners: event::Owners {
                team: said.team.or(owner.team.as_deref()),
                app: said.app.or(owner.app.as_deref()),
                environment: said.environment.or(owner.environment.as_deref()),
                customer: said.customer.or(owner.customer.as_deref()),
                project: said.project.or(owner.project.as_deref()),
                ..said
            },
            cost_center: owner.cost_center.as_deref(),
        }
    }
}
