//! Operations: what a long command is about, what its steps say they did, and how far each is. An operation is a start
//! and its steps, all of them commands; it is finished with its last step.

use std::collections::{BTreeMap, BTreeSet};

use ledger::money::Decimal;
use ledger::unit::Unit;
use ledger::usage::Quantities;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::invoices::Cut;
use crate::posted::PostedRow;
use crate::queries;
use crate::rerate::Unpostable;

/// Candidates that a step looks at, as far as they can be told apart.
pub const STEP_ENTRIES_MAX: u64 = 20_000;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Prices entries by the book as it is now.
    Reprice,
    /// Puts facts of entries right.
    Correct,
    /// Takes another operation back.
    Revert,
}

/// Entries by dimension: those that have one of the values of each. `*` in a value is any text.
pub type Filters = BTreeMap<String, Vec<String>>;

/// What a correction puts right; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are the fields of the usage event")]
pub struct Facts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Quantities by unit, as decimals: what was used instead. They hold for the entry of the model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<BTreeMap<String, String>>,
    /// The provider's usage object, as it should have been. It holds for the entry of the model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub usage: Option<UsageText>,
}

/// A usage object as it is written, so that its numbers stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageText(pub String);

impl Serialize for UsageText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UsageText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.get().to_owned()))
    }
}

impl Facts {
    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The quantities that it names.
    ///
    /// # Errors
    /// [`Unpostable`] where a unit or a quantity is none.
    pub fn quantities(&self) -> Result<Option<Quantities>, Unpostable> {
        let Some(units) = &self.units else { return Ok(None) };
        let mut quantities = Quantities::default();
        for (name, text) in units {
            let unit = Unit::parse(name)
                .ok_or_else(|| Unpostable { detail: format!("there is no unit `{name}`") })?;
            let quantity = Decimal::parse(text)
                .map_err(|error| Unpostable { detail: format!("{name} cannot be `{text}`: {error}") })?;
            quantities
                .add_decimal(unit, quantity)
                .map_err(|error| Unpostable { detail: error.to_string() })?;
        }
        Ok(Some(quantities))
    }

    pub(crate) fn quantities_of(&self, row: &PostedRow) -> Result<Option<Quantities>, Unpostable> {
        if row.root().3 == 0 { self.quantities() } else { Ok(None) }
    }

    /// Puts the facts right that are columns of their own.
    pub(crate) fn apply(&self, row: &mut PostedRow) {
        let facts = [
            (&self.key, &mut row.key),
            (&self.team, &mut row.team),
            (&self.app, &mut row.app),
            (&self.environment, &mut row.environment),
            (&self.customer, &mut row.customer),
            (&self.project, &mut row.project),
            (&self.cost_center, &mut row.cost_center),
            (&self.end_user, &mut row.end_user),
            (&self.workflow, &mut row.workflow),
            (&self.outcome, &mut row.outcome),
        ];
        for (fact, column) in facts {
            if let Some(fact) = fact {
                column.clone_from(fact);
            }
        }
    }
}

/// Whether a text can be a usage object.
///
/// # Errors
/// Why it is none.
pub fn check_usage(text: &str) -> Result<(), String> {
    let arena = crate::event::Arena::new();
    let is_object = text.trim_start().starts_with('{');
    if !is_object {
        return Err("`usage` is the object that the provider answers".to_owned());
    }
    crate::event::json_value(text, &arena).map(drop).map_err(|reject| reject.detail)
}

/// A part of an operation: the entries of a time, or where one quarter hour holds too many, a share of them by the hash
/// of their events' ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// From then on, in milliseconds since 1970.
    pub from: i64,
    /// Until before then.
    pub to: i64,
    /// Which share, from 0.
    pub share: u64,
    /// Of how many.
    pub shares: u64,
}

/// What a call asked for, by which the same call is known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// What is done.
    pub what: What,
    /// From then on, in milliseconds since 1970.
    pub from: i64,
    /// Until before then.
    pub to: i64,
    /// Which entries.
    pub filters: Filters,
    /// Of which events; of all, where it is empty.
    pub event_ids: Vec<String>,
    /// What is put right.
    pub set: Facts,
    /// The operation that is taken back; 0 for none.
    pub reverts: u64,
    /// Why.
    pub reason: String,
}

/// What a step did, or all steps of an operation together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Entries that were taken back and posted anew.
    pub entries: u64,
    /// Entries that could not be posted anew and stay as they are.
    pub unpostable: u64,
    /// By plane and currency, by how much the total changed.
    pub delta: BTreeMap<String, BTreeMap<String, String>>,
}

/// The planes of money, with the currency of each.
const PLANES: [&str; 3] = ["list_cost", "cost", "charge"];

/// Sums of amounts by plane and currency, times 10^18.
#[derive(Clone, Debug, Default)]
pub struct Delta(BTreeMap<&'static str, BTreeMap<String, i128>>);

impl Delta {
    /// Adds the amounts of a row that is posted. A sum that is too large is said to be so: it is shown and nothing more.
    pub fn add(&mut self, row: &PostedRow) {
        let amounts = [
            (PLANES[0], &row.currency, row.list_cost),
            (PLANES[1], &row.currency, row.cost),
            (PLANES[2], &row.charge_currency, row.charge),
        ];
        for (plane, currency, amount) in amounts {
            let sum = self.0.entry(plane).or_default().entry(currency.clone()).or_default();
            // Beyond 38 digits, where it stays, no sum is a number any more.
            *sum = if ledger::money::Amount::from_raw(*sum).is_some() {
                sum.saturating_add(amount)
            } else {
                i128::MAX
            };
        }
    }

    /// The sums as decimals, without those that are nothing.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let text = |(currency, raw): (&String, &i128)| {
            let Some(amount) = ledger::money::Amount::from_raw(*raw) else {
                return Some((currency.clone(), TOO_LARGE.to_owned()));
            };
            (!amount.is_zero()).then(|| (currency.clone(), amount.to_string()))
        };
        let plane = |(plane, sums): (&&'static str, &BTreeMap<String, i128>)| {
            ((*plane).to_owned(), sums.iter().filter_map(text).collect::<BTreeMap<_, _>>())
        };
        self.0.iter().map(plane).filter(|(_, sums)| !sums.is_empty()).collect()
    }
}

/// What stands in the place of a sum of more than 38 digits.
const TOO_LARGE: &str = "too large";

impl Outcome {
    /// Adds what another step did.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.unpostable += other.unpostable;
        for (plane, sums) in &other.delta {
            let plane = self.delta.entry(plane.clone()).or_default();
            for (currency, text) in sums {
                let known = plane.get(currency).map_or("0", String::as_str);
                let sum = Decimal::parse(known).and_then(|known| known.checked_add(Decimal::parse(text)?));
                plane.insert(
                    currency.clone(),
                    sum.map_or_else(|_| TOO_LARGE.to_owned(), |sum| sum.to_string()),
                );
            }
        }
    }
}

/// The result of a start, as its command keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The number of the operation, which its rows bear.
    pub operation: u64,
    /// How many steps it has.
    pub steps: u32,
    /// What was asked for.
    pub call: Call,
}

/// The result of a step, as its command keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stepped {
    /// The operation.
    pub operation: u64,
    /// Its id, as the API names it.
    pub id: String,
    /// Which step, from 0.
    pub step: u32,
    /// Whether it was the last: with it the operation is finished.
    pub last: bool,
    /// What it did.
    pub outcome: Outcome,
}

/// One command of an operation, as `operations.sql` answers it.
#[derive(Clone, Debug, clickhouse::Row, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns, which 0005_commands.sql explains")]
pub struct HistoryRow {
    pub command_name: String,
    pub command_offset: u64,
    pub command_id: String,
    pub actor: String,
    pub log_ms: i64,
    pub recorded_ms: i64,
    pub result: String,
}

/// An operation so far.
#[derive(Clone, Debug)]
pub struct Known {
    /// Id of the start's command, by which the API names the operation.
    pub id: String,
    /// Who asked for it.
    pub actor: String,
    /// When it was logged, in milliseconds since 1970.
    pub logged_at: i64,
    /// When the last of its commands was carried out.
    pub moved_at: i64,
    /// The result of its start.
    pub started: Started,
    /// Steps that are carried out.
    pub steps_done: u32,
    /// The offset of its last step, where that is carried out.
    pub finished_at: Option<u64>,
    /// What the steps did.
    pub outcome: Outcome,
    /// The operation that took it back.
    pub reverted_by: Option<u64>,
}

/// All operations, in order.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<Known>);

impl History {
    /// Puts operations together from the rows of their commands, in order.
    ///
    /// # Errors
    /// A result that cannot be read.
    pub fn read(rows: Vec<HistoryRow>) -> Result<Self, String> {
        let mut all = BTreeMap::<u64, Known>::new();
        for row in rows {
            let failed = |error: &dyn std::fmt::Display| {
                format!("the result of command {} cannot be read: {error}", row.command_offset)
            };
            if row.command_name == "start_operation" {
                let started: Started = serde_json::from_str(&row.result).map_err(|error| failed(&error))?;
                let known = Known {
                    id: row.command_id,
                    actor: row.actor,
                    logged_at: row.log_ms,
                    moved_at: row.recorded_ms,
                    steps_done: 0,
                    finished_at: None,
                    outcome: Outcome::default(),
                    reverted_by: None,
                    started,
                };
                all.insert(known.started.operation, known);
                continue;
            }
            let stepped: Stepped = serde_json::from_str(&row.result).map_err(|error| failed(&error))?;
            let Some(known) = all.get_mut(&stepped.operation) else { continue };
            known.steps_done += 1;
            known.moved_at = row.recorded_ms;
            known.outcome.add(&stepped.outcome);
            if stepped.last {
                known.finished_at = Some(row.command_offset);
            }
        }
        let reverts: Vec<(u64, u64)> = all
            .values()
            .filter(|known| known.started.call.reverts != 0)
            .map(|known| (known.started.call.reverts, known.started.operation))
            .collect();
        for (reverted, by) in reverts {
            if let Some(known) = all.get_mut(&reverted) {
                known.reverted_by = Some(by);
            }
        }
        Ok(Self(all.into_values().collect()))
    }

    /// Usage, which is 0, and all operations that were finished: what a reader counts.
    #[must_use]
    pub fn counted(&self) -> Vec<u64> {
        let finished = self.0.iter().filter(|known| known.finished_at.is_some());
        std::iter::once(0).chain(finished.map(|known| known.started.operation)).collect()
    }

    /// The operation of that number.
    #[must_use]
    pub fn get(&self, operation: u64) -> Option<&Known> {
        self.0.iter().find(|known| known.started.operation == operation)
    }

    /// The first operation that is not finished and whose period has a part in `[from, to)`.
    #[must_use]
    pub fn open_in(&self, from: i64, to: i64) -> Option<&Known> {
        self.0.iter().find(|known| {
            known.finished_at.is_none() && known.started.call.from < to && from < known.started.call.to
        })
    }
}

/// Columns that a filter may name, and SQL over them where that is not the column itself.
const STATUS_CLASS: (&str, &str) =
    ("status_class", "if(status = 0, '', concat(toString(intDiv(status, 100)), 'xx'))");
const FILTERED: &[&str] = &[
    "key",
    "team",
    "app",
    "environment",
    "customer",
    "project",
    "cost_center",
    "end_user",
    "workflow",
    "provider",
    "provider_account",
    "model",
    "alias",
    "endpoint_family",
    "attempt_kind",
    "service_tier",
    "credential",
    "outcome",
    "currency",
    "charge_currency",
    "route",
    "region",
    "processing",
    "speed",
    "error_class",
    "gateway",
];
const TAG: &str = "tag:";

/// The names that a filter may have.
#[must_use]
pub fn filter_names() -> BTreeSet<String> {
    let names = FILTERED.iter().copied().chain([STATUS_CLASS.0, "tag:<name>"]);
    names.map(str::to_owned).collect()
}

/// A bound value of a question.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Bound {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Numbers.
    Unsigneds(Vec<u64>),
    /// A number.
    Unsigned(u64),
    /// An instant.
    Signed(i64),
}

/// A question for rows: its text and its bound values.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The text.
    pub sql: String,
    /// Values by name.
    pub values: Vec<(String, Bound)>,
}

/// The live entries that a call is about, in a part of it, as they are before a cut. Of the command log, that is the
/// position of the start.
///
/// # Errors
/// A filter that has no meaning.
pub fn live_rows(call: &Call, slice: &Slice, cut: &Cut, counted: &[u64]) -> Result<Asked, String> {
    asked(queries::OPERATION_LIVE.text(), call, Some(slice), cut, counted)
        .map(|asked| Asked { sql: queries::POSTED_ROWS.text().replace("{{rows}}", &asked.sql), ..asked })
}

/// How many live entries a call is about, by quarter hour.
///
/// # Errors
/// As [`live_rows`].
pub fn live_counts(call: &Call, cut: &Cut, counted: &[u64]) -> Result<Asked, String> {
    let asked = asked(queries::OPERATION_LIVE.text(), call, None, cut, counted)?;
    Ok(Asked { sql: queries::OPERATION_COUNTS.text().replace("{{rows}}", &asked.sql), ..asked })
}

/// What an operation posted in a part of it, and what it took back there.
#[must_use]
pub fn reverted_rows(call: &Call, slice: &Slice, cut: &Cut, counted: &[u64]) -> Asked {
    let plain = Call { filters: Filters::new(), event_ids: Vec::new(), ..call.clone() };
    // Without filters there is nothing that could have no meaning.
    let mut asked = asked(queries::OPERATION_REVERTED.text(), &plain, Some(slice), cut, counted)
        .unwrap_or(Asked { sql: String::new(), values: Vec::new() });
    asked.sql = queries::POSTED_ROWS.text().replace("{{rows}}", &asked.sql);
    asked.values.push(("reverted".to_owned(), Bound::Unsigned(call.reverts)));
    asked
}

fn asked(
    text: &str,
    call: &Call,
    slice: Option<&Slice>,
    cut: &Cut,
    counted: &[u64],
) -> Result<Asked, String> {
    let whole = Slice { from: call.from, to: call.to, share: 0, shares: 1 };
    let slice = slice.unwrap_or(&whole);
    let mut values = vec![
        ("from".to_owned(), Bound::Signed(slice.from)),
        ("to".to_owned(), Bound::Signed(slice.to)),
        ("share".to_owned(), Bound::Unsigned(slice.share)),
        ("shares".to_owned(), Bound::Unsigned(slice.shares)),
        ("cut_topics".to_owned(), Bound::Texts(cut.topics.clone())),
        (
            "cut_partitions".to_owned(),
            Bound::Unsigneds(cut.partitions.iter().map(|one| u64::from(*one)).collect()),
        ),
        ("cut_nexts".to_owned(), Bound::Unsigneds(cut.nexts.clone())),
        ("operations".to_owned(), Bound::Unsigneds(counted.to_vec())),
    ];
    let mut terms = vec!["true".to_owned()];
    if !call.event_ids.is_empty() {
        terms.push("event_id IN {event_ids:Array(String)}".to_owned());
        values.push(("event_ids".to_owned(), Bound::Texts(call.event_ids.clone())));
    }
    for (index, (name, wanted)) in call.filters.iter().enumerate() {
        terms.push(filter_sql(index, name, wanted, &mut values)?);
    }
    let text: String = text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    Ok(Asked { sql: text.replace("{{filters}}", &terms.join(" AND ")), values })
}

fn filter_sql(
    index: usize,
    name: &str,
    wanted: &[String],
    values: &mut Vec<(String, Bound)>,
) -> Result<String, String> {
    let expression = if let Some(tag) = name.strip_prefix(TAG) {
        values.push((format!("tag{index}"), Bound::Text(tag.to_owned())));
        format!("tags[{{tag{index}:String}}]")
    } else if name == STATUS_CLASS.0 {
        STATUS_CLASS.1.to_owned()
    } else if let Some(column) = FILTERED.iter().find(|column| **column == name) {
        (*column).to_owned()
    } else {
        return Err(format!("there is no dimension `{name}` to filter by"));
    };
    let (patterns, exact): (Vec<String>, Vec<String>) =
        wanted.iter().cloned().partition(|value| value.contains('*'));
    values.push((format!("exact{index}"), Bound::Texts(exact)));
    let mut terms = vec![format!("{expression} IN {{exact{index}:Array(String)}}")];
    for (at, pattern) in patterns.iter().enumerate() {
        terms.push(format!("{expression} LIKE {{like{index}_{at}:String}}"));
        values.push((format!("like{index}_{at}"), Bound::Text(like(pattern))));
    }
    Ok(format!("({})", terms.join(" OR ")))
}

/// A pattern with `*` as SQL's LIKE writes it.
fn like(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len() + 8);
    for character in pattern.chars() {
        match character {
            '*' => text.push('%'),
            '%' | '_' | '\\' => text.extend(['\\', character]),
            other => text.push(other),
        }
    }
    text
}

/// Cuts a call into parts of at most that many entries, as far as quarter hours and shares allow, from the counts of its
/// quarter hours in order.
#[must_use]
pub fn plan(call: &Call, counts: &[(i64, u64)], entries_max: u64) -> Vec<Slice> {
    const QUARTER_MS: i64 = 15 * 60 * 1000;
    let entries_max = entries_max.max(1);
    let mut slices = Vec::new();
    let mut from = call.from;
    let mut held = 0;
    for (quarter, count) in counts {
        let quarter = (*quarter).max(call.from);
        if held > 0 && held + count > entries_max {
            slices.push(Slice { from, to: quarter, share: 0, shares: 1 });
            (from, held) = (quarter, 0);
        }
        if *count > entries_max {
            let end = (quarter.div_euclid(QUARTER_MS) * QUARTER_MS + QUARTER_MS).min(call.to);
            let shares = count.div_ceil(entries_max);
            slices.extend((0..shares).map(|share| Slice { from, to: end, share, shares }));
            from = end;
            continue;
        }
        held += count;
    }
    if from < call.to || slices.is_empty() {
        slices.push(Slice { from, to: call.to, share: 0, shares: 1 });
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(from: i64, to: i64) -> Call {
        Call {
            what: What::Reprice,
            from,
            to,
            filters: Filters::new(),
            event_ids: Vec::new(),
            set: Facts::default(),
            reverts: 0,
            reason: "r".into(),
        }
    }

    const QUARTER: i64 = 900_000;

    #[test]
    fn the_parts_of_an_operation_cover_its_period_once_and_hold_no_more_than_they_may() {
        let counts = [(0, 3), (QUARTER, 4), (4 * QUARTER, 25), (5 * QUARTER, 1)];
        let slices = plan(&call(0, 10 * QUARTER), &counts, 10);
        let expected = [
            (0, 4 * QUARTER, 0, 1),
            (4 * QUARTER, 5 * QUARTER, 0, 3),
            (4 * QUARTER, 5 * QUARTER, 1, 3),
            (4 * QUARTER, 5 * QUARTER, 2, 3),
            (5 * QUARTER, 10 * QUARTER, 0, 1),
        ];
        let found: Vec<_> =
            slices.iter().map(|slice| (slice.from, slice.to, slice.share, slice.shares)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_operation_over_nothing_has_one_step() {
        assert_eq!(plan(&call(5, 9), &[], 10), [Slice { from: 5, to: 9, share: 0, shares: 1 }]);
    }

    #[test]
    fn a_filter_is_bound_and_never_part_of_the_question() {
        let mut asked = call(0, 1);
        asked.filters.insert("tag:a') OR 1=1".into(), vec!["x".into()]);
        let sql = live_counts(&asked, &Cut::default(), &[0]).unwrap().sql;
        assert!(sql.contains("(tags[{tag0:String}] IN {exact0:Array(String)})"), "{sql}");
        asked.filters.insert("1=1 OR model".into(), vec!["x".into()]);
        assert!(live_counts(&asked, &Cut::default(), &[0]).is_err());
    }
}
