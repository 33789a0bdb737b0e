//! Whose a gateway key is, as JSON text.

use jiff::Timestamp;
use ledger::event::Millis;
use ledger::owners::{Owner, Owners};
use ledger::timeline::Version;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Change, is_false};

/// Code points of a key and of each name, as the event allows.
const NAME_CHARS_MAX: usize = 128;

/// One version of whose a key is. An entry gets from it what its event leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerText {
    /// The gateway key, as events name it.
    pub key: String,
    /// Its team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Its application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Its customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Its cost center.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// Whether the key was deleted: it has no owners from then on, and keeps those of before for before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ended: bool,
    /// From when on; for a first version the beginning of time by default, for a later one 60 s after it was logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_from: Option<Timestamp>,
    /// The version that the change was prepared on, 0 for none; another one refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<u32>,
}

impl OwnerText {
    fn names(&self) -> [(&'static str, &Option<String>); 6] {
        [
            ("team", &self.team),
            ("app", &self.app),
            ("environment", &self.environment),
            ("customer", &self.customer),
            ("project", &self.project),
            ("cost_center", &self.cost_center),
        ]
    }

    fn check(&self) -> Result<(), String> {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control)
        };
        if !is_name(&self.key) {
            return Err("key: has 1 to 128 characters, none of them a control character".into());
        }
        for (field, name) in self.names() {
            if name.as_deref().is_some_and(|name| !is_name(name)) {
                return Err(format!(
                    "{field}: has 1 to 128 characters, none of them a control character; leave it out for none"
                ));
            }
            if name.is_some() && self.ended {
                return Err(format!("{field}: a key that ends has no owners; leave it out"));
            }
        }
        Ok(())
    }
}

impl Change for OwnerText {
    type State = Owners;
    const TABLE: &'static str = "owners";
    const WHAT: &'static str = "key";

    fn id(&self) -> &str {
        &self.key
    }

    fn effective_from(&self) -> Option<Timestamp> {
        self.effective_from
    }

    fn based_on(&self) -> Option<u32> {
        self.based_on
    }

    fn is_ended(&self) -> bool {
        self.ended
    }

    fn concerns(&self) -> (&str, &str) {
        (self.customer.as_deref().unwrap_or_default(), self.team.as_deref().unwrap_or_default())
    }

    fn kept(&self) -> Result<Self, String> {
        self.check()?;
        Ok(Self { effective_from: None, based_on: None, ..self.clone() })
    }

    fn insert(&self, owners: &mut Owners, number: u32, from: Option<Millis>) -> Result<(), String> {
        let owner = Owner {
            team: self.team.clone(),
            app: self.app.clone(),
            environment: self.environment.clone(),
            customer: self.customer.clone(),
            project: self.project.clone(),
            cost_center: self.cost_center.clone(),
        };
        let value = (!self.ended).then_some(owner);
        owners.insert(self.key.clone(), Version { number, effective_from: from, value });
        Ok(())
    }
}
