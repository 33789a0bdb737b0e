//! The two hashes by which a repeat is recognized: of an event's id, and of its content. Both are stored,
//! so what they give for an event never changes.

use ledger::event::{Json, UsageEvent};
use ledger::usage::Node;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::number::canonical;

/// The hash of an event id under which the ledger finds it again.
#[must_use]
pub fn id_hash(event_id: &str) -> u128 {
    xxh3_128(event_id.as_bytes())
}

/// The hash of all contract fields. Equal for equal content, whatever the encoding, the order of names, the
/// offset of a timestamp, the spelling of a number (`10`, `10.0`, `1e1`) or the unknown fields.
#[must_use]
pub fn content_hash(event: &UsageEvent<'_>) -> u64 {
    // Every field by name and none by `..`: a field that is added must be added here.
    let UsageEvent {
        event_id,
        request_id,
        occurred_at,
        attempt,
        attempt_kind,
        fallback_from,
        key,
        owners,
        tags,
        endpoint_family,
        provider,
        model,
        alias,
        provider_account,
        credential,
        route,
        region,
        service_tier,
        processing,
        speed,
        status,
        error_class,
        outcome,
        stream,
        latency_ms,
        ttft_ms,
        gateway_cache,
        usage,
        context,
        units,
        reported_cost,
        gateway,
        gateway_seq,
    } = event;
    let mut hash = Content::default();
    hash.text(Some(event_id));
    hash.text(Some(request_id));
    hash.word(Some(occurred_at.0.cast_unsigned()));
    hash.word(Some(u64::from(*attempt)));
    hash.text(Some(attempt_kind.name()));
    hash.text(*fallback_from);
    hash.text(Some(key));
    for owner in [
        owners.team,
        owners.app,
        owners.environment,
        owners.customer,
        owners.project,
        owners.end_user,
        owners.workflow,
    ] {
        hash.text(owner);
    }
    hash.word(Some(pairs(tags, text)));
    hash.text(Some(endpoint_family));
    hash.text(Some(provider));
    hash.text(Some(model));
    hash.text(*alias);
    hash.text(*provider_account);
    hash.text(credential.map(ledger::event::Credential::name));
    hash.text(*route);
    hash.text(*region);
    hash.text(*service_tier);
    hash.text(*processing);
    hash.text(*speed);
    hash.word(status.map(u64::from));
    hash.text(*error_class);
    hash.text(outcome.map(ledger::event::Outcome::name));
    hash.word(stream.map(u64::from));
    hash.word(*latency_ms);
    hash.word(*ttft_ms);
    hash.text(gateway_cache.map(ledger::event::GatewayCache::name));
    hash.word(usage.as_ref().map(json));
    hash.word(context.as_ref().map(json));
    hash.word(units.map(|units| pairs(units, number)));
    hash.word(reported_cost.map(|cost| number(cost.amount)));
    hash.text(reported_cost.map(|cost| cost.currency));
    hash.text(reported_cost.and_then(|cost| cost.source));
    hash.text(*gateway);
    hash.word(*gateway_seq);
    hash.0
}

/// Different kinds of value that look alike must not hash alike.
mod kind {
    pub(super) const TEXT: u64 = 1;
    pub(super) const NUMBER: u64 = 2;
    pub(super) const LIST: u64 = 3;
    pub(super) const OBJECT: u64 = 4;
    pub(super) const NULL: u64 = 5;
    pub(super) const FALSE: u64 = 6;
    pub(super) const TRUE: u64 = 7;
    pub(super) const ABSENT: u64 = 8;
}

/// Chains the fields in the contract's order.
#[derive(Default)]
struct Content(u64);

impl Content {
    fn text(&mut self, value: Option<&str>) {
        self.word(value.map(text));
    }

    fn word(&mut self, value: Option<u64>) {
        self.0 = match value {
            Some(value) => mix(self.0, value),
            None => mix(self.0.rotate_left(17), kind::ABSENT),
        };
    }
}

/// Mixes two words into one: their order counts.
fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ 0x9E37_79B9_7F4A_7C15) * u128::from((right ^ 0xD6E8_FEB8_6659_FD93) | 1);
    let folded = (product ^ (product >> 64)) & u128::from(u64::MAX);
    u64::try_from(folded).unwrap_or_default() ^ left.rotate_left(32).wrapping_add(right)
}

fn text(text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), kind::TEXT)
}

/// Equal for equal numbers; a number that has no canonical form counts as its own text.
fn number(text: &str) -> u64 {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && !text.is_empty();
    if plain {
        let digits = text.trim_end_matches('0');
        let zeros = i64::try_from(text.len() - digits.len()).unwrap_or(i64::MAX);
        return decimal(digits.as_bytes(), zeros, false);
    }
    match canonical(text) {
        Some(canonical) => decimal(&canonical.digits, canonical.exponent, canonical.negative),
        None => xxh3_64_with_seed(text.as_bytes(), kind::NUMBER),
    }
}

fn decimal(digits: &[u8], exponent: i64, negative: bool) -> u64 {
    mix(xxh3_64_with_seed(digits, kind::NUMBER), (exponent.cast_unsigned() << 1) | u64::from(negative))
}

/// Names with values, in any order.
fn pairs(pairs: &[(&str, &str)], value: fn(&str) -> u64) -> u64 {
    let sum =
        pairs.iter().fold(0_u64, |sum, (name, quantity)| sum.wrapping_add(mix(text(name), value(quantity))));
    mix(kind::OBJECT, sum)
}

fn json(json: &Json<'_>) -> u64 {
    node(&json.node)
}

fn node(value: &Node<'_>) -> u64 {
    match value {
        Node::Null => kind::NULL,
        Node::Bool(false) => kind::FALSE,
        Node::Bool(true) => kind::TRUE,
        Node::Number(digits) => number(digits),
        Node::Text(characters) => text(characters),
        Node::List(items) => items.iter().fold(kind::LIST, |hash, item| mix(hash, node(item))),
        Node::Object(fields) => {
            let sum = fields
                .iter()
                .fold(0_u64, |sum, (name, value)| sum.wrapping_add(mix(text(name), node(value))));
            mix(kind::OBJECT, sum)
        }
    }
}
