//! Months that are billed and closed, over the embedded log and the real engine: what is on an invoice, what a close
//! waits for, and what becomes of that which comes later. Sums are done by hand beside the checks.

use reqwest::Method;
use serde_json::{Value, json};
use tests::wait;

use crate::embedded::Embedded;
use crate::world::PATIENCE;

/// Prices of this test: input 2, output 8 dollars a million.
fn prices() -> Value {
    let price = |unit: &str, amount: &str| json!({"unit": unit, "amount": amount, "per": "1000000"});
    json!({"rows": [{
        "id": "openai/small@1", "provider": "openai", "model": "small", "currency": "USD",
        "prices": [price("input_uncached_tokens", "2"), price("output_text_tokens", "8")],
    }]})
}

fn event(id: &str, customer: &str, at: &str, input: u64, output: u64) -> String {
    json!({
        "event_id": id, "request_id": id, "occurred_at": at, "key": "k1", "team": "search", "customer": customer,
        "endpoint_family": "openai", "provider": "openai", "model": "small", "status": 200,
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
    })
    .to_string()
}

/// Waits until the batches of so many events are closed: only then are they on an invoice.
pub(crate) fn wait_for_events(embedded: &Embedded, events: u64) {
    wait::until("the events in closed batches", PATIENCE, || {
        let audit = embedded.get("/v1/audit");
        let partitions = audit["partitions"].as_array().cloned().unwrap_or_default();
        let usage = partitions.iter().filter(|partition| partition["topic"] == "usage.events");
        let received: u64 = usage.filter_map(|partition| partition["received"].as_u64()).sum();
        Ok((received == events).then_some(()))
    })
    .unwrap();
}

fn close(embedded: &Embedded, body: &Value) -> (u16, Value) {
    embedded.call(Method::POST, "/v1/invoices/close", body)
}

/// Whether the partitions say that they are read far enough to close October.
pub(crate) fn wait_until_complete(embedded: &Embedded) {
    wait::until("a ledger that is complete", PATIENCE, || {
        let spend = embedded.get("/v1/spend?quantities=false");
        Ok(spend["complete_through"].is_string().then_some(()))
    })
    .unwrap();
}

#[test]
fn a_month_closes_once_and_what_comes_later_is_an_adjustment_of_the_next() {
    let mut embedded = Embedded::start();
    assert_eq!(embedded.call(Method::POST, "/v1/models", &prices()).0, 200);
    let account = json!({"rows": [
        {"id": "acme", "kind": "customer", "name": "Acme Inc.", "currency": "USD"},
        {"id": "zen", "kind": "customer", "currency": "USD", "time_zone": "Asia/Kolkata"},
        {"id": "search", "kind": "team", "currency": "USD"},
    ]});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &account).0, 200);
    let events = [
        event("s1", "acme", "2026-09-30T23:59:59.999Z", 1_000_000, 0),
        event("s2", "acme", "2026-10-01T00:00:00Z", 1_500, 500),
        event("s3", "acme", "2026-10-31T23:59:59.999Z", 2_500, 0),
        event("s4", "acme", "2026-11-01T00:00:00Z", 1_000, 1_000),
        // October 31 in UTC, November 1 in Kolkata.
        event("s5", "zen", "2026-10-31T18:30:00Z", 3_000, 0),
        event("s6", "zen", "2026-10-31T18:29:59.999Z", 5_000, 0),
    ];
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 6);
    wait_until_complete(&embedded);

    // An open invoice is what a close would make: 4000 × 2 + 500 × 8 dollars a million = 0.008 + 0.004.
    let open = embedded.get("/v1/invoices?account=acme&period=2026-10");
    let invoice = &open["rows"][0];
    assert_eq!(invoice["state"], "open");
    assert_eq!(invoice["exact_usage"], "0.012");
    assert_eq!(invoice["lines"][0]["exact_amount"], "0.008", "{invoice}");
    assert_eq!(invoice["lines"][0]["amount"], "0.01");
    assert_eq!(invoice["lines"][1]["amount"], "0.00");
    assert_eq!(invoice["total"], "0.01");
    let zen = embedded.get("/v1/invoices?account=zen&period=2026-10");
    assert_eq!(zen["rows"][0]["exact_usage"], "0.01", "5000 × 2 dollars a million: {zen}");
    assert_eq!(zen["rows"][0]["from"], "2026-09-30T18:30:00Z");

    // September has entries and is not closed, so October cannot be.
    let october = json!({"account": "acme", "period": "2026-10"});
    let (status, problem) = close(&embedded, &october);
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("2026-09"), "{problem}");
    assert_eq!(close(&embedded, &json!({"account": "acme", "period": "2026-09"})).0, 200);
    let (status, closed) = close(&embedded, &october);
    assert_eq!(status, 200, "{closed}");
    let first = closed["invoices"][0].clone();
    assert_eq!(first["id"], invoice["id"]);
    assert_eq!(
        (&first["state"], &first["total"], &first["exact_usage"]),
        (&json!("closed"), &json!("0.01"), &json!("0.012"))
    );
    assert_eq!(first["lines"], invoice["lines"]);
    assert_eq!(close(&embedded, &october), (200, closed.clone()), "a repeat answers with the same");

    // What comes late changes nothing that is closed.
    let late = [
        event("l1", "acme", "2026-10-15T12:00:00Z", 7_000, 0),
        event("l2", "acme", "2026-09-15T12:00:00Z", 0, 250),
    ];
    embedded.send(&[late.join("\n")], |_| ());
    wait_for_events(&embedded, 8);
    assert_eq!(close(&embedded, &october), (200, closed));
    let path = format!("/v1/invoices/{}", first["id"].as_str().unwrap());
    let shown = embedded.get(&path);
    assert_eq!(shown["hash"], first["hash"]);
    assert_eq!(shown["subtotals"]["team"], json!({"search": "0.012"}));

    // November is not over, so it does not close unless that is accepted with a reason, which the invoice prints.
    let november = json!({"account": ["acme"], "period": "2026-11"});
    let (status, problem) = close(&embedded, &november);
    assert_eq!(status, 409);
    assert_eq!(problem["blockers"]["acme"][0]["what"], "incomplete", "{problem}");
    let accepting = |reason: Option<&str>| json!({"account": "acme", "period": "2026-11", "accept": ["incomplete"], "reason": reason});
    assert_eq!(close(&embedded, &accepting(None)).0, 400);
    let (status, closed) = close(&embedded, &accepting(Some("year end")));
    assert_eq!(status, 200, "{closed}");
    let second = &closed["invoices"][0];
    assert_eq!(
        (&second["reason"], &second["accepted"][0]["what"]),
        (&json!("year end"), &json!("incomplete"))
    );
    let lines: Vec<_> = second["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["kind"].as_str().unwrap(),
                line["adjusts"].as_str().unwrap_or(""),
                line["exact_amount"].as_str().unwrap(),
            )
        })
        .collect();
    // November: 1000 × 2 and 1000 × 8. Late: 250 × 8 of September, 7000 × 2 of October.
    assert_eq!(
        lines,
        [
            ("usage", "", "0.002"),
            ("usage", "", "0.008"),
            ("adjustment", "2026-09", "0.002"),
            ("adjustment", "2026-10", "0.014"),
        ]
    );
    assert_eq!(second["total"], "0.02", "0.00 + 0.01 + 0.00 + 0.01");

    // From the request up to the invoice: the month's own, the adjustment on the next, and what no account is billed.
    let invoice_of = |request: &str| embedded.get(&format!("/v1/requests/{request}"))["invoice"].clone();
    assert_eq!(invoice_of("s2"), first["id"]);
    assert_eq!(invoice_of("l1"), second["id"]);
    assert_eq!(invoice_of("s5"), "open period 2026-11", "of the account's own zone");

    // Totals by invoice are those of the invoices; s4 of November is on the second with what came late.
    let spend = embedded.get("/v1/spend?from=2026-09-01&to=2026-12-01&group_by=invoice,customer");
    let rows = spend["rows"].as_array().unwrap();
    let of = |invoice: &Value, customer: &str| {
        let same = |row: &&Value| row["group"]["invoice"] == *invoice && row["group"]["customer"] == customer;
        let row = rows.iter().find(same).unwrap_or_else(|| panic!("{invoice} {customer}: {spend}"));
        (row["amount"].clone(), row["attempts"].clone())
    };
    assert_eq!(rows.len(), 4, "{spend}");
    assert_eq!(of(&first["id"], "acme"), (json!("0.012"), json!(2)));
    // 0.002 + 0.008 and, late, 0.002 + 0.014.
    assert_eq!(of(&second["id"], "acme"), (json!("0.026"), json!(3)));
    assert_eq!(of(&Value::Null, "zen"), (json!("0.016"), json!(2)), "its months are open");
    let only = format!("/v1/spend?from=2026-09-01&to=2026-12-01&invoice={}", second["id"].as_str().unwrap());
    assert_eq!(embedded.get(&only)["rows"][0]["amount"], "0.026");
    let entries =
        format!("/v1/entries?from=2026-09-01&to=2026-12-01&invoice={}", second["id"].as_str().unwrap());
    assert_eq!(embedded.get(&entries)["rows"].as_array().unwrap().len(), 3);

    // The team's book holds the same entries: 1,000,000 and 2 × 4000 and so on of all customers.
    let team = embedded.get("/v1/invoices?account=search&period=2026-10&state=open");
    assert_eq!(team["rows"][0]["exact_usage"], "0.042", "0.012 + 0.014 + 3000 and 5000 × 2: {team}");
    let list = embedded.get("/v1/invoices?state=closed");
    let periods: Vec<_> =
        list["rows"].as_array().unwrap().iter().map(|row| row["period"].as_str().unwrap()).collect();
    assert_eq!(periods, ["2026-11", "2026-10", "2026-09"]);
}

#[test]
fn a_close_lists_what_speaks_against_it_and_a_customer_and_a_team_of_one_name_are_told_apart() {
    let mut embedded = Embedded::start();
    assert_eq!(embedded.call(Method::POST, "/v1/models", &prices()).0, 200);
    let account = |kind: &str| json!({"id": "twin", "kind": kind, "currency": "USD"});
    let rows = json!({"rows": [account("customer"), account("team")]});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &rows).0, 200);
    let unpriced = event("u1", "twin", "2026-10-05T00:00:00Z", 10, 0).replace("\"small\"", "\"unknown\"");
    embedded.send(&[[event("u2", "twin", "2026-10-05T00:00:00Z", 1_000, 0), unpriced].join("\n")], |_| ());
    wait_for_events(&embedded, 2);
    wait_until_complete(&embedded);
    let (status, problem) = close(&embedded, &json!({"account": "twin", "period": "2026-10"}));
    assert_eq!((status, &problem["parameter"]), (400, &json!("kind")), "{problem}");
    let customer = |accept: Value| json!({"account": "twin", "kind": "customer", "period": "2026-10", "accept": accept, "reason": "agreed"});
    let (status, problem) = close(&embedded, &customer(json!([])));
    assert_eq!(status, 409);
    assert_eq!(problem["blockers"]["twin"][0]["what"], "unpriced", "{problem}");
    let (status, closed) = close(&embedded, &customer(json!(["unpriced"])));
    assert_eq!(status, 200, "{closed}");
    assert_eq!(closed["invoices"][0]["accepted"][0]["detail"], "1 entries have no full price");
    assert_eq!(closed["invoices"][0]["exact_usage"], "0.002");
    // A record of the customer's own that waits in quarantine stops the month in which it was logged.
    let broken = event("q1", "twin", "2026-11-05T00:00:00Z", 1, 0)
        .replace("\"prompt_tokens\":1", "\"prompt_tokens\":-1");
    embedded.send(&[broken], |_| ());
    wait_for_events(&embedded, 3);
    let november = |accept: Value| json!({"account": "twin", "kind": "customer", "period": "2026-11", "accept": accept, "reason": "agreed"});
    let (status, problem) = close(&embedded, &november(json!(["incomplete"])));
    assert_eq!(status, 409, "{problem}");
    assert_eq!(problem["blockers"]["twin"][0]["what"], "quarantine", "{problem}");
    let (status, closed) = close(&embedded, &november(json!(["incomplete", "quarantine"])));
    assert_eq!(status, 200, "{closed}");
    assert_eq!(
        closed["invoices"][0]["accepted"][1]["detail"],
        "1 records of this account wait in quarantine"
    );
    let (status, problem) = close(&embedded, &json!({"account": "nobody", "period": "2026-10"}));
    assert_eq!(status, 404, "{problem}");
    let (status, problem) =
        close(&embedded, &json!({"account": "twin", "kind": "team", "period": "2026-13"}));
    assert_eq!((status, &problem["parameter"]), (400, &json!("period")));
}

/// 0.111 dollars an hour and a fifth on top: no second has a price that ends, so each entry's own amount tells nothing
/// of its price, and rounding each by itself would come to nothing.
#[test]
fn entries_without_a_price_that_ends_are_one_line_that_is_rounded_once() {
    let mut embedded = Embedded::start();
    let rows = json!({"rows": [{
        "id": "openai/heard@1", "provider": "openai", "model": "heard", "currency": "USD",
        "prices": [{"unit": "input_audio_seconds", "amount": "0.111", "per": "3600"}],
    }]});
    assert_eq!(embedded.call(Method::POST, "/v1/models", &rows).0, 200);
    let account = json!({"id": "acme", "kind": "customer", "currency": "USD"});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &account).0, 200);
    let markup = json!({"id": "fifth", "scope": {"customer": "acme"}, "percent": "20"});
    assert_eq!(embedded.call(Method::POST, "/v1/markups", &markup).0, 200);
    let events: Vec<String> = (1..=100)
        .map(|seconds| {
            json!({
                "event_id": format!("a{seconds}"), "request_id": format!("a{seconds}"), "key": "k",
                "occurred_at": "2026-11-05T00:00:00Z", "customer": "acme", "endpoint_family": "audio-transcription",
                "provider": "openai", "model": "heard", "status": 200, "units": {"input_audio_seconds": seconds},
            })
            .to_string()
        })
        .collect();
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 100);
    let open = embedded.get("/v1/invoices?account=acme&period=2026-11");
    let invoice = &open["rows"][0];
    assert_eq!(invoice["lines"].as_array().unwrap().len(), 1, "{invoice}");
    assert_eq!(invoice["lines"][0]["quantity"], "5050");
    // 5050 × 0.111 / 3600 × 1.2 = 0.18685, of which each entry has its 18 decimals.
    assert_eq!(invoice["total"], "0.19");
    let spend = embedded.get("/v1/spend?from=2026-11-01&to=2026-12-01&customer=acme");
    assert_eq!(invoice["exact_usage"], spend["rows"][0]["amount"], "{spend}");
}

/// Of 4000 × 2 + 500 × 8 dollars a million, 0.012, the lines are 0.01 and 0.00.
#[test]
fn fee_minimum_credits_and_tax_of_an_account_are_lines_in_its_own_currency() {
    let mut embedded = Embedded::start();
    assert_eq!(embedded.call(Method::POST, "/v1/models", &prices()).0, 200);
    let account = |currency: &str, id: &str| {
        json!({
            "id": id, "kind": "customer", "currency": currency,
            "fee": {"name": "platform fee", "amount": "10"}, "minimum": "25",
            "credits": [
                {"name": "goodwill", "amount": "5.005", "month": "2026-11"},
                {"name": "launch", "amount": "1", "month": "2026-12"},
                {"name": "partner", "amount": "100"},
            ],
            "tax": {"name": "VAT 19 %", "rate": "0.19"},
        })
    };
    let mut plain = account("USD", "plain");
    plain["credits"] = json!([{"name": "goodwill", "amount": "5.005"}]);
    let accounts = json!({"rows": [account("USD", "acme"), account("EUR", "berlin"), plain]});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &accounts).0, 200);
    let events: Vec<String> = ["acme", "berlin", "plain"]
        .iter()
        .map(|customer| event(customer, customer, "2026-11-01T00:00:00Z", 4_000, 500))
        .collect();
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 3);

    let lines = |account: &str, currency: usize| {
        let open = embedded.get(&format!("/v1/invoices?account={account}&period=2026-11"));
        let invoice = open["rows"][currency].clone();
        let lines = invoice["lines"].as_array().unwrap().iter();
        let lines: Vec<String> = lines
            .map(|line| {
                let text = |name: &str| line[name].as_str().unwrap().to_owned();
                format!("{} {} {}", text("kind"), text("model"), text("amount"))
            })
            .collect();
        (invoice["currency"].clone(), lines, invoice["total"].clone())
    };
    // 0.01 + 10 are 14.99 short of 25; 5.005 is halfway, and 5.00 is even; 0.19 × 20 = 3.80.
    let (_, shown, total) = lines("plain", 0);
    let usage = ["usage small 0.01", "usage small 0.00"];
    let expected = [
        "fee platform fee 10.00",
        "minimum monthly minimum 14.99",
        "credit goodwill -5.00",
        "tax VAT 19 % 3.80",
    ];
    assert_eq!(shown, [&usage[..], &expected[..]].concat());
    assert_eq!(total, "23.80");
    // The other credit takes the rest; nothing is left to tax.
    let (_, shown, total) = lines("acme", 0);
    assert_eq!(shown[4..], ["credit goodwill -5.00", "credit partner -20.00", "tax VAT 19 % 0.00"]);
    assert_eq!(total, "0.00");
    // Usage in dollars is an invoice of its own, without what is agreed in euros.
    let (currency, shown, _) = lines("berlin", 0);
    assert_eq!((currency, shown[0].as_str()), (json!("EUR"), "fee platform fee 10.00"));
    let (currency, shown, _) = lines("berlin", 1);
    assert_eq!((currency, shown), (json!("USD"), usage.map(str::to_owned).to_vec()));
}
