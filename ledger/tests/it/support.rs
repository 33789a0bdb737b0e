//! Builds events from JSON, as a decoder would, and rows from short lines, for tests that leak what they read.

use ledger::entry::{Scratch, entries_for};
use ledger::event::{AttemptKind, GatewayCache, Json, Millis, Outcome, Owners, UsageEvent};
use ledger::money::{Amount, Decimal};
use ledger::prices::{AmountBasis, Bound, Conditions, ModelRow, Price, PriceBook, Region, Scope, Source};
use ledger::reject::Reject;
use ledger::unit::Unit;
use ledger::usage::{Flag, Node};
use serde_json::Value;

pub(crate) fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// The same value as a tree whose numbers are text.
pub(crate) fn node(value: &Value) -> Node<'static> {
    match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(*value),
        Value::Number(number) => Node::Number(leak(&number.to_string())),
        Value::String(text) => Node::Text(leak(text)),
        Value::Array(items) => Node::List(Vec::leak(items.iter().map(node).collect())),
        Value::Object(fields) => {
            Node::Object(Vec::leak(fields.iter().map(|(name, value)| (leak(name), node(value))).collect()))
        }
    }
}

fn json(value: &Value) -> Option<Json<'static>> {
    (!value.is_null()).then(|| Json { text: leak(&value.to_string()), node: node(value) })
}

/// An event of 2026-11-03T12:00:00Z, a Tuesday, with the fields of `event` and defaults for the rest.
pub(crate) fn event(event: &Value) -> UsageEvent<'static> {
    let text = |name: &str| event[name].as_str().map(leak);
    let units = event["units"].as_object().map(|units| {
        let text = |value: &Value| value.as_str().map_or_else(|| leak(&value.to_string()), leak);
        let units = units.iter().map(|(name, value)| (leak(name), text(value)));
        &*Vec::leak(units.collect())
    });
    UsageEvent {
        event_id: text("event_id").unwrap_or("e-1"),
        request_id: "r-1",
        occurred_at: Millis(event["occurred_at"].as_i64().unwrap_or(1_793_707_200_000)),
        attempt: event["attempt"].as_u64().unwrap_or(1).try_into().unwrap(),
        attempt_kind: AttemptKind::Primary,
        fallback_from: None,
        key: "checkout",
        owners: Owners { team: text("team"), customer: text("customer"), ..Owners::default() },
        tags: &[],
        endpoint_family: text("endpoint_family").unwrap_or("openai"),
        provider: text("provider").unwrap_or("openai"),
        model: text("model").unwrap_or("gpt-6-sol"),
        alias: None,
        provider_account: text("provider_account"),
        credential: None,
        route: None,
        region: text("region"),
        service_tier: text("service_tier"),
        processing: text("processing"),
        speed: text("speed"),
        status: event["status"].as_u64().map(|status| status.try_into().unwrap()),
        error_class: None,
        outcome: event["outcome"].as_str().map(|outcome| Outcome::parse(outcome).unwrap()),
        stream: None,
        latency_ms: None,
        ttft_ms: None,
        gateway_cache: event["gateway_cache"].as_str().map(|cache| GatewayCache::parse(cache).unwrap()),
        usage: json(&event["usage"]),
        context: json(&event["context"]),
        units,
        reported_cost: event["reported_cost"].as_object().map(|cost| ledger::event::ReportedCost {
            amount: leak(cost["amount"].as_str().unwrap()),
            currency: leak(cost["currency"].as_str().unwrap()),
            source: None,
        }),
        gateway: None,
        gateway_seq: None,
    }
}

/// A row of provider `openai` from lines such as `output_text_tokens service_tier=flex prompt_tokens_total>200 = 5`:
/// the price of one.
pub(crate) fn row(model: &str, prices: &[&str]) -> ModelRow {
    ModelRow {
        id: format!("openai/{model}@1"),
        provider: Some("openai".into()),
        model: model.into(),
        aliases: vec![],
        endpoint_families: vec![],
        currency: "USD".into(),
        effective_from: None,
        scope: Scope::Public,
        supersedes: None,
        amount_basis: AmountBasis::Units,
        prices: prices.iter().map(|line| price(line)).collect(),
        multipliers: vec![],
        minimums: vec![],
        increments: vec![],
        free_quotas: vec![],
        source: Source::default(),
        unconfirmed: None,
        notes: None,
    }
}

fn price(line: &str) -> Price {
    let (left, amount) = line.split_once(" = ").unwrap();
    let (unit, demands) = left.split_once(' ').unwrap_or((left, ""));
    Price {
        unit: Unit::parse(unit).unwrap(),
        amount: Decimal::parse(amount).unwrap(),
        per: 1,
        conditions: conditions(demands),
    }
}

pub(crate) fn conditions(demands: &str) -> Conditions {
    let mut conditions = Conditions::default();
    for demand in demands.split_whitespace() {
        if let Some(tokens) = demand.strip_prefix("prompt_tokens_total>=") {
            conditions.prompt_tokens_total = Some(Bound::Gte(tokens.parse().unwrap()));
            continue;
        }
        if let Some(tokens) = demand.strip_prefix("prompt_tokens_total>") {
            conditions.prompt_tokens_total = Some(Bound::Gt(tokens.parse().unwrap()));
            continue;
        }
        let (name, value) = demand.split_once('=').unwrap();
        let value = Some(value.into());
        match name {
            "service_tier" => conditions.service_tier = value,
            "processing" => conditions.processing = value,
            "speed" => conditions.speed = value,
            "inference_geo" => conditions.inference_geo = value,
            "region" => conditions.region = value.map(Region::Is),
            "region!" => conditions.region = value.map(Region::Not),
            "size" => conditions.size = value,
            "quality" => conditions.quality = value,
            "resolution" => conditions.resolution = value,
            "search_context_size" => conditions.search_context_size = value,
            other => panic!("{other}"),
        }
    }
    conditions
}

/// What an event became.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) cost: String,
    pub(crate) avoided: String,
    pub(crate) outcome: &'static str,
    pub(crate) model: String,
    pub(crate) attempts: (i8, i8),
    /// `unit basis amount`.
    pub(crate) lines: Vec<String>,
    pub(crate) avoided_lines: usize,
    pub(crate) unpriced: Vec<&'static str>,
    pub(crate) is_unpriced: bool,
    pub(crate) flags: Vec<&'static str>,
}

/// Posts an event against rows.
pub(crate) fn post(rows: Vec<ModelRow>, event: &Value) -> Vec<Posted> {
    try_post(rows, event).unwrap()
}

pub(crate) fn try_post(rows: Vec<ModelRow>, value: &Value) -> Result<Vec<Posted>, Reject> {
    let book = PriceBook::new(rows).unwrap();
    let event = event(value);
    let mut posted = Vec::new();
    entries_for(&event, &book, &mut Scratch::default(), |entry| {
        posted.push(Posted {
            cost: entry.cost.to_string(),
            avoided: entry.cost_avoided.to_string(),
            outcome: entry.outcome.name(),
            model: entry.model.to_owned(),
            attempts: (entry.attempts, entry.requests),
            lines: entry
                .lines
                .iter()
                .map(|line| format!("{} {} {}", line.unit, line.basis, line.amount))
                .collect(),
            avoided_lines: entry.avoided.len(),
            unpriced: entry.unpriced.iter().map(Unit::name).collect(),
            is_unpriced: entry.is_unpriced(),
            flags: entry.flags.iter().map(Flag::name).collect(),
        });
        let sum = entry.lines.iter().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount));
        assert_eq!(sum, Some(entry.cost), "the lines are the cost");
        for line in entry.lines {
            if let Some(unit_price) = line.unit_price() {
                let product = unit_price.checked_mul(line.quantity).unwrap();
                assert_eq!(Amount::try_from(product).unwrap(), line.amount, "quantity × unit price");
            }
        }
    })?;
    Ok(posted)
}
