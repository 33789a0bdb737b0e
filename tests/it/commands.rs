//! Commands are carried out once, in order, against what those before them left; what cannot be is refused in words.

use schemas::command::{Command, PublishPrices, SetOwners};

use crate::world::World;

/// A price row of one model; `amount` is dollars for a million tokens, `notes` makes it as long as a test wants.
fn row(id: &str, amount: &str, notes: &str) -> String {
    format!(
        r#"{{"id":"{id}","provider":"acme","model":"m","currency":"USD","notes":"{notes}",
            "prices":[{{"unit":"input_uncached_tokens","amount":"{amount}","per":"1000000"}}]}}"#
    )
}

fn publish(rows: Vec<String>, based_on: Option<u64>) -> Command {
    Command::PublishPrices(PublishPrices { rows, based_on })
}

#[test]
fn a_published_row_never_changes_and_a_later_version_begins_a_minute_after_its_command() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    // More than one record of the log holds: it takes effect with the last part.
    let (outcome, detail) =
        world.command("first", &publish(vec![row("m@1", "2", &"x".repeat(1_200_000))], None));
    assert_eq!((outcome.as_str(), detail.as_str()), ("applied", "1 rows published, 0 unchanged"));
    assert_eq!(
        world.number("SELECT count() FROM commands WHERE command_id = 'first' AND outcome = 'part'"),
        2
    );
    assert_eq!(
        world.number("SELECT count() FROM model_rows WHERE row_id = 'm@1' AND effective_from IS NULL"),
        1
    );

    let (outcome, detail) = world.command("other", &publish(vec![row("m@1", "3", "")], None));
    assert_eq!(outcome, "refused");
    assert!(detail.contains("a row never changes"), "{detail}");

    let (outcome, detail) = world.command("stale", &publish(vec![row("m@2", "3", "")], Some(1)));
    assert_eq!(outcome, "refused");
    assert!(detail.contains("prepare it again"), "{detail}");

    assert_eq!(world.command("second", &publish(vec![row("m@2", "3", "")], None)).0, "applied");
    let later = "SELECT count() FROM model_rows WHERE row_id = 'm@2' AND effective_from = known_from + INTERVAL 60 SECOND";
    assert_eq!(world.number(later), 1);

    let (outcome, _) = world.command("same terms", &publish(vec![row("m@3", "3", "")], None));
    assert_eq!(outcome, "applied");
    assert_eq!(world.number("SELECT count() FROM model_rows WHERE row_id = 'm@3'"), 0);
}

/// The store's refusal is the command's: it changes nothing, and those after it are carried out.
#[test]
fn a_command_whose_rows_the_store_refuses_is_refused_and_does_not_stand_in_the_way() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    world.execute("ALTER TABLE owners ADD CONSTRAINT picky CHECK id != 'refused'");
    let own = |key: &str| {
        let row = format!(r#"[{{"key":"{key}","team":"search"}}]"#);
        Command::SetOwners(SetOwners { rows: serde_json::from_str(&row).unwrap() })
    };
    let (outcome, detail) = world.command("bad", &own("refused"));
    assert_eq!(
        (outcome.as_str(), detail.contains("the store refuses its rows")),
        ("refused", true),
        "{detail}"
    );
    assert_eq!(world.command("good", &own("k")).0, "applied");
    assert_eq!(world.number("SELECT count() FROM owners"), 1);
    world.assert_audit_is_clean();
}
