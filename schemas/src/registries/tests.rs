//! Changes of registries: versions, instants, stale bases, what never changes, and that nothing is carried out by half.

use super::*;

const NOW: Millis = Millis(1_793_707_200_000);

/// A registry as changes leave it, one after another.
struct World<C: Change> {
    stored: Vec<Stored>,
    changes: std::marker::PhantomData<C>,
}

impl<C: Change> World<C> {
    fn new() -> Self {
        Self { stored: Vec::new(), changes: std::marker::PhantomData }
    }

    /// Carries out changes written as JSON; answers `id@version from`, each, or why not.
    fn change(&mut self, changes: &[&str]) -> Result<Vec<String>, String> {
        let changes: Vec<C> = changes.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let outcome = apply(&self.stored, &changes, NOW)?;
        let shown = outcome.set.iter().map(|set| {
            let from = set.effective_from.map_or("ever".to_owned(), |from| (from.0 - NOW.0).to_string());
            format!("{}@{} {from}", set.id, set.version)
        });
        let shown = shown.collect();
        self.stored.extend(outcome.set.into_iter().map(|set| Stored {
            id: set.id,
            kind: set.kind,
            version: set.version,
            effective_from: set.effective_from.map(|from| from.0),
            body: set.body,
        }));
        read::<C>(&self.stored).unwrap();
        Ok(shown)
    }
}

#[test]
fn a_first_version_holds_for_ever_and_a_later_one_a_minute_after_its_command_unless_it_says_so() {
    let mut world = World::<OwnerText>::new();
    assert_eq!(world.change(&[r#"{"key":"k","team":"a"}"#]).unwrap(), ["k@1 ever"]);
    assert_eq!(world.change(&[r#"{"key":"k","team":"b"}"#]).unwrap(), ["k@2 60000"]);
    let dated = r#"{"key":"k","team":"c","effective_from":"2026-11-03T12:00:00.001Z"}"#;
    assert_eq!(world.change(&[dated]).unwrap(), ["k@3 1"]);
    assert_eq!(world.change(&[r#"{"key":"k","ended":true}"#]).unwrap(), ["k@4 60000"]);
}

#[test]
fn what_is_set_already_is_not_set_again() {
    let mut world = World::<OwnerText>::new();
    let dated = r#"{"key":"k","team":"a","effective_from":"2026-11-03T12:00:00Z"}"#;
    assert_eq!(world.change(&[dated]).unwrap(), ["k@1 0"]);
    assert!(world.change(&[dated, r#"{"key":"k","team":"a"}"#]).unwrap().is_empty());
    let later = r#"{"key":"k","team":"a","effective_from":"2026-11-03T12:00:01Z"}"#;
    assert_eq!(world.change(&[later]).unwrap(), ["k@2 1000"]);
}

#[test]
fn what_is_to_come_does_not_make_a_change_for_now_superfluous() {
    let mut world = World::<OwnerText>::new();
    world.change(&[r#"{"key":"k","team":"a"}"#]).unwrap();
    let to_come = r#"{"key":"k","team":"b","effective_from":"2027-01-01T00:00:00Z"}"#;
    world.change(&[to_come]).unwrap();
    assert_eq!(world.change(&[r#"{"key":"k","team":"b"}"#]).unwrap(), ["k@3 60000"]);
    // The past is put right; what is in effect now is what was set for later than that.
    let mut world = World::<OwnerText>::new();
    world.change(&[r#"{"key":"k","team":"a"}"#]).unwrap();
    world.change(&[r#"{"key":"k","team":"b","effective_from":"2026-06-01T00:00:00Z"}"#]).unwrap();
    world.change(&[r#"{"key":"k","team":"a","effective_from":"2026-01-01T00:00:00Z"}"#]).unwrap();
    assert_eq!(world.change(&[r#"{"key":"k","team":"a"}"#]).unwrap(), ["k@4 60000"]);
}

#[test]
fn a_change_that_was_prepared_on_another_version_is_refused_and_names_both() {
    let mut world = World::<OwnerText>::new();
    world.change(&[r#"{"key":"k","team":"a","based_on":0}"#]).unwrap();
    let refused = world.change(&[r#"{"key":"k","team":"b","based_on":0}"#]).unwrap_err();
    assert!(refused.contains("is at version 1") && refused.contains("prepared on version 0"), "{refused}");
    world.change(&[r#"{"key":"k","team":"b","based_on":1}"#]).unwrap();
}

#[test]
fn of_several_changes_all_are_carried_out_or_none() {
    let mut world = World::<OwnerText>::new();
    let refused = world.change(&[r#"{"key":"k","team":"a"}"#, r#"{"key":"l","team":""}"#]).unwrap_err();
    assert!(refused.starts_with(r#"key "l": team:"#), "{refused}");
    assert!(world.stored.is_empty());
    let both = [r#"{"key":"k","team":"a"}"#, r#"{"key":"k","team":"b"}"#];
    assert_eq!(world.change(&both).unwrap(), ["k@1 ever", "k@2 60000"], "each sees the one before it");
}

#[test]
fn an_end_needs_a_beginning_and_concerns_those_of_before() {
    let mut world = World::<OwnerText>::new();
    assert!(world.change(&[r#"{"key":"k","ended":true}"#]).unwrap_err().contains("no key \"k\" to end"));
    world.change(&[r#"{"key":"k","customer":"acme","team":"a"}"#]).unwrap();
    let end: OwnerText = serde_json::from_str(r#"{"key":"k","ended":true}"#).unwrap();
    let outcome = apply(&world.stored, &[end], NOW).unwrap();
    assert_eq!((outcome.set[0].customer.as_str(), outcome.set[0].team.as_str()), ("acme", "a"));
    assert!(world.change(&[r#"{"key":"k","team":"a","ended":true}"#]).unwrap_err().contains("has no owners"));
}

#[test]
fn currency_and_time_zone_of_an_account_never_change_and_a_team_may_have_a_customers_id() {
    let mut world = World::<AccountText>::new();
    let acme = r#"{"id":"acme","kind":"customer","currency":"EUR","time_zone":"europe/berlin"}"#;
    world.change(&[acme]).unwrap();
    assert!(world.stored[0].body.contains("Europe/Berlin"), "the name is kept as the database writes it");
    for (field, change) in [
        ("currency", r#"{"id":"acme","kind":"customer","currency":"USD","time_zone":"Europe/Berlin"}"#),
        ("time_zone", r#"{"id":"acme","kind":"customer","currency":"EUR"}"#),
    ] {
        let refused = world.change(&[change]).unwrap_err();
        assert!(
            refused.contains(&format!("the {field} of account")) && refused.contains("never changes"),
            "{refused}"
        );
    }
    let plan =
        r#"{"id":"acme","kind":"customer","currency":"EUR","time_zone":"Europe/Berlin","plan":"gold"}"#;
    assert_eq!(world.change(&[plan]).unwrap(), ["acme@2 60000"]);
    assert_eq!(world.change(&[r#"{"id":"acme","kind":"team","currency":"USD"}"#]).unwrap(), ["acme@1 ever"]);
}

#[test]
fn what_an_account_cannot_be_is_refused_by_field() {
    for (field, change) in [
        ("kind", r#"{"id":"a","kind":"company","currency":"EUR"}"#),
        ("currency", r#"{"id":"a","kind":"team","currency":"euro"}"#),
        ("time_zone", r#"{"id":"a","kind":"team","currency":"EUR","time_zone":"Mars/Olympus"}"#),
        ("grace_hours", r#"{"id":"a","kind":"team","currency":"EUR","grace_hours":745}"#),
        ("id", r#"{"id":"","kind":"team","currency":"EUR"}"#),
        ("fee", r#"{"id":"a","kind":"team","currency":"EUR","fee":{"name":"","amount":"1"}}"#),
        ("fee", r#"{"id":"a","kind":"team","currency":"EUR","fee":{"name":"f","amount":"1e"}}"#),
        ("minimum", r#"{"id":"a","kind":"team","currency":"EUR","minimum":"0"}"#),
        ("credits", r#"{"id":"a","kind":"team","currency":"EUR","credits":[{"name":"c","amount":"-1"}]}"#),
        (
            "credits",
            r#"{"id":"a","kind":"team","currency":"EUR","credits":[{"name":"c","amount":"1","month":"2026-13"}]}"#,
        ),
        ("tax", r#"{"id":"a","kind":"team","currency":"EUR","tax":{"name":"VAT","rate":"19"}}"#),
    ] {
        let refused = World::<AccountText>::new().change(&[change]).unwrap_err();
        assert!(refused.contains(&format!(": {field}: ")), "{field}: {refused}");
    }
}

#[test]
fn a_markup_reads_every_digit_and_an_ambiguous_one_is_refused() {
    let mut world = World::<MarkupText>::new();
    let acme = r#"{"id":"acme","scope":{"customer":"acme"},"percent":12.500000000000000001,
        "per_unit":[{"unit":"output_text_tokens","amount":"0.3","per":1000000}],"minimum":"0.01"}"#;
    world.change(&[acme]).unwrap();
    let markups = read::<MarkupText>(&world.stored).unwrap();
    let (_, timeline) = markups.get("acme").unwrap();
    let (_, markup) = timeline.at(NOW).unwrap();
    assert_eq!(markup.percent.to_string(), "12.500000000000000001");
    assert_eq!(markup.per_unit[0].per, 1_000_000);
    let refused = world.change(&[r#"{"id":"again","scope":{"customer":"acme"},"percent":1}"#]).unwrap_err();
    assert!(refused.contains("both hold for the same usage"), "{refused}");
    for (field, change) in [
        ("base", r#"{"id":"a","base":"list"}"#),
        ("percent", r#"{"id":"a","percent":-101}"#),
        ("model", r#"{"id":"a","model":"*-mini"}"#),
        ("id", r#"{"id":"a@1"}"#),
    ] {
        let refused = world.change(&[change]).unwrap_err();
        assert!(refused.contains(&format!(": {field}: ")), "{field}: {refused}");
    }
    assert_eq!(world.change(&[r#"{"id":"all","percent":"5"}"#]).unwrap(), ["all@1 ever"]);
}

#[test]
fn a_field_that_nobody_knows_is_refused() {
    assert!(serde_json::from_str::<MarkupText>(r#"{"id":"a","percentage":5}"#).is_err());
    assert!(serde_json::from_str::<OwnerText>(r#"{"key":"a","division":"x"}"#).is_err());
    assert!(
        serde_json::from_str::<AccountText>(r#"{"id":"a","kind":"team","currency":"EUR","tz":"UTC"}"#)
            .is_err()
    );
}

#[test]
fn a_text_is_one_version_a_list_or_rows() {
    let keys = |text: &str| {
        let (rows, dry_run) = parse::<OwnerText>(text.as_bytes()).unwrap();
        (rows.into_iter().map(|row| row.key).collect::<Vec<_>>(), dry_run)
    };
    assert_eq!(keys(r#"{"key":"a"}"#), (vec!["a".to_owned()], false));
    assert_eq!(keys(r#" [{"key":"a"},{"key":"b"}]"#), (vec!["a".to_owned(), "b".to_owned()], false));
    assert_eq!(keys(r#"{"rows":[{"key":"a"}],"dry_run":true}"#), (vec!["a".to_owned()], true));
    for wrong in ["", "7", r#"{"key":"a","rows":[]}"#, r#"{"team":"a"}"#, r#"{"key":"a","tema":"b"}"#] {
        assert!(parse::<OwnerText>(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
