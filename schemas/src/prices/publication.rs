//! What publishing rows comes to, decided from the rows that were published before: the worker of the command log
//! carries it out, and the API shows it beforehand.

use std::collections::{HashMap, HashSet};

use ledger::event::Millis;
use ledger::prices::{ModelRow, PriceBook};

use super::versions::{Key, Versions};
use super::{from_json, same_terms, to_json};

/// How long after its command a later version of an undated row takes effect: by then every worker knows of it, or
/// waits.
pub const LATER_VERSION_AFTER_MS: i64 = 60_000;

/// A row that was published before.
#[derive(Clone, Debug)]
pub struct Published {
    /// The row, with the instant from which it holds.
    pub row: ModelRow,
    /// Its text as it was published.
    pub body: String,
}

/// What a publication changes.
#[derive(Debug)]
pub struct Publication {
    /// Rows that are added, in the order of the command.
    pub added: Vec<Added>,
    /// Ids of rows that change nothing: published word for word, or saying what the version in force says.
    pub unchanged: Vec<String>,
    /// From when later versions of undated rows hold.
    pub later: Millis,
    /// How many of those there are.
    pub later_versions: u32,
    /// All rows, those that are added last.
    pub book: PriceBook,
}

/// A row that is added.
#[derive(Clone, Debug)]
pub struct Added {
    /// The row, with the instant from which it holds.
    pub row: ModelRow,
    /// Its text as it is published.
    pub body: String,
    /// The version that was published before and that this one follows or replaces.
    pub before: Option<ModelRow>,
    /// When it ends, because the next version begins.
    pub until: Option<Millis>,
}

/// Why rows cannot be published.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Works out what publishing the texts at an instant comes to. Nothing is edited: a row whose id is published with
/// other content is refused, as is a second version of the same model, provider, scope and instant. A row without
/// `effective_from` holds from the beginning of time where it is the first of its model, from where the row held that
/// it supersedes, and from 60 s after the instant otherwise; beside a version of its model that has begun it is refused
/// there, because it would put an old price in force.
///
/// # Errors
/// [`Refused`], which names the row; then none of them is published.
pub fn prepare(published: &[Published], texts: &[String], at: Millis) -> Result<Publication, Refused> {
    let bodies: HashMap<&str, &str> =
        published.iter().map(|one| (one.row.id.as_str(), one.body.as_str())).collect();
    let rows: Vec<ModelRow> = published.iter().map(|one| one.row.clone()).collect();
    let before = Versions::of(rows.clone());
    let later = Millis(at.0.saturating_add(LATER_VERSION_AFTER_MS));
    let read: Vec<(ModelRow, String)> =
        texts.iter().enumerate().map(|(index, text)| read(text, index)).collect::<Result<_, _>>()?;
    // Models of which a version that has begun is published beside others.
    let begun: HashSet<Key> = read
        .iter()
        .filter(|(row, _)| row.effective_from.is_some_and(|from| from <= at))
        .map(|(row, _)| Key::of(row))
        .collect();
    let mut seen = HashSet::new();
    let (mut added, mut unchanged, mut later_versions) = (Vec::new(), Vec::new(), 0);
    for (mut row, body) in read {
        if !seen.insert(row.id.clone()) {
            return Err(Refused(format!("row {} stands twice in the same publication", row.id)));
        }
        match bodies.get(row.id.as_str()) {
            Some(same) if *same == body => {
                unchanged.push(row.id);
                continue;
            }
            Some(_) => {
                return Err(Refused(format!(
                    "row {} is published with other content; a row never changes, publish it under a new id",
                    row.id
                )));
            }
            None => {}
        }
        let replaced = row.supersedes.as_ref().map(|id| {
            rows.iter()
                .find(|other| other.id == *id)
                .ok_or_else(|| Refused(format!("row {} supersedes {id}, which is not published", row.id)))
        });
        let replaced = replaced.transpose()?;
        let key = Key::of(&row);
        if let Some(replaced) = replaced.filter(|replaced| Key::of(replaced) != key) {
            return Err(Refused(format!(
                "row {} supersedes {}, which is of another model, provider or scope: it would leave those without a price",
                row.id, replaced.id
            )));
        }
        if row.effective_from.is_none() {
            let present = before.at(&key, later);
            match (replaced, present) {
                (Some(replaced), _) => row.effective_from = replaced.effective_from,
                (None, Some(present)) if same_terms(present, &row) => {
                    unchanged.push(row.id);
                    continue;
                }
                (None, Some(_)) if begun.contains(&key) => {
                    return Err(Refused(format!(
                        "row {} has no `effective_from` beside a version of its model that has begun, and the model is \
                         published already: it would follow that version; say from when it holds, or leave it out",
                        row.id
                    )));
                }
                (None, Some(_)) => {
                    row.effective_from = Some(later);
                    later_versions += 1;
                }
                (None, None) => {}
            }
        }
        let predecessor =
            replaced.or_else(|| before.at(&key, row.effective_from.unwrap_or(Millis(i64::MIN))));
        added.push(Added { before: predecessor.cloned(), row, body, until: None });
    }
    let all: Vec<ModelRow> = rows.into_iter().chain(added.iter().map(|one| one.row.clone())).collect();
    let after = Versions::of(all.clone());
    for one in &mut added {
        one.until = after.end(&Key::of(&one.row), one.row.effective_from);
    }
    let book = PriceBook::new(all).map_err(|error| Refused(error.to_string()))?;
    Ok(Publication { added, unchanged, later, later_versions, book })
}

/// The row and its text as it will be read back: a book that cannot be read would stop all usage.
fn read(text: &str, index: usize) -> Result<(ModelRow, String), Refused> {
    let wrong = |name: &str, error: &dyn std::error::Error| Refused(format!("row {name}: {}", chain(error)));
    let row = from_json(text).map_err(|error| wrong(&format!("number {}", index + 1), &error))?;
    let body = to_json(&row).map_err(|error| wrong(&row.id, &error))?;
    let row = from_json(&body).map_err(|error| wrong(&row.id, &error))?;
    Ok((row, body))
}

fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &str, amount: &str, more: &str) -> String {
        format!(
            r#"{{"id": "{id}", "provider": "openai", "model": "gpt", "currency": "USD",
                "prices": [{{"unit": "input_uncached_tokens", "amount": "{amount}"}}]{more}}}"#
        )
    }

    fn publish(published: &mut Vec<Published>, texts: &[String], at: i64) -> Result<Publication, String> {
        let done = prepare(published, texts, Millis(at)).map_err(|refused| refused.to_string())?;
        published
            .extend(done.added.iter().map(|one| Published { row: one.row.clone(), body: one.body.clone() }));
        Ok(done)
    }

    #[test]
    fn the_first_version_always_held_and_a_later_one_holds_a_minute_after() {
        let mut published = Vec::new();
        let first = publish(&mut published, &[text("a", "1", "")], 5).unwrap();
        assert_eq!((first.added[0].row.effective_from, first.added[0].until), (None, None));
        let second = publish(&mut published, &[text("b", "2", "")], 1000).unwrap();
        assert_eq!(second.added[0].row.effective_from, Some(Millis(61_000)));
        assert_eq!(second.added[0].before.as_ref().map(|row| &*row.id), Some("a"));
        let same = publish(&mut published, &[text("c", "2", "")], 2000).unwrap();
        assert_eq!((same.added.len(), same.unchanged), (0, vec!["c".to_owned()]));
    }

    #[test]
    fn a_published_row_is_unchanged_or_refused_and_never_edited() {
        let mut published = Vec::new();
        publish(&mut published, &[text("a", "1", "")], 0).unwrap();
        let again = publish(&mut published, &[text("a", "1.0", "")], 0).unwrap();
        assert_eq!(again.unchanged, ["a"]);
        let refused = publish(&mut published, &[text("a", "2", "")], 0).unwrap_err();
        assert!(refused.contains("row a is published with other content"), "{refused}");
    }

    #[test]
    fn the_same_instant_twice_is_refused_and_another_scope_is_another_version() {
        let from = r#", "effective_from": "2026-11-01T00:00:00Z""#;
        let mut published = Vec::new();
        publish(&mut published, &[text("a", "1", ""), text("b", "2", from)], 0).unwrap();
        let refused = publish(&mut published, &[text("c", "3", from)], 0).unwrap_err();
        assert!(refused.contains("from the same instant"), "{refused}");
        let replaced = publish(&mut published, &[text("d", "3", r#", "supersedes": "b""#)], 0).unwrap();
        assert_eq!(
            replaced.added[0].row.effective_from, published[1].row.effective_from,
            "it takes its place"
        );
        let refused = publish(&mut published, &[text("e", "3", r#", "supersedes": "z""#)], 0).unwrap_err();
        assert_eq!(refused, "row e supersedes z, which is not published");
        let own = text("f", "3", r#", "supersedes": "b", "scope": {"customer": "acme"}"#);
        let refused = publish(&mut published, &[own], 0).unwrap_err();
        assert!(refused.contains("of another model, provider or scope"), "{refused}");
    }

    #[test]
    fn an_old_first_version_does_not_follow_the_versions_after_it() {
        let mut published = Vec::new();
        publish(&mut published, &[text("a", "1", "")], 0).unwrap();
        let history = [text("h", "9", ""), text("h:1", "2", r#", "effective_from": "1970-01-01T00:00:01Z""#)];
        let refused = publish(&mut published, &history, 2000).unwrap_err();
        assert!(refused.starts_with("row h has no `effective_from`"), "{refused}");
        let empty = publish(&mut Vec::new(), &history, 2000).unwrap();
        assert_eq!(empty.added.len(), 2, "an empty book takes the whole history");
    }

    #[test]
    fn a_version_in_the_past_ends_where_the_next_begins() {
        let mut published = Vec::new();
        let from = |day: u8| format!(r#", "effective_from": "2026-11-{day:02}T00:00:00Z""#);
        publish(&mut published, &[text("a", "1", ""), text("c", "3", &from(20))], 0).unwrap();
        let done = publish(&mut published, &[text("b", "2", &from(10))], i64::MAX).unwrap();
        assert_eq!(done.added[0].before.as_ref().map(|row| &*row.id), Some("a"));
        assert_eq!(done.added[0].until, published[1].row.effective_from);
    }
}
