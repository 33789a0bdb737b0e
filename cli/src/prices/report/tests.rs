//! The report of a small file against a small book, word for word.

use ledger::event::Millis;
use schemas::prices::{Options, confirm, diff, list_from_json, read};

use super::*;

/// 2026-11-25T00:00:00Z.
const NOW: Millis = Millis(1_795_564_800_000);

fn report(verbose: bool) -> Report {
    let map = r#"{
        "gpt-a": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "input_dbu_cost_per_token": 1e-05},
        "gpt-b": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 4e-06},
        "gpt-c": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06},
        "free": {"litellm_provider": "openai", "mode": "chat"}
    }"#;
    let (form, mut import) =
        read(map, None, &Options { version: Some("2".into()), ..Options::default() }).unwrap();
    let row = |id: &str, model: &str, source: &str, prices: &str| {
        format!(
            r#"{{"id": "{id}", "provider": "openai", "model": "{model}", "currency": "USD", "prices": [{prices}],
                "source": {{"name": "{source}", "version": "1"}}}}"#
        )
    };
    let price =
        |unit: &str, amount: &str| format!(r#"{{"unit": "{unit}", "amount": "{amount}", "per": 1000000}}"#);
    let [cheap, output] = [price("input_uncached_tokens", "2"), price("output_text_tokens", "10")];
    let batch =
        r#"{"unit": "output_text_tokens", "amount": "5", "per": 1000000, "when": {"processing": "batch"}}"#;
    let published = format!(
        "[{}, {}, {}]",
        row("openai/gpt-a@litellm-1", "gpt-a", "litellm", &format!("{cheap}, {output}, {batch}")),
        row("openai/gpt-c@litellm-1", "gpt-c", "litellm", &price("input_uncached_tokens", "1")),
        row("openai/gone@litellm-1", "gone", "litellm", &cheap),
    );
    let other = row(
        "x",
        "gpt-b",
        "other",
        &format!("{}, {}", price("input_uncached_tokens", "1.5"), price("output_text_tokens", "4")),
    );
    confirm(&mut import.rows, &list_from_json(&other).unwrap(), NOW);
    let diff = diff(&import.rows, import.source.as_deref(), list_from_json(&published).unwrap(), NOW);
    Report::new(Path::new("map.json"), form, import, diff, verbose)
}

#[test]
fn the_report_shows_each_change_and_its_counts_add_up() {
    assert_eq!(
        report(false).text(),
        "\
map.json (litellm): 4 entries: 3 brought rows, 1 have no usable price
6 prices: 5 used, 1 refused
Refused:
      1  Databricks units are no money
Of 2 rows to publish, 1 contradicted by another source, 1 of one source only
  openai/gpt-b@litellm-2: other 1 says input_uncached_tokens 1.5 / 1000000, not 1 / 1000000
New: 1
  openai/gpt-b@litellm-2
Changed: 1
  row                     price                  when                      old            new   change
  openai/gpt-a@litellm-2  input_uncached_tokens                    2 / 1000000  2.5 / 1000000  +25.0 %
  openai/gpt-a@litellm-2  output_text_tokens     processing=batch  5 / 1000000           none
Gone: 1 published from litellm and not in the file; they stay in force
  openai/gone@litellm-1
3 rows: 1 new, 1 changed, 1 unchanged; 1 gone
"
    );
}

#[test]
fn a_verbose_report_lists_every_refused_price() {
    let text = report(true).text();
    assert!(text.contains("  gpt-a input_dbu_cost_per_token: Databricks units are no money\n"), "{text}");
}

#[test]
fn the_report_for_programs_has_the_same_counts() {
    let json = report(false).json();
    assert_eq!(json["new"], json!(["openai/gpt-b@litellm-2"]));
    assert_eq!(json["changed"][0]["prices"][0]["percent"], "+25.0");
    assert_eq!(json["changed"][0]["prices"][0]["old"], json!({"amount": "2", "per": "1000000"}));
    assert_eq!(json["gone"], json!(["openai/gone@litellm-1"]));
    let count = |name: &str| json[name].as_array().map_or(0, Vec::len);
    let rows =
        count("new") + count("changed") + count("unchanged") + count("earlier") + count("not_publishable");
    assert_eq!(json["summary"]["rows"], rows);
}
