//! Versions of price rows over the API: as of any instant, as of what was known then, and what a publication means
//! for what is posted.

use anyhow::{Result, ensure};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::World;

/// A row of `gpt-5` that prices input and output tokens.
fn row(id: &str, input: &str, more: Value) -> Value {
    let mut row = json!({
        "id": id, "provider": "openai", "model": "gpt-5", "currency": "USD",
        "prices": [{"unit": "input_uncached_tokens", "amount": input}, {"unit": "output_text_tokens", "amount": "4"}],
    });
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

async fn publish(world: &World, known_from: &str, rows: &[Value]) -> Result<Value> {
    *world.worker.known_from.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
        known_from.to_owned();
    let (status, answer) =
        world.call(Method::POST, "/v1/models", &world.admin, Some(json!({ "rows": rows }))).await?;
    ensure!(status == StatusCode::OK, "{status} {answer}");
    Ok(answer)
}

async fn dry_run(world: &World, rows: &[Value]) -> Result<(StatusCode, Value)> {
    let body = json!({ "rows": rows, "dry_run": true });
    world.call(Method::POST, "/v1/models", &world.admin, Some(body)).await
}

async fn ids(world: &World, query: &str) -> Result<Vec<String>> {
    let answer = world.get(&format!("/v1/models?{query}")).await?;
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    Ok(rows.iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn rows_are_answered_as_of_any_instant_and_as_of_what_was_known_then() -> Result<()> {
    let world = World::new().await?;
    publish(&world, "2026-09-01 00:00:00.000", &[row("a", "1", json!({}))]).await?;
    let october = json!({"effective_from": "2026-10-01T00:00:00Z"});
    publish(&world, "2026-10-05 00:00:00.000", &[row("b", "2", october.clone())]).await?;
    // November's version was wrong from the start, and is put right later.
    let november = json!({"effective_from": "2026-11-01T00:00:00Z"});
    publish(&world, "2026-11-02 00:00:00.000", &[row("c", "3", november.clone())]).await?;
    let right = json!({"effective_from": "2026-11-03T00:00:00Z", "supersedes": "c"});
    publish(&world, "2026-11-10 00:00:00.000", &[row("d", "4", right)]).await?;

    // Effective time alone, by all that is known now: c never was.
    assert_eq!(ids(&world, "at=2026-09-15").await?, ["a"]);
    assert_eq!(ids(&world, "at=2026-09-30T23:59:59.999Z").await?, ["a"]);
    assert_eq!(ids(&world, "at=2026-10-01").await?, ["b"]);
    assert_eq!(ids(&world, "at=2026-11-02").await?, ["b"]);
    assert_eq!(ids(&world, "at=2026-11-03").await?, ["d"]);
    // Known time alone: every version published until then.
    assert_eq!(ids(&world, "known_at=2026-08-31").await?, [""; 0]);
    assert_eq!(ids(&world, "known_at=2026-11-02").await?, ["a", "b", "c"]);
    assert_eq!(ids(&world, "").await?, ["a", "b", "c", "d"]);
    // Both: what was held then to be in force at the instant.
    assert_eq!(ids(&world, "at=2026-10-02&known_at=2026-10-04").await?, ["a"]);
    assert_eq!(ids(&world, "at=2026-10-02&known_at=2026-10-05").await?, ["b"]);
    assert_eq!(ids(&world, "at=2026-11-02&known_at=2026-11-09").await?, ["c"]);
    assert_eq!(ids(&world, "at=2026-11-02&known_at=2026-11-10").await?, ["b"]);

    let all = world.get("/v1/models").await?;
    let shown = |index: usize, name: &str| all["rows"][index][name].clone();
    assert_eq!(shown(0, "effective_to"), "2026-10-01T00:00:00Z");
    assert_eq!(shown(1, "effective_to"), "2026-11-03T00:00:00Z");
    assert_eq!((shown(2, "effective_to"), shown(2, "superseded_by")), (Value::Null, json!("d")));
    assert_eq!((shown(3, "effective_to"), shown(3, "superseded_by")), (Value::Null, Value::Null));
    let then = world.get("/v1/models?known_at=2026-11-09").await?;
    assert_eq!(then["rows"][1]["effective_to"], "2026-11-01T00:00:00Z", "by what was known then");
    Ok(())
}

#[tokio::test]
async fn a_page_ends_where_the_next_begins_and_spellings_of_a_provider_are_one() -> Result<()> {
    let world = World::new().await?;
    let rows: Vec<Value> = (1..=5)
        .map(|number| {
            row(&format!("r{number}"), "1", json!({"model": format!("m{number}"), "provider": "open-ai"}))
        })
        .collect();
    publish(&world, "2026-09-01 00:00:00.000", &rows).await?;
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("/v1/models?provider=open_ai&at=2026-11-01&limit=2{cursor}")).await?;
        let rows = page["rows"].as_array().cloned().unwrap_or_default();
        found.extend(rows.iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ["r1", "r2", "r3", "r4", "r5"]);
    Ok(())
}

#[tokio::test]
async fn a_row_is_shown_with_its_second_source() -> Result<()> {
    let world = World::new().await?;
    let source = json!({"name": "map", "version": "1", "confirmed_by": ["other 2"]});
    let rows = [
        row("a", "1", json!({"source": source})),
        row("b", "1", json!({"model": "b", "unconfirmed": "other 2 says 3"})),
    ];
    publish(&world, "2026-09-01 00:00:00.000", &rows).await?;
    let all = world.get("/v1/models").await?;
    assert_eq!(all["rows"][1]["confirmed_by"], json!(["other 2"]));
    assert_eq!(all["rows"][0]["unconfirmed"], "other 2 says 3");
    world.post(&[json!({"model_row": "b"})]).await?;
    let proof = world.get("/v1/requests/r0").await?;
    assert_eq!(proof["attempts"][0]["model_row"]["unconfirmed"], "other 2 says 3");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_beforehand() -> Result<()> {
    let world = World::new().await?;
    let october = json!({"effective_from": "2026-10-01T00:00:00Z"});
    publish(&world, "2026-09-01 00:00:00.000", &[row("a", "1", json!({})), row("b", "2", october.clone())])
        .await?;
    for (rows, status, says) in [
        (row("a", "9", json!({})), StatusCode::CONFLICT, "published with other content"),
        (row("c", "9", october.clone()), StatusCode::CONFLICT, "from the same instant"),
        (row("c", "9", json!({"supersedes": "z"})), StatusCode::CONFLICT, "supersedes z"),
        (row("c", "9", json!({"price": 1})), StatusCode::BAD_REQUEST, "price"),
    ] {
        let (found, answer) = dry_run(&world, &[rows]).await?;
        assert_eq!(found, status, "{answer}");
        assert!(answer["detail"].as_str().unwrap_or_default().contains(says), "{answer}");
    }
    let body = json!({"rows": [row("c", "3", json!({}))], "dry_run": true, "based_on": 1});
    let (status, answer) = world.call(Method::POST, "/v1/models", &world.admin, Some(body)).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let (status, answer) = dry_run(&world, &[row("c", "2", json!({})), row("a", "1.0", json!({}))]).await?;
    assert_eq!(
        (status, &answer["unchanged"]),
        (StatusCode::OK, &json!(["c", "a"])),
        "the same terms change nothing"
    );
    Ok(())
}

#[tokio::test]
async fn a_version_in_the_past_says_which_entries_it_would_have_priced() -> Result<()> {
    let world = World::new().await?;
    let december = json!({"effective_from": "2026-12-01T00:00:00Z", "aliases": ["five"]});
    publish(&world, "2026-09-01 00:00:00.000", &[row("a", "2", json!({})), row("z", "2", december)]).await?;
    world
        .post(&[
            json!({"occurred_at": "2026-10-31 23:59:59.999"}),
            json!({"occurred_at": "2026-11-01 00:00:00.000", "cost": "1.000000000000000001"}),
            json!({"occurred_at": "2026-11-05 00:00:00.000", "model": "gpt-5-2026-08-01", "cost": "0.5"}),
            json!({"occurred_at": "2026-11-06 00:00:00.000", "model": "five", "cost": "0.25"}),
            json!({"occurred_at": "2026-11-06 00:00:00.000", "provider": "azure"}),
            json!({"occurred_at": "2026-12-01 00:00:00.000"}),
        ])
        .await?;
    let past = row("b", "3", json!({"effective_from": "2026-11-01T00:00:00Z", "aliases": ["five"]}));
    for answer in [
        dry_run(&world, std::slice::from_ref(&past)).await?.1,
        publish(&world, "2026-11-20 00:00:00.000", std::slice::from_ref(&past)).await?,
    ] {
        let change = &answer["changes"][0];
        assert_eq!((&change["id"], &change["before"]), (&json!("b"), &json!("a")), "{answer}");
        assert_eq!(change["effective_to"], "2026-12-01T00:00:00Z");
        assert_eq!(
            change["touches"],
            json!({
                "entries": 3, "first": "2026-11-01T00:00:00Z", "last": "2026-11-06T00:00:00Z",
                "cost": [{"currency": "USD", "amount": "1.750000000000000001"}], "needs_reprice": true,
            })
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_dry_run_says_what_the_last_thirty_days_would_have_cost() -> Result<()> {
    let world = World::new().await?;
    let us = json!({"multipliers": [{"factor": "1.1", "when": {"inference_geo": "us"}}]});
    publish(&world, "2026-01-01 00:00:00.000", &[row("a", "2", us.clone())]).await?;
    let day = |days: i64| {
        let instant = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        instant.strftime("%Y-%m-%d %H:%M:%S.000").to_string()
    };
    // Each entry has 10 input and 5 output tokens.
    world
        .post(&[
            json!({"occurred_at": day(1)}),
            json!({"occurred_at": day(29), "model": "gpt-5-2026-08-01"}),
            json!({"occurred_at": day(5), "dimensions": "inference_geo=us"}),
            json!({"occurred_at": day(2), "outcome": "not_billed"}),
            json!({"occurred_at": day(3), "service_tier": "flex"}),
            json!({"occurred_at": day(4), "line_units": ["web_search_calls"], "line_quantities": ["1"],
                "line_prices": ["1"], "line_amounts": ["1"]}),
            json!({"occurred_at": day(31)}),
        ])
        .await?;
    let (status, answer) = dry_run(&world, &[row("b", "2.5", us)]).await?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let change = &answer["changes"][0];
    assert_eq!(
        change["prices"],
        json!([{"unit": "input_uncached_tokens", "when": "", "old": {"amount": "2", "per": "1"},
            "new": {"amount": "2.5", "per": "1"}, "percent": "+25.0"}])
    );
    // Two entries: 2 × (10 × 2 + 5 × 4) = 80, and 2 × (10 × 2.5 + 5 × 4) = 90. One elsewhere: 40 × 1.1 = 44, and
    // 45 × 1.1 = 49.5. A tier that neither row prices costs nothing and is said to have no price.
    assert_eq!(
        change["last_30_days"],
        json!({
            "entries": 4, "untold": 1, "old": "124", "new": "139.5", "currency": "USD",
            "unpriced": ["input_uncached_tokens", "output_text_tokens"],
            "why": "some entries have units or dimensions besides common tokens",
        })
    );
    let hours = json!([{"hours": "04:00-06:00", "weekdays": [1]}]);
    let windowed = row(
        "c",
        "2",
        json!({"prices": [{"unit": "input_uncached_tokens", "amount": "1", "when": {"utc": hours}}]}),
    );
    let (_, answer) = dry_run(&world, &[windowed]).await?;
    assert_eq!(answer["changes"][0]["last_30_days"]["why"], "the prices depend on the hour");
    Ok(())
}
