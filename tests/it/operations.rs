//! Repricing, corrections and their reverts over the embedded log and the real engine: what they come to, who sees them
//! when, and that they are made once, whatever dies. Sums are done by hand beside the checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tests::{folder, wait};

use crate::embedded::Embedded;
use crate::world::PATIENCE;

/// Dollars a million tokens: what was published by mistake, and what should have been.
fn row(id: &str, input: &str, output: &str, supersedes: Option<&str>) -> Value {
    let price = |unit: &str, amount: &str| json!({"unit": unit, "amount": amount, "per": "1000000"});
    let mut row = json!({
        "id": id, "provider": "openai", "model": "small", "currency": "USD",
        "prices": [price("input_uncached_tokens", input), price("output_text_tokens", output)],
    });
    if let Some(supersedes) = supersedes {
        row["supersedes"] = supersedes.into();
    }
    row
}

fn publish(embedded: &Embedded, rows: &Value) {
    let (status, answer) = embedded.call(Method::POST, "/v1/models", &json!({ "rows": rows }));
    assert_eq!(status, 200, "{answer}");
}

fn event(id: &str, customer: &str, at: &str, input: u64, output: u64) -> String {
    json!({
        "event_id": id, "request_id": id, "occurred_at": at, "key": "k1", "team": "search", "customer": customer,
        "endpoint_family": "openai", "provider": "openai", "model": "small", "status": 200,
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
    })
    .to_string()
}

/// Waits until the batches of so many events are closed: only then does an operation look at them.
fn wait_for_events(embedded: &Embedded, events: u64) {
    wait::until("the events in closed batches", PATIENCE, || {
        let audit = embedded.get("/v1/audit");
        let partitions = audit["partitions"].as_array().cloned().unwrap_or_default();
        let usage = partitions.iter().filter(|partition| partition["topic"] == "usage.events");
        let received: u64 = usage.filter_map(|partition| partition["received"].as_u64()).sum();
        Ok((received == events).then_some(()))
    })
    .unwrap();
}

/// Charge, attempts and requests of November, by customer.
fn november(embedded: &Embedded) -> Vec<(String, String, i64, i64)> {
    let spend = embedded.get("/v1/spend?from=2026-11-01&to=2026-12-01&group_by=customer&quantities=false");
    let row = |row: &Value| {
        (
            row["group"]["customer"].as_str().unwrap_or_default().to_owned(),
            row["amount"].as_str().unwrap().to_owned(),
            row["attempts"].as_i64().unwrap(),
            row["requests"].as_i64().unwrap(),
        )
    };
    let mut rows: Vec<_> = spend["rows"].as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

fn clean(embedded: &Embedded) {
    let report = embedded.get("/v1/audit?full=true&reprice=all");
    assert_eq!(report["clean"], true, "{report}");
}

fn charge(customer: &str, amount: &str, attempts: i64) -> (String, String, i64, i64) {
    (customer.to_owned(), amount.to_owned(), attempts, attempts)
}

#[test]
fn a_wrong_price_is_put_right_once_and_taken_back_and_put_right_again() {
    let mut embedded = Embedded::start();
    publish(&embedded, &json!([row("small@1", "20", "8", None)]));
    let events = [
        event("a1", "acme", "2026-11-01T00:00:00Z", 1_000, 500),
        event("a2", "acme", "2026-11-02T00:00:00Z", 2_000, 0),
        event("z1", "zen", "2026-11-02T00:00:00Z", 0, 250),
        event("z2", "zen", "2026-11-03T00:00:00Z", 10, 0),
    ];
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 4);
    // acme: 3000 × 20 + 500 × 8 = 0.06 + 0.004; zen: 250 × 8 + 10 × 20 = 0.002 + 0.0002.
    let before = vec![charge("acme", "0.064", 2), charge("zen", "0.0022", 2)];
    assert_eq!(november(&embedded), before);

    // 2 instead of 20, from the beginning of time on.
    publish(&embedded, &json!([row("small@2", "2", "8", Some("small@1"))]));
    assert_eq!(november(&embedded), before, "a price alone changes nothing that is posted");
    let mut call = json!({
        "from": "2026-11-01", "to": "2026-11-03", "filters": {"model": ["small"]}, "reason": "20 was a typing error",
        "dry_run": true,
    });
    let (status, dry) = embedded.call(Method::POST, "/v1/reprice", &call);
    assert_eq!(status, 200, "{dry}");
    // acme 3000 × 18 less = 0.054; the third entry has no input, but its row is another. z2 lies outside of the period.
    assert_eq!(dry["entries"], 3, "{dry}");
    assert_eq!(dry["delta"], json!([{"currency": "USD", "amount": "-0.054"}]));
    assert_eq!(
        dry["changes"],
        json!([
            {"model": "small", "customer": "acme", "currency": "USD", "entries": 2, "old": "0.064", "new": "0.01"},
            {"model": "small", "customer": "zen", "currency": "USD", "entries": 1, "old": "0.002", "new": "0.002"},
        ])
    );
    assert_eq!(november(&embedded), before, "a dry run changes nothing");

    call["dry_run"] = false.into();
    let (status, done) = embedded.call(Method::POST, "/v1/reprice", &call);
    assert_eq!(status, 200, "{done}");
    assert_eq!((&done["entries"], &done["delta"]), (&dry["entries"], &dry["delta"]));
    let after = vec![charge("acme", "0.01", 2), charge("zen", "0.0022", 2)];
    assert_eq!(november(&embedded), after);
    clean(&embedded);

    // The same call again is answered with the first operation, and posts nothing.
    let (status, again) = embedded.call(Method::POST, "/v1/reprice", &call);
    assert_eq!((status, &again["id"], &again["delta"]), (200, &done["id"], &done["delta"]));
    let entries = embedded.get("/v1/entries?from=2026-11-01&to=2026-12-01&limit=100");
    assert_eq!(entries["rows"].as_array().unwrap().len(), 4 + 3 * 2);

    // The proof shows the way: what was posted, what took it back, what stands for it, by which operation and why.
    let proof = embedded.get("/v1/requests/a1");
    assert_eq!(proof["totals"][0]["charge"], "0.006", "1000 × 2 + 500 × 8 dollars a million: {proof}");
    let kinds: Vec<_> =
        proof["corrections"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert!(kinds.contains(&json!("reversal")) && kinds.contains(&json!("rerate")), "{proof}");
    for correction in proof["corrections"].as_array().unwrap() {
        assert_eq!(correction["operation"], done["id"]);
        assert_eq!(correction["reason"], "20 was a typing error");
    }

    let id = done["id"].as_str().unwrap();
    let operation = embedded.get(&format!("/v1/operations/{id}"));
    assert_eq!((&operation["state"], &operation["result"]["entries"]), (&json!("applied"), &json!(3)));
    let path = format!("/v1/reprice/{id}/revert");
    let (status, reverted) = embedded.call(Method::POST, &path, &json!({}));
    assert_eq!(status, 200, "{reverted}");
    assert_eq!(reverted["delta"], json!([{"currency": "USD", "amount": "0.054"}]));
    assert_eq!(november(&embedded), before);
    clean(&embedded);
    let (status, problem) = embedded.call(Method::POST, &path, &json!({}));
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("reverted before"), "{problem}");

    // After the revert the same call is a new operation.
    let (status, anew) = embedded.call(Method::POST, "/v1/reprice", &call);
    assert_eq!(status, 200, "{anew}");
    assert_ne!(anew["id"], done["id"]);
    assert_eq!(anew["delta"], done["delta"]);
    assert_eq!(november(&embedded), after);
    clean(&embedded);

    let (status, problem) = embedded.call(
        Method::POST,
        "/v1/reprice",
        &json!({
            "from": "2026-11-01", "to": "2026-11-03", "filters": {"modle": ["small"]}, "reason": "x",
        }),
    );
    assert_eq!(status, 400, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("modle"), "{problem}");
}

#[test]
fn an_operation_that_is_killed_between_its_steps_goes_on_and_nobody_sees_half_of_it() {
    let arguments = ["--step-entries-max", "1"].map(str::to_owned).to_vec();
    let mut embedded = Embedded::start_in(folder::fresh("operations").unwrap(), arguments);
    publish(&embedded, &json!([row("small@1", "20", "8", None)]));
    let account = json!({"rows": [{"id": "acme", "kind": "customer", "currency": "USD"}]});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &account).0, 200);
    let events: Vec<String> = (0..24)
        .map(|hour| event(&format!("h{hour}"), "acme", &format!("2026-11-02T{hour:02}:00:00Z"), 1_000, 0))
        .collect();
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 24);
    publish(&embedded, &json!([row("small@2", "2", "8", Some("small@1"))]));
    // 24 × 1000 × 20 dollars a million, and at 2 dollars.
    let (before, after) = (vec![charge("acme", "0.48", 24)], vec![charge("acme", "0.048", 24)]);
    assert_eq!(november(&embedded), before);

    let call = json!({"from": "2026-11-01", "to": "2026-12-01", "reason": "typing error"});
    let url = embedded.url("/v1/reprice");
    let (token, http, body) = (embedded.token(), embedded.http.clone(), call.clone());
    let is_answered = Arc::new(AtomicBool::new(false));
    let answered = is_answered.clone();
    embedded.runtime.spawn(async move {
        let _ = http.post(url).bearer_auth(token).json(&body).send().await;
        answered.store(true, Ordering::SeqCst);
    });
    let steps_done = |embedded: &Embedded| {
        let log = embedded.get("/v1/audit-log?name=step_operation");
        log["rows"].as_array().map_or(0, Vec::len)
    };
    wait::until("some steps", PATIENCE, || {
        assert_eq!(november(&embedded), before);
        Ok((steps_done(&embedded) >= 3).then_some(()))
    })
    .unwrap();
    embedded.process.kill().unwrap();
    embedded.restart();
    embedded.wait_until_ready();
    // It is open for a while: nothing else that would count half of it, or change the same entries, gets between.
    let close = json!({"account": "acme", "period": "2026-11", "accept": ["incomplete"], "reason": "a test"});
    let (status, problem) = embedded.call(Method::POST, "/v1/invoices/close", &close);
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("is not finished"), "{problem}");
    let other = json!({"from": "2026-11-02", "to": "2026-11-03", "reason": "another"});
    let (status, problem) = embedded.call(Method::POST, "/v1/reprice", &other);
    assert_eq!(status, 409, "{problem}");
    let mut seen = Vec::new();
    wait::until("the end of the operation", PATIENCE, || {
        let now = november(&embedded);
        if seen.last() != Some(&now) {
            seen.push(now.clone());
        }
        Ok((now == after).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}: {seen:?}\n{}", embedded.process.log()));
    assert!(seen.iter().all(|one| *one == before || *one == after), "{seen:?}");
    clean(&embedded);
    // 24 reversals and 24 successors beside the 24 entries, none of them twice.
    let entries = embedded.get("/v1/entries?from=2026-11-01&to=2026-12-01&limit=1000");
    assert_eq!(entries["rows"].as_array().unwrap().len(), 72);
    assert_eq!(embedded.call(Method::POST, "/v1/invoices/close", &close).0, 200);
}

#[test]
fn a_step_whose_worker_dies_before_or_after_its_rows_are_there_is_made_once() {
    let arguments = ["--step-entries-max", "1"].map(str::to_owned).to_vec();
    let mut embedded = Embedded::start_in(folder::fresh("operations").unwrap(), arguments);
    publish(&embedded, &json!([row("small@1", "20", "8", None)]));
    let events: Vec<String> = (0..6)
        .map(|hour| event(&format!("h{hour}"), "acme", &format!("2026-11-02T{hour:02}:00:00Z"), 1_000, 0))
        .collect();
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 6);
    publish(&embedded, &json!([row("small@2", "2", "8", Some("small@1"))]));
    let body = json!({"from": "2026-11-01", "to": "2026-12-01", "reason": "typing error"}).to_string();
    for point in ["post.insert.entries 2", "post.insert.commands 3"] {
        embedded.process.kill().unwrap();
        embedded.restart_under(&format!("tollbook.commands {point} abort"));
        embedded.wait_until_ready();
        // The first time it starts the operation, the second time it is the same call.
        let _ = embedded.post("/v1/reprice", &[("content-type", "application/json")], &body);
        wait::until("the death of the worker", PATIENCE, || {
            Ok((!embedded.process.is_running()?).then_some(()))
        })
        .unwrap();
    }
    embedded.restart();
    embedded.wait_until_ready();
    // 6 × 1000 × 2 dollars a million.
    let after = vec![charge("acme", "0.012", 6)];
    wait::until("the end of the operation", PATIENCE, || Ok((november(&embedded) == after).then_some(())))
        .unwrap_or_else(|error| panic!("{error}\n{}", embedded.process.log()));
    clean(&embedded);
    let entries = embedded.get("/v1/entries?from=2026-11-01&to=2026-12-01&limit=1000");
    assert_eq!(entries["rows"].as_array().unwrap().len(), 18);
}

#[test]
fn a_repeat_that_was_repriced_is_taken_back_at_its_new_price() {
    let arguments = ["--dedup-window", "1"].map(str::to_owned).to_vec();
    let mut embedded = Embedded::start_in(folder::fresh("operations").unwrap(), arguments);
    publish(&embedded, &json!([row("small@1", "20", "8", None)]));
    let one = event("a1", "acme", "2026-11-02T00:00:00Z", 1_000, 0);
    let other = event("a2", "acme", "2026-11-02T00:00:00Z", 3_000, 0);
    for event in [&one, &other, &one] {
        embedded.send(std::slice::from_ref(event), |_| ());
    }
    wait_for_events(&embedded, 3);
    // 5000 × 20 dollars a million: the repeat counts until it is found.
    assert_eq!(november(&embedded), [charge("acme", "0.1", 3)]);
    publish(&embedded, &json!([row("small@2", "2", "8", Some("small@1"))]));
    let call = json!({"from": "2026-11-01", "to": "2026-12-01", "reason": "typing error"});
    let (status, done) = embedded.call(Method::POST, "/v1/reprice", &call);
    assert_eq!((status, &done["entries"]), (200, &json!(3)), "{done}");
    assert_eq!(november(&embedded), [charge("acme", "0.01", 3)]);
    let (status, report) = embedded.call(Method::POST, "/v1/audit", &json!({}));
    assert_eq!((status, &report["clean"]), (200, &json!(true)), "{report}");
    // 4000 × 2.
    assert_eq!(november(&embedded), [charge("acme", "0.008", 2)]);
    clean(&embedded);
    // What was taken back as a repeat stays so when the price comes back: 4000 × 20.
    let path = format!("/v1/reprice/{}/revert", done["id"].as_str().unwrap());
    let (status, reverted) = embedded.call(Method::POST, &path, &json!({}));
    assert_eq!((status, &reverted["entries"]), (200, &json!(2)), "{reverted}");
    assert_eq!(november(&embedded), [charge("acme", "0.08", 2)]);
    clean(&embedded);
}

#[test]
fn a_repriced_closed_month_is_an_adjustment_on_the_next_invoice() {
    let mut embedded = Embedded::start();
    publish(&embedded, &json!([row("small@1", "2000", "8", None)]));
    let account = json!({"rows": [{"id": "acme", "kind": "customer", "currency": "USD"}]});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &account).0, 200);
    let events = [
        event("o1", "acme", "2026-09-05T00:00:00Z", 1_000, 0),
        event("n1", "acme", "2026-10-05T00:00:00Z", 1_000, 0),
    ];
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 2);
    wait::until("a ledger that is complete", PATIENCE, || {
        let spend = embedded.get("/v1/spend?quantities=false");
        Ok(spend["complete_through"].is_string().then_some(()))
    })
    .unwrap();
    let close = |period: &str| {
        embedded.call(Method::POST, "/v1/invoices/close", &json!({"account": "acme", "period": period}))
    };
    let (status, september) = close("2026-09");
    assert_eq!(status, 200, "{september}");
    assert_eq!(september["invoices"][0]["total"], "2.00");

    publish(&embedded, &json!([row("small@2", "1000", "8", Some("small@1"))]));
    let call = json!({"from": "2026-09-01", "to": "2026-11-01", "reason": "half the price"});
    let (status, done) = embedded.call(Method::POST, "/v1/reprice", &call);
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["delta"], json!([{"currency": "USD", "amount": "-2"}]));
    // What is closed stays: 2 dollars.
    let closed = embedded.get("/v1/invoices?account=acme&period=2026-09&state=closed");
    assert_eq!(closed["rows"][0]["total"], "2.00");
    // October: its own 1 dollar, and 1 dollar less for September.
    let (status, october) = close("2026-10");
    assert_eq!(status, 200, "{october}");
    assert_eq!(october["invoices"][0]["total"], "0.00", "{october}");
    assert_eq!(october["invoices"][0]["exact_usage"], "0", "{october}");
    clean(&embedded);
}

/// All that a customer was billed for belonged to another: the first gets it back, the other one pays. Of the first
/// nothing is left before October, and its credit must not get lost for that. Two September entries without a price, over
/// which it was closed, get one in October, which has one without a price of its own: that one still speaks against closing.
#[test]
fn what_was_closed_and_is_put_right_is_billed_though_nothing_is_left_of_it_and_hides_nothing_else() {
    let mut embedded = Embedded::start();
    publish(&embedded, &json!([row("small@1", "2000", "8", None)]));
    let account = |id: &str| json!({"id": id, "kind": "customer", "currency": "USD"});
    let accounts = json!({"rows": [account("acme"), account("zen"), account("new")]});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &accounts).0, 200);
    let other = |id: &str, model: &str, at: &str| {
        event(id, "new", at, 1_000, 0).replace("\"small\"", &format!("\"{model}\""))
    };
    let events = [
        event("s1", "acme", "2026-09-05T00:00:00Z", 1_000, 0),
        event("s2", "zen", "2026-09-05T00:00:00Z", 500, 0),
        event("o1", "acme", "2026-10-05T00:00:00Z", 2_000, 0),
        other("s3", "later", "2026-09-05T00:00:00Z"),
        other("s4", "later", "2026-09-06T00:00:00Z"),
        other("o2", "never", "2026-10-06T00:00:00Z"),
    ];
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 6);
    wait::until("a ledger that is complete", PATIENCE, || {
        let spend = embedded.get("/v1/spend?quantities=false");
        Ok(spend["complete_through"].is_string().then_some(()))
    })
    .unwrap();
    let close = |account: &str, period: &str, accept: &[&str]| {
        let body = json!({"account": account, "period": period, "accept": accept, "reason": "known"});
        embedded.call(Method::POST, "/v1/invoices/close", &body)
    };
    for (account, accept, total) in
        [("acme", &[][..], "2.00"), ("zen", &[], "1.00"), ("new", &["unpriced"], "0.00")]
    {
        let (status, september) = close(account, "2026-09", accept);
        assert_eq!((status, &september["invoices"][0]["total"]), (200, &json!(total)), "{september}");
    }

    let call = json!({
        "from": "2026-09-01", "to": "2026-10-01", "filters": {"customer": ["acme"]}, "set": {"customer": "zen"},
        "reason": "it was zen's",
    });
    assert_eq!(embedded.call(Method::POST, "/v1/corrections", &call).0, 200);
    let later = row("later@1", "3000", "8", None).to_string().replace("\"small\"", "\"later\"");
    publish(&embedded, &json!([serde_json::from_str::<Value>(&later).unwrap()]));
    let reprice =
        json!({"from": "2026-09-01", "to": "2026-10-01", "filters": {"model": ["later"]}, "reason": "late"});
    assert_eq!(embedded.call(Method::POST, "/v1/reprice", &reprice).0, 200);

    // 2000 × 0.002 of its own, and September's 2 back.
    let (status, october) = close("acme", "2026-10", &[]);
    assert_eq!((status, &october["invoices"][0]["total"]), (200, &json!("2.00")), "{october}");
    assert_eq!(october["invoices"][0]["lines"][1]["amount"], "-2.00", "{october}");
    let (status, october) = close("zen", "2026-10", &[]);
    assert_eq!((status, &october["invoices"][0]["total"]), (200, &json!("2.00")), "{october}");
    let (status, problem) = close("new", "2026-10", &[]);
    assert_eq!(status, 409, "{problem}");
    assert_eq!(problem["blockers"]["new"][0]["what"], "unpriced", "{problem}");
    // Late: 2 × 1000 × 0.003.
    let (status, october) = close("new", "2026-10", &["unpriced"]);
    assert_eq!((status, &october["invoices"][0]["total"]), (200, &json!("6.00")), "{october}");
    clean(&embedded);
}

#[test]
fn a_wrong_owner_outcome_and_quantity_are_put_right_and_move_with_their_counts() {
    let mut embedded = Embedded::start();
    publish(&embedded, &json!([row("small@1", "2", "8", None)]));
    let events = [
        event("a1", "acme", "2026-11-01T00:00:00Z", 1_000, 500),
        event("a2", "acme", "2026-11-02T00:00:00Z", 2_000, 0),
        event("a3", "acme", "2026-11-02T00:00:00Z", 4_000, 0),
    ];
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 3);
    let correct = |event: &str, set: Value| {
        let call = json!({
            "from": "2026-11-01", "to": "2026-12-01", "event_ids": [event], "set": set, "reason": "put right",
        });
        let (status, done) = embedded.call(Method::POST, "/v1/corrections", &call);
        assert_eq!(status, 200, "{done}");
        done
    };
    let moved = correct("a1", json!({"customer": "zen"}));
    assert_eq!((&moved["entries"], &moved["delta"]), (&json!(1), &json!([])));
    // a1 is 1000 × 2 + 500 × 8 = 0.006; a2 and a3 are 6000 × 2 = 0.012.
    assert_eq!(november(&embedded), [charge("acme", "0.012", 2), charge("zen", "0.006", 1)]);
    correct("a2", json!({"outcome": "not_billed"}));
    assert_eq!(november(&embedded), [charge("acme", "0.008", 2), charge("zen", "0.006", 1)]);
    let counted = correct("a3", json!({"units": {"output_text_tokens": "100"}}));
    // 100 × 8 = 0.0008 instead of 0.008.
    assert_eq!(counted["delta"], json!([{"currency": "USD", "amount": "-0.0072"}]));
    assert_eq!(november(&embedded), [charge("acme", "0.0008", 2), charge("zen", "0.006", 1)]);
    // The provider's own object: 3000 × 2 + 50 × 8 = 0.006 + 0.0004.
    let usage = json!({"prompt_tokens": 3_000, "completion_tokens": 50, "total_tokens": 3_050});
    let used = correct("a3", json!({"usage": usage}));
    assert_eq!(used["delta"], json!([{"currency": "USD", "amount": "0.0056"}]));
    assert_eq!(november(&embedded), [charge("acme", "0.0064", 2), charge("zen", "0.006", 1)]);
    clean(&embedded);
    let path = format!("/v1/corrections/{}/revert", moved["id"].as_str().unwrap());
    assert_eq!(embedded.call(Method::POST, &path, &json!({})).0, 200);
    // What was moved there and back is a group of nothing.
    assert_eq!(november(&embedded), [charge("acme", "0.0124", 3), charge("zen", "0", 0)]);
    clean(&embedded);
}
