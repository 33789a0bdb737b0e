//! Which row holds: by name, alias, date and instant.

use ledger::event::Millis;
use ledger::prices::{Error, MatchedBy, ModelRow, PriceBook};

use crate::support::row;

const PRICES: &[&str] = &["input_uncached_tokens = 1"];

fn version(model: &str, id: &str, from: Option<i64>) -> ModelRow {
    ModelRow { id: id.into(), effective_from: from.map(Millis), ..row(model, PRICES) }
}

fn found(book: &PriceBook, provider: &str, model: &str, at: i64) -> Option<(String, MatchedBy)> {
    book.find(provider, model, Millis(at)).map(|found| (found.row.id.clone(), found.matched_by))
}

#[test]
fn the_version_that_had_begun_holds_until_the_next_begins() {
    let rows = vec![version("m", "3", Some(2000)), version("m", "1", None), version("m", "2", Some(1000))];
    let book = PriceBook::new(rows).unwrap();
    for (at, id) in [(i64::MIN, "1"), (999, "1"), (1000, "2"), (1999, "2"), (2000, "3"), (i64::MAX, "3")] {
        assert_eq!(found(&book, "openai", "m", at).unwrap().0, id, "{at}");
    }
    assert_eq!(book.find("openai", "m", Millis(999)).unwrap().effective_to, Some(Millis(1000)));
    assert_eq!(book.find("openai", "m", Millis(2000)).unwrap().effective_to, None);
}

#[test]
fn before_the_first_version_there_is_no_price() {
    let book = PriceBook::new(vec![version("m", "1", Some(1000))]).unwrap();
    assert_eq!(found(&book, "openai", "m", 999), None);
}

#[test]
fn a_name_goes_before_an_alias_and_an_alias_before_a_dated_snapshot() {
    let aliased = ModelRow { aliases: vec!["m-latest".into()], ..version("m", "m", None) };
    let dated = version("m-2026-08-01", "dated", None);
    let book = PriceBook::new(vec![aliased, dated]).unwrap();
    for (model, id, by) in [
        ("m", "m", MatchedBy::Exact),
        ("m-latest", "m", MatchedBy::Alias),
        ("m-2026-08-01", "dated", MatchedBy::Exact),
        ("m-2026-08-02", "m", MatchedBy::DatedSuffix),
        ("m-20260802", "m", MatchedBy::DatedSuffix),
        ("m@20260802", "m", MatchedBy::DatedSuffix),
        ("m@default", "m", MatchedBy::DatedSuffix),
        ("m-latest-20260802", "m", MatchedBy::DatedSuffix),
    ] {
        assert_eq!(found(&book, "openai", model, 0), Some((id.into(), by)), "{model}");
    }
    for model in ["m-2026", "m-mini", "m-2026-8-1", "mm", "-20260802", "m@next"] {
        assert_eq!(found(&book, "openai", model, 0), None, "{model}: never a part of a name");
    }
}

#[test]
fn a_dated_row_does_not_price_the_model_without_a_date() {
    let book = PriceBook::new(vec![version("m-2026-08-01", "dated", None)]).unwrap();
    assert_eq!(found(&book, "openai", "m", 0), None);
}

#[test]
fn hyphen_and_underscore_in_a_provider_are_one_and_vertex_is_vertex_ai() {
    let of =
        |provider: &str, id: &str| ModelRow { provider: Some(provider.into()), ..version("m", id, None) };
    let book = PriceBook::new(vec![of("vertex_ai", "v"), of("bedrock-mantle", "b")]).unwrap();
    for (provider, id) in [("vertex", "v"), ("vertex-ai", "v"), ("vertex_ai", "v"), ("bedrock_mantle", "b")] {
        assert_eq!(found(&book, provider, "m", 0).unwrap().0, id, "{provider}");
    }
}

#[test]
fn a_row_for_any_provider_holds_where_a_provider_has_none_of_its_own() {
    let any = ModelRow { provider: None, ..version("m", "any", None) };
    let book = PriceBook::new(vec![any, version("m", "own", Some(1000))]).unwrap();
    assert_eq!(found(&book, "openai", "m", 1000).unwrap().0, "own");
    assert_eq!(found(&book, "openai", "m", 999).unwrap().0, "any");
    assert_eq!(found(&book, "azure", "m", 1000).unwrap().0, "any");
}

#[test]
fn two_rows_from_the_same_instant_overlap_unless_one_supersedes_the_other() {
    let rows = || vec![version("m", "1", Some(5)), version("m", "2", Some(5))];
    assert!(matches!(PriceBook::new(rows()), Err(Error::Overlap { .. })));
    let mut corrected = rows();
    corrected[1].supersedes = Some("1".into());
    let book = PriceBook::new(corrected).unwrap();
    assert_eq!(found(&book, "openai", "m", 5).unwrap().0, "2");
    assert_eq!(book.row("1").unwrap().id, "1", "a superseded row can still be looked up by its id");
}

#[test]
fn an_id_names_one_row_for_ever() {
    let rows = vec![version("m", "1", None), version("n", "1", None)];
    assert!(matches!(PriceBook::new(rows), Err(Error::DuplicateId { .. })));
}
