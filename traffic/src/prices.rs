//! The prices by which the truth is computed: a price file of 41 rows, read by a reader of its own.

use std::collections::HashMap;

use ledger::unit::Unit;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::counts::Counts;
use crate::offers::{OFFERS, TIERS, Tier};

/// What the models cost: a price file as `tollbook prices publish` takes it. The prices are those of LiteLLM's map,
/// under the plain conditions alone.
pub const PRICES_JSON: &str = include_str!("../prices.json");

/// Whole amounts in one of the currency.
const ATTOS: i128 = 1_000_000_000_000_000_000;
/// Below and above the step of a row.
const STEPS: usize = 2;

/// Why a text holds no prices that the truth can use.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// It is no list of model rows, or has conditions that this reader does not know.
    #[error("not a price file of plain conditions")]
    Json(#[from] serde_json::Error),
    /// A price is for a unit that is not known, no decimal number, or has more than 18 decimals.
    #[error("model row {row:?}: {detail}")]
    Invalid {
        /// Id of the row.
        row: String,
        /// Which price.
        detail: String,
    },
}

/// Prices of one of a unit by model, tier and context step, in 10^-18 of the currency.
#[derive(Clone, Debug)]
pub struct Prices {
    /// By position in `OFFERS`; `None` where nobody prices the model.
    offers: Vec<Option<Row>>,
}

#[derive(Clone, Debug)]
struct Row {
    /// The smallest prompt above the step; `u64::MAX` where there is none.
    long_from: u64,
    prices: [[[Option<i128>; Unit::COUNT]; STEPS]; TIERS],
}

impl Prices {
    /// The prices of [`PRICES_JSON`].
    ///
    /// # Errors
    /// Never with the file that a test has read.
    pub fn built_in() -> Result<Self, PriceError> {
        Self::parse(PRICES_JSON)
    }

    /// Reads a price file. Models that the traffic does not use are left out.
    ///
    /// # Errors
    /// [`PriceError`] where it has other conditions than tier, batch and one context step, or a price that is none.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        let mut rows = HashMap::new();
        for row in serde_json::from_str::<Vec<RowText>>(text)? {
            let prices = Row::read(&row)?;
            rows.insert((row.provider, row.model), prices);
        }
        let row_of =
            |provider: &str, model: &str| rows.get(&(provider.to_owned(), model.to_owned())).cloned();
        Ok(Self { offers: OFFERS.iter().map(|offer| row_of(offer.provider, offer.model)).collect() })
    }

    /// What the counts cost, and whether everything had a price.
    pub(crate) fn cost(&self, offer: usize, tier: Tier, counts: &Counts) -> (i128, bool) {
        let Some(row) = self.offers.get(offer).and_then(Option::as_ref) else { return (0, false) };
        let step = usize::from(counts.prompt() >= row.long_from);
        let (mut cost, mut is_priced) = (0, true);
        for (unit, count) in counts.all().into_iter().filter(|(_, count)| *count > 0) {
            match row.price(unit, tier, step) {
                Some(price) => cost += i128::from(count) * price,
                None => is_priced = false,
            }
        }
        (cost, is_priced)
    }
}

impl Row {
    fn read(row: &RowText) -> Result<Self, PriceError> {
        let steps = row.prices.iter().filter_map(|price| price.when.prompt_tokens_total.as_ref());
        let mut prices = Self {
            long_from: steps.map(Step::long_from).min().unwrap_or(u64::MAX),
            prices: [[[None; Unit::COUNT]; STEPS]; TIERS],
        };
        for price in &row.prices {
            let invalid = |detail: &str| PriceError::Invalid {
                row: row.id.clone(),
                detail: format!("price of {}: {detail}", price.unit),
            };
            let unit = Unit::parse(&price.unit).ok_or_else(|| invalid("no unit of the ledger"))?;
            let attos = price.attos().ok_or_else(|| invalid("no decimal of at most 18 places"))?;
            let tier = price.when.tier().ok_or_else(|| invalid("no tier of the traffic"))?;
            let step = usize::from(price.when.prompt_tokens_total.is_some());
            prices.prices[tier as usize][step][unit.index()] = Some(attos);
        }
        Ok(prices)
    }

    /// What one of a unit costs.
    fn price(&self, unit: Unit, tier: Tier, step: usize) -> Option<i128> {
        let own = |unit: Unit| {
            // Tiers and steps are for tokens.
            let (tier, step) = if unit.is_token() { (tier, step) } else { (Tier::Standard, 0) };
            self.prices[tier as usize][step][unit.index()]
        };
        let stand_in = match unit {
            Unit::OutputReasoningTokens => own(Unit::OutputTextTokens),
            Unit::InputUncachedImageTokens | Unit::InputToolTokens => own(Unit::InputUncachedTokens),
            // The search is paid, not what it found; and pages are fetched for nothing.
            Unit::InputGroundingTokens | Unit::WebFetchCalls => Some(0),
            _ => None,
        };
        own(unit).or(stand_in)
    }
}

#[derive(Deserialize)]
struct RowText {
    id: String,
    provider: String,
    model: String,
    prices: Vec<PriceText>,
}

#[derive(Deserialize)]
struct PriceText {
    unit: String,
    amount: String,
    #[serde(default = "one")]
    per: i128,
    #[serde(default)]
    when: When,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    service_tier: Option<String>,
    processing: Option<String>,
    prompt_tokens_total: Option<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Gt(u64),
    Gte(u64),
}

const fn one() -> i128 {
    1
}

impl PriceText {
    /// The price of one, in 10^-18; `None` where that is not whole.
    fn attos(&self) -> Option<i128> {
        let amount: Decimal = self.amount.parse().ok()?;
        let attos = amount.mantissa().checked_mul(ATTOS)?;
        let divisor = 10_i128.checked_pow(amount.scale())?.checked_mul(self.per)?;
        (divisor > 0 && attos % divisor == 0).then(|| attos / divisor)
    }
}

impl When {
    fn tier(&self) -> Option<Tier> {
        match (self.service_tier.as_deref(), self.processing.as_deref()) {
            (None, None) => Some(Tier::Standard),
            (Some("flex"), None) => Some(Tier::Flex),
            (Some("priority"), None) => Some(Tier::Priority),
            (None, Some("batch")) => Some(Tier::Batch),
            _ => None,
        }
    }
}

impl Step {
    const fn long_from(&self) -> u64 {
        match self {
            Self::Gt(tokens) => *tokens + 1,
            Self::Gte(tokens) => *tokens,
        }
    }
}
