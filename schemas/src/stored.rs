//! Entries read back: a row of `entries` becomes domain values again, so that what it costs can be derived once more
//! from its quantities, its dimensions and its price row, without the usage object, which expires.

use ledger::event::{GatewayCache, Millis, Outcome};
use ledger::money::{Amount, Decimal};
use ledger::unit::{Unit, UnitSet};
use ledger::usage::{Dimensions, Flag, Flags, Quantities};

/// Digits after the point of every stored quantity and amount.
const SCALE: u8 = ledger::money::AMOUNT_SCALE;

/// A row of `entries` as `stored_entries.sql` answers it. Quantities of lines and amounts are times 10^18.
#[derive(Clone, Debug, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
#[expect(missing_docs, reason = "fields are the columns, which 0001_entries.sql explains")]
pub struct StoredEntry {
    pub record_topic: String,
    pub record_partition: u32,
    pub record_offset: u64,
    pub record_ordinal: u32,
    pub occurred_ms: i64,
    pub provider_name: String,
    pub model_name: String,
    pub region_name: String,
    pub service_tier_name: String,
    pub processing_name: String,
    pub speed_name: String,
    pub outcome_name: String,
    pub gateway_cache_name: String,
    pub unpriced_unit_names: Vec<String>,
    pub flag_names: Vec<String>,
    pub model_row_id: String,
    pub dimensions_text: String,
    /// By [`Unit::FIXED`], as are their prices.
    pub fixed_quantities: Vec<i64>,
    pub fixed_prices: Vec<i128>,
    pub line_unit_names: Vec<String>,
    pub line_quantities_raw: Vec<i128>,
    pub line_amounts_raw: Vec<i128>,
    pub basis_unit_names: Vec<String>,
    pub basis_names: Vec<String>,
    pub avoided_unit_names: Vec<String>,
    pub avoided_quantities_raw: Vec<i128>,
    pub cost_avoided_raw: i128,
    pub cost_raw: i128,
    pub reported_amount: String,
}

/// A stored row in domain terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts<'a> {
    /// When the attempt started.
    pub at: Millis,
    /// What the price depended on.
    pub dimensions: Dimensions<'a>,
    /// What was noticed.
    pub flags: Flags,
    /// What the provider charges for.
    pub outcome: Outcome,
    /// Whether the gateway answered from its cache: then the quantities are what it spared.
    pub is_hit: bool,
    /// What was used, or spared.
    pub quantities: Quantities,
    /// What was used, priced; none for a hit.
    pub lines: Vec<StoredLine<'a>>,
    /// The units that are owed and have no price.
    pub unpriced: UnitSet,
    /// What is owed to the provider.
    pub cost: Amount,
    /// What a hit spared.
    pub cost_avoided: Amount,
    /// What was reported as the cost.
    pub reported: Option<Amount>,
}

/// A line of a stored row.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLine<'a> {
    /// What was used.
    pub unit: Unit,
    /// How much.
    pub quantity: Decimal,
    /// What it costs.
    pub amount: Amount,
    /// Where the price came from, by name.
    pub basis: &'a str,
}

/// A row that no version of the domain has written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its {what} `{value}` cannot be read")]
pub struct Error {
    /// Which part of the row.
    pub what: &'static str,
    /// What it holds.
    pub value: String,
}

impl StoredEntry {
    /// The row in domain terms.
    ///
    /// # Errors
    /// [`Error`] where the row holds a name or a number that the domain does not know.
    pub fn parts(&self) -> Result<Parts<'_>, Error> {
        let is_hit = GatewayCache::parse(&self.gateway_cache_name) == Some(GatewayCache::Hit);
        let lines = self.lines()?;
        let quantities = if is_hit { self.avoided()? } else { sum(&lines)? };
        let mut dimensions = parse_dimensions(&self.dimensions_text, quantities.prompt_tokens())?;
        dimensions.service_tier = &self.service_tier_name;
        dimensions.processing = &self.processing_name;
        dimensions.speed = &self.speed_name;
        // What the event says of its region has a column of its own.
        if !self.region_name.is_empty() {
            dimensions.region = Some(&self.region_name);
        }
        let reported = Some(self.reported_amount.as_str()).filter(|amount| !amount.is_empty());
        Ok(Parts {
            at: Millis(self.occurred_ms),
            dimensions,
            flags: names(&self.flag_names, "flag", Flag::parse)?.into_iter().collect(),
            outcome: Outcome::parse(&self.outcome_name)
                .ok_or_else(|| unreadable("outcome", &self.outcome_name))?,
            is_hit,
            quantities,
            lines,
            unpriced: units(&self.unpriced_unit_names)?.into_iter().fold(UnitSet::EMPTY, |mut set, unit| {
                set.insert(unit);
                set
            }),
            cost: amount(self.cost_raw)?,
            cost_avoided: amount(self.cost_avoided_raw)?,
            reported: reported
                .map(|text| Amount::parse(text).map_err(|_| unreadable("reported amount", text)))
                .transpose()?,
        })
    }

    /// The lines, those of fixed columns first.
    fn lines(&self) -> Result<Vec<StoredLine<'_>>, Error> {
        let mut lines = Vec::new();
        for ((unit, quantity), price) in
            Unit::FIXED.iter().zip(&self.fixed_quantities).zip(&self.fixed_prices)
        {
            if *quantity == 0 {
                continue;
            }
            let product = price.checked_mul(i128::from(*quantity)).and_then(Amount::from_raw);
            let amount = product.ok_or_else(|| unreadable("price", price))?;
            let quantity =
                Decimal::new(i128::from(*quantity), 0).map_err(|_| unreadable("quantity", quantity))?;
            lines.push(StoredLine { unit: *unit, quantity, amount, basis: self.basis(*unit) });
        }
        let listed = units(&self.line_unit_names)?;
        for ((unit, quantity), raw) in
            listed.into_iter().zip(&self.line_quantities_raw).zip(&self.line_amounts_raw)
        {
            let (quantity, amount) = (decimal(*quantity)?, amount(*raw)?);
            lines.push(StoredLine { unit, quantity, amount, basis: self.basis(unit) });
        }
        lines.sort_by_key(|line| line.unit);
        Ok(lines)
    }

    /// How the price of a unit was come by.
    fn basis(&self, unit: Unit) -> &str {
        let index = self.basis_unit_names.iter().position(|name| name == unit.name());
        index.and_then(|index| self.basis_names.get(index)).map_or("own", String::as_str)
    }

    fn avoided(&self) -> Result<Quantities, Error> {
        let mut quantities = Quantities::default();
        for (unit, raw) in units(&self.avoided_unit_names)?.into_iter().zip(&self.avoided_quantities_raw) {
            add(&mut quantities, unit, decimal(*raw)?)?;
        }
        Ok(quantities)
    }
}

fn sum(lines: &[StoredLine<'_>]) -> Result<Quantities, Error> {
    let mut quantities = Quantities::default();
    for line in lines {
        add(&mut quantities, line.unit, line.quantity)?;
    }
    Ok(quantities)
}

fn add(quantities: &mut Quantities, unit: Unit, quantity: Decimal) -> Result<(), Error> {
    quantities.add_decimal(unit, quantity).map_err(|_| unreadable("quantity", quantity))
}

fn decimal(raw: i128) -> Result<Decimal, Error> {
    Decimal::new(raw, SCALE).map_err(|_| unreadable("quantity", raw))
}

fn amount(raw: i128) -> Result<Amount, Error> {
    Amount::from_raw(raw).ok_or_else(|| unreadable("amount", raw))
}

fn units(texts: &[String]) -> Result<Vec<Unit>, Error> {
    names(texts, "unit", Unit::parse)
}

fn names<T>(texts: &[String], what: &'static str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, Error> {
    texts.iter().map(|text| parse(text).ok_or_else(|| unreadable(what, text))).collect()
}

fn unreadable(what: &'static str, value: impl std::fmt::Display) -> Error {
    Error { what, value: value.to_string() }
}

/// Names of the dimensions that share a column, in their order there.
const NAMES: [&str; 8] = [
    "inference_geo",
    "region",
    "size",
    "quality",
    "resolution",
    "audio",
    "search_context_size",
    PROMPT_TOKENS,
];
/// Is there only where it is not the sum of the quantities.
const PROMPT_TOKENS: &str = "prompt_tokens_total";

/// The price dimensions without a column of their own. The size of the prompt, which decides the context step, is the
/// `counted` one of the quantities unless it differs.
#[must_use]
pub fn dimensions_text(dimensions: &Dimensions<'_>, counted: u64) -> String {
    let Dimensions { inference_geo, region, size, quality, resolution, audio, search_context_size, .. } =
        *dimensions;
    let prompt = dimensions.prompt_tokens_total;
    let prompt = (prompt != counted).then(|| prompt.to_string());
    let values =
        [inference_geo, region, size, quality, resolution, audio, search_context_size, prompt.as_deref()];
    let mut text = String::new();
    for (name, value) in NAMES.iter().zip(values) {
        let Some(value) = value else { continue };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// Reads [`dimensions_text`].
fn parse_dimensions(text: &str, counted: u64) -> Result<Dimensions<'_>, Error> {
    let mut dimensions = Dimensions { prompt_tokens_total: counted, ..Dimensions::default() };
    let mut rest = text;
    for (index, name) in NAMES.iter().enumerate() {
        let Some(value) = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) else { continue };
        // A value ends where one of the names that can follow begins, for it may have spaces of its own.
        let end = NAMES[index + 1..].iter().filter_map(|next| value.find(&format!(" {next}="))).min();
        let (value, tail) = end.map_or((value, ""), |end| (&value[..end], &value[end + 1..]));
        rest = tail;
        match *name {
            "inference_geo" => dimensions.inference_geo = Some(value),
            "region" => dimensions.region = Some(value),
            "size" => dimensions.size = Some(value),
            "quality" => dimensions.quality = Some(value),
            "resolution" => dimensions.resolution = Some(value),
            "audio" => dimensions.audio = Some(value),
            "search_context_size" => dimensions.search_context_size = Some(value),
            _ => {
                dimensions.prompt_tokens_total =
                    value.parse().map_err(|_| unreadable("prompt size", value))?;
            }
        }
    }
    if rest.is_empty() { Ok(dimensions) } else { Err(unreadable("dimensions", text)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[a-z0-9 =x]{1,12}")
    }

    proptest! {
        #[test]
        fn dimensions_read_back_as_they_were_written(
            texts in [value(), value(), value(), value(), value(), value(), value()],
            prompt_tokens_total: u64,
            counted: u64,
            is_counted: bool,
        ) {
            let [inference_geo, region, size, quality, resolution, audio, search_context_size] =
                texts.each_ref().map(Option::as_deref);
            let counted = if is_counted { prompt_tokens_total } else { counted };
            let dimensions = Dimensions {
                inference_geo, region, size, quality, resolution, audio, search_context_size, prompt_tokens_total,
                ..Dimensions::default()
            };
            let text = dimensions_text(&dimensions, counted);
            prop_assert_eq!(parse_dimensions(&text, counted).unwrap(), dimensions);
        }
    }

    #[test]
    fn an_unknown_dimension_is_an_error_and_not_ignored() {
        assert_eq!(parse_dimensions("color=red", 0).unwrap_err(), unreadable("dimensions", "color=red"));
    }
}
