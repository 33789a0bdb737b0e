//! Runs a spend question: writes its segments into the named queries and reads the totals.

use clickhouse::Row;
use schemas::entries::price_column;
use schemas::queries;
use serde::Deserialize;

use super::plan::{Segment, Source, plan};
use super::{Position, Previous, Question, SpendRow, Unpriced};
use crate::bounds::{Bounds, Conditions, Value, Values};
use crate::dimension::{Filter, Kept};
use crate::error::Problem;
use crate::period::{Buckets, Period, rfc3339};
use crate::store::{Snapshot, Statement};
use crate::units::{self, FIXED};

/// One row of totals as the store answers it.
#[derive(Debug, Row, Deserialize)]
pub(crate) struct Total {
    shown_bucket: i64,
    shown_groups: Vec<String>,
    currency_code: String,
    requests_total: i64,
    attempts_total: i64,
    units: Vec<String>,
    quantities: Vec<String>,
    amount_total: String,
    requests_before: i64,
    attempts_before: i64,
    amount_before: String,
}

#[derive(Debug, Row, Deserialize)]
struct Largest {
    group_key: String,
}

#[derive(Debug, Row, Deserialize)]
struct Count {
    entries: i64,
}

#[derive(Debug, Row, Deserialize)]
struct UnitCount {
    unit: String,
    entries: i64,
}

/// The totals of a page, and one row more where there is another page.
pub(super) async fn totals(
    store: &Snapshot,
    bounds: &Bounds,
    question: &Question,
) -> Result<Vec<Total>, Problem> {
    let (segments, mut conditions) = segments(bounds, question);
    let before = question.compared.as_ref().map(|compared| compared.before_sql(&mut conditions.values));
    let before = before.as_deref().unwrap_or("false");
    let mut groups = "groups".to_owned();
    if let Some(top) = question.top {
        let mut ranked = conditions.clone();
        ranked.values = ranked.values.with("top", Value::Unsigned(top));
        let largest: Vec<Largest> = store
            .ledger(queries::SPEND_TOP, ranked, |statement| {
                statement.slot("segments", &segments).slot("before", before)
            })
            .await?;
        let keys: Vec<String> = largest.into_iter().map(|group| group.group_key).collect();
        let keys = conditions.values.bind_texts(&keys);
        groups = format!("if(has({keys}, toString((groups, currency_code))), groups, [])");
    }
    let after = after_sql(question.after.as_ref(), &mut conditions.values);
    conditions.values = conditions.values.with("limit", Value::Unsigned(question.limit.saturating_add(1)));
    store
        .ledger(queries::SPEND, conditions, |statement| {
            statement
                .slot("segments", &segments)
                .slot("bucket", if question.compared.is_some() { "toInt64(0)" } else { "bucket" })
                .slot("groups", &groups)
                .slot("before", before)
                .slot("after", &after)
                .slot("fixed_units", &units::fixed_sql())
        })
        .await
}

/// What of the whole question, not of the page alone, has no price.
pub(super) async fn unpriced(
    store: &Snapshot,
    bounds: &Bounds,
    question: &Question,
) -> Result<Option<Unpriced>, Problem> {
    let conditions = filtered(bounds, question);
    let segments = planned(question, &question.period, question.buckets.as_ref())
        .iter()
        .map(|segment| {
            Statement::ledger(queries::SPEND_UNPRICED_SEGMENT, &conditions).slot("time", &segment.time_sql())
        })
        .map(|statement| statement.text().to_owned())
        .collect::<Vec<_>>()
        .join("\nUNION ALL\n");
    let counts: Vec<Count> = store
        .ledger(queries::SPEND_UNPRICED, conditions.clone(), |statement| {
            statement.slot("segments", &segments)
        })
        .await?;
    let entries: i64 = counts.iter().map(|count| count.entries).sum();
    if entries == 0 {
        return Ok(None);
    }
    let time = super::entries_sql(question.period.from, question.period.to);
    let units: Vec<UnitCount> =
        store.ledger(queries::UNPRICED_UNITS, conditions, |statement| statement.slot("time", &time)).await?;
    Ok(Some(Unpriced {
        entries,
        units: units.into_iter().map(|count| (count.unit, count.entries)).collect(),
    }))
}

impl Total {
    pub(super) fn position(&self) -> Position {
        (self.shown_bucket, self.shown_groups.clone(), self.currency_code.clone())
    }

    pub(super) fn shown(self, question: &Question) -> SpendRow {
        let from = self.shown_bucket.saturating_mul(1000);
        let (from, to) = match &question.buckets {
            None => (question.period.from, question.period.to),
            Some(buckets) => {
                let next = buckets.starts.partition_point(|start| *start <= from);
                (from, buckets.starts.get(next).copied().unwrap_or(buckets.end))
            }
        };
        // What is not among the largest groups comes as one row without values.
        let is_other = self.shown_groups.len() < question.group_by.len();
        let mut values = self.shown_groups.into_iter();
        let group = question
            .group_by
            .iter()
            .map(|dimension| (dimension.name(), values.next().filter(|value| !value.is_empty())))
            .collect();
        let previous = question.compared.as_ref().map(|compared| Previous {
            from: rfc3339(compared.whole.from),
            to: rfc3339(question.period.from),
            requests: self.requests_before,
            attempts: self.attempts_before,
            amount: self.amount_before,
        });
        let quantities = question.quantities.then(|| units::by_name(self.units, self.quantities));
        SpendRow {
            group,
            from: rfc3339(from),
            to: rfc3339(to),
            requests: self.requests_total,
            attempts: self.attempts_total,
            quantities,
            amount: self.amount_total,
            currency: Some(self.currency_code).filter(|code| !code.is_empty()),
            is_other,
            previous,
        }
    }
}

/// The segments as SQL, and the conditions whose values they name.
fn segments(bounds: &Bounds, question: &Question) -> (String, Conditions) {
    let mut conditions = filtered(bounds, question);
    let groups = groups_sql(question, &mut conditions.values);
    let unit_filters: Vec<&Filter> =
        question.filters.iter().filter(|filter| filter.dimension.kept() == Kept::InLines).collect();
    let unit_condition = unit_filters
        .iter()
        .map(|filter| filter.lines_sql(&mut conditions.values))
        .collect::<Vec<_>>()
        .join(" AND ");
    let by_unit = question.group_by.iter().any(|dimension| dimension.kept() == Kept::InLines);
    let of_lines = by_unit || !unit_filters.is_empty();
    let (period, buckets) = match &question.compared {
        Some(compared) => (&compared.whole, Some(&compared.buckets)),
        None => (&question.period, question.buckets.as_ref()),
    };
    let bounds_value =
        buckets.map(|buckets| conditions.values.bind("Array(Int64)", Value::Ints(starts(buckets))));
    let text = planned(question, period, buckets)
        .iter()
        .map(|segment| {
            let query = if of_lines { queries::SPEND_LINES } else { queries::SPEND_SEGMENT };
            let statement = Statement::ledger(query, &conditions)
                .slot("bucket", &bucket_sql(segment.source, bounds_value.as_deref()))
                .slot("groups", &groups)
                .slot("measure", question.measure.column())
                .slot("currency", question.measure.currency())
                .slot("time", &segment.time_sql());
            if of_lines {
                let (is_apart, plane_lines) = question.measure.plane();
                let statement = statement.slot("is_apart", is_apart).slot("plane_lines", plane_lines);
                lines_slots(statement, by_unit, &unit_condition)
            } else {
                quantity_slots(statement, question.quantities)
            }
        })
        .map(|statement| statement.text().to_owned())
        .collect::<Vec<_>>()
        .join("\nUNION ALL\n");
    (text, conditions)
}

fn filtered(bounds: &Bounds, question: &Question) -> Conditions {
    let mut conditions = Conditions::of(bounds);
    for filter in &question.filters {
        filter.add_to(&mut conditions);
    }
    conditions
}

fn planned(question: &Question, period: &Period, buckets: Option<&Buckets>) -> Vec<Segment> {
    let kept: Vec<Kept> = question
        .group_by
        .iter()
        .map(crate::dimension::Dimension::kept)
        .chain(question.filters.iter().map(|filter| filter.dimension.kept()))
        .collect();
    plan(period, question.interval, buckets, &kept)
}

fn starts(buckets: &Buckets) -> Vec<i64> {
    buckets.starts.iter().map(|start| start / 1000).collect()
}

fn bucket_sql(source: Source, starts: Option<&str>) -> String {
    starts.map_or_else(
        || "toInt64(0)".to_owned(),
        |starts| format!("roundDown({}, {starts})", source.slot_seconds()),
    )
}

fn groups_sql(question: &Question, values: &mut Values) -> String {
    if question.group_by.is_empty() {
        return "CAST([], 'Array(String)')".to_owned();
    }
    let texts: Vec<String> = question
        .group_by
        .iter()
        .map(|dimension| format!("toString({})", dimension.expression(values)))
        .collect();
    format!("[{}]", texts.join(", "))
}

fn quantity_slots(statement: Statement, quantities: bool) -> Statement {
    if quantities {
        let sums: Vec<String> = FIXED.iter().map(|unit| format!("sum({unit})")).collect();
        statement
            .slot("fixed", &format!("[{}]", sums.join(", ")))
            .slot("rest", "sumMap(line_units, line_quantities)")
    } else {
        statement
            .slot("fixed", "CAST([], 'Array(Int64)')")
            .slot("rest", "CAST(([], []), 'Tuple(Array(LowCardinality(String)), Array(Decimal(38, 18)))')")
    }
}

fn lines_slots(statement: Statement, by_unit: bool, unit_condition: &str) -> Statement {
    let fixed: Vec<String> = FIXED
        .iter()
        .map(|unit| {
            let price = price_column(unit);
            format!("('{unit}', toDecimal128({unit}, 18), toDecimal256({unit}, 0) * {price})")
        })
        .collect();
    let parts = if by_unit {
        "arrayMap(name -> arrayFilter(line -> line.1 = name, lines), arrayDistinct(arrayMap(line -> line.1, lines)))"
    } else {
        "[lines]"
    };
    statement
        .slot("fixed_lines", &fixed.join(",\n            "))
        .slot("unit_condition", if unit_condition.is_empty() { "true" } else { unit_condition })
        .slot("parts", parts)
}

fn after_sql(after: Option<&Position>, values: &mut Values) -> String {
    let Some((bucket, groups, currency)) = after else { return "true".to_owned() };
    let bucket = values.bind("Int64", Value::Int(*bucket));
    let groups = values.bind_texts(groups);
    let currency = values.bind_text(currency);
    format!("(shown_bucket, shown_groups, currency_code) > ({bucket}, {groups}, {currency})")
}
