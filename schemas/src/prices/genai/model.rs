//! One model's prices over time: the sets that are active at each start date, as versions of a row.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use ledger::event::Millis;
use ledger::prices::{Conditions, ModelRow, Price, PriceBook, Window};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Raw;
use super::names::Rule;
use super::prices::{Piece, Set, pieces};
use crate::prices::import::{Origin, Reason, Refusal, blank};
use crate::prices::steps;

/// One model of a provider.
#[derive(Deserialize)]
pub(super) struct Model<'t> {
    pub(super) id: String,
    #[serde(rename = "match")]
    pub(super) rule: Rule,
    #[serde(borrow)]
    prices: Raw<'t>,
    #[serde(borrow, default)]
    price_variants: Option<Vec<Variant<'t>>>,
}

#[derive(Deserialize)]
struct Conditional<'t> {
    #[serde(default)]
    constraint: Option<Constraint>,
    #[serde(borrow)]
    prices: Set<'t>,
}

#[derive(Deserialize)]
struct Variant<'t> {
    #[serde(default)]
    constraint: Option<Constraint>,
    when: BTreeMap<String, String>,
    #[serde(borrow)]
    prices: Set<'t>,
}

/// From a day on, or between two times of each day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraint {
    #[serde(default)]
    start_date: Option<Date>,
    #[serde(default)]
    start_time: Option<String>,
    #[serde(default)]
    end_time: Option<String>,
}

/// A set in its place: when it is active, what it is, and which of its pieces made it into a row.
struct Item {
    place: String,
    from: Option<Date>,
    kind: Kind,
    pieces: Vec<Piece>,
    used: BTreeSet<usize>,
}

#[derive(PartialEq, Eq)]
enum Kind {
    /// The prices where nothing else is said.
    Standard,
    /// Those of some hours of the day.
    Hours,
    /// Those of a tier, of batches or of a speed.
    Variant,
}

/// A version of the prices: from which day on, and which.
struct Version {
    from: Option<Date>,
    prices: Vec<Price>,
}

/// What a model's prices come to.
pub(super) struct Outcome {
    versions: Vec<Version>,
    pub(super) used: Vec<String>,
    pub(super) refused: Vec<Refusal>,
}

/// Works the versions out.
pub(super) fn versions(model: &Model<'_>, provider: &str, key: &str) -> Outcome {
    let mut outcome = Outcome { versions: Vec::new(), used: Vec::new(), refused: Vec::new() };
    let mut items = match items(model, provider) {
        Ok(items) => items,
        Err(reason) => {
            outcome.refuse(key, "prices", reason);
            return outcome;
        }
    };
    let days: BTreeSet<Option<Date>> =
        std::iter::once(None).chain(items.iter().map(|item| item.from)).collect();
    for day in days {
        let prices = active(&mut items, day);
        if outcome.versions.last().map_or(&[][..], |version| &version.prices) != prices {
            outcome.versions.push(Version { from: day, prices });
        }
    }
    for item in items {
        for (index, piece) in item.pieces.into_iter().enumerate() {
            let name = format!("{}.{}", item.place, piece.key);
            match piece.prices {
                Err(reason) => outcome.refuse(key, &name, reason),
                Ok(_) if item.used.contains(&index) => outcome.used.push(name),
                Ok(_) => outcome.refuse(key, &name, "another price of the same always goes before it".into()),
            }
        }
    }
    outcome
}

/// The rows of the versions.
///
/// # Errors
/// Where one of them is no row that a book takes.
pub(super) fn rows(
    origin: Origin<'_>,
    provider: &str,
    (name, aliases): (String, Vec<String>),
    key: &str,
    outcome: &mut Outcome,
) -> Result<Vec<ModelRow>, Reason> {
    let mut rows = Vec::new();
    for version in std::mem::take(&mut outcome.versions) {
        let mut row = blank(origin, provider, &name, key);
        if let Some(day) = version.from {
            let instant =
                TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).map_err(|error| error.to_string())?;
            row.effective_from = Some(Millis(instant.as_millisecond()));
            row.id = format!("{}:{day}", row.id);
        }
        row.aliases.clone_from(&aliases);
        row.prices = version.prices;
        rows.push(row);
    }
    PriceBook::new(rows.clone()).map_err(|error| error.to_string())?;
    Ok(rows)
}

impl Outcome {
    fn refuse(&mut self, key: &str, price_key: &str, reason: Reason) {
        self.refused.push(Refusal { key: key.to_owned(), price_key: price_key.to_owned(), reason });
    }
}

fn items(model: &Model<'_>, provider: &str) -> Result<Vec<Item>, Reason> {
    let mut items = Vec::new();
    let mut standard_keys = Vec::new();
    for (index, conditional) in sets(model.prices)?.iter().enumerate() {
        let window = conditional.constraint.as_ref().map_or(Ok(None), window);
        let keys: Vec<&str> = conditional.prices.keys().map(String::as_str).collect();
        let kind = if matches!(window, Ok(None)) { Kind::Standard } else { Kind::Hours };
        let conditions = window.and_then(|window| {
            if window.is_some() && keys != standard_keys {
                return Err("the hours price other units than the rest of the day".into());
            }
            Ok(Conditions { windows: window.into_iter().collect(), ..Conditions::default() })
        });
        if kind == Kind::Standard {
            standard_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        }
        items.push(Item {
            place: format!("prices[{index}]"),
            from: conditional.constraint.as_ref().and_then(|constraint| constraint.start_date),
            kind,
            pieces: under(conditions, provider, model, &conditional.prices),
            used: BTreeSet::new(),
        });
    }
    for (index, variant) in model.price_variants.iter().flatten().enumerate() {
        items.push(Item {
            place: format!("price_variants[{index}]"),
            from: variant.constraint.as_ref().and_then(|constraint| constraint.start_date),
            kind: Kind::Variant,
            pieces: under(conditions_of(variant), provider, model, &variant.prices),
            used: BTreeSet::new(),
        });
    }
    Ok(items)
}

/// The prices of a model: one set, or a list of them of which the last active one holds.
fn sets(raw: &RawValue) -> Result<Vec<Conditional<'_>>, Reason> {
    if raw.get().starts_with('[') {
        return serde_json::from_str(raw.get()).map_err(|error| error.to_string());
    }
    let prices = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    Ok(vec![Conditional { constraint: None, prices }])
}

fn under(
    conditions: Result<Conditions, Reason>,
    provider: &str,
    model: &Model<'_>,
    set: &Set<'_>,
) -> Vec<Piece> {
    match conditions {
        Ok(conditions) => pieces(provider, &model.id, set, &conditions),
        Err(reason) => pieces(provider, &model.id, set, &Conditions::default())
            .into_iter()
            .map(|piece| Piece { prices: Err(reason.clone()), ..piece })
            .collect(),
    }
}

fn window(constraint: &Constraint) -> Result<Option<Window>, Reason> {
    let (start, end) = match (&constraint.start_time, &constraint.end_time) {
        (None, None) => return Ok(None),
        (Some(start), Some(end)) => (start, end),
        _ => return Err("a time of day without its other end".into()),
    };
    let minute = |text: &str| {
        let time: Time = text.strip_suffix("+00:00").or_else(|| text.strip_suffix('Z'))?.parse().ok()?;
        let minute = u16::try_from(time.hour()).ok()? * 60 + u16::try_from(time.minute()).ok()?;
        (time.second() == 0 && time.subsec_nanosecond() == 0).then_some(minute)
    };
    let ends = minute(start).zip(minute(end)).filter(|(from, to)| from != to);
    let window = ends.and_then(|(from, to)| Window::new(&[1, 2, 3, 4, 5, 6, 7], from, to));
    window.map(Some).ok_or_else(|| format!("{start} to {end} are no minutes of the day, UTC"))
}

fn conditions_of(variant: &Variant<'_>) -> Result<Conditions, Reason> {
    if variant.constraint.as_ref().is_some_and(|constraint| constraint.start_time.is_some()) {
        return Err("hours of the day are for standard prices only".into());
    }
    let mut conditions = Conditions::default();
    for (name, value) in &variant.when {
        match name.as_str() {
            "processing" if value == ledger::usage::BATCH => {
                conditions.processing = Some(value.as_str().into());
            }
            "service_tier" => conditions.service_tier = Some(ledger::usage::tier(value).into()),
            "speed" => conditions.speed = Some(value.as_str().into()),
            _ => return Err(format!("a price for {name}={value} has no condition")),
        }
    }
    if conditions.service_tier.as_deref() == Some(ledger::usage::STANDARD) {
        return Err("another price for the standard tier than the standard price".into());
    }
    Ok(conditions)
}

/// The prices that hold from a day on, until the next start date. Their pieces are marked as used.
fn active(items: &mut [Item], day: Option<Date>) -> Vec<Price> {
    let is_active = |item: &Item| item.from.is_none() || item.from <= day;
    let mut standard = None;
    let mut hours = Vec::new();
    for (index, item) in items.iter().enumerate().rev().filter(|(_, item)| item.kind != Kind::Variant) {
        if !is_active(item) {
            continue;
        }
        if item.kind == Kind::Standard {
            standard = Some(index);
            break;
        }
        hours.push(index);
    }
    // Where nothing is active, the first set is.
    let standard = standard.or_else(|| items.iter().position(|item| item.kind == Kind::Standard));
    let mut prices = Vec::new();
    if let Some(index) = standard {
        take(&mut items[index], &mut prices);
    }
    steps::spread(&mut prices);
    for index in hours.into_iter().rev() {
        let mut found = Vec::new();
        take(&mut items[index], &mut found);
        steps::spread(&mut found);
        prices.extend(found);
    }
    for item in items.iter_mut().filter(|item| item.kind == Kind::Variant && is_active(item)) {
        take_first(item, &mut prices);
    }
    prices
}

fn take(item: &mut Item, prices: &mut Vec<Price>) {
    for (index, piece) in item.pieces.iter().enumerate() {
        if let Ok(found) = &piece.prices {
            prices.extend(found.iter().cloned());
            item.used.insert(index);
        }
    }
}

/// Of variants the first goes before the others, for each price by itself.
fn take_first(item: &mut Item, prices: &mut Vec<Price>) {
    for (index, piece) in item.pieces.iter().enumerate() {
        let Ok(found) = &piece.prices else { continue };
        let same = |price: &Price| {
            prices.iter().find(|before| before.unit == price.unit && before.conditions == price.conditions)
        };
        match found.iter().map(same).collect::<Option<Vec<&Price>>>() {
            Some(before) if !found.is_empty() => {
                // Two names of one tier, such as `fast` and `priority`, may say the same.
                if before.iter().zip(found).all(|(before, price)| *before == price) {
                    item.used.insert(index);
                }
            }
            _ => {
                prices.extend(found.iter().cloned());
                item.used.insert(index);
            }
        }
    }
}
