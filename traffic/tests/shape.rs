//! The traffic looks like that of a gateway in use: who calls what how often, and how large the events are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;
use traffic::{Config, Event, Traffic};

const COUNT: u64 = 40_000;

fn events() -> impl Iterator<Item = Event> {
    Traffic::new(Config { count: COUNT, ..Config::default() })
}

static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    events().map(|event| serde_json::from_slice(&event.json().unwrap().unwrap()).unwrap()).collect()
});

fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field).and_then(Value::as_str)
}

/// How often each value of a field comes, the most frequent first.
fn frequencies(field: &str) -> Vec<(String, u64)> {
    let mut counts = BTreeMap::<String, u64>::new();
    for value in VALUES.iter() {
        *counts.entry(text(value, field).unwrap_or("").to_owned()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[test]
fn an_event_has_six_to_seven_hundred_bytes_of_json() {
    let bytes: usize = events().map(|event| event.json().unwrap().unwrap().len()).sum();
    let mean = bytes / usize::try_from(COUNT).unwrap();
    assert!((600..700).contains(&mean), "{mean} bytes on average");
}

#[test]
fn a_few_of_two_thousand_keys_send_most_of_the_events() {
    let keys = frequencies("key");
    assert!((1_900..=2_000).contains(&keys.len()), "{} keys", keys.len());
    let of_the_first = |number: usize| keys[..number].iter().map(|(_, count)| count).sum::<u64>();
    // By rank, 1/(n + 2): the first hundred of 2,000 keys send about half, the first alone a twentieth.
    assert!((COUNT / 30..COUNT / 10).contains(&of_the_first(1)), "{} of the first key", of_the_first(1));
    assert!((COUNT * 2 / 5..COUNT * 7 / 10).contains(&of_the_first(100)), "{}", of_the_first(100));
    assert!(of_the_first(2) < 2 * of_the_first(1));
}

#[test]
fn teams_customers_and_models_are_all_there() {
    assert_eq!(frequencies("team").len(), 200);
    let customers = frequencies("customer");
    assert_eq!(customers.iter().filter(|(customer, _)| !customer.is_empty()).count(), 100);
    assert_eq!(frequencies("model").len(), 40);
    let families: BTreeSet<_> =
        frequencies("endpoint_family").into_iter().map(|(family, _)| family).collect();
    let expected = [
        "anthropic",
        "embeddings",
        "gemini",
        "image-generation",
        "openai",
        "openai-batch",
        "openai-response",
    ];
    assert_eq!(families, expected.map(str::to_owned).into());
    let providers: BTreeSet<_> = frequencies("provider").into_iter().map(|(provider, _)| provider).collect();
    let expected = ["anthropic", "azure", "deepseek", "gemini", "mistral", "openai", "self_hosted", "xai"];
    assert_eq!(providers, expected.map(str::to_owned).into());
}

#[test]
fn a_key_always_belongs_to_the_same_team_and_customer() {
    let mut owners = BTreeMap::new();
    for value in VALUES.iter() {
        let key = text(value, "key").unwrap().to_owned();
        let owner = (value["team"].clone(), value.get("customer").cloned(), value["environment"].clone());
        assert_eq!(*owners.entry(key).or_insert_with(|| owner.clone()), owner);
    }
}

#[test]
fn what_happens_at_a_gateway_happens() {
    type Seen = (&'static str, fn(&Value) -> bool);
    let cases: [Seen; 20] = [
        ("a retry", |event| text(event, "attempt_kind") == Some("retry") && event["attempt"] == 2),
        ("a fallback", |event| text(event, "fallback_from").is_some()),
        ("a third attempt", |event| event["attempt"] == 3),
        ("a rate limit", |event| event["status"] == 429 && event.get("usage").is_none()),
        ("an overload", |event| event["status"] == 529),
        ("a cache hit", |event| text(event, "gateway_cache") == Some("hit")),
        ("a stream", |event| event["stream"] == true && event["ttft_ms"].is_u64()),
        ("a broken stream with usage", |event| text(event, "outcome") == Some("partial")),
        ("a broken stream without", |event| {
            text(event, "outcome") == Some("unknown") && event.get("usage").is_none()
        }),
        ("flex", |event| text(event, "service_tier") == Some("flex")),
        ("priority", |event| event["usage"]["trafficType"] == "ON_DEMAND_PRIORITY"),
        ("a batch", |event| event["usage"]["service_tier"] == "batch"),
        ("a cache write for an hour", |event| {
            event["usage"]["cache_creation"]["ephemeral_1h_input_tokens"]
                .as_u64()
                .is_some_and(|tokens| tokens > 0)
        }),
        ("a cache read", |event| event["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64() > Some(0)),
        ("reasoning", |event| event["usage"]["thoughtsTokenCount"].is_u64()),
        ("a long prompt", |event| event["usage"]["promptTokenCount"].as_u64() > Some(200_000)),
        ("a search", |event| event["context"]["output"][0]["action"]["type"] == "search"),
        ("grounding", |event| event["context"]["groundingMetadata"]["webSearchQueries"].is_array()),
        ("four tags", |event| event["tags"].as_object().is_some_and(|tags| tags.len() == 4)),
        ("an attempt that is not charged", |event| text(event, "error_class") == Some("content_filter")),
    ];
    let mut counts = [0; 20];
    for value in VALUES.iter() {
        for ((_, happens), count) in cases.iter().zip(&mut counts) {
            *count += u32::from(happens(value));
        }
    }
    for ((what, _), count) in cases.iter().zip(counts) {
        assert!(count > 0, "{what} never happens");
    }
}

#[test]
fn a_gateway_numbers_what_it_sends_without_gaps() {
    let mut last = BTreeMap::<String, u64>::new();
    for value in VALUES.iter() {
        let number = value["gateway_seq"].as_u64().unwrap();
        let gateway = text(value, "gateway").unwrap().to_owned();
        assert_eq!(last.insert(gateway, number).unwrap_or(0) + 1, number);
    }
}
