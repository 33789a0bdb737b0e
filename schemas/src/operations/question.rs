//! The questions of an operation: which entries it is about.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Call, Filters, Slice};
use crate::invoices::Cut;
use crate::queries::{self, like};

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
