//! Spend against sums done by hand. An ordinary entry is 10 × 2 + 5 × 4 = 40.

use anyhow::Result;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::engine_process::Engine;
use crate::world::World;

const NOVEMBER: &str = "from=2026-11-01&to=2026-12-01";

fn column(answer: &Value, name: &str) -> Vec<Value> {
    answer["rows"].as_array().into_iter().flatten().map(|row| row[name].clone()).collect()
}

#[tokio::test]
async fn totals_are_those_done_by_hand_and_currencies_are_never_added_up() -> Result<()> {
    let world = World::new().await?;
    world
        .post(&[
            json!({}),
            json!({"team": "ads", "attempt": 2, "requests": 0, "attempt_kind": "retry"}),
            json!({"team": "ads", "currency": "EUR", "charge": "0.000000000000000001"}),
            json!({"team": "ads", "currency": "EUR", "charge": "12345678901234567890.5"}),
            json!({"occurred_at": "2026-12-01 00:00:00.000"}),
        ])
        .await?;
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&group_by=team")).await?;
    assert_eq!(
        column(&answer, "group"),
        [json!({"team": "ads"}), json!({"team": "ads"}), json!({"team": "search"})]
    );
    assert_eq!(column(&answer, "currency"), ["EUR", "USD", "USD"]);
    assert_eq!(column(&answer, "amount"), ["12345678901234567890.500000000000000001", "40", "40"]);
    assert_eq!(column(&answer, "requests"), [2, 0, 1]);
    assert_eq!(column(&answer, "attempts"), [2, 1, 1]);
    assert_eq!(
        answer["rows"][0]["quantities"],
        json!({"input_uncached_tokens": "20", "output_text_tokens": "10"})
    );
    assert_eq!(answer["rows"][0]["from"], "2026-11-01T00:00:00Z");
    assert_eq!(answer["rows"][0]["to"], "2026-12-01T00:00:00Z");
    assert!(answer.get("unpriced").is_none());
    assert_eq!(answer["next_cursor"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn quantities_add_fixed_columns_and_lines_of_the_same_unit() -> Result<()> {
    let world = World::new().await?;
    // 10 input tokens in the column and 2.5 in a line: 12.5; 3 images in a line.
    world
        .post(&[
            json!({}),
            json!({
                "input_uncached_tokens": 0, "output_text_tokens": 0,
                "line_units": ["input_uncached_tokens", "images"], "line_quantities": ["2.5", "3"],
                "line_prices": ["1", "2"], "line_amounts": ["2.5", "6"],
                "list_cost": "8.5", "cost": "8.5", "charge": "8.5"
            }),
        ])
        .await?;
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}")).await?;
    assert_eq!(
        answer["rows"][0]["quantities"],
        json!({"input_uncached_tokens": "12.5", "output_text_tokens": "5", "images": "3"})
    );
    assert_eq!(answer["rows"][0]["amount"], "48.5");
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&quantities=false")).await?;
    assert!(answer["rows"][0].get("quantities").is_none());
    Ok(())
}

#[tokio::test]
async fn by_unit_an_entry_counts_once_for_each_unit_also_where_it_costs_nothing() -> Result<()> {
    let world = World::new().await?;
    // Entry 1: 10 × 2 = 20 of input, 5 × 4 = 20 of output. Entry 2: 7 input tokens, not billed. Entry 3: 2 images
    // at 3, and 1 image at 4: one entry, 3 images, 10.
    world
        .post(&[
            json!({}),
            json!({"input_uncached_tokens": 7, "output_text_tokens": 0, "list_cost": "0", "cost": "0", "charge": "0",
                   "outcome": "not_billed"}),
            json!({"input_uncached_tokens": 0, "output_text_tokens": 0, "line_units": ["images", "images"],
                   "line_quantities": ["2", "1"], "line_prices": ["3", "4"], "line_amounts": ["6", "4"],
                   "list_cost": "10", "cost": "10", "charge": "10"}),
        ])
        .await?;
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&group_by=unit")).await?;
    assert_eq!(
        column(&answer, "group"),
        [
            json!({"unit": "images"}),
            json!({"unit": "input_uncached_tokens"}),
            json!({"unit": "output_text_tokens"})
        ]
    );
    assert_eq!(column(&answer, "amount"), ["10", "20", "20"]);
    assert_eq!(column(&answer, "attempts"), [1, 2, 1]);
    assert_eq!(
        column(&answer, "quantities"),
        [json!({"images": "3"}), json!({"input_uncached_tokens": "17"}), json!({"output_text_tokens": "5"})]
    );
    // A filter by units takes only their lines; the entry that has both counts once.
    let answer = world
        .get(&format!("/v1/spend?{NOVEMBER}&unit=input_uncached_tokens&unit=output_*&group_by=customer"))
        .await?;
    assert_eq!(column(&answer, "amount"), ["40"]);
    assert_eq!(column(&answer, "attempts"), [2]);
    Ok(())
}

#[tokio::test]
async fn local_days_of_23_and_25_hours_hold_what_occurred_in_them() -> Result<()> {
    let world = World::new().await?;
    // Berlin, October 25, 2026 has 25 hours: from 22:00Z the day before to 23:00Z.
    let at = |time: &str| json!({"occurred_at": time});
    world
        .post(&[
            at("2026-10-24 21:59:59.999"),
            at("2026-10-24 22:00:00.000"),
            at("2026-10-25 22:59:59.999"),
            at("2026-10-25 23:00:00.000"),
        ])
        .await?;
    let berlin = "from=2026-10-24&to=2026-10-27&tz=Europe/Berlin&interval=day";
    for group_by in ["", "&group_by=team", "&group_by=model", "&group_by=project"] {
        let answer = world.get(&format!("/v1/spend?{berlin}{group_by}")).await?;
        assert_eq!(column(&answer, "attempts"), [1, 2, 1], "{group_by}");
        assert_eq!(answer["rows"][1]["from"], "2026-10-24T22:00:00Z");
        assert_eq!(answer["rows"][1]["to"], "2026-10-25T23:00:00Z");
    }
    // The same month, by whichever source, has the same total.
    for group_by in ["", "&group_by=team", "&group_by=model", "&group_by=key", "&group_by=project"] {
        for interval in ["", "&interval=month", "&interval=week", "&interval=hour"] {
            let period = "from=2026-10-01&to=2026-11-01&tz=Europe/Berlin";
            let answer = world.get(&format!("/v1/spend?{period}{group_by}{interval}")).await?;
            let attempts: i64 = column(&answer, "attempts").iter().filter_map(Value::as_i64).sum();
            assert_eq!(attempts, 4, "{group_by} {interval}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_instant_inside_a_quarter_hour_cuts_at_the_millisecond() -> Result<()> {
    let world = World::new().await?;
    let at = |time: &str| json!({"occurred_at": time});
    world
        .post(&[at("2026-11-10 12:07:00.000"), at("2026-11-10 12:07:00.001"), at("2026-11-10 13:07:00.000")])
        .await?;
    let answer = world.get("/v1/spend?from=2026-11-10T12:07:00.001Z&to=2026-11-10T13:07:00Z").await?;
    assert_eq!(column(&answer, "attempts"), [1]);
    Ok(())
}

#[tokio::test]
async fn every_dimension_groups_and_filters() -> Result<()> {
    let world = World::new().await?;
    world
        .post(&[
            json!({"tags": {"cost center": "a'b\\c"}, "project": "p", "alias": "fast", "status": 429, "end_user": "u"}),
            json!({"provider_account": "org", "credential": "gateway", "service_tier": "flex", "status": 0}),
        ])
        .await?;
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&group_by=tag:cost%20center,status_class")).await?;
    assert_eq!(
        column(&answer, "group"),
        [
            json!({"tag:cost center": null, "status_class": null}),
            json!({"tag:cost center": "a'b\\c", "status_class": "4xx"})
        ]
    );
    for dimension in [
        "key",
        "team",
        "app",
        "environment",
        "customer",
        "project",
        "provider",
        "provider_account",
        "model",
        "alias",
        "endpoint_family",
        "unit",
        "attempt_kind",
        "service_tier",
        "credential",
        "status_class",
        "outcome",
        "invoice",
        "currency",
        "end_user",
        "workflow",
        "route",
        "region",
        "processing",
        "speed",
        "error_class",
        "gateway",
    ] {
        let answer = world.get(&format!("/v1/spend?{NOVEMBER}&group_by={dimension}")).await?;
        assert!(!column(&answer, "group").is_empty(), "{dimension}");
        let answer = world.get(&format!("/v1/spend?{NOVEMBER}&{dimension}=nowhere")).await?;
        assert!(column(&answer, "group").is_empty(), "{dimension}");
    }
    for (filter, attempts) in [
        ("tag:cost%20center=a%27b%5Cc", 1),
        ("tag:cost%20center=a*", 1),
        ("model=gpt-*", 2),
        ("model=GPT-*", 0),
        ("model=gpt_*", 0),
        ("status_class=4xx", 1),
        ("team=search&team=nowhere", 2),
        ("team=search&alias=fast", 1),
    ] {
        let answer = world.get(&format!("/v1/spend?{NOVEMBER}&{filter}")).await?;
        let sum: i64 = column(&answer, "attempts").iter().filter_map(Value::as_i64).sum();
        assert_eq!(sum, attempts, "{filter}");
    }
    Ok(())
}

#[tokio::test]
async fn pages_together_are_the_whole_answer_and_a_cursor_stays_with_its_token() -> Result<()> {
    let world = World::new().await?;
    let entries: Vec<Value> = (0..7).map(|number| json!({"team": format!("t{number}")})).collect();
    world.post(&entries).await?;
    let mut path = format!("/v1/spend?{NOVEMBER}&group_by=team&interval=day&limit=3");
    let first = path.clone();
    let mut teams = Vec::new();
    loop {
        let answer = world.get(&path).await?;
        teams.extend(column(&answer, "group").into_iter().map(|group| group["team"].clone()));
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        path = format!("{first}&cursor={cursor}");
    }
    assert_eq!(teams, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
    let other = world.token("other", &["read"], &[], &[]).await?;
    let (status, problem) = world.call(Method::GET, &path, &other, None).await?;
    assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!("cursor")));
    Ok(())
}

#[tokio::test]
async fn what_has_no_price_is_said_for_the_whole_question() -> Result<()> {
    let world = World::new().await?;
    world
        .post(&[
            json!({}),
            json!({"unpriced": 1, "unpriced_units": ["images", "output_audio_tokens"], "currency": ""}),
            json!({"unpriced": 1, "unpriced_units": ["images"], "team": "ads"}),
            json!({"unpriced": 1, "flags": ["usage_missing"], "team": "ads"}),
        ])
        .await?;
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&group_by=team&limit=1")).await?;
    assert_eq!(answer["unpriced"], json!({"entries": 3, "units": {"images": 2, "output_audio_tokens": 1}}));
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&team=ads")).await?;
    assert_eq!(answer["unpriced"], json!({"entries": 2, "units": {"images": 1}}));
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&team=search")).await?;
    assert_eq!(column(&answer, "currency"), [Value::Null, json!("USD")]);
    Ok(())
}

#[tokio::test]
async fn complete_through_is_the_earliest_partition_and_null_while_one_is_unread() -> Result<()> {
    let world = World::new().await?;
    let through = || async { anyhow::Ok(world.get("/v1/spend").await?["complete_through"].clone()) };
    assert_eq!(through().await?, Value::Null);
    world.progress(0, 2, "2026-11-10 12:00:00.000").await?;
    assert_eq!(through().await?, Value::Null);
    world.progress(1, 2, "2026-11-10 11:00:00.000").await?;
    world.progress(1, 2, "2026-11-10 10:00:00.000").await?;
    assert_eq!(through().await?, "2026-11-10T11:00:00Z");
    Ok(())
}

#[tokio::test]
async fn a_bound_token_sees_nothing_else_whatever_it_asks() -> Result<()> {
    let world = World::new().await?;
    world
        .post(&[
            json!({}),
            json!({"customer": "globex", "unpriced": 1}),
            json!({"customer": "globex", "team": "ads"}),
        ])
        .await?;
    let globex = world.token("globex", &["read"], &["globex"], &[]).await?;
    let ads = world.token("ads", &["read"], &[], &["ads", "search"]).await?;
    let both = world.token("both", &["read"], &["globex"], &["ads"]).await?;
    for (token, attempts) in [(&globex, 2), (&ads, 3), (&both, 1)] {
        for question in
            ["", "&group_by=unit", "&group_by=model&interval=day", "&customer=*", "&group_by=project"]
        {
            let path = format!("/v1/spend?{NOVEMBER}{question}");
            let (status, answer) = world.call(Method::GET, &path, token, None).await?;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let sum: i64 = column(&answer, "requests").iter().filter_map(Value::as_i64).sum();
            let units = if question.contains("unit") { 2 } else { 1 };
            assert_eq!(sum, attempts * units, "{question}");
        }
    }
    let (_, answer) =
        world.call(Method::GET, &format!("/v1/spend?{NOVEMBER}&customer=acme"), &globex, None).await?;
    assert_eq!(answer["rows"], json!([]));
    let (_, answer) = world.call(Method::GET, &format!("/v1/spend?{NOVEMBER}"), &both, None).await?;
    assert!(answer.get("unpriced").is_none());
    Ok(())
}

#[tokio::test]
async fn whole_days_and_quarter_hours_are_read_from_the_projections() -> Result<()> {
    let world = World::new().await?;
    world.post(&[json!({}), json!({"team": "ads"})]).await?;
    // The store refuses a question over entries that no projection serves.
    let forced = crate::http::proxy(world.engine_url(), "force_optimize_projection=1").await?;
    let world = world.behind(Engine::client_of(&forced), None)?;
    for question in [
        "",
        "&group_by=team,model",
        "&group_by=team,model,provider,app",
        "&group_by=customer,environment&interval=day",
        "&group_by=key&interval=week",
        "&group_by=key,provider",
        "&group_by=team&interval=hour",
        "&group_by=customer&interval=day&tz=Asia/Kolkata",
        "&model=gpt-*&group_by=team",
        "&key=k1&team=ads",
        "&measure=cost&quantities=false&interval=month",
        "&measure=list_cost&group_by=currency",
    ] {
        let period = if question.contains("Kolkata") { "from=2026-11-05&to=2026-11-15" } else { NOVEMBER };
        let answer = world.get(&format!("/v1/spend?{period}{question}")).await?;
        assert!(!column(&answer, "group").is_empty(), "{question}");
    }
    let (status, _) = world
        .call(Method::GET, &format!("/v1/spend?{NOVEMBER}&group_by=project"), &world.admin, None)
        .await?;
    assert_eq!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "a question that no projection serves is refused here"
    );
    Ok(())
}

#[tokio::test]
async fn the_largest_groups_of_each_currency_stand_alone_and_the_rest_is_one_row() -> Result<()> {
    let world = World::new().await?;
    let team = |team: &str, charge: &str| json!({"team": team, "charge": charge});
    world
        .post(&[
            team("a", "5"),
            team("b", "9"),
            team("c", "7"),
            team("d", "0.5"),
            team("c", "3"),
            json!({"team": "d", "currency": "EUR", "charge": "1"}),
        ])
        .await?;
    // USD: c 10, b 9, a 5, d 0.5; EUR: d 1.
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&group_by=team&top=2")).await?;
    assert_eq!(
        column(&answer, "group"),
        [json!({"team": null}), json!({"team": "b"}), json!({"team": "c"}), json!({"team": "d"})]
    );
    assert_eq!(column(&answer, "amount"), ["5.5", "9", "10", "1"]);
    assert_eq!(column(&answer, "currency"), ["USD", "USD", "USD", "EUR"]);
    assert_eq!(column(&answer, "other"), [json!(true), Value::Null, Value::Null, Value::Null]);
    assert_eq!(column(&answer, "attempts"), [2, 1, 2, 1]);
    // What is left out is left out of the rest too.
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&group_by=team&top=1&team!=c&currency=USD")).await?;
    assert_eq!(column(&answer, "amount"), ["5.5", "9"]);
    Ok(())
}

#[tokio::test]
async fn a_row_has_the_period_before_beside_it_also_where_one_of_the_two_is_empty() -> Result<()> {
    let world = World::new().await?;
    let entry =
        |time: &str, team: &str, charge: &str| json!({"occurred_at": time, "team": team, "charge": charge});
    world
        .post(&[
            entry("2026-09-30 21:59:59.999", "a", "100"),
            entry("2026-09-30 22:00:00.000", "a", "3"),
            entry("2026-10-31 22:59:59.999", "b", "4"),
            entry("2026-10-31 23:00:00.000", "a", "5"),
            entry("2026-11-30 22:59:59.999", "c", "6"),
            entry("2026-11-30 23:00:00.000", "a", "100"),
        ])
        .await?;
    // The local November of Berlin begins an hour before UTC's, its October two hours before.
    let answer =
        world.get(&format!("/v1/spend?{NOVEMBER}&tz=Europe/Berlin&group_by=team&compare=previous")).await?;
    assert_eq!(column(&answer, "group"), [json!({"team": "a"}), json!({"team": "b"}), json!({"team": "c"})]);
    assert_eq!(column(&answer, "amount"), ["5", "0", "6"]);
    let previous: Vec<_> = column(&answer, "previous").iter().map(|row| row["amount"].clone()).collect();
    assert_eq!(previous, ["3", "4", "0"]);
    assert_eq!(answer["rows"][0]["from"], "2026-10-31T23:00:00Z");
    assert_eq!(answer["rows"][0]["previous"]["from"], "2026-09-30T22:00:00Z");
    assert_eq!(answer["rows"][0]["previous"]["to"], "2026-10-31T23:00:00Z");
    // Quantities are of the period itself.
    assert_eq!(answer["rows"][1]["quantities"], json!({}));
    Ok(())
}

#[tokio::test]
async fn totals_as_csv_have_a_column_for_each_unit_and_are_safe_in_a_spreadsheet() -> Result<()> {
    let world = World::new().await?;
    world
        .post(&[
            json!({"team": "=cmd|' /C calc'!A0", "charge": "12345678901234567890.000000000000000001"}),
            json!({"team": "b", "input_uncached_tokens": 0, "output_text_tokens": 0, "line_units": ["output_images"],
                   "line_quantities": ["2.5"], "line_prices": ["1"], "line_amounts": ["2.5"], "charge": "2.5"}),
        ])
        .await?;
    let text = world.text(&format!("/v1/spend?{NOVEMBER}&group_by=team&format=csv")).await?;
    assert_eq!(
        text,
        "team,from,to,requests,attempts,charge,currency,input_uncached_tokens,output_images,output_text_tokens\r\n\
         '=cmd|' /C calc'!A0,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,1,1,\
         12345678901234567890.000000000000000001,USD,10,0,5\r\n\
         b,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,1,1,2.5,USD,0,2.5,0\r\n"
    );
    Ok(())
}

#[tokio::test]
async fn each_measure_is_summed_from_its_own_plane_in_its_own_currency() -> Result<()> {
    let world = World::new().await?;
    let line = |unit: &str, quantity: &str, price: &str, amount: &str, basis: &str| json!({"unit": unit, "quantity": quantity, "price": price, "amount": amount, "basis": basis, "condition": ""});
    // Entry 1: cost 10 × 2 + 5 × 4 = 40 on every plane. Entry 2: the same at cost, list 10 × 3 + 5 × 6 = 60, and a
    // charge of 22 for input, 18 for output and 1 for the request, in euros.
    world
        .post(&[
            json!({}),
            json!({
                "list_cost": "60", "charge": "41", "charge_currency": "EUR", "list_row": "public", "markup": "acme@1",
                "list_lines": [line("input_uncached_tokens", "10", "3", "30", "own"),
                               line("output_text_tokens", "5", "6", "30", "own")],
                "charge_lines": [line("input_uncached_tokens", "10", "2.2", "22", "usage"),
                                 line("output_text_tokens", "5", "3.6", "18", "usage"),
                                 line("requests", "1", "1", "1", "per_request")]
            }),
        ])
        .await?;
    let sums = async |query: &str| -> Result<Vec<String>> {
        let answer = world.get(&format!("/v1/spend?{NOVEMBER}&{query}")).await?;
        let rows = answer["rows"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        Ok(rows
            .map(|row| {
                let group: Vec<String> =
                    row["group"].as_object().into_iter().flatten().map(|(_, value)| text(value)).collect();
                format!(
                    "{}{} {}",
                    group.iter().map(|value| format!("{value}: ")).collect::<String>(),
                    text(&row["amount"]),
                    text(&row["currency"])
                )
            })
            .collect())
    };
    assert_eq!(sums("measure=cost").await?, ["80 USD"]);
    assert_eq!(sums("measure=list_cost").await?, ["100 USD"]);
    assert_eq!(sums("").await?, ["41 EUR", "40 USD"]);
    assert_eq!(sums("group_by=currency").await?, ["EUR: 41 EUR", "USD: 40 USD"]);
    assert_eq!(sums("group_by=currency&measure=cost").await?, ["USD: 80 USD"]);
    assert_eq!(sums("currency=EUR").await?, ["41 EUR"]);
    assert_eq!(
        sums("group_by=unit&measure=list_cost").await?,
        ["input_uncached_tokens: 50 USD", "output_text_tokens: 50 USD"]
    );
    assert_eq!(
        sums("group_by=unit").await?,
        [
            "input_uncached_tokens: 22 EUR",
            "input_uncached_tokens: 20 USD",
            "output_text_tokens: 18 EUR",
            "output_text_tokens: 20 USD",
            "requests: 1 EUR"
        ]
    );
    let answer = world.get(&format!("/v1/spend?{NOVEMBER}&unit=input_uncached_tokens")).await?;
    assert_eq!(column(&answer, "amount"), ["22", "20"]);
    assert_eq!(
        answer["rows"][0]["quantities"],
        json!({"input_uncached_tokens": "10"}),
        "what was used, once"
    );
    Ok(())
}
