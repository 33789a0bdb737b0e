//! A price list without conditions or times: provider and model to a price for each unit.

use std::collections::HashMap;

use anyhow::Context;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use super::event::{Event, Tokens};

/// Decimals of an amount in the table.
const SCALE: u32 = 18;

/// Prices of one token by provider, then model.
#[derive(Debug, Default)]
pub(super) struct Prices {
    models: HashMap<String, HashMap<String, Model>>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    row: String,
    uncached: Decimal,
    cached: Decimal,
    written: Decimal,
    output: Decimal,
}

/// What an event costs, with the unit prices, as the table holds them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Priced<'a> {
    pub(super) row: &'a str,
    pub(super) uncached: i128,
    pub(super) cached: i128,
    pub(super) written: i128,
    pub(super) output: i128,
    pub(super) cost: i128,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    provider: String,
    model: String,
    prices: Vec<Price>,
}

#[derive(Deserialize)]
struct Price {
    unit: String,
    amount: Decimal,
    per: Option<Decimal>,
    when: Option<Value>,
}

impl Prices {
    /// The prices of the traffic.
    pub(super) fn built_in() -> anyhow::Result<Self> {
        let rows: Vec<Row> = serde_json::from_str(::traffic::PRICES_JSON)?;
        let mut prices = Self::default();
        for row in rows {
            let mut model = Model { row: row.id, ..Model::default() };
            for price in row.prices.iter().filter(|price| price.when.is_none()) {
                let one = price
                    .amount
                    .checked_div(price.per.unwrap_or(Decimal::ONE))
                    .context("a price per nothing")?;
                match price.unit.as_str() {
                    "input_uncached_tokens" => model.uncached = one,
                    "input_cache_read_tokens" => model.cached = one,
                    "input_cache_write_5m_tokens" | "input_cache_write_tokens" => model.written = one,
                    "output_text_tokens" => model.output = one,
                    _ => {}
                }
            }
            prices.models.entry(row.provider).or_default().insert(row.model, model);
        }
        Ok(prices)
    }

    /// What the event costs; nothing where nobody prices the model.
    pub(super) fn price(&self, event: &Event, tokens: Tokens) -> Priced<'_> {
        let Some(model) = self.models.get(&event.provider).and_then(|models| models.get(&event.model)) else {
            return Priced::default();
        };
        let cost = model.uncached * Decimal::from(tokens.uncached)
            + model.cached * Decimal::from(tokens.cached)
            + model.written * Decimal::from(tokens.written)
            + model.output * Decimal::from(tokens.output);
        Priced {
            row: &model.row,
            uncached: raw(model.uncached),
            cached: raw(model.cached),
            written: raw(model.written),
            output: raw(model.output),
            cost: raw(cost),
        }
    }
}

fn raw(mut amount: Decimal) -> i128 {
    amount.rescale(SCALE);
    amount.mantissa()
}
