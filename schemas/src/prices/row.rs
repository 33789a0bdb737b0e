//! A model row as JSON: in the store, in commands and in price files. Strict: an unknown field is an error, because
//! a price that is silently left out is a wrong price.

use jiff::Timestamp;
use ledger::event::Millis;
use ledger::money::Decimal;
use ledger::prices::{
    AmountBasis, Bound, Conditions, FreeQuota, Increment, Minimum, ModelRow, Multiplier, Price, QuotaPeriod,
    Region, Scope, Source, Window,
};
use ledger::unit::Unit;
use serde::{Deserialize, Serialize};

use super::number::Number;

/// Why a text is no model row.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The JSON is broken, or a field is unknown, absent or of the wrong type.
    #[error("not a model row")]
    Json(#[from] serde_json::Error),
    /// A field has a value that is not allowed.
    #[error("model row {row:?}: {detail}")]
    Invalid {
        /// Id of the row.
        row: String,
        /// Which field, and what it should be.
        detail: String,
    },
}

/// Reads one row.
///
/// # Errors
/// [`Error`] where the text is no row.
pub fn from_json(text: &str) -> Result<ModelRow, Error> {
    serde_json::from_str::<Row<'_>>(text)?.into_domain()
}

/// Reads a list of rows, bare or as `rows` of an object, or a single one.
///
/// # Errors
/// [`Error`] where one of them is no row.
pub fn list_from_json(text: &str) -> Result<Vec<ModelRow>, Error> {
    let into_domain = |rows: Vec<Row<'_>>| rows.into_iter().map(Row::into_domain).collect();
    if text.trim_start().starts_with('[') {
        return into_domain(serde_json::from_str(text)?);
    }
    match serde_json::from_str::<Rows<'_>>(text) {
        Ok(list) => into_domain(list.rows),
        // An object with a broken list is no row either, and the list's error says more.
        Err(error) if serde_json::from_str::<HasRows>(text).is_ok() => Err(error.into()),
        Err(_) => from_json(text).map(|row| vec![row]),
    }
}

/// Writes a row; equal rows give equal text.
///
/// # Errors
/// [`Error::Invalid`] where `effective_from` is outside the years that RFC 3339 can write.
pub fn to_json(row: &ModelRow) -> Result<String, Error> {
    Ok(serde_json::to_string(&Row::of(row)?)?)
}

/// Whether two rows say the same of the same model; only id, time and source may differ. What an import finds
/// unchanged needs no new version.
#[must_use]
pub fn same_terms(one: &ModelRow, two: &ModelRow) -> bool {
    let terms = |row: &ModelRow| ModelRow {
        id: String::new(),
        effective_from: None,
        supersedes: None,
        source: Source::default(),
        unconfirmed: None,
        notes: None,
        ..row.clone()
    };
    terms(one) == terms(two)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows<'a> {
    #[serde(borrow)]
    rows: Vec<Row<'a>>,
}

#[derive(Deserialize)]
struct HasRows {
    #[serde(rename = "rows")]
    _rows: serde::de::IgnoredAny,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    model: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    endpoint_families: Vec<String>,
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effective_from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    supersedes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    amount_basis: Option<&'a str>,
    prices: Vec<PriceText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    multipliers: Vec<MultiplierText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    minimums: Vec<QuantityText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    increments: Vec<QuantityText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    free_quotas: Vec<QuotaText>,
    #[serde(default)]
    source: SourceText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unconfirmed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PriceText {
    unit: String,
    amount: Number,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    per: Number,
    #[serde(default, skip_serializing_if = "When::is_empty")]
    when: When,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MultiplierText {
    factor: Number,
    #[serde(default, skip_serializing_if = "When::is_empty")]
    when: When,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct QuantityText {
    unit: String,
    quantity: Number,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct QuotaText {
    unit: String,
    quantity: Number,
    period: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared_group: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ScopeText {
    ProviderAccount(String),
    Plan(String),
    Team(String),
    Customer(String),
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SourceText {
    #[serde(default)]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    confirmed_by: Vec<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct When {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service_tier: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processing: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    speed: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inference_geo: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<RegionText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_tokens_total: Option<BoundText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quality: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolution: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    search_context_size: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    utc: Vec<WindowText>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RegionText {
    Is(Box<str>),
    Not(Box<str>),
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum BoundText {
    Gt(u64),
    Gte(u64),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WindowText {
    hours: String,
    weekdays: Vec<u8>,
}

fn one() -> Number {
    Number(Decimal::ONE)
}

fn is_one(number: &Number) -> bool {
    number.0 == Decimal::ONE
}

impl<'a> Row<'a> {
    fn of(row: &'a ModelRow) -> Result<Self, Error> {
        let time = |from: Millis| {
            let invalid = |error: jiff::Error| Error::Invalid {
                row: row.id.clone(),
                detail: format!("`effective_from`: {error}"),
            };
            Timestamp::from_millisecond(from.0).map_err(invalid)
        };
        let basis = Some(row.amount_basis).filter(|basis| *basis != AmountBasis::Units);
        Ok(Self {
            id: row.id.clone(),
            provider: row.provider.clone(),
            model: row.model.clone(),
            aliases: row.aliases.clone(),
            endpoint_families: row.endpoint_families.clone(),
            currency: row.currency.clone(),
            effective_from: row.effective_from.map(time).transpose()?,
            scope: ScopeText::of(&row.scope),
            supersedes: row.supersedes.clone(),
            amount_basis: basis.map(AmountBasis::name),
            prices: row.prices.iter().map(PriceText::of).collect(),
            multipliers: row.multipliers.iter().map(MultiplierText::of).collect(),
            minimums: row.minimums.iter().map(|least| QuantityText::of(least.unit, least.quantity)).collect(),
            increments: row
                .increments
                .iter()
                .map(|step| QuantityText::of(step.unit, step.quantity))
                .collect(),
            free_quotas: row.free_quotas.iter().map(QuotaText::of).collect(),
            source: SourceText {
                name: row.source.name.clone(),
                version: row.source.version.clone(),
                key: row.source.key.clone(),
                license: row.source.license.clone(),
                confirmed_by: row.source.confirmed_by.clone(),
            },
            unconfirmed: row.unconfirmed.clone(),
            notes: row.notes.clone(),
        })
    }

    fn into_domain(self) -> Result<ModelRow, Error> {
        let invalid = |detail: String| Error::Invalid { row: self.id.clone(), detail };
        let basis = match self.amount_basis {
            None => AmountBasis::Units,
            Some(name) => AmountBasis::parse(name).ok_or_else(|| {
                invalid(format!("`amount_basis` is `units` or `provider_reported`, not {name:?}"))
            })?,
        };
        let prices: Result<_, _> = self.prices.into_iter().map(PriceText::into_domain).collect();
        let multipliers: Result<_, _> =
            self.multipliers.into_iter().map(MultiplierText::into_domain).collect();
        let minimum =
            |text: QuantityText| text.into_domain().map(|(unit, quantity)| Minimum { unit, quantity });
        let increment =
            |text: QuantityText| text.into_domain().map(|(unit, quantity)| Increment { unit, quantity });
        let minimums: Result<_, _> = self.minimums.into_iter().map(minimum).collect();
        let increments: Result<_, _> = self.increments.into_iter().map(increment).collect();
        let free_quotas: Result<_, _> = self.free_quotas.into_iter().map(QuotaText::into_domain).collect();
        Ok(ModelRow {
            prices: prices.map_err(invalid)?,
            multipliers: multipliers.map_err(invalid)?,
            minimums: minimums.map_err(invalid)?,
            increments: increments.map_err(invalid)?,
            free_quotas: free_quotas.map_err(invalid)?,
            id: self.id,
            provider: self.provider,
            model: self.model,
            aliases: self.aliases,
            endpoint_families: self.endpoint_families,
            currency: self.currency,
            effective_from: self.effective_from.map(|from| Millis(from.as_millisecond())),
            scope: self.scope.map_or(Scope::Public, ScopeText::into_domain),
            supersedes: self.supersedes,
            amount_basis: basis,
            source: Source {
                name: self.source.name,
                version: self.source.version,
                key: self.source.key,
                license: self.source.license,
                confirmed_by: self.source.confirmed_by,
            },
            unconfirmed: self.unconfirmed,
            notes: self.notes,
        })
    }
}

impl PriceText {
    fn of(price: &Price) -> Self {
        Self {
            unit: price.unit.name().to_owned(),
            amount: Number(price.amount),
            per: Number(price.per.into()),
            when: When::of(&price.conditions),
        }
    }

    fn into_domain(self) -> Result<Price, String> {
        let unit = parse_unit(&self.unit)?;
        let per = self.per.0.to_i64().and_then(|per| u64::try_from(per).ok()).filter(|per| *per > 0);
        let per = per.ok_or_else(|| format!("{unit}: `per` is a whole number from 1, not {}", self.per.0))?;
        let conditions = self.when.to_domain().map_err(|detail| format!("{unit}: {detail}"))?;
        Ok(Price { unit, amount: self.amount.0, per, conditions })
    }
}

impl MultiplierText {
    fn of(multiplier: &Multiplier) -> Self {
        Self { factor: Number(multiplier.factor), when: When::of(&multiplier.conditions) }
    }

    fn into_domain(self) -> Result<Multiplier, String> {
        Ok(Multiplier { factor: self.factor.0, conditions: self.when.to_domain()? })
    }
}

impl QuantityText {
    fn of(unit: Unit, quantity: Decimal) -> Self {
        Self { unit: unit.name().to_owned(), quantity: Number(quantity) }
    }

    fn into_domain(self) -> Result<(Unit, Decimal), String> {
        Ok((parse_unit(&self.unit)?, self.quantity.0))
    }
}

impl QuotaText {
    fn of(quota: &FreeQuota) -> Self {
        Self {
            unit: quota.unit.name().to_owned(),
            quantity: Number(quota.quantity),
            period: quota.period.name().to_owned(),
            shared_group: quota.shared_group.clone(),
        }
    }

    fn into_domain(self) -> Result<FreeQuota, String> {
        let period = QuotaPeriod::parse(&self.period).ok_or_else(|| {
            format!("the `period` of a free quota is `day` or `month`, not {:?}", self.period)
        })?;
        Ok(FreeQuota {
            unit: parse_unit(&self.unit)?,
            quantity: self.quantity.0,
            period,
            shared_group: self.shared_group,
        })
    }
}

impl ScopeText {
    fn of(scope: &Scope) -> Option<Self> {
        match scope {
            Scope::Public => None,
            Scope::ProviderAccount(account) => Some(Self::ProviderAccount(account.clone())),
            Scope::Plan(plan) => Some(Self::Plan(plan.clone())),
            Scope::Team(team) => Some(Self::Team(team.clone())),
            Scope::Customer(customer) => Some(Self::Customer(customer.clone())),
        }
    }

    fn into_domain(self) -> Scope {
        match self {
            Self::ProviderAccount(account) => Scope::ProviderAccount(account),
            Self::Plan(plan) => Scope::Plan(plan),
            Self::Team(team) => Scope::Team(team),
            Self::Customer(customer) => Scope::Customer(customer),
        }
    }
}

impl When {
    fn is_empty(&self) -> bool {
        self.to_domain().is_ok_and(|conditions| conditions == Conditions::default())
    }

    fn to_domain(&self) -> Result<Conditions, String> {
        Ok(Conditions {
            service_tier: self.service_tier.clone(),
            processing: self.processing.clone(),
            speed: self.speed.clone(),
            inference_geo: self.inference_geo.clone(),
            region: self.region.as_ref().map(|region| match region {
                RegionText::Is(region) => Region::Is(region.clone()),
                RegionText::Not(region) => Region::Not(region.clone()),
            }),
            prompt_tokens_total: self.prompt_tokens_total.as_ref().map(|bound| match bound {
                BoundText::Gt(tokens) => Bound::Gt(*tokens),
                BoundText::Gte(tokens) => Bound::Gte(*tokens),
            }),
            size: self.size.clone(),
            quality: self.quality.clone(),
            resolution: self.resolution.clone(),
            audio: self.audio.clone(),
            search_context_size: self.search_context_size.clone(),
            windows: self
                .utc
                .iter()
                .map(|window| parse_window(&window.hours, &window.weekdays))
                .collect::<Result<_, _>>()?,
        })
    }

    fn of(conditions: &Conditions) -> Self {
        let window = |window: &Window| {
            let (from, to) = window.minutes();
            let hours = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
            WindowText { hours, weekdays: window.weekdays().collect() }
        };
        Self {
            service_tier: conditions.service_tier.clone(),
            processing: conditions.processing.clone(),
            speed: conditions.speed.clone(),
            inference_geo: conditions.inference_geo.clone(),
            region: conditions.region.clone().map(|region| match region {
                Region::Is(region) => RegionText::Is(region),
                Region::Not(region) => RegionText::Not(region),
            }),
            prompt_tokens_total: conditions.prompt_tokens_total.map(|bound| match bound {
                Bound::Gt(tokens) => BoundText::Gt(tokens),
                Bound::Gte(tokens) => BoundText::Gte(tokens),
            }),
            size: conditions.size.clone(),
            quality: conditions.quality.clone(),
            resolution: conditions.resolution.clone(),
            audio: conditions.audio.clone(),
            search_context_size: conditions.search_context_size.clone(),
            utc: conditions.windows.iter().map(window).collect(),
        }
    }
}

fn parse_unit(name: &str) -> Result<Unit, String> {
    Unit::parse(name).ok_or_else(|| format!("{name:?} is not a unit that the ledger knows"))
}

/// A window such as `04:00-06:00`.
pub(super) fn parse_window(hours: &str, weekdays: &[u8]) -> Result<Window, String> {
    let minutes = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
        (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let ends = hours.split_once('-').and_then(|(from, to)| minutes(from).zip(minutes(to)));
    ends.and_then(|(from, to)| Window::new(weekdays, from, to)).ok_or_else(|| {
        format!(
            "{hours:?} on {weekdays:?} is no window; write `04:00-06:00` and weekdays from 1 (Monday) to 7"
        )
    })
}
