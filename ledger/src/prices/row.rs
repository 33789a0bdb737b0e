//! The model row: one version of what a provider charges for one model. Immutable; a change is a new version.

use super::Conditions;
use crate::event::{Millis, names};
use crate::money::Decimal;
use crate::unit::Unit;

/// One version of the prices of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// Names this version for ever, such as `openai/gpt-6-sol@1.106.2`.
    pub id: String,
    /// Who serves the model; absent where the row holds for any provider that has no row of its own.
    pub provider: Option<String>,
    /// The model, as the provider names it.
    pub model: String,
    /// Other names of the same model at that provider.
    pub aliases: Vec<String>,
    /// The endpoint families that the row is meant for; information only.
    pub endpoint_families: Vec<String>,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    /// From when on; absent means from the beginning of time. It ends where the next version begins.
    pub effective_from: Option<Millis>,
    /// For whom the prices hold.
    pub scope: Scope,
    /// The version that this one puts right: from then on it counts as if that one had never been.
    pub supersedes: Option<String>,
    /// Whether the units or the provider's own figure are billed.
    pub amount_basis: AmountBasis,
    /// What a unit costs.
    pub prices: Vec<Price>,
    /// Factors on all token prices.
    pub multipliers: Vec<Multiplier>,
    /// Least quantities that are charged.
    pub minimums: Vec<Minimum>,
    /// Steps in which quantities are charged.
    pub increments: Vec<Increment>,
    /// What an account has free in each period; rated like anything else, and credited for the period.
    pub free_quotas: Vec<FreeQuota>,
    /// Where the prices come from.
    pub source: Source,
    /// Why the prices are not yet confirmed by a second source; absent where they are.
    pub unconfirmed: Option<String>,
    /// What a reader should know.
    pub notes: Option<String>,
}

/// For whom a row's prices hold. Within one plane of prices the narrowest scope that fits goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// For anybody: the provider's public list, from which list cost is made.
    #[default]
    Public,
    /// For one account at the provider, by contract: the cost of what goes through it.
    ProviderAccount(String),
    /// For the customers of one plan: their charge.
    Plan(String),
    /// For one team: its charge.
    Team(String),
    /// For one customer: its charge.
    Customer(String),
}

names! {
    /// What is billed.
    AmountBasis {
        /// Quantities times prices.
        Units = "units",
        /// The amount that the provider reported; quantities times prices where it reported none.
        ProviderReported = "provider_reported",
    }
}

/// What a unit costs under some conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// What is priced.
    pub unit: Unit,
    /// Money for `per` of the unit.
    pub amount: Decimal,
    /// For how many of the unit the amount is; at least 1.
    pub per: u64,
    /// When the price holds.
    pub conditions: Conditions,
}

/// A factor on all token prices under some conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// The factor.
    pub factor: Decimal,
    /// When it applies.
    pub conditions: Conditions,
}

/// The least quantity of a unit that is charged once there is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minimum {
    /// Of what.
    pub unit: Unit,
    /// How much.
    pub quantity: Decimal,
}

/// A step in which a unit is charged: its quantity is rounded up to a multiple, after any minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Increment {
    /// Of what.
    pub unit: Unit,
    /// The step; above zero.
    pub quantity: Decimal,
}

/// A quantity that an account at the provider has free in each period, shared by all models of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeQuota {
    /// Of what.
    pub unit: Unit,
    /// How much.
    pub quantity: Decimal,
    /// How long until it begins anew.
    pub period: QuotaPeriod,
    /// The group of models that share it; absent where the model has it alone.
    pub shared_group: Option<String>,
}

names! {
    /// How long a free quota lasts.
    QuotaPeriod {
        /// A day, UTC.
        Day = "day",
        /// A calendar month, UTC.
        Month = "month",
    }
}

/// Where prices come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Such as `litellm`.
    pub name: String,
    /// Version of the source.
    pub version: Option<String>,
    /// The entry in the source.
    pub key: Option<String>,
    /// License of the source.
    pub license: Option<String>,
    /// Sources that say the same.
    pub confirmed_by: Vec<String>,
}

impl Price {
    /// Whether both cost the same for one of the unit.
    #[must_use]
    pub(crate) fn equals(&self, other: &Self) -> bool {
        let cross = |amount: Decimal, per: u64| amount.checked_mul(Decimal::from(per));
        if self.per == other.per {
            return self.amount == other.amount;
        }
        cross(self.amount, other.per) == cross(other.amount, self.per)
    }
}
