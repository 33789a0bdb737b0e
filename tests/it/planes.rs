//! A contract, a customer's own row and a markup, published through the API and in effect from an exact instant: spend
//! by each measure is the sum that a person does by hand.

use reqwest::Method;
use serde_json::{Value, json};
use tests::wait;

use crate::embedded::Embedded;
use crate::world::PATIENCE;

const NOVEMBER: &str = "from=2026-11-01&to=2026-12-01&quantities=false";
/// When the contract, the customer's row and the second version of the markup begin.
const BEGIN: &str = "2026-11-10T00:00:00Z";
/// A millisecond before, at, and a millisecond after.
const INSTANTS: [&str; 3] = ["2026-11-09T23:59:59.999Z", BEGIN, "2026-11-10T00:00:00.001Z"];

/// Prices of a million tokens in and out.
fn row(id: &str, scope: Option<Value>, from: Option<&str>, input: &str, output: &str) -> Value {
    let price = |unit: &str, amount: &str| json!({"unit": unit, "amount": amount, "per": "1000000"});
    let prices = [price("input_uncached_tokens", input), price("output_text_tokens", output)];
    let mut row = json!({"id": id, "provider": "maker", "model": "m", "currency": "USD", "prices": prices});
    if let Some(scope) = scope {
        row["scope"] = scope;
    }
    if let Some(from) = from {
        row["effective_from"] = json!(from);
    }
    row
}

fn change(embedded: &Embedded, path: &str, body: &Value) -> Value {
    let (status, answer) = embedded.call(Method::POST, path, body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// One request of a thousand tokens in and a hundred out.
fn event(id: &str, at: &str, owners: &[(&str, &str)]) -> Value {
    let mut event = json!({
        "event_id": id, "request_id": id, "occurred_at": at, "key": "checkout", "endpoint_family": "openai",
        "provider": "maker", "model": "m", "provider_account": "org-1", "status": 200,
        "units": {"input_uncached_tokens": 1000, "output_text_tokens": 100},
    });
    for (name, value) in owners {
        event[*name] = json!(value);
    }
    event
}

/// The rows of a spend question as `group amount currency`.
fn spend(embedded: &Embedded, query: &str) -> Vec<String> {
    let answer = embedded.get(&format!("/v1/spend?{NOVEMBER}&{query}"));
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let rows = answer["rows"].as_array().unwrap().iter().map(|row| {
        let group: Vec<String> = row["group"].as_object().unwrap().values().map(text).collect();
        format!("{} {} {}", group.join(" "), text(&row["amount"]), text(&row["currency"])).trim().to_owned()
    });
    rows.collect()
}

#[test]
fn list_cost_and_charge_change_at_the_exact_instant_and_add_up_by_hand() {
    let embedded = Embedded::start();
    let rows = json!([
        row("public", None, None, "2", "10"),
        row("contract", Some(json!({"provider_account": "org-1"})), Some(BEGIN), "1", "5"),
        row("globex", Some(json!({"customer": "globex"})), Some(BEGIN), "3", "12"),
    ]);
    change(&embedded, "/v1/models", &json!({ "rows": rows }));
    let account = json!({"id": "acme", "kind": "customer", "currency": "EUR", "time_zone": "Europe/Berlin"});
    change(&embedded, "/v1/accounts", &account);
    // The key is acme's, and its events leave the customer out.
    change(&embedded, "/v1/owners", &json!({"key": "checkout", "customer": "acme", "cost_center": "cc-7"}));
    let markup = |version: Value| {
        let mut markup = json!({"id": "acme", "scope": {"customer": "acme"}, "model": "m*"});
        markup.as_object_mut().unwrap().extend(version.as_object().unwrap().clone());
        markup
    };
    change(&embedded, "/v1/markups", &markup(json!({"percent": "20"})));
    let second = json!({"percent": 25, "base": "list_cost", "per_request": "0.001", "effective_from": BEGIN,
        "fx": {"currency": "EUR", "rate": "0.9"}, "based_on": 1});
    change(&embedded, "/v1/markups", &markup(second.clone()));
    let (status, refused) = embedded.call(Method::POST, "/v1/markups", &markup(second));
    assert_eq!(status, 409, "{refused}");

    for at in INSTANTS {
        for (name, owners) in [("acme", &[][..]), ("globex", &[("customer", "globex")])] {
            let (status, answer) =
                embedded.call(Method::POST, "/v1/events", &event(&format!("{name} {at}"), at, owners));
            assert_eq!((status, &answer["accepted"]), (202, &json!(1)), "{answer}");
        }
    }
    wait::until("six entries", PATIENCE, || {
        let answer = embedded.get(&format!("/v1/spend?{NOVEMBER}"));
        let attempts =
            answer["rows"].as_array().into_iter().flatten().map(|row| row["attempts"].as_i64().unwrap());
        Ok((attempts.sum::<i64>() == 6).then_some(()))
    })
    .unwrap();

    // List: 0.002 + 0.001, always. Cost: that before, 0.001 + 0.0005 from then on.
    assert_eq!(spend(&embedded, "measure=list_cost"), ["0.018 USD"]);
    assert_eq!(spend(&embedded, "measure=cost"), ["0.012 USD"]);
    // acme: 0.003 × 1.2 before; then 0.003 × 1.25 × 0.9 + 0.001 = 0.004375 euros, twice.
    // globex: the cost, 0.003, before; then 0.003 + 0.0012 by its own row, twice.
    assert_eq!(
        spend(&embedded, "group_by=customer"),
        ["acme 0.00875 EUR", "acme 0.0036 USD", "globex 0.0114 USD"]
    );
    assert_eq!(
        spend(&embedded, "group_by=customer,unit&currency=EUR"),
        [
            "acme input_uncached_tokens 0.0045 EUR",
            "acme output_text_tokens 0.00225 EUR",
            "acme requests 0.002 EUR"
        ]
    );
    assert_eq!(
        spend(&embedded, "group_by=unit&measure=cost"),
        ["input_uncached_tokens 0.008 USD", "output_text_tokens 0.004 USD"]
    );
    // From projections by day and from quarter hours alike.
    assert_eq!(spend(&embedded, "tz=Europe/Berlin&group_by=currency"), ["EUR 0.00875 EUR", "USD 0.015 USD"]);
    assert_eq!(spend(&embedded, "group_by=cost_center&measure=cost"), ["cc-7 0.012 USD"]);

    let charged = |name: &str, at: &str| {
        let proof = embedded.get(&format!("/v1/requests/{}", format!("{name} {at}").replace(' ', "%20")));
        let entry = &proof["attempts"][0]["entries"][0];
        assert!(entry["book"].as_u64().unwrap() >= 5, "{entry}");
        let by = &entry["charging"];
        let by = by["markup"]["version"]
            .as_u64()
            .map_or_else(|| by["model_row"]["id"].clone(), |version| json!(version));
        (proof["totals"][0]["charge"].clone(), entry["model_row"]["id"].clone(), by)
    };
    assert_eq!(charged("acme", INSTANTS[0]), (json!("0.0036"), json!("public"), json!(1)));
    assert_eq!(charged("globex", INSTANTS[0]), (json!("0.003"), json!("public"), Value::Null));
    for at in &INSTANTS[1..] {
        assert_eq!(charged("acme", at), (json!("0.004375"), json!("contract"), json!(2)));
        assert_eq!(charged("globex", at), (json!("0.0042"), json!("contract"), json!("globex")));
    }
    let proof = embedded.get(&format!("/v1/requests/acme%20{BEGIN}"));
    assert_eq!(proof["owner"]["customer"], "acme");
    let entry = &proof["attempts"][0]["entries"][0];
    assert_eq!(entry["list"]["model_row"]["id"], "public");
    assert_eq!(entry["list"]["lines"][0]["unit_price"], "0.000002");
    let markup = &entry["charging"]["markup"];
    assert_eq!((&markup["factor"], &markup["terms"]["percent"]), (&json!("1.125"), &json!("25")));
    let line = &entry["charging"]["lines"][0];
    assert_eq!((&line["unit_price"], &line["amount"]), (&json!("0.00000225"), &json!("0.00225")));
    assert_eq!(entry["charging"]["lines"][2]["price_basis"], "per_request");

    // Whose the key is now does not make the same event another one.
    change(
        &embedded,
        "/v1/owners",
        &json!({"key": "checkout", "customer": "initech", "effective_from": "2026-11-01T00:00:00Z"}),
    );
    embedded.call(Method::POST, "/v1/events", &event(&format!("acme {BEGIN}"), BEGIN, &[]));
    wait::until("the duplicate", PATIENCE, || {
        let report = embedded.get("/v1/audit");
        assert_eq!(report["clean"], true, "{report}");
        let duplicates = report["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["duplicates"].as_u64().unwrap_or(0));
        Ok((duplicates.sum::<u64>() == 1).then_some(()))
    })
    .unwrap();
    assert_eq!(spend(&embedded, "measure=cost"), ["0.012 USD"]);
}
