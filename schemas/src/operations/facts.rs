//! What a correction puts right.

use std::collections::BTreeMap;

use ledger::money::Decimal;
use ledger::unit::Unit;
use ledger::usage::Quantities;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::posted::PostedRow;
use crate::rerate::Unpostable;

/// What a correction puts right; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are the fields of the usage event")]
pub struct Facts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Quantities by unit, as decimals: what was used instead. They hold for the entry of the model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<BTreeMap<String, String>>,
    /// The provider's usage object, as it should have been. It holds for the entry of the model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub usage: Option<UsageText>,
}

/// A usage object as it is written, so that its numbers stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageText(pub String);

impl Serialize for UsageText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UsageText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.get().to_owned()))
    }
}

impl Facts {
    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The quantities that it names.
    ///
    /// # Errors
    /// [`Unpostable`] where a unit or a quantity is none.
    pub fn quantities(&self) -> Result<Option<Quantities>, Unpostable> {
        let Some(units) = &self.units else { return Ok(None) };
        let mut quantities = Quantities::default();
        for (name, text) in units {
            let unit = Unit::parse(name)
                .ok_or_else(|| Unpostable { detail: format!("there is no unit `{name}`") })?;
            let quantity = Decimal::parse(text)
                .map_err(|error| Unpostable { detail: format!("{name} cannot be `{text}`: {error}") })?;
            quantities
                .add_decimal(unit, quantity)
                .map_err(|error| Unpostable { detail: error.to_string() })?;
        }
        Ok(Some(quantities))
    }

    pub(crate) fn quantities_of(&self, row: &PostedRow) -> Result<Option<Quantities>, Unpostable> {
        if row.root().3 == 0 { self.quantities() } else { Ok(None) }
    }

    /// Puts the facts right that are columns of their own.
    pub(crate) fn apply(&self, row: &mut PostedRow) {
        let facts = [
            (&self.key, &mut row.key),
            (&self.team, &mut row.team),
            (&self.app, &mut row.app),
            (&self.environment, &mut row.environment),
            (&self.customer, &mut row.customer),
            (&self.project, &mut row.project),
            (&self.cost_center, &mut row.cost_center),
            (&self.end_user, &mut row.end_user),
            (&self.workflow, &mut row.workflow),
            (&self.outcome, &mut row.outcome),
        ];
        for (fact, column) in facts {
            if let Some(fact) = fact {
                column.clone_from(fact);
            }
        }
    }
}

/// Whether a text can be a usage object.
///
/// # Errors
/// Why it is none.
pub fn check_usage(text: &str) -> Result<(), String> {
    let arena = crate::event::Arena::new();
    let is_object = text.trim_start().starts_with('{');
    if !is_object {
        return Err("`usage` is the object that the provider answers".to_owned());
    }
    crate::event::json_value(text, &arena).map(drop).map_err(|reject| reject.detail)
}
