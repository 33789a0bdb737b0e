//! A markup as JSON text.

use jiff::Timestamp;
use ledger::event::Millis;
use ledger::markup::{Addition, Base, CURRENCY_USUAL, Fx, Markup, Markups, Scope, Target};
use ledger::money::Decimal;
use ledger::timeline::Version;
use ledger::unit::Unit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Change, is_false};
use crate::prices::number::Number;

/// One version of a markup: how a charge is made of a cost or a list cost where no price of the customer's own holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkupText {
    /// Names it for ever; entries say id and version. Without `@`.
    pub id: String,
    /// Whose usage it is for; `everybody` by default. The narrowest goes first: customer, team, plan, everybody.
    #[serde(default, skip_serializing_if = "ScopeText::is_everybody")]
    pub scope: ScopeText,
    /// The provider it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model it is limited to, or the beginning of one and `*`, such as `gpt-*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it is put upon: `cost` (default) or `list_cost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Per cent added to each line; below zero a discount. A decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub percent: Option<Number>,
    /// Money added for each of a unit, in the currency of the charge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_unit: Vec<AdditionText>,
    /// Money added for each request, in the currency of the charge. A decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub per_request: Option<Number>,
    /// The least that a request is charged, in the currency of the charge. A decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub minimum: Option<Number>,
    /// ISO 4217 code of the base, `USD` by default. Where the markup adds amounts or converts, usage in another
    /// currency has no charge and counts as unpriced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Makes the charge another currency, at a rate that was agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fx: Option<FxText>,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Whether it ends with this version.
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

/// Whose usage a markup is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScopeText {
    /// Everybody's.
    #[default]
    Everybody,
    /// That of the customers of one plan.
    Plan(String),
    /// That of one team.
    Team(String),
    /// That of one customer.
    Customer(String),
}

/// Money for each of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdditionText {
    /// Name of the unit.
    pub unit: String,
    /// Money for `per` of the unit. A decimal.
    #[schema(value_type = String)]
    pub amount: Number,
    /// For how many of the unit; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub per: Option<Number>,
}

/// A rate that was agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FxText {
    /// ISO 4217 code of the charge.
    pub currency: String,
    /// How much of it one of the base's currency is. A decimal.
    #[schema(value_type = String)]
    pub rate: Number,
}

impl ScopeText {
    const fn is_everybody(&self) -> bool {
        matches!(self, Self::Everybody)
    }

    fn to_domain(&self) -> Scope {
        match self {
            Self::Everybody => Scope::Everybody,
            Self::Plan(plan) => Scope::Plan(plan.clone()),
            Self::Team(team) => Scope::Team(team.clone()),
            Self::Customer(customer) => Scope::Customer(customer.clone()),
        }
    }
}

impl AdditionText {
    fn to_domain(&self) -> Result<Addition, String> {
        let unit = Unit::parse(&self.unit).ok_or_else(|| format!("there is no unit {:?}", self.unit))?;
        let per = self.per.map_or(Some(1), |per| per.0.to_i64().and_then(|per| u64::try_from(per).ok()));
        let per = per.ok_or_else(|| format!("per_unit: `per` of {unit} is a whole number from 1"))?;
        Ok(Addition { unit, amount: self.amount.0, per })
    }
}

impl MarkupText {
    fn target(&self) -> Target {
        Target { scope: self.scope.to_domain(), provider: self.provider.clone(), model: self.model.clone() }
    }

    /// The markup of the domain.
    ///
    /// # Errors
    /// Says in words which field cannot be what it is.
    pub fn markup(&self) -> Result<Markup, String> {
        let base = match &self.base {
            None => Base::Cost,
            Some(name) => {
                Base::parse(name).ok_or_else(|| format!("base: is `cost` or `list_cost`, not {name:?}"))?
            }
        };
        Ok(Markup {
            base,
            percent: self.percent.map_or(Decimal::ZERO, |percent| percent.0),
            per_unit: self.per_unit.iter().map(AdditionText::to_domain).collect::<Result<_, _>>()?,
            per_request: self.per_request.map(|amount| amount.0),
            minimum: self.minimum.map(|amount| amount.0),
            currency: self.currency.clone().unwrap_or_else(|| CURRENCY_USUAL.to_owned()),
            fx: self.fx.as_ref().map(|fx| Fx { currency: fx.currency.clone(), rate: fx.rate.0 }),
            notes: self.notes.clone(),
        })
    }
}

impl Change for MarkupText {
    type State = Markups;
    const TABLE: &'static str = "markups";
    const WHAT: &'static str = "markup";

    fn id(&self) -> &str {
        &self.id
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
        match &self.scope {
            ScopeText::Everybody | ScopeText::Plan(_) => ("", ""),
            ScopeText::Team(team) => ("", team),
            ScopeText::Customer(customer) => (customer, ""),
        }
    }

    fn kept(&self) -> Result<Self, String> {
        self.target().check().map_err(|error| error.to_string())?;
        self.markup()?.check().map_err(|error| error.to_string())?;
        Ok(Self { effective_from: None, based_on: None, ..self.clone() })
    }

    fn insert(&self, markups: &mut Markups, number: u32, from: Option<Millis>) -> Result<(), String> {
        let value = if self.ended { None } else { Some(self.markup()?) };
        let version = Version { number, effective_from: from, value };
        markups.insert(&self.id, self.target(), version).map_err(|error| error.to_string())
    }
}
