//! The trial balance finds what is missing, doubled or badly counted, and names the first offset.

use std::time::Duration;

use anyhow::Result;
use axum::http::Method;
use serde_json::{Value, json};
use tests::wait::until_async;

use crate::world::World;

fn batch(first: u64, next: u64, fields: &Value) -> Value {
    let mut row = json!({
        "topic": "usage.events", "partition": 0, "first": first, "next": next, "received": next - first,
        "posted": next - first, "entries": next - first, "duplicates": 0, "quarantined": 0, "holes": 0,
        "duplicates_at": [], "log_time_max": "2026-11-10 12:00:00.000", "recorded_at": "2026-11-10 12:00:00.000",
    });
    if let (Value::Object(row), Value::Object(fields)) = (&mut row, fields) {
        row.extend(fields.clone());
    }
    row
}

fn quarantined(offset: u64) -> Value {
    json!({
        "topic": "usage.events", "partition": 0, "offset": offset, "ordinal": 0, "log_time": "2026-11-10 12:00:00.000",
        "recorded_at": "2026-11-10 12:00:00.000", "reason": "decode", "raw_sha256": "0123456789abcdef0123456789abcdef",
    })
}

/// Offsets 0 to 5: 0 and 1 posted, 2 quarantined; 3 posted as two entries, 4 a duplicate of it, 5 a hole.
async fn books() -> Result<World> {
    let world = World::new().await?;
    world
        .post(&[
            json!({}),
            json!({}),
            json!({"offset": 3}),
            json!({"offset": 3, "ordinal": 1, "attempts": 0}),
        ])
        .await?;
    world.insert("quarantine", &[quarantined(2)]).await?;
    world
        .insert(
            "batches",
            &[
                batch(0, 3, &json!({"posted": 2, "entries": 2, "quarantined": 1})),
                batch(
                    3,
                    6,
                    &json!({"received": 2, "posted": 1, "entries": 2, "duplicates": 1, "holes": 1,
                                     "duplicates_at": [4]}),
                ),
            ],
        )
        .await?;
    Ok(world)
}

#[tokio::test]
async fn books_in_balance_are_clean_and_say_how_much_they_hold() -> Result<()> {
    let world = books().await?;
    let report = world.get("/v1/audit").await?;
    assert_eq!(report["clean"], true, "{report}");
    assert_eq!(report["differences"], json!([]));
    let partition = &report["partitions"][0];
    for (name, value) in
        [("received", 5), ("posted", 3), ("duplicates", 1), ("quarantined", 1), ("holes", 1), ("entries", 4)]
    {
        assert_eq!(partition[name], value, "{name}");
    }
    assert_eq!(report["projections"].as_array().map(Vec::len), Some(2));
    let full = world.get("/v1/audit?full=true").await?;
    assert_eq!(full["clean"], true, "{full}");
    assert_eq!(full["projections"].as_array().map(Vec::len), Some(3));
    let text = api::audit::run(&world.client).await?.to_string();
    assert!(
        text.contains("usage.events/0  [0, 6)         5       3           1            1      1        4"),
        "{text}"
    );
    assert!(text.ends_with("clean"));
    Ok(())
}

/// Offsets 0 to 4 of one batch with digests: 2 in quarantine, the others posted. What the worker computes is read from
/// the rows before a test changes them behind its back.
async fn digested() -> Result<World> {
    let world = World::new().await?;
    let entry = |offset: u64| json!({"offset": offset, "event_hash": offset + 100});
    world.post(&[entry(0), entry(1), entry(3), entry(4)]).await?;
    world.insert("quarantine", &[quarantined(2)]).await?;
    let digest = |query: schemas::queries::Open| {
        world.client.query(query.text()).param("topic", "usage.events").param("partition", 0)
    };
    let (_, entry_rows, entries_digest) = digest(schemas::queries::AUDIT_DIGESTS)
        .param("from", 0)
        .param("to", 0)
        .fetch_one::<(u64, u64, u64)>()
        .await?;
    let (_, _, quarantine_digest) = digest(schemas::queries::AUDIT_QUARANTINE)
        .param("firsts", vec![0])
        .param("first", 0)
        .param("next", 5)
        .fetch_one::<(u64, u64, u64)>()
        .await?;
    let fields = json!({"posted": 4, "entries": 4, "quarantined": 1, "digested": 1, "entry_rows": entry_rows,
                        "entries_digest": entries_digest, "quarantine_digest": quarantine_digest});
    world.insert("batches", &[batch(0, 5, &fields)]).await?;
    Ok(world)
}

#[tokio::test]
async fn a_row_that_was_deleted_added_or_altered_is_found_by_its_batchs_digest_and_named() -> Result<()> {
    // What is done behind the ledger's back, and the offset that the audit names.
    let cases = [
        ("ALTER TABLE entries DELETE WHERE offset = 3", json!(3)),
        ("INSERT INTO entries SELECT * FROM entries WHERE offset = 1", json!(1)),
        ("ALTER TABLE entries UPDATE cost = 41 WHERE offset = 3", json!(3)),
        ("ALTER TABLE entries UPDATE output_text_tokens = 6 WHERE offset = 4", json!(4)),
        ("ALTER TABLE entries UPDATE cost = 80, output_text_tokens = 15 WHERE offset = 4", json!(null)),
        ("INSERT INTO entries SELECT * REPLACE(2 AS batch_first) FROM entries WHERE offset = 1", json!(2)),
        ("ALTER TABLE quarantine DELETE WHERE offset = 2", json!(2)),
        ("ALTER TABLE quarantine UPDATE reason = 'secret' WHERE offset = 2", json!(null)),
    ];
    let world = digested().await?;
    let report = world.get("/v1/audit").await?;
    assert_eq!(report["clean"], true, "{report}");
    for (change, offset) in cases {
        let world = digested().await?;
        world.client.query(change).with_setting("mutations_sync", "2").execute().await?;
        let report = world.get("/v1/audit").await?;
        assert_eq!(report["clean"], false, "{change}");
        let check = if change.contains("batch_first") { "outside" } else { "rows" };
        assert_eq!(report["differences"][0]["check"], check, "{change}: {report}");
        assert_eq!(report["differences"][0]["offset"], offset, "{change}: {report}");
    }
    Ok(())
}

#[tokio::test]
async fn the_digests_of_the_rows_are_read_from_a_projection() -> Result<()> {
    let world = digested().await?;
    let digests = world
        .client
        .query(schemas::queries::AUDIT_DIGESTS.text())
        .param("topic", "usage.events")
        .param("partition", 0)
        .param("from", 0)
        .param("to", 9)
        .with_setting("force_optimize_projection_name", "by_batch");
    assert_eq!(digests.fetch_all::<(u64, u64, u64)>().await?.len(), 1);
    let partitions = world
        .client
        .query(schemas::queries::AUDIT_PARTITIONS.text())
        .param("commands_topic", schemas::log::COMMANDS_TOPIC)
        .with_setting("force_optimize_projection_name", "by_batch");
    assert_eq!(partitions.fetch_all::<(String, u32, u64, u64, u64)>().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_empty_store_is_clean() -> Result<()> {
    let world = World::new().await?;
    let report = world.get("/v1/audit").await?;
    assert_eq!((&report["clean"], &report["partitions"]), (&json!(true), &json!([])));
    Ok(())
}

#[tokio::test]
async fn each_way_in_which_books_can_be_wrong_is_found_at_its_first_offset() -> Result<()> {
    // What is added to the books, the check that finds it, and the offset.
    let cases = [
        ("entries", vec![json!({"offset": 1})], "rows", json!(1)),
        ("entries", vec![json!({"offset": 2})], "rows", json!(2)),
        ("entries", vec![json!({"offset": 4})], "rows", json!(4)),
        ("quarantine", vec![quarantined(0)], "rows", json!(0)),
        ("batches", vec![batch(7, 8, &json!({}))], "gap", json!(6)),
        (
            "batches",
            vec![batch(5, 7, &json!({"received": 0, "posted": 0, "entries": 0, "holes": 2}))],
            "overlap",
            json!(5),
        ),
        ("batches", vec![batch(6, 9, &json!({"received": 2}))], "balance", json!(6)),
        ("batches", vec![batch(6, 9, &json!({}))], "rows", json!(6)),
    ];
    for (table, rows, check, offset) in cases {
        let world = books().await?;
        if table == "entries" {
            world.post(&rows).await?;
        } else {
            world.insert(table, &rows).await?;
        }
        let report = world.get("/v1/audit").await?;
        assert_eq!(report["clean"], false, "{table} {rows:?}");
        let found = report["differences"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|difference| difference["check"] == check);
        assert_eq!(found.map(|difference| &difference["offset"]), Some(&offset), "{rows:?}: {report}");
    }
    Ok(())
}

#[tokio::test]
async fn rows_of_a_batch_that_is_being_written_are_no_difference_but_rows_before_all_batches_are()
-> Result<()> {
    let world = books().await?;
    world.post(&[json!({"offset": 6})]).await?;
    let report = world.get("/v1/audit").await?;
    assert_eq!((&report["clean"], &report["partitions"][0]["pending_rows"]), (&json!(true), &json!(1)));
    world
        .insert(
            "batches",
            &[batch(20, 21, &json!({"partition": 1, "received": 0, "posted": 0, "entries": 0, "holes": 1}))],
        )
        .await?;
    world.post(&[json!({"partition": 1, "offset": 19})]).await?;
    let report = world.get("/v1/audit").await?;
    assert_eq!(report["differences"][0]["check"], "outside");
    assert_eq!(report["differences"][0]["offset"], 19);
    Ok(())
}

#[tokio::test]
async fn the_command_log_is_balanced_against_its_own_table() -> Result<()> {
    let world = World::new().await?;
    let command = |offset: u64| {
        json!({"topic": "tollbook.commands", "partition": 0, "offset": offset, "command_id": offset.to_string(),
               "part": 1, "parts": 1, "outcome": "applied"})
    };
    world.insert("commands", &[command(0), command(1)]).await?;
    // Two commands that made three price rows besides.
    world.insert("batches", &[batch(0, 2, &json!({"topic": "tollbook.commands", "entries": 5}))]).await?;
    assert_eq!(world.get("/v1/audit").await?["clean"], true);
    world.insert("commands", &[command(1)]).await?;
    let report = world.get("/v1/audit").await?;
    assert_eq!(
        (&report["differences"][0]["check"], &report["differences"][0]["offset"]),
        (&json!("rows"), &json!(1))
    );
    Ok(())
}

/// What prices an ordinary entry: 2 for an input token, 4 for an output token.
fn published() -> Value {
    let body = r#"{"id":"openai/gpt-5@1","provider":"openai","model":"gpt-5","currency":"USD","prices":[
        {"unit":"input_uncached_tokens","amount":"2","per":"1"},{"unit":"output_text_tokens","amount":"4","per":"1"}]}"#;
    json!({"topic": "tollbook.commands", "partition": 0, "offset": 0, "ordinal": 0, "row_id": "openai/gpt-5@1",
           "provider": "openai", "model": "gpt-5", "currency": "USD", "source": "test", "source_version": "1", "body": body})
}

#[tokio::test]
async fn an_amount_that_is_not_quantity_times_price_is_found_by_deriving_it_again() -> Result<()> {
    let world = World::new().await?;
    world.insert("model_rows", &[published()]).await?;
    let entry = |offset: u64, fields: Value| {
        let mut entry = json!({"offset": offset, "service_tier": "standard", "processing": "interactive", "speed": "standard"});
        if let (Value::Object(entry), Value::Object(fields)) = (&mut entry, fields) {
            entry.extend(fields);
        }
        entry
    };
    world.post(&[entry(0, json!({})), entry(1, json!({})), entry(2, json!({}))]).await?;
    let report = world.get("/v1/audit?reprice=all").await?;
    assert_eq!(report["repricing"], json!({"entries": 3, "differing": 0, "seed": null}), "{report}");

    // 10 × 2 + 10 × 3 = 50: the lines add up, but 3 is not the row's price.
    world
        .post(&[entry(3, json!({"output_text_tokens": 10, "output_text_price": "3", "cost": "50"}))])
        .await?;
    let report = world.get("/v1/audit?reprice=all").await?;
    assert_eq!(report["repricing"], json!({"entries": 4, "differing": 1, "seed": null}));
    let differences = report["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = differences.iter().find(|difference| difference["check"] == "price");
    let found = found.map(|found| (found["offset"].clone(), found["detail"].as_str().unwrap_or_default()));
    let (offset, detail) = found.unwrap_or_default();
    assert_eq!(offset, 3);
    assert!(
        detail.contains("the amount of output_text_tokens is stored as 30 and derived as 40"),
        "{detail}"
    );

    let sample = world.get("/v1/audit?reprice=2&seed=7").await?;
    assert_eq!((&sample["repricing"]["entries"], &sample["repricing"]["seed"]), (&json!(2), &json!(7)));
    assert_eq!(sample["repricing"], world.get("/v1/audit?reprice=2&seed=7").await?["repricing"]);
    let (status, _) = world.call(Method::GET, "/v1/audit?reprice=0", &world.admin, None).await?;
    assert_eq!(status, 400);
    Ok(())
}

#[tokio::test]
async fn the_last_audit_that_the_process_made_by_itself_is_kept_and_measured() -> Result<()> {
    let world = books().await?;
    let (status, _) = world.call(Method::GET, "/v1/audit?cached=true", &world.admin, None).await?;
    assert_eq!(status, 404);
    let world = world.auditing(Duration::from_secs(1))?;
    let report = until_async("an audit by itself", Duration::from_secs(60), async || {
        let (status, report) = world.call(Method::GET, "/v1/audit?cached=true", &world.admin, None).await?;
        Ok((status == 200).then_some(report))
    })
    .await?;
    assert_eq!((&report["clean"], &report["sweep"]["repeats"]), (&json!(true), &json!(0)), "{report}");
    let metrics = world.text("/metrics").await?;
    for line in [
        "tollbook_audit_clean 1",
        "tollbook_audit_differences 0",
        "tollbook_audit_runs_total{outcome=\"clean\"} ",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reversal_is_shown_beside_the_attempt_that_it_takes_back() -> Result<()> {
    let world = World::new().await?;
    let reversal = json!({
        "topic": "tollbook.commands", "offset": 3, "kind": "reversal", "request_id": "r", "event_id": "e",
        "reverses_topic": "usage.events", "reverses_partition": 0, "reverses_offset": 1, "reverses_ordinal": 0,
        "reason": "duplicate", "attempts": -1, "requests": -1, "input_uncached_tokens": -10, "output_text_tokens": -5,
        "list_cost": "-40", "cost": "-40", "charge": "-40",
    });
    let same = json!({"request_id": "r", "event_id": "e"});
    world.post(&[same.clone(), same, reversal]).await?;
    let proof = world.get("/v1/requests/r").await?;
    assert_eq!(
        proof["totals"],
        json!([{"currency": "USD", "list_cost": "40", "cost": "40", "charge": "40", "charge_currency": "USD"}])
    );
    assert_eq!(proof["attempts"][0]["reversed"], Value::Null);
    let reversed = &proof["attempts"][1]["reversed"];
    assert_eq!(
        (&reversed["reason"], &reversed["origin"]["topic"]),
        (&json!("duplicate"), &json!("tollbook.commands"))
    );
    let origin = json!({"topic": "usage.events", "partition": 0, "offset": 1, "ordinal": 0});
    assert_eq!(proof["corrections"][0]["reverses"], origin);
    let entries = world.get("/v1/entries").await?;
    let shown = entries["rows"].as_array().into_iter().flatten().find(|entry| entry["kind"] == "reversal");
    assert_eq!(
        shown.map(|entry| (&entry["reverses"], &entry["reason"])),
        Some((&origin, &json!("duplicate")))
    );
    let spend = world.get("/v1/spend?from=2026-11-01&to=2026-12-01").await?;
    assert_eq!((&spend["rows"][0]["attempts"], &spend["rows"][0]["amount"]), (&json!(1), &json!("40")));

    // One that takes back less than was posted is found.
    let report = world.get("/v1/audit").await?;
    assert!(!report.to_string().contains("\"reversal\""), "{report}");
    world
        .client
        .query("ALTER TABLE entries UPDATE charge = -39 WHERE kind = 'reversal'")
        .with_setting("mutations_sync", "2")
        .execute()
        .await?;
    let report = world.get("/v1/audit").await?;
    let found =
        report["differences"].as_array().into_iter().flatten().find(|found| found["check"] == "reversal");
    assert_eq!(found.map(|found| &found["offset"]), Some(&json!(1)), "{report}");
    Ok(())
}
