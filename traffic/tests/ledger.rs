//! The ledger against the traffic's own truth: both sum the same events, by two ways that share no line of code. They
//! agree to the last digit, or one of them is wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;

use ledger::entry::{Entry, Scratch, entries_for};
use ledger::event::Millis;
use ledger::money::{Amount, Decimal};
use ledger::prices::PriceBook;
use ledger::reject::Reason;
use ledger::rollup::Totals;
use schemas::event::{Arena, Decoder, Error, Record};
use traffic::{AvroEncoder, AvroSchema, Config, Event, Fate, PRICES_JSON, Prices, Sum, Traffic, Truth};

/// Everything that can happen, happens here.
fn mixed(count: u64) -> Config {
    Config {
        seed: 7,
        count,
        duplicates_per_mille: 20,
        conflicts_per_mille: 5,
        rejects_per_mille: 30,
        tombstones: true,
        ..Config::default()
    }
}

fn own_prices() -> PriceBook {
    PriceBook::new(schemas::prices::list_from_json(PRICES_JSON).unwrap()).unwrap()
}

/// The whole map, as a ledger in use has it.
fn litellm_prices() -> PriceBook {
    let map = include_str!("../../schemas/prices/litellm/model_prices_1.106.2.json");
    PriceBook::new(schemas::prices::litellm::import(map, &schemas::prices::Options::default()).unwrap().rows)
        .unwrap()
}

/// What the ledger makes of a record: its entries, or why there are none.
fn entries(
    decoder: &Decoder,
    bytes: Option<&[u8]>,
    book: &PriceBook,
    mut out: impl FnMut(&Entry<'_, '_>),
) -> Result<(), Reason> {
    let arena = Arena::new();
    let log_time = Millis(Config::default().start.0 + 86_400_000);
    let event = match decoder.decode(Record { value: bytes, content_type: None, log_time }, &arena) {
        Ok(event) => event,
        Err(Error::Reject(reject)) => return Err(reject.reason),
        Err(error @ Error::UnknownSchema(_)) => panic!("{error}"),
    };
    entries_for(&event, book, &mut Scratch::default(), &mut out).map_err(|reject| reject.reason)
}

/// Totals by model, team and customer, and of all.
#[derive(Default)]
struct Sums {
    total: Totals,
    by_model: BTreeMap<String, Totals>,
    by_team: BTreeMap<String, Totals>,
    by_customer: BTreeMap<Option<String>, Totals>,
}

impl Sums {
    fn add(&mut self, entry: &Entry<'_, '_>) {
        let owners = entry.event.owners;
        let model = self.by_model.entry(entry.model.to_owned()).or_default();
        let team = self.by_team.entry(owners.team.unwrap().to_owned()).or_default();
        let customer = self.by_customer.entry(owners.customer.map(str::to_owned)).or_default();
        for totals in [&mut self.total, model, team, customer] {
            totals.add(entry).unwrap();
        }
    }
}

/// The traffic's sum in the ledger's terms.
fn totals(sum: &Sum) -> Totals {
    Totals {
        attempts: i64::try_from(sum.attempts).unwrap(),
        requests: i64::try_from(sum.requests).unwrap(),
        quantities: sum.quantities().map(|(unit, quantity)| (unit, Decimal::from(quantity))).collect(),
        list_cost: sum.cost().unwrap(),
        cost: sum.cost().unwrap(),
        charge: sum.cost().unwrap(),
        cost_avoided: sum.cost_avoided().unwrap(),
        unpriced_entries: sum.unpriced,
    }
}

fn all<K: Clone + Ord>(sums: &BTreeMap<K, Sum>) -> BTreeMap<K, Totals> {
    sums.iter().map(|(name, sum)| (name.clone(), totals(sum))).collect()
}

fn check(count: u64, book: &PriceBook, mut encode: impl FnMut(&Event) -> Option<Vec<u8>>) -> Truth {
    let mut truth = Truth::new(Prices::built_in().unwrap());
    let mut sums = Sums::default();
    let decoder = Decoder::new().unwrap();
    for event in Traffic::new(mixed(count)) {
        truth.add(&event);
        let bytes = encode(&event);
        let mut add = |entry: &Entry<'_, '_>| {
            if event.fate() == Fate::Accepted {
                sums.add(entry);
            }
        };
        let result = entries(&decoder, bytes.as_deref(), book, &mut add);
        let shown = || {
            String::from_utf8_lossy(bytes.as_deref().unwrap_or_default())
                .chars()
                .take(900)
                .collect::<String>()
        };
        let expected = match event.fate() {
            // What was sent before and what contradicts it are events like any other: finding them takes the ids.
            Fate::Accepted | Fate::Duplicate | Fate::Rejected(Reason::Conflict) => Ok(()),
            Fate::Rejected(reason) => Err(reason),
        };
        assert_eq!(result, expected, "{}", shown());
    }
    let models = all(&truth.by_model);
    for (model, totals) in &sums.by_model {
        assert_eq!(models.get(model), Some(totals), "{model}");
    }
    assert_eq!(models.len(), sums.by_model.len());
    assert_eq!(all(&truth.by_team), sums.by_team);
    assert_eq!(all(&truth.by_customer), sums.by_customer);
    assert_eq!(totals(&truth.total), sums.total);
    truth
}

#[test]
fn the_ledger_finds_the_truth_in_json() {
    let truth = check(20_000, &own_prices(), |event| event.json().unwrap());
    assert_eq!(truth.received, 20_000);
    let quarantined: u64 = truth.quarantined.values().sum();
    assert_eq!(truth.accepted + truth.duplicates + quarantined, truth.received);
    assert!(truth.total.unpriced > 0 && truth.total.unpriced < truth.accepted / 50);
    assert!(truth.total.cost_atto > 0 && truth.total.cost_avoided_atto > 0);
    let reasons: Vec<&str> = truth.quarantined.keys().copied().collect();
    let mut expected: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    expected.sort_unstable();
    assert_eq!(reasons, expected, "every reason comes up");
}

#[test]
fn the_ledger_finds_the_truth_in_avro() {
    let schema = AvroSchema::usage_v1().unwrap();
    let mut encoder = AvroEncoder::new(&schema);
    check(5_000, &own_prices(), |event| encoder.confluent(1, event).unwrap());
    check(5_000, &own_prices(), |event| encoder.single_object(event).unwrap());
}

#[test]
fn the_ledger_finds_the_truth_by_the_prices_of_the_whole_map() {
    check(20_000, &litellm_prices(), |event| event.json().unwrap());
}

#[test]
fn sums_by_model_team_and_customer_are_the_total() {
    let truth = Truth::of(mixed(20_000), Prices::built_in().unwrap());
    fn sum<'s>(sums: impl Iterator<Item = &'s Sum>) -> Sum {
        sums.fold(Sum::default(), |mut sum, other| {
            sum.add(other);
            sum
        })
    }
    assert_eq!(sum(truth.by_model.values()), truth.total);
    assert_eq!(sum(truth.by_team.values()), truth.total);
    assert_eq!(sum(truth.by_customer.values()), truth.total);
    assert_ne!(truth.total.cost(), Some(Amount::ZERO));
}

/// Fifteen tiers, steps and units of one seed could hide a price that is never asked for.
#[test]
fn every_price_that_the_traffic_can_meet_is_met() {
    let (book, decoder) = (own_prices(), Decoder::new().unwrap());
    let mut met = BTreeMap::<String, std::collections::BTreeSet<u16>>::new();
    for event in Traffic::new(Config { count: 60_000, ..Config::default() }) {
        let bytes = event.json().unwrap();
        entries(&decoder, bytes.as_deref(), &book, |entry| {
            for line in entry.lines {
                if let (Some(row), Some(position)) = (entry.row, line.price.and_then(|price| price.row_price))
                {
                    met.entry(row.row.id.clone()).or_default().insert(position);
                }
            }
        })
        .unwrap();
    }
    assert_eq!(met.len(), book.len(), "every row prices something");
    let prices = |id: &str| {
        let row = book.row(id).unwrap();
        met[id].iter().map(|position| &row.prices[usize::from(*position)]).collect::<Vec<_>>()
    };
    let conditions =
        |id: &str| prices(id).iter().map(|price| price.conditions.to_string()).collect::<Vec<_>>();
    for (id, expected) in [
        ("openai/gpt-6-sol@traffic", "service_tier=flex"),
        ("openai/gpt-6-sol@traffic", "prompt_tokens_total>272000"),
        ("openai/gpt-5.4-mini@traffic", "processing=batch"),
        ("anthropic/claude-haiku-5-5@traffic", "prompt_tokens_total>100000"),
        ("anthropic/claude-sonnet-5-5@traffic", "processing=batch"),
        ("gemini/gemini-2.5-flash@traffic", "service_tier=priority"),
        ("xai/grok-4.7@traffic", "prompt_tokens_total>=200000"),
    ] {
        assert!(conditions(id).iter().any(|conditions| conditions == expected), "{id} never has {expected}");
    }
}
