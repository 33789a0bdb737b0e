//! What readers see while a batch is announced and not closed, and of a dimension with very many values.

use std::time::Duration;

use schemas::command::{Command, PublishPrices};
use serde_json::Value;
use tests::process::{Process, Recipe};
use tests::proxy::Action;
use tests::{ports, wait};
use traffic::Config;

use crate::moments::pass;
use crate::world::{PATIENCE, World};

const SPEND: &str = "/v1/spend?from=2026-11-01&to=2026-12-01";

/// `tollbook api` in front of a world's store.
struct Reader<'a> {
    world: &'a World,
    address: String,
    _process: Process,
}

impl<'a> Reader<'a> {
    fn of(world: &'a World) -> Self {
        let address = format!("127.0.0.1:{}", ports::free().unwrap());
        let process = Recipe::tollbook("api")
            .unwrap()
            .arguments([
                "--clickhouse",
                &world.engine.url(),
                "--clickhouse-password",
                world.engine.password(),
            ])
            .arguments(["--kafka", world.broker.bootstrap(), "--listen", &address])
            .start()
            .unwrap();
        let reader = Self { world, address, _process: process };
        let health = format!("http://{}/healthz", reader.address);
        wait::until("the API", PATIENCE, || {
            Ok(world.runtime.block_on(reqwest::get(&health)).ok().filter(|answer| answer.status() == 200))
        })
        .unwrap();
        reader
    }

    fn get(&self, path: &str) -> Value {
        let request = reqwest::Client::new().get(format!("http://{}{path}", self.address));
        let request = request.bearer_auth(&self.world.token);
        self.world.runtime.block_on(async { request.send().await?.error_for_status()?.json().await }).unwrap()
    }
}

/// The entries are there as soon as they are inserted, but the answer does not call itself complete up to them before
/// their batch is closed.
#[test]
fn an_answer_is_not_called_complete_over_a_batch_that_is_pending() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let api = Reader::of(&world);
    let pending = world.proxy.once("INSERT INTO batches", Action::Hold);
    let truth = world.produce(Config { count: 300, ..Config::default() });
    pending.wait(PATIENCE).unwrap();
    let posted = world.number("SELECT count() FROM entries WHERE topic = 'usage.events'");
    assert!(posted > 0);
    let first_log_time =
        "SELECT toUInt64(toUnixTimestamp64Milli(min(log_time))) FROM entries WHERE topic = 'usage.events'";
    let first = world.number(first_log_time);
    for _ in 0..3 {
        let complete = api.get(SPEND)["complete_through"].as_str().map(str::to_owned);
        let through = complete.map_or(0, |time| {
            world.number(&format!(
                "SELECT toUInt64(toUnixTimestamp64Milli(parseDateTime64BestEffort('{time}', 3, 'UTC')))"
            ))
        });
        assert!(through <= first, "complete through {through}, but the pending batch begins at {first}");
        pass(Duration::from_secs(1));
    }
    pending.release();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// A day with as many keys as events: every one is in the answer, page by page, and they add up.
#[test]
fn a_day_with_very_many_values_of_a_dimension_adds_up() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let api = Reader::of(&world);
    let count = std::env::var("VALUES").ok().map_or(20_000, |text| text.parse().unwrap());
    let events = (0..count).map(|number: u64| schemas::log::NewRecord {
        key: None,
        value: Some(
            format!(
                r#"{{"event_id":"e{number}","request_id":"r{number}","occurred_at":"2026-11-02T10:00:00Z","key":"k{number}",
                    "team":"t{number}","end_user":"u{number}","endpoint_family":"openai","provider":"openai",
                    "model":"gpt-5.5","status":200,"usage":{{"prompt_tokens":1000,"completion_tokens":100}}}}"#
            )
            .into_bytes(),
        ),
        headers: Vec::new(),
    });
    world.send("usage.events", events);
    world.wait_until_received(count);
    // By hand: 1000 × 5 + 100 × 30 dollars a million = 0.008 each.
    let atto = "SELECT toUInt64(sum(cost) * 1000) FROM entries WHERE topic = 'usage.events'";
    assert_eq!(world.number(atto), count * 8);
    for dimension in ["key", "team"] {
        let (mut groups, mut cursor) = (0_u64, String::new());
        wait::until("the last page", PATIENCE, || {
            let page = api.get(&format!("{SPEND}&quantities=false&group_by={dimension}&limit=1000{cursor}"));
            for row in page["rows"].as_array().unwrap() {
                assert_eq!(row["amount"], "0.008");
            }
            groups += u64::try_from(page["rows"].as_array().unwrap().len()).unwrap();
            cursor = page["next_cursor"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
            Ok(cursor.is_empty().then_some(()))
        })
        .unwrap();
        assert_eq!(groups, count, "{dimension}");
    }
    world.assert_audit_is_clean();
}

/// By hand, at 1,000,000,000 dollars a token: 90,000,000,000 tokens are 90,000,000,000,000,000,000 dollars, which a row
/// of 38 digits, 18 of them decimals, just holds. 200,000,000,000 tokens are too many. Three rows add up to
/// 270,000,000,000,000,000,000 dollars, which 38 digits hold no more.
#[test]
fn an_amount_too_large_for_a_row_is_refused_and_a_sum_of_rows_may_be_larger() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let row = r#"{"id":"dear@1","provider":"acme","model":"dear","currency":"USD",
        "prices":[{"unit":"input_uncached_tokens","amount":"1000000000","per":"1"}]}"#;
    let publish = Command::PublishPrices(PublishPrices { rows: vec![row.to_owned()], based_on: None });
    assert_eq!(world.command("dear", &publish).0, "applied");
    world.wait_for_prices_of(2);
    let tokens = [90_000_000_000_u64, 90_000_000_000, 90_000_000_000, 200_000_000_000];
    for (number, tokens) in tokens.into_iter().enumerate() {
        world.produce_one(&format!(
            r#"{{"event_id":"e{number}","request_id":"r","occurred_at":"2026-11-02T10:00:00Z","key":"k",
                "endpoint_family":"openai","provider":"acme","model":"dear","status":200,
                "units":{{"input_uncached_tokens":{tokens}}}}}"#
        ));
    }
    world.wait_until_received(4);
    assert_eq!(world.fate_of(3), "unpostable");
    let spend = Reader::of(&world).get(&format!("{SPEND}&group_by=model"));
    assert_eq!(spend["rows"][0]["amount"], "270000000000000000000", "{spend}");
    world.assert_audit_is_clean();
}
