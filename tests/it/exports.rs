//! Invoices as files: every format says the same to the last digit, files are what their manifests say, and the command
//! line writes a folder that a broken run goes on with. Sums are done by hand beside the checks.

use std::path::Path;

use ledger::money::Decimal;
use reqwest::Method;
use serde_json::{Value, json};
use tests::process::{Finished, Recipe};
use tests::{focus, folder};

use crate::embedded::Embedded;
use crate::invoices::{wait_for_events, wait_until_complete};
use crate::world::PATIENCE;

/// Input 2 dollars a million; for acme output at 7 instead of 8.
fn prices() -> Value {
    let price = |unit: &str, amount: &str| json!({"unit": unit, "amount": amount, "per": "1000000"});
    json!({"rows": [
        {"id": "openai/small@1", "provider": "openai", "model": "small", "currency": "USD",
         "prices": [price("input_uncached_tokens", "2"), price("output_text_tokens", "8")]},
        {"id": "openai/small@acme", "provider": "openai", "model": "small", "currency": "USD", "scope": {"customer": "acme"},
         "prices": [price("input_uncached_tokens", "2"), price("output_text_tokens", "7")]},
    ]})
}

fn event(id: &str, customer: &str, team: &str, at: &str, (input, output): (u64, u64)) -> String {
    json!({
        "event_id": id, "request_id": id, "occurred_at": at, "key": "k1", "team": team, "customer": customer,
        "endpoint_family": "openai", "provider": "openai", "model": "small", "status": 200, "region": "eu",
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
    })
    .to_string()
}

/// A Tollbook with two customers' usage: October of acme and of zen, and what came late of acme's September.
///
/// acme, October: input 1500 + 2500 = 4000 × 2 = 0.008, output 500 × 7 = 0.0035 dollars a million; together 0.0115.
/// zen, October: input 3000 × 2 = 0.006.
fn two_customers() -> Embedded {
    let mut embedded = Embedded::start();
    assert_eq!(embedded.call(Method::POST, "/v1/models", &prices()).0, 200);
    let accounts = json!({"rows": [
        {"id": "acme", "kind": "customer", "name": "=Acme Inc.", "currency": "USD"},
        {"id": "zen/x", "kind": "customer", "currency": "USD"},
    ]});
    assert_eq!(embedded.call(Method::POST, "/v1/accounts", &accounts).0, 200);
    let events = [
        event("s0", "acme", "search", "2026-09-10T00:00:00Z", (1_000_000, 0)),
        event("s1", "acme", "search", "2026-10-01T00:00:00Z", (1_500, 500)),
        event("s2", "acme", "ads", "2026-10-31T23:59:59.999Z", (2_500, 0)),
        event("s3", "zen/x", "search", "2026-10-02T00:00:00Z", (3_000, 0)),
    ];
    embedded.send(&[events.join("\n")], |_| ());
    wait_for_events(&embedded, 4);
    wait_until_complete(&embedded);
    embedded
}

/// A command of `tollbook invoices`, run to its end.
fn invoices(embedded: &Embedded, arguments: &[&str]) -> Finished {
    Recipe::tollbook("invoices")
        .unwrap()
        .arguments(arguments.iter().copied())
        .arguments(["--url", embedded.url("").trim_end_matches('/'), "--token", &embedded.token()])
        .run(PATIENCE)
        .unwrap()
}

fn id_of(embedded: &Embedded, account: &str, month: &str) -> String {
    let rows = embedded.get(&format!("/v1/invoices?account={account}&period={month}"));
    rows["rows"][0]["id"].as_str().unwrap().to_owned()
}

fn close(embedded: &Embedded, account: &str, month: &str) {
    let finished = invoices(embedded, &["close", "--account", account, "--month", month]);
    finished.success().unwrap();
}

#[test]
fn the_command_line_closes_lists_and_shows_and_says_what_speaks_against_it() {
    let embedded = two_customers();
    let refused = invoices(&embedded, &["close", "--account", "acme", "--month", "2026-10"]);
    assert_eq!(refused.status.code(), Some(1));
    // September has to be closed first, which is no blocker that could be accepted.
    assert!(refused.stderr.contains("2026-09"), "{}", refused.stderr);
    close(&embedded, "acme", "2026-09");
    close(&embedded, "acme", "2026-10");
    let refused = invoices(&embedded, &["close", "--account", "acme", "--month", "2026-11"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("incomplete: complete through"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept incomplete --reason"), "{}", refused.stderr);
    let list = invoices(&embedded, &["list", "--month", "2026-10", "--state", "closed"]).success().unwrap();
    assert!(list.contains("acme") && list.contains("0.01") && !list.contains("zen"), "{list}");
    let shown = invoices(&embedded, &["show", "--account", "acme", "--month", "2026-10"]).success().unwrap();
    assert!(shown.contains("0.0115"), "{shown}");
    assert_eq!(invoices(&embedded, &["show"]).status.code(), Some(2), "which one is not said");
    assert_eq!(invoices(&embedded, &["show", "inv_none"]).status.code(), Some(1));
}

#[test]
fn every_format_says_the_same_to_the_last_digit() {
    let mut embedded = two_customers();
    close(&embedded, "acme", "2026-09");
    close(&embedded, "acme", "2026-10");
    // 250 output tokens at 7 dollars a million come after September was closed: 0.00175 on November's invoice.
    embedded.send(&[event("l1", "acme", "ads", "2026-09-15T12:00:00Z", (0, 250))], |_| ());
    wait_for_events(&embedded, 5);

    let october = id_of(&embedded, "acme", "2026-10");
    let path = |id: &str, query: &str| format!("/v1/invoices/{id}/export?{query}");
    let invoice = embedded.get(&path(&october, ""));
    assert_eq!((&invoice["exact_usage"], &invoice["total"]), (&json!("0.0115"), &json!("0.01")));

    let csv = embedded.text(&path(&october, "format=csv"));
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[1].ends_with(",small,input_uncached_tokens,0.000002,4000,0.008,0.01"), "{csv}");
    assert!(lines[2].ends_with(",small,output_text_tokens,0.000007,500,0.0035,0.00"), "{csv}");
    assert!(csv.contains(",'=Acme Inc.,"), "{csv}");

    let manifest = embedded.get(&path(&october, "format=csv&manifest=true"));
    assert_eq!(manifest["sums"], json!([{"currency": "USD", "amount": "0.01", "exact_amount": "0.0115"}]));
    assert_eq!((&manifest["rows"], &manifest["file"]), (&json!(2), &json!("acme_2026-10_USD_customer.csv")));
    assert_eq!(manifest["bytes"], csv.len());
    assert_eq!(manifest["invoice"]["hash"], invoice["hash"]);

    let folder = folder::fresh("exports").unwrap();
    let parquet = folder.path().join("october.parquet");
    let out = parquet.to_str().unwrap();
    invoices(&embedded, &["export", &october, "--format", "parquet", "--out", out]).success().unwrap();
    let read = read_by_python("parquet_sums.py", &parquet, &["quantity", "exact_amount", "amount"]);
    assert_eq!(read["sums"], json!({"quantity": "4500", "exact_amount": "0.0115", "amount": "0.01"}));
    assert_eq!((&read["rows"], &read["types"]["amount"]), (&json!(2), &json!("decimal128(38, 18)")));

    let sheet = folder.path().join("october.xlsx");
    invoices(&embedded, &["export", &october, "--format", "xlsx", "--out", sheet.to_str().unwrap()])
        .success()
        .unwrap();
    let read = read_by_python("sheet.py", &sheet, &[]);
    assert_eq!((&read["frozen"], &read["formula"]), (&json!("A2"), &json!("=SUM(J2:J3)")), "{read}");
    assert_eq!(
        (&read["sum"], &read["shown"], &read["pattern"]),
        (&json!("0.01"), &json!("0.01"), &json!("0.00"))
    );
    assert_eq!(
        (&read["types"][0], &read["types"][8], &read["types"][9]),
        (&json!("n"), &json!("s"), &json!("n"))
    );

    let pages = folder.path().join("october.pdf");
    let out = pages.to_str().unwrap();
    invoices(&embedded, &["export", &october, "--format", "pdf", "--out", out]).success().unwrap();
    let read = read_by_python("pages.py", &pages, &[]);
    let page = read[0].as_str().unwrap();
    for text in ["INVOICE 2026-10", "4000 x 0.000002 = 0.008", "0.01 USD", "SHA-256", "page 1 of 2"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(read[1].as_str().unwrap().contains("How the amounts come about"), "{read}");

    // By team: 1500 × 2 and 500 × 7 of search, 2500 × 2 of ads, and 0.01 - 0.0115 of rounding.
    let rows = focus::checked(&embedded.text(&path(&october, "format=focus&issuer=Example"))).unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            ["SubAccountId", "BilledCost", "ListCost", "SkuPriceId", "RegionId"]
                .map(|name| row[name].as_str())
        })
        .collect();
    let acme = "openai/small@acme";
    assert_eq!(
        shown,
        [
            ["ads", "0.005", "0.005", acme, "eu"],
            ["search", "0.003", "0.003", acme, "eu"],
            // By the public row 500 × 8.
            ["search", "0.0035", "0.004", acme, "eu"],
            ["", "-0.0015", "-0.0015", "", ""],
        ]
    );
    assert_eq!(focus::sum(&rows, "BilledCost").unwrap(), "0.01");
    assert!(rows.iter().all(|row| row["InvoiceId"] == october && row["InvoiceIssuerName"] == "Example"));

    // What came late is a correction of September on the open invoice of November.
    let november = id_of(&embedded, "acme", "2026-11");
    let rows = focus::checked(&embedded.text(&path(&november, "format=focus"))).unwrap();
    assert_eq!((rows[0]["ChargeClass"].as_str(), rows[0]["BilledCost"].as_str()), ("Correction", "0.00175"));
    assert_eq!(rows[0]["ChargePeriodStart"], "2026-09-01T00:00:00Z");
    assert_eq!(embedded.status(&path(&october, "format=xml")), 400);
    assert_eq!(embedded.status(&path(&october, "format=csv&issuer=x")), 400);
    assert_eq!(embedded.status(&path("inv_none", "format=csv")), 404);
}

#[test]
fn a_folder_of_a_month_is_gone_on_with_and_what_is_broken_in_it_is_written_again() {
    let embedded = two_customers();
    close(&embedded, "acme", "2026-09");
    let finished = invoices(&embedded, &["close", "--all", "--month", "2026-10"]);
    finished.success().unwrap();
    let folder = folder::fresh("exports").unwrap();
    let out = folder.path().to_str().unwrap();
    let export =
        || invoices(&embedded, &["export", "--all", "--month", "2026-10", "--out", out]).success().unwrap();
    assert!(export().contains("2 written, 0 there already"));
    let acme = folder.path().join("acme_2026-10_USD_customer.csv");
    let whole = std::fs::read_to_string(&acme).unwrap();
    assert!(folder.path().join("zen%2Fx_2026-10_USD_customer.csv").exists());
    assert!(export().contains("0 written, 2 there already"));
    std::fs::write(&acme, whole.replace("0.0035", "0.0036")).unwrap();
    assert!(export().contains("1 written, 1 there already"));
    assert_eq!(std::fs::read_to_string(&acme).unwrap(), whole);
    std::fs::remove_file(folder.path().join("acme_2026-10_USD_customer.csv.manifest.json")).unwrap();
    assert!(export().contains("1 written, 1 there already"));
    let left_out =
        invoices(&embedded, &["export", "--all", "--month", "2026-11", "--out", out]).success().unwrap();
    assert!(left_out.contains("2 invoices are open and left out"), "{left_out}");
}

#[test]
fn each_line_adds_up_to_its_entries_and_an_archive_of_it_is_derived_again_offline() {
    let mut embedded = two_customers();
    close(&embedded, "acme", "2026-09");
    // Late: 250 output tokens of September, 0.00175, which October bills as an adjustment.
    embedded.send(&[event("l1", "acme", "ads", "2026-09-15T12:00:00Z", (0, 250))], |_| ());
    wait_for_events(&embedded, 5);
    close(&embedded, "acme", "2026-10");
    let id = id_of(&embedded, "acme", "2026-10");
    let invoice = embedded.get(&format!("/v1/invoices/{id}"));
    let lines = invoice["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 3);
    for (line, (entries, first)) in lines.iter().zip([(2, "s2"), (1, "s1"), (1, "l1")]) {
        let answer = embedded.get(&format!("/v1/invoices/{id}/lines/{}/entries", line["number"]));
        let rows = answer["rows"].as_array().unwrap();
        assert_eq!((rows.len(), &rows[0]["event_id"]), (entries, &json!(first)), "{answer}");
        let amounts = rows.iter().map(|row| row["line_amount"].as_str().unwrap());
        let sum =
            amounts.fold(Decimal::ZERO, |sum, one| sum.checked_add(Decimal::parse(one).unwrap()).unwrap());
        assert_eq!(sum.to_string(), line["exact_amount"].as_str().unwrap());
    }
    // And the other way, from the request up to the lines.
    let proof = embedded.get("/v1/requests/s1");
    assert_eq!((&proof["invoice"], &proof["attempts"][0]["invoice_lines"]), (&json!(id), &json!([1, 2])));
    let proof = embedded.get("/v1/requests/l1");
    assert_eq!(proof["attempts"][0]["invoice_lines"], json!([3]));
    // 2500 × 2 and 1500 × 2 dollars a million, page by page and as CSV.
    let first = embedded.get(&format!("/v1/invoices/{id}/lines/1/entries?limit=1"));
    assert_eq!(first["rows"][0]["line_amount"], "0.005");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = embedded.get(&format!("/v1/invoices/{id}/lines/1/entries?limit=1&cursor={cursor}"));
    assert_eq!((&second["rows"][0]["line_amount"], &second["next_cursor"]), (&json!("0.003"), &Value::Null));
    let csv = embedded.text(&format!("/v1/invoices/{id}/lines/1/entries?format=csv"));
    assert!(
        csv.starts_with("line_quantity,line_amount,event_id,") && csv.contains("\r\n2500,0.005,s2,"),
        "{csv}"
    );
    assert_eq!(embedded.status(&format!("/v1/invoices/{id}/lines/4/entries")), 404);
    // All entries of acme as Parquet: the input of September, 1,000,000 × 2, and what is above.
    let folder = folder::fresh("evidence").unwrap();
    let file = folder.path().join("entries.parquet");
    std::fs::write(
        &file,
        embedded.bytes("/v1/entries?format=parquet&customer=acme&from=2026-09-01&to=2026-12-01"),
    )
    .unwrap();
    let read = read_by_python("parquet_sums.py", &file, &["charge", "cost", "input_uncached_tokens"]);
    // Cost by the public row: output at 8, 750 × 8 = 0.006 instead of 750 × 7 = 0.00525.
    let sums = json!({"charge": "2.01325", "cost": "2.014", "input_uncached_tokens": "1004000"});
    assert_eq!((&read["rows"], &read["sums"]), (&json!(4), &sums));

    let archive = folder.path().join("evidence.tar");
    let path = archive.to_str().unwrap();
    let service = ["--url", &embedded.url(""), "--token", &embedded.token()]
        .map(|text| text.trim_end_matches('/').to_owned());
    let pack = Recipe::tollbook("evidence").unwrap().arguments([&id, "--out", path]).arguments(&service);
    pack.run(PATIENCE).unwrap().success().unwrap();
    let verify = |path: &Path| Recipe::tollbook("verify").unwrap().argument(path).run(PATIENCE).unwrap();
    let verified = verify(&archive).success().unwrap();
    assert!(
        verified.contains("0.01 USD is right") && verified.contains("3 entries in 3 lines"),
        "{verified}"
    );
    // A digit that is another one is found where it is, whether or not the hashes were made to fit it.
    let bytes = std::fs::read(&archive).unwrap();
    for (right, wrong) in
        [("\"amount\":\"0.005\"", "\"amount\":\"0.006\""), ("\"amount\":\"7\"", "\"amount\":\"8\"")]
    {
        let broken = folder.path().join("broken.tar");
        std::fs::write(&broken, replaced(&bytes, right, wrong)).unwrap();
        let found = verify(&broken);
        assert_eq!(found.status.code(), Some(1));
        assert!(found.stderr.contains("the manifest says"), "{}", found.stderr);
    }
}

/// Bytes in which one text is another one of the same length.
fn replaced(bytes: &[u8], right: &str, wrong: &str) -> Vec<u8> {
    let at = bytes.windows(right.len()).position(|window| window == right.as_bytes()).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + right.len()].copy_from_slice(wrong.as_bytes());
    bytes
}

/// What a Python program finds in a file.
fn read_by_python(script: &str, file: &Path, arguments: &[&str]) -> Value {
    let python = folder::fetched().join("checkers/venv/bin/python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("checkers").join(script);
    let finished =
        Recipe::new("checker", python).argument(script).argument(file).arguments(arguments.iter().copied());
    serde_json::from_str(&finished.run(PATIENCE).unwrap().success().unwrap()).unwrap()
}
