//! `/v1/markups`, `/v1/accounts` and `/v1/owners`: small registries whose versions are set by commands and never edited.
//! What they share is here: the list by version or as of an instant, and the change with its dry run.

pub(crate) mod accounts;
pub(crate) mod markups;
pub(crate) mod owners;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use clickhouse::Row;
use jiff::Timestamp;
use ledger::event::Millis;
use schemas::caller::Caller;
use schemas::command::Command;
use schemas::queries;
use schemas::registries::{Change, Outcome, Set, Stored, apply};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::bounds::{Bounds, Conditions, Value, Values};
use crate::commands::{self, Operation, Reach};
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::{self, rfc3339};
use crate::router::Service;
use crate::store::Statement;

const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 10_000;
/// Versions that one change may set.
const CHANGES_MAX: usize = 100_000;
/// Of the versions of one thing, the one that began last.
const IN_EFFECT: &str = "LIMIT 1 BY kind_name, id";
const YES_OR_NO: &[(&str, bool)] = &[("true", true), ("false", false)];

/// What a change of a registry does.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The versions that it sets; empty while it is not known to be carried out.
    pub set: Vec<SetVersion>,
    /// How many say what is set already.
    pub unchanged: u32,
    /// The change; null in a dry run.
    pub operation: Option<Operation>,
}

/// A version that a change sets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SetVersion {
    /// What names the thing.
    pub id: String,
    /// Its kind, where an id alone does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The number of the version.
    pub version: u32,
    /// From when on it holds; null from the beginning of time.
    #[schema(format = DateTime)]
    pub effective_from: Option<String>,
}

/// One version as the store answers it.
#[derive(Row, Deserialize)]
struct Listed {
    id: String,
    kind_name: String,
    version: u32,
    effective_ms: i64,
    known_ms: i64,
    #[expect(dead_code, reason = "the text says it, too")]
    ended: bool,
    body: String,
}

/// The last row of a page: kind, id, version.
type Position = (String, String, u32);

/// A version as it is shown: its text with the instant from which it holds, when it was logged, and its number.
struct Shown<C> {
    text: C,
    version: u32,
    known_from: String,
}

/// What the worker says of a change.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    set: Vec<ToldVersion>,
    #[serde(default)]
    unchanged: u32,
}

#[derive(Deserialize)]
struct ToldVersion {
    id: String,
    #[serde(default)]
    kind: String,
    version: u32,
    effective_from_ms: Option<i64>,
}

/// A page of versions, all of them or those in effect at `at`; filters are equal to columns of the table.
async fn list<C: Change>(
    service: &Service,
    caller: &Caller,
    uri: &Uri,
    filters: &[(&'static str, &'static str)],
    with_instant: fn(C, Timestamp) -> C,
) -> Result<(Vec<Shown<C>>, Option<String>), Problem> {
    let question = Question::of(caller, uri.path(), uri.query());
    let mut parameters = Parameters::parse(uri)?;
    let mut conditions = Conditions::of(&Bounds::of(caller));
    let mut inner = vec!["true".to_owned()];
    for (name, column) in filters {
        if let Some(value) = parameters.one(name)? {
            inner.push(format!("{column} = {}", conditions.values.bind_text(&value)));
        }
    }
    let at = period::take_instant(&mut parameters, "at")?;
    if let Some(at) = at {
        let at = conditions.values.bind("Int64", Value::Int(at));
        let begun = format!("effective_from <= fromUnixTimestamp64Milli({at}, 'UTC')");
        inner.push(format!("(effective_from IS NULL OR {begun})"));
        conditions.and("ended = 0".to_owned());
    }
    let limit = parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    let own = ["at", "limit", "cursor"].into_iter();
    parameters.finish(filters.iter().map(|(name, _)| *name).chain(own))?;
    let after = after_sql(after, &mut conditions.values);
    conditions.values = conditions.values.with("limit", Value::Unsigned(limit.saturating_add(1)));
    let mut rows: Vec<Listed> = service
        .store
        .bounded(queries::REGISTRY, conditions, |statement| {
            statement
                .slot("table", C::TABLE)
                .slot("filters", &inner.join(" AND "))
                .slot("versions", if at.is_some() { IN_EFFECT } else { "" })
                .slot("after", &after)
        })
        .await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let last = rows.last().filter(|_| more).map(Listed::position);
    let next_cursor = last.map(|last| question.cursor(&last)).transpose()?;
    let shown = rows.into_iter().map(|row| row.shown(with_instant)).collect::<Result<_, _>>()?;
    Ok((shown, next_cursor))
}

fn after_sql(after: Option<Position>, values: &mut Values) -> String {
    let Some((kind, id, version)) = after else { return "true".to_owned() };
    let (kind, id) = (values.bind_text(&kind), values.bind_text(&id));
    let version = values.bind("UInt32", Value::Unsigned(u64::from(version)));
    format!("(kind_name, id, version) > ({kind}, {id}, {version})")
}

impl Listed {
    fn position(&self) -> Position {
        (self.kind_name.clone(), self.id.clone(), self.version)
    }

    fn shown<C: Change>(self, with_instant: fn(C, Timestamp) -> C) -> Result<Shown<C>, Problem> {
        let unreadable = |error: String| {
            tracing::error!(
                error,
                id = self.id,
                version = self.version,
                "A version of a registry cannot be read"
            );
            Problem::internal()
        };
        let text: C = serde_json::from_str(&self.body).map_err(|error| unreadable(error.to_string()))?;
        let text = match self.effective_ms {
            i64::MIN => text,
            millis => {
                let instant = Timestamp::from_millisecond(millis);
                with_instant(text, instant.map_err(|error| unreadable(error.to_string()))?)
            }
        };
        Ok(Shown { text, version: self.version, known_from: rfc3339(self.known_ms) })
    }
}

/// The versions that a JSON body holds, and whether it asks for a dry run: one, a list, or `{"rows": […]}`.
fn rows<C: Change>(bytes: &[u8]) -> Result<(Vec<C>, bool), Problem> {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(borrow)]
        rows: Option<&'a RawValue>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, bound = "C: Change")]
    struct Several<C> {
        rows: Vec<C>,
        #[serde(default)]
        dry_run: bool,
    }

    let wrong = |error: serde_json::Error| Problem::body(format!("the body is not valid: {error}"));
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Ok((serde_json::from_slice(bytes).map_err(wrong)?, false));
    }
    if serde_json::from_slice::<Probe<'_>>(bytes).map_err(wrong)?.rows.is_some() {
        let several: Several<C> = serde_json::from_slice(bytes).map_err(wrong)?;
        return Ok((several.rows, several.dry_run));
    }
    Ok((vec![serde_json::from_slice(bytes).map_err(wrong)?], false))
}

/// Sets versions, or with `dry_run` says what would be set.
async fn set<C: Change>(
    service: &Service,
    caller: &Caller,
    uri: &Uri,
    (changes, dry_run): (Vec<C>, bool),
    command: fn(Vec<C>) -> Command,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(uri)?;
    let dry_run = parameters.choice("dry_run", YES_OR_NO)?.unwrap_or(dry_run);
    parameters.finish(["dry_run"])?;
    if changes.is_empty() || changes.len() > CHANGES_MAX {
        return Err(Problem::body(format!("a change sets 1 to {CHANGES_MAX} versions")));
    }
    for change in &changes {
        change.kept().map_err(|detail| {
            let detail = format!("{} {:?}: {detail}", C::WHAT, change.id());
            Problem::body(detail)
        })?;
    }
    if dry_run {
        return attempt::<C>(service, &changes).await.map(|setting| Json(setting).into_response());
    }
    let operation = commands::change(service, caller, &command(changes), Reach::Workers).await?;
    let told = operation.result.as_ref().and_then(|result| serde_json::from_str::<Told>(result.get()).ok());
    let told = told.unwrap_or_default();
    let place = HeaderValue::from_str(&format!("/v1/operations/{}", operation.id));
    let is_applied = operation.state == commands::State::Applied;
    let set = told.set.into_iter().map(ToldVersion::shown).collect();
    let setting = Setting { dry_run: false, set, unchanged: told.unchanged, operation: Some(operation) };
    if is_applied {
        return Ok(Json(setting).into_response());
    }
    let mut response = (StatusCode::ACCEPTED, Json(setting)).into_response();
    if let Ok(place) = place {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// What a change would do now.
async fn attempt<C: Change>(service: &Service, changes: &[C]) -> Result<Setting, Problem> {
    let table = |statement: Statement| statement.slot("table", C::TABLE);
    let stored: Vec<Stored> =
        service.store.open_with(queries::REGISTRY_ALL, Values::default(), table).await?;
    let now = Millis(Timestamp::now().as_millisecond());
    let Outcome { set, unchanged } = apply(&stored, changes, now)
        .map_err(|detail| Problem::new(StatusCode::CONFLICT, "refused", "The change was refused", detail))?;
    let set = set.into_iter().map(|set: Set| SetVersion {
        id: set.id,
        kind: Some(set.kind).filter(|kind| !kind.is_empty()),
        version: set.version,
        effective_from: set.effective_from.map(|from| rfc3339(from.0)),
    });
    Ok(Setting { dry_run: true, set: set.collect(), unchanged, operation: None })
}

impl ToldVersion {
    fn shown(self) -> SetVersion {
        SetVersion {
            id: self.id,
            kind: Some(self.kind).filter(|kind| !kind.is_empty()),
            version: self.version,
            effective_from: self.effective_from_ms.map(rfc3339),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::registries::OwnerText;

    #[test]
    fn a_body_is_one_version_a_list_or_rows() {
        let keys = |text: &str| {
            let (rows, dry_run) = rows::<OwnerText>(text.as_bytes()).unwrap();
            (rows.into_iter().map(|row| row.key).collect::<Vec<_>>(), dry_run)
        };
        assert_eq!(keys(r#"{"key":"a"}"#), (vec!["a".to_owned()], false));
        assert_eq!(keys(r#" [{"key":"a"},{"key":"b"}]"#), (vec!["a".to_owned(), "b".to_owned()], false));
        assert_eq!(keys(r#"{"rows":[{"key":"a"}],"dry_run":true}"#), (vec!["a".to_owned()], true));
        for wrong in ["", "7", r#"{"key":"a","rows":[]}"#, r#"{"team":"a"}"#, r#"{"key":"a","tema":"b"}"#] {
            assert!(rows::<OwnerText>(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
