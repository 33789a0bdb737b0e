//! The registries: markups, accounts and owners, as JSON text and in the domain, and what a change makes of what was
//! set before it. The worker carries changes out by this, and the API tries them by it.

mod account;
mod markup;
mod owner;

use std::collections::HashMap;

use jiff::Timestamp;
use ledger::event::Millis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use account::AccountText;
pub use markup::{AdditionText, FxText, MarkupText, ScopeText};
pub use owner::OwnerText;

/// How long after its command a later version without `effective_from` takes effect: by then every worker knows of
/// it, or waits.
pub const LATER_VERSION_AFTER_MS: i64 = 60_000;

/// One version of a thing of a registry, as text.
pub trait Change: Clone + PartialEq + Serialize + DeserializeOwned {
    /// All versions of all things.
    type State: Default;
    /// The table.
    const TABLE: &'static str;
    /// What one thing is called.
    const WHAT: &'static str;

    /// What names it, within its kind.
    fn id(&self) -> &str;

    /// The kind, where an id means nothing without one; else empty.
    fn kind(&self) -> &str {
        ""
    }

    /// From when on it holds, where that was said.
    fn effective_from(&self) -> Option<Timestamp>;

    /// The version that the change was prepared on, where that was said.
    fn based_on(&self) -> Option<u32>;

    /// Whether it ends the thing.
    fn is_ended(&self) -> bool;

    /// The customer and the team whom it concerns, each empty for none.
    fn concerns(&self) -> (&str, &str);

    /// The same without `effective_from` and `based_on`, in the form in which it is kept.
    ///
    /// # Errors
    /// Says in words which field cannot be what it is.
    fn kept(&self) -> Result<Self, String>;

    /// Adds it to what there is.
    ///
    /// # Errors
    /// Says in words why that cannot be.
    fn insert(&self, state: &mut Self::State, number: u32, from: Option<Millis>) -> Result<(), String>;
}

/// A version as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
pub struct Stored {
    /// What names the thing, within its kind.
    pub id: String,
    /// The kind, or empty.
    pub kind: String,
    /// 1 for the first that was set.
    pub version: u32,
    /// From when on, in milliseconds since 1970; `None` from the beginning of time.
    pub effective_from: Option<i64>,
    /// The JSON text.
    pub body: String,
}

/// A version that a change adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// What names the thing, within its kind.
    pub id: String,
    /// The kind, or empty.
    pub kind: String,
    /// The number of the version.
    pub version: u32,
    /// From when on; `None` from the beginning of time.
    pub effective_from: Option<Millis>,
    /// Whether it ends the thing.
    pub is_ended: bool,
    /// The customer whom it concerns, or empty.
    pub customer: String,
    /// The team whom it concerns, or empty.
    pub team: String,
    /// The JSON text.
    pub body: String,
}

/// What some changes come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The versions that they add.
    pub set: Vec<Set>,
    /// How many say what is set already.
    pub unchanged: u32,
}

/// A registry whose stored versions cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("version {version} of {what} {id:?} cannot be read: {detail}")]
pub struct Unreadable {
    what: &'static str,
    id: String,
    version: u32,
    detail: String,
}

/// The versions that a JSON text holds, and whether it asks for a dry run: one, a list, or
/// `{"rows": […], "dry_run": true}`.
///
/// # Errors
/// Where the text is none of these.
pub fn parse<C: Change>(bytes: &[u8]) -> Result<(Vec<C>, bool), serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Probe<'a> {
        #[serde(borrow)]
        rows: Option<&'a RawValue>,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, bound = "C: Change")]
    struct Several<C> {
        rows: Vec<C>,
        #[serde(default)]
        dry_run: bool,
    }

    if bytes.trim_ascii_start().starts_with(b"[") {
        return Ok((serde_json::from_slice(bytes)?, false));
    }
    if serde_json::from_slice::<Probe<'_>>(bytes)?.rows.is_some() {
        let several: Several<C> = serde_json::from_slice(bytes)?;
        return Ok((several.rows, several.dry_run));
    }
    Ok((vec![serde_json::from_slice(bytes)?], false))
}

/// Everything that was set, in the order in which it was.
///
/// # Errors
/// [`Unreadable`] where a version is not of the form of this build.
pub fn read<C: Change>(stored: &[Stored]) -> Result<C::State, Unreadable> {
    let mut state = C::State::default();
    for row in stored {
        let from = row.effective_from.map(Millis);
        let read = serde_json::from_str::<C>(&row.body).map_err(|error| error.to_string());
        read.and_then(|text| text.insert(&mut state, row.version, from)).map_err(|detail| Unreadable {
            what: C::WHAT,
            id: row.id.clone(),
            version: row.version,
            detail,
        })?;
    }
    Ok(state)
}

/// What is known of a version of a thing.
struct Known {
    version: u32,
    effective_from: Option<Millis>,
    body: String,
}

/// Whether a change says what is set already. With an instant, the version that counts from that instant; without one,
/// the version that is in effect once the change would be, and then only where none follows it.
fn is_said(known: &[Known], body: &str, asked: Option<Millis>, later: Millis) -> bool {
    let counting = |is_meant: &dyn Fn(Option<Millis>) -> bool| {
        let meant = known.iter().filter(|known| is_meant(known.effective_from));
        meant
            .max_by_key(|known| (known.effective_from, known.version))
            .is_some_and(|known| known.body == body)
    };
    match asked {
        Some(asked) => counting(&|from| from == Some(asked)),
        None => {
            let has_begun = |from: Option<Millis>| from.is_none_or(|from| from <= later);
            known.iter().all(|known| has_begun(known.effective_from)) && counting(&has_begun)
        }
    }
}

/// What changes make of what was set before them: all of them, or none. `log_time` is when they were logged.
///
/// # Errors
/// Says in words why they cannot be carried out.
pub fn apply<C: Change>(stored: &[Stored], changes: &[C], log_time: Millis) -> Result<Outcome, String> {
    let mut state = read::<C>(stored).map_err(|error| error.to_string())?;
    let mut known: HashMap<(String, String), Vec<Known>> = HashMap::new();
    for row in stored {
        known.entry((row.kind.clone(), row.id.clone())).or_default().push(Known {
            version: row.version,
            effective_from: row.effective_from.map(Millis),
            body: row.body.clone(),
        });
    }
    let mut outcome = Outcome::default();
    for change in changes {
        let name = format!("{} {:?}", C::WHAT, change.id());
        let key = (change.kind().to_owned(), change.id().to_owned());
        let versions = known.entry(key.clone()).or_default();
        let before = versions.last();
        let version = before.map_or(0, |last| last.version);
        if let Some(based_on) = change.based_on().filter(|based_on| *based_on != version) {
            return Err(format!(
                "{name} is at version {version}, and the change was prepared on version {based_on}: look at it again \
                 and prepare the change anew"
            ));
        }
        let kept = change.kept().map_err(|detail| format!("{name}: {detail}"))?;
        let body = serde_json::to_string(&kept).map_err(|error| format!("{name}: {error}"))?;
        let asked = change.effective_from().map(|from| Millis(from.as_millisecond()));
        let later = Millis(log_time.0.saturating_add(LATER_VERSION_AFTER_MS));
        if is_said(versions, &body, asked, later) {
            outcome.unchanged += 1;
            continue;
        }
        if change.is_ended() && version == 0 {
            return Err(format!("there is no {name} to end"));
        }
        let effective_from = asked.or_else(|| (version > 0).then_some(later));
        let version = version + 1;
        kept.insert(&mut state, version, effective_from).map_err(|detail| format!("{name}: {detail}"))?;
        // A version that ends a thing concerns those whom it concerned before.
        let ended =
            before.filter(|_| change.is_ended()).and_then(|last| serde_json::from_str::<C>(&last.body).ok());
        let (customer, team) = ended.as_ref().unwrap_or(change).concerns();
        outcome.set.push(Set {
            id: key.1.clone(),
            kind: key.0.clone(),
            version,
            effective_from,
            is_ended: change.is_ended(),
            customer: customer.to_owned(),
            team: team.to_owned(),
            body: body.clone(),
        });
        versions.push(Known { version, effective_from, body });
    }
    Ok(outcome)
}

const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
