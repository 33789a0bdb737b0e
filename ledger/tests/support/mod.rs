//! Builds events from JSON, as a decoder would, for tests that leak what they read.

use ledger::event::{AttemptKind, GatewayCache, Json, Millis, Outcome, Owners, UsageEvent};
use ledger::usage::Node;
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
        owners: Owners::default(),
        tags: &[],
        endpoint_family: text("endpoint_family").unwrap_or("openai"),
        provider: text("provider").unwrap_or("openai"),
        model: text("model").unwrap_or("gpt-6-sol"),
        alias: None,
        provider_account: None,
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
