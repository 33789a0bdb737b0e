//! Goal: whatever digit of an archive is another one, it is found, also where all hashes were made to fit it. Method: an
//! archive by hand, in which one text after the other is changed.

use serde_json::{Value, json};

use super::super::{Member, Verify};
use super::*;

/// 1500 + 2500 input tokens at 2 dollars a million: 0.003 + 0.005 = 0.008, which is 0.01.
fn archive() -> Files {
    let entry = |offset: u64, quantity: &str, amount: &str| -> Value {
        json!({
            "event_id": "e", "request_id": "r", "kind": "usage",
            "occurred_at": "2026-10-01T00:00:00Z", "recorded_at": "2026-10-01T00:00:00Z",
            "log_time": "2026-10-01T00:00:00Z",
            "origin": {"topic": "usage.events", "partition": 0, "offset": offset, "ordinal": 0},
            "customer": "acme", "tags": {}, "model": "small", "attempt": 1, "stream": false, "attempts": 1, "requests": 1,
            "unpriced": false, "unpriced_units": [], "flags": [], "model_row": "small@1", "quantities": {},
            "quantities_avoided": {}, "list_cost": amount, "cost": amount, "charge": amount, "cost_avoided": "0",
            "currency": "USD", "charge_currency": "USD", "book": 1,
            "lines": [{"unit": "input_uncached_tokens", "quantity": quantity, "unit_price": "0.000002",
                       "amount": amount, "price_basis": "own"}],
        })
    };
    let invoice = json!({
        "id": "inv_1", "state": "open", "kind": "customer", "account": "acme", "name": "Acme", "period": "2026-10",
        "time_zone": "UTC", "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z", "currency": "USD",
        "lines": [{"number": 1, "kind": "usage", "model": "small", "unit": "input_uncached_tokens",
                   "unit_price": "0.000002", "quantity": "4000", "exact_amount": "0.008", "amount": "0.01"}],
        "total": "0.01", "exact_usage": "0.008", "rounding": "", "complete_through": null,
    });
    let row = json!({"id": "small@1", "row": {
        "id": "small@1", "provider": "openai", "model": "small", "currency": "USD",
        "prices": [{"unit": "input_uncached_tokens", "amount": "2", "per": "1000000"}]}});
    let entries = format!("{}\n{}\n", entry(7, "1500", "0.003"), entry(8, "2500", "0.005"));
    let files = [
        (INVOICE.to_owned(), invoice.to_string()),
        (PRICE_ROWS.to_owned(), format!("{row}\n")),
        (ENTRIES.to_owned(), entries),
    ];
    sealed(files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect())
}

/// The files with a manifest that fits them.
fn sealed(mut files: Files) -> Files {
    files.remove(MANIFEST);
    let member = |(name, bytes): (&String, &Vec<u8>)| Member {
        name: name.clone(),
        bytes: 0,
        sha256: hexadecimal(&Sha256::digest(bytes)),
    };
    let contents = Contents {
        form: FORM.into(),
        invoice: "inv_1".into(),
        hash: None,
        files: files.iter().map(member).collect(),
    };
    files.insert(MANIFEST.into(), serde_json::to_vec(&contents).unwrap());
    files
}

fn changed(name: &str, right: &str, wrong: &str) -> Files {
    let mut files = archive();
    let text = String::from_utf8(files[name].clone()).unwrap();
    assert!(text.contains(right), "{text}");
    files.insert(name.to_owned(), text.replacen(right, wrong, 1).into_bytes());
    files
}

#[test]
fn an_archive_as_it_was_packed_is_derived_again() {
    let (invoice, derived) = derive(&archive()).unwrap();
    assert_eq!((invoice.total.as_str(), derived.origins.len(), derived.rows), ("0.01", 2, 1));
}

#[test]
fn a_changed_file_is_found_by_its_hash() {
    let error = derive(&changed(INVOICE, "0.008", "0.009")).unwrap_err();
    assert!(format!("{error:#}").contains("the manifest says"), "{error:#}");
    let mut files = archive();
    files.remove(ENTRIES);
    assert!(format!("{:#}", derive(&files).unwrap_err()).contains("is missing"));
}

#[test]
fn a_changed_digit_is_found_by_the_arithmetic_where_the_hashes_fit_it() {
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            ENTRIES,
            r#""quantity":"1500""#,
            r#""quantity":"1501""#,
            "0.000002 × 1501 is 0.003002, it says 0.003",
        ),
        (ENTRIES, r#""charge":"0.003""#, r#""charge":"0.004""#, "its lines come to 0.003, it says 0.004"),
        (ENTRIES, r#""model":"small""#, r#""model":"large""#, "its entries have 2500, it says 4000"),
        (
            ENTRIES,
            "10-01T00:00:00Z\",\"origin",
            "09-30T23:59:59Z\",\"origin",
            "its entries have 2500, it says 4000",
        ),
        (ENTRIES, r#""offset":8"#, r#""offset":7"#, "is there twice"),
        (ENTRIES, r#""customer":"acme""#, r#""customer":"zen""#, "it is of"),
        (PRICE_ROWS, r#""amount":"2""#, r#""amount":"3""#, "the price row small@1 makes another amount"),
        (INVOICE, r#""quantity":"4000""#, r#""quantity":"4001""#, "its entries have 4000, it says 4001"),
        (
            INVOICE,
            r#""unit_price":"0.000002""#,
            r#""unit_price":"0.000003""#,
            "its entries have 0, it says 4000",
        ),
        (INVOICE, r#""exact_amount":"0.008""#, r#""exact_amount":"0.018""#, "its entries come to 0.008"),
        (INVOICE, r#""amount":"0.01""#, r#""amount":"0.02""#, "is rounded to 0.01, it says 0.02"),
        (INVOICE, r#""total":"0.01""#, r#""total":"0.02""#, "the lines add up to 0.01"),
        (
            INVOICE,
            r#""exact_usage":"0.008""#,
            r#""exact_usage":"0.009""#,
            "the exact amounts add up to 0.008",
        ),
    ];
    for (name, right, wrong, expected) in cases {
        let error = format!("{:#}", derive(&sealed(changed(name, right, wrong))).unwrap_err());
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

/// Without a line the invoice is smaller by it, and all that it says adds up.
#[test]
fn entries_that_no_line_has_are_found() {
    let mut files = archive();
    let mut invoice: Value = serde_json::from_slice(&files[INVOICE]).unwrap();
    invoice["lines"] = json!([]);
    invoice["total"] = "0.00".into();
    invoice["exact_usage"] = "0".into();
    files.insert(INVOICE.into(), invoice.to_string().into_bytes());
    let error = format!("{:#}", derive(&sealed(files)).unwrap_err());
    assert!(error.contains("come to 0.008, and no line of the invoice has them"), "{error}");
}

#[test]
fn a_file_that_is_no_archive_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.tar");
    std::fs::write(&file, "no archive").unwrap();
    assert!(format!("{:#}", run(&Verify { file }).unwrap_err()).contains("x.tar"));
}
