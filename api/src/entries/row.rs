//! A ledger entry as the store answers it, and as the API shows it: absent is null, lines with quantity × unit
//! price = amount, decimals whole.

use std::collections::BTreeMap;

use clickhouse::Row;
use ledger::money::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::period::rfc3339;
use crate::units::FIXED;

/// One row of `entries.sql`, whose columns it names.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct EntryRow {
    event_id: String,
    request_id: String,
    kind: String,
    pub(crate) occurred_ms: i64,
    recorded_ms: i64,
    log_ms: i64,
    origin_topic: String,
    origin_partition: u32,
    origin_offset: u64,
    origin_ordinal: u32,
    operation_id: String,
    reason_name: String,
    reverses_topic_name: String,
    reverses_partition: u32,
    reverses_offset: u64,
    reverses_ordinal: u32,
    owner_key: String,
    owner_team: String,
    owner_app: String,
    owner_environment: String,
    owner_customer: String,
    owner_project: String,
    owner_cost_center: String,
    end_user: String,
    owner_workflow: String,
    tag_names: Vec<String>,
    tag_values: Vec<String>,
    endpoint_family_name: String,
    provider_name: String,
    provider_account_name: String,
    model_name: String,
    alias_name: String,
    credential_name: String,
    route_name: String,
    region_name: String,
    service_tier_name: String,
    processing_name: String,
    speed_name: String,
    attempt: u32,
    attempt_kind_name: String,
    fallback_from_name: String,
    status: u16,
    error_class_name: String,
    outcome_name: String,
    stream: bool,
    latency_ms: u64,
    ttft_ms: u64,
    gateway_cache_name: String,
    gateway_name: String,
    gateway_seq: u64,
    attempts: i8,
    requests: i8,
    unpriced: i8,
    unpriced_unit_names: Vec<String>,
    flag_names: Vec<String>,
    model_row_id: String,
    matched_by_name: String,
    conditions_text: String,
    currency_code: String,
    charge_currency_code: String,
    book_position: u64,
    list_row_id: String,
    list_matched_by_name: String,
    charge_row_id: String,
    charge_matched_by_name: String,
    markup_version: String,
    list_line_texts: Vec<LineTexts>,
    charge_line_texts: Vec<LineTexts>,
    fixed_quantities: Vec<i64>,
    fixed_prices: Vec<String>,
    fixed_amounts: Vec<String>,
    line_unit_names: Vec<String>,
    line_quantity_texts: Vec<String>,
    line_prices: Vec<String>,
    line_amount_texts: Vec<String>,
    basis_unit_names: Vec<String>,
    basis_names: Vec<String>,
    avoided_unit_names: Vec<String>,
    avoided_quantity_texts: Vec<String>,
    cost_avoided_text: String,
    list_cost_text: String,
    cost_text: String,
    charge_text: String,
    reported_amount: String,
    reported_currency_code: String,
    reported_source_name: String,
    usage_text: String,
    context_text: String,
}

/// Unit, quantity, price, amount, basis, condition of a line of a plane beside the cost.
type LineTexts = (String, String, String, String, String, String);

/// Newest first: event time, then origin.
pub(crate) type Position = (i64, String, u32, u64, u32);

/// Where an entry comes from: the record in the log, and the ordinal among the entries that the record makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Origin {
    /// Topic of the record.
    pub topic: String,
    /// Partition of the topic.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// 0 for the first entry of the record.
    pub ordinal: u32,
}

impl std::fmt::Display for Origin {
    /// `topic/partition/offset#ordinal`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, partition, offset, ordinal } = self;
        write!(f, "{topic}/{partition}/{offset}#{ordinal}")
    }
}

/// One priced line: quantity × unit price = amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// The unit.
    pub unit: String,
    /// How much of it, a decimal.
    pub quantity: String,
    /// Price of one, as the model row has it; null where the unit has no price.
    pub unit_price: Option<String>,
    /// Quantity × unit price, a decimal; null where the unit has no price.
    pub amount: Option<String>,
    /// How the price was come by: `own`, `derived`, `fallback:<unit>`, or `unpriced`; of a line that a markup made what
    /// it is for: `usage`, `per_request` or `minimum`.
    pub price_basis: String,
    /// The conditions under which the row has this price; told on the lines of list and charge, and for those of the
    /// cost on the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// How the amount was made, where no finite unit price makes it: base × factor + quantity × addition / per.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
}

/// A plane of money whose lines are not those of the cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plane {
    /// Id of the price row that made it; null where a markup did.
    pub model_row: Option<String>,
    /// How the model's name led to the row.
    pub matched_by: Option<String>,
    /// Id of the markup that made it.
    pub markup: Option<String>,
    /// The version of the markup.
    pub markup_version: Option<u32>,
    /// The lines.
    pub lines: Vec<Line>,
}

impl Plane {
    /// The markup as entries name it: id and version.
    pub(crate) fn markup_version(&self) -> Option<String> {
        self.markup.as_ref().zip(self.markup_version).map(|(id, version)| format!("{id}@{version}"))
    }
}

/// Money that the provider or gateway reported: evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportedCost {
    /// A decimal.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Who reported it.
    pub source: Option<String>,
}

/// A ledger entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields are those of the usage event and of the ledger, explained there")]
pub struct Entry {
    pub event_id: String,
    pub request_id: String,
    pub kind: String,
    pub occurred_at: String,
    pub recorded_at: String,
    pub log_time: String,
    pub origin: Origin,
    /// The repricing, correction or revert that posted it; null where none did.
    pub operation: Option<String>,
    /// Why the entry was posted; null for usage.
    pub reason: Option<String>,
    /// The entry that this one takes back; null where it takes none back.
    pub reverses: Option<Origin>,
    /// The usage entry that this one stands for since it was made anew; null elsewhere.
    pub replaces: Option<Origin>,
    pub key: Option<String>,
    pub team: Option<String>,
    pub app: Option<String>,
    pub environment: Option<String>,
    pub customer: Option<String>,
    pub project: Option<String>,
    pub cost_center: Option<String>,
    pub end_user: Option<String>,
    pub workflow: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub endpoint_family: Option<String>,
    pub provider: Option<String>,
    pub provider_account: Option<String>,
    pub model: Option<String>,
    pub alias: Option<String>,
    pub credential: Option<String>,
    pub route: Option<String>,
    pub region: Option<String>,
    pub service_tier: Option<String>,
    pub processing: Option<String>,
    pub speed: Option<String>,
    pub attempt: u32,
    pub attempt_kind: Option<String>,
    pub fallback_from: Option<String>,
    pub status: Option<u16>,
    pub error_class: Option<String>,
    pub outcome: Option<String>,
    pub stream: bool,
    pub latency_ms: Option<u64>,
    pub ttft_ms: Option<u64>,
    pub gateway_cache: Option<String>,
    pub gateway: Option<String>,
    pub gateway_seq: Option<u64>,
    pub attempts: i8,
    pub requests: i8,
    pub unpriced: bool,
    pub unpriced_units: Vec<String>,
    pub flags: Vec<String>,
    pub model_row: Option<String>,
    pub matched_by: Option<String>,
    pub conditions: Option<String>,
    pub quantities: BTreeMap<String, String>,
    pub quantities_avoided: BTreeMap<String, String>,
    pub lines: Vec<Line>,
    pub list_cost: String,
    pub cost: String,
    pub charge: String,
    pub cost_avoided: String,
    pub currency: Option<String>,
    pub charge_currency: Option<String>,
    /// How the list cost was made; null where it is the cost.
    pub list: Option<Plane>,
    /// How the charge was made; null where it is the cost.
    pub charging: Option<Plane>,
    /// Position of the command log whose prices and registries made the entry.
    pub book: u64,
    pub reported_cost: Option<ReportedCost>,
}

impl EntryRow {
    /// Where the page after this entry begins.
    pub(crate) fn position(&self) -> Position {
        (
            self.occurred_ms,
            self.origin_topic.clone(),
            self.origin_partition,
            self.origin_offset,
            self.origin_ordinal,
        )
    }

    /// The provider's usage object and the event's context, as they were sent; empty where they expired.
    pub(crate) fn raw(&self) -> (&str, &str) {
        (&self.usage_text, &self.context_text)
    }

    /// The entry as it is shown.
    pub(crate) fn shown(self) -> Result<Entry, Problem> {
        let lines = self.lines();
        let (list, charging) = (self.list(), self.charging());
        let quantities = sums(lines.iter().map(|line| (line.unit.as_str(), line.quantity.as_str())))?;
        let quantities_avoided = sums(
            self.avoided_unit_names
                .iter()
                .zip(&self.avoided_quantity_texts)
                .map(|(unit, text)| (unit.as_str(), text.as_str())),
        )?;
        let named = text(self.reverses_topic_name).map(|topic| Origin {
            topic,
            partition: self.reverses_partition,
            offset: self.reverses_offset,
            ordinal: self.reverses_ordinal,
        });
        // What takes back names the entry that it takes back, what stands for another the one that it stands for.
        let (reverses, replaces) = if self.kind == REVERSAL { (named, None) } else { (None, named) };
        Ok(Entry {
            event_id: self.event_id,
            request_id: self.request_id,
            kind: self.kind,
            occurred_at: rfc3339(self.occurred_ms),
            recorded_at: rfc3339(self.recorded_ms),
            log_time: rfc3339(self.log_ms),
            origin: Origin {
                topic: self.origin_topic,
                partition: self.origin_partition,
                offset: self.origin_offset,
                ordinal: self.origin_ordinal,
            },
            reason: text(self.reason_name),
            operation: text(self.operation_id),
            reverses,
            replaces,
            key: text(self.owner_key),
            team: text(self.owner_team),
            app: text(self.owner_app),
            environment: text(self.owner_environment),
            customer: text(self.owner_customer),
            project: text(self.owner_project),
            cost_center: text(self.owner_cost_center),
            end_user: text(self.end_user),
            workflow: text(self.owner_workflow),
            tags: self.tag_names.into_iter().zip(self.tag_values).collect(),
            endpoint_family: text(self.endpoint_family_name),
            provider: text(self.provider_name),
            provider_account: text(self.provider_account_name),
            model: text(self.model_name),
            alias: text(self.alias_name),
            credential: text(self.credential_name),
            route: text(self.route_name),
            region: text(self.region_name),
            service_tier: text(self.service_tier_name),
            processing: text(self.processing_name),
            speed: text(self.speed_name),
            attempt: self.attempt,
            attempt_kind: text(self.attempt_kind_name),
            fallback_from: text(self.fallback_from_name),
            status: Some(self.status).filter(|status| *status != 0),
            error_class: text(self.error_class_name),
            outcome: text(self.outcome_name),
            stream: self.stream,
            latency_ms: Some(self.latency_ms).filter(|millis| *millis != 0),
            ttft_ms: Some(self.ttft_ms).filter(|millis| *millis != 0),
            gateway_cache: text(self.gateway_cache_name),
            gateway: text(self.gateway_name),
            gateway_seq: Some(self.gateway_seq).filter(|number| *number != 0),
            attempts: self.attempts,
            requests: self.requests,
            unpriced: self.unpriced != 0,
            unpriced_units: self.unpriced_unit_names,
            flags: self.flag_names,
            model_row: text(self.model_row_id),
            matched_by: text(self.matched_by_name),
            conditions: text(self.conditions_text),
            quantities,
            quantities_avoided,
            lines,
            list_cost: self.list_cost_text,
            cost: self.cost_text,
            charge: self.charge_text,
            cost_avoided: self.cost_avoided_text,
            currency: text(self.currency_code),
            charge_currency: text(self.charge_currency_code),
            list,
            charging,
            book: self.book_position,
            reported_cost: text(self.reported_amount).map(|amount| ReportedCost {
                amount,
                currency: text(self.reported_currency_code),
                source: text(self.reported_source_name),
            }),
        })
    }

    fn lines(&self) -> Vec<Line> {
        let fixed = FIXED
            .iter()
            .zip(&self.fixed_quantities)
            .zip(self.fixed_prices.iter().zip(&self.fixed_amounts))
            .filter(|((_, quantity), _)| **quantity != 0)
            .map(|((unit, quantity), (price, amount))| self.line(unit, &quantity.to_string(), price, amount));
        let rest = self
            .line_unit_names
            .iter()
            .zip(&self.line_quantity_texts)
            .zip(self.line_prices.iter().zip(&self.line_amount_texts))
            .map(|((unit, quantity), (price, amount))| self.line(unit, quantity, price, amount));
        fixed.chain(rest).collect()
    }

    fn list(&self) -> Option<Plane> {
        let row = Some(&self.list_row_id).filter(|row| !row.is_empty())?;
        let matched_by = text(self.list_matched_by_name.clone());
        let lines = self.list_line_texts.iter().map(plane_line).collect();
        Some(Plane { model_row: Some(row.clone()), matched_by, markup: None, markup_version: None, lines })
    }

    fn charging(&self) -> Option<Plane> {
        let model_row = text(self.charge_row_id.clone());
        let markup = self.markup_version.rsplit_once('@');
        if model_row.is_none() && markup.is_none() {
            return None;
        }
        Some(Plane {
            model_row,
            matched_by: text(self.charge_matched_by_name.clone()),
            markup: markup.map(|(id, _)| id.to_owned()),
            markup_version: markup.and_then(|(_, version)| version.parse().ok()),
            lines: self.charge_line_texts.iter().map(plane_line).collect(),
        })
    }

    fn line(&self, unit: &str, quantity: &str, price: &str, amount: &str) -> Line {
        let basis = self.basis_unit_names.iter().position(|name| name == unit);
        let basis = basis.and_then(|index| self.basis_names.get(index)).map_or("own", String::as_str);
        let unpriced = basis.starts_with(UNPRICED);
        Line {
            unit: unit.to_owned(),
            quantity: quantity.to_owned(),
            unit_price: (!unpriced).then(|| price.to_owned()),
            amount: (!unpriced).then(|| amount.to_owned()),
            price_basis: if unpriced { UNPRICED } else { basis }.to_owned(),
            condition: None,
            arithmetic: None,
        }
    }
}

/// How a basis begins that says that there is no price.
const UNPRICED: &str = "unpriced";
/// The kind of an entry that takes another one back.
const REVERSAL: &str = "reversal";

fn plane_line((unit, quantity, price, amount, basis, condition): &LineTexts) -> Line {
    let unpriced = basis.starts_with(UNPRICED);
    let arithmetic = price.strip_prefix("= ").map(str::to_owned);
    Line {
        unit: unit.clone(),
        quantity: quantity.clone(),
        unit_price: Some(price).filter(|_| !unpriced && arithmetic.is_none()).cloned(),
        amount: (!unpriced).then(|| amount.clone()),
        price_basis: if unpriced { UNPRICED } else { basis }.to_owned(),
        condition: text(condition.clone()),
        arithmetic,
    }
}

/// Decimals added up by unit; what is zero is left out.
pub(crate) fn sums<'a>(
    quantities: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
    for (unit, quantity) in quantities {
        let sum = sums.entry(unit).or_insert(Decimal::ZERO);
        *sum = add(*sum, quantity)?;
    }
    Ok(sums
        .into_iter()
        .filter(|(_, quantity)| !quantity.is_zero())
        .map(|(unit, quantity)| (unit.to_owned(), quantity.to_string()))
        .collect())
}

/// A decimal text added to a sum.
pub(crate) fn add(sum: Decimal, text: &str) -> Result<Decimal, Problem> {
    Decimal::parse(text).and_then(|number| sum.checked_add(number)).map_err(|error| {
        tracing::error!(error = error.to_string(), "The ledger holds a number that cannot be added up");
        Problem::internal()
    })
}

fn text(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}
