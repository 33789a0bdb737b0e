//! Projections beside each other, or in a full audit beside the entries: the same daily totals from both. Events may
//! be posted meanwhile, so the projection is read before and after, and only totals that stood still are compared.

use std::collections::BTreeMap;

use clickhouse::Row;
use schemas::queries::{self, Open};
use serde::Deserialize;

use super::{Auditor, Check, Depth, Difference, Error, ProjectionBalance, Report};

/// The projections, and the query whose totals each keeps.
const PROJECTIONS: &[(&str, Open)] = &[
    ("by_day_and_model", queries::AUDIT_DAYS),
    ("by_day_and_key", queries::AUDIT_DAYS),
    ("by_quarter_hour", queries::AUDIT_QUARTERS),
];

/// The projection that the others are compared with, where the entries themselves are not read.
const REFERENCE: &str = "by_day_and_model";

/// Totals of one day and currency.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
struct Day {
    day: String,
    currency_code: String,
    attempts_sum: i64,
    requests_sum: i64,
    unpriced_sum: i64,
    fixed_sums: Vec<i64>,
    rest_sums: String,
    list_cost_sum: String,
    cost_sum: String,
    charge_sum: String,
    cost_avoided_sum: String,
}

/// Checks every projection.
pub(super) async fn check(auditor: &Auditor, depth: Depth, report: &mut Report) -> Result<(), Error> {
    let against = match depth {
        Depth::Digests => Some(REFERENCE),
        Depth::Full => None,
    };
    for (projection, query) in PROJECTIONS {
        if against == Some(projection) {
            continue;
        }
        let before = totals(auditor, *query, Some(projection)).await?;
        let reference = if against.is_some() { queries::AUDIT_DAYS } else { *query };
        let entries = totals(auditor, reference, against).await?;
        let after = totals(auditor, *query, Some(projection)).await?;
        let differing: Vec<&Day> = after
            .iter()
            .filter(|(key, day)| before.get(*key) == Some(*day) && entries.get(*key) != Some(*day))
            .map(|(_, day)| day)
            .chain(entries.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(_, day)| day))
            .collect();
        report.projections.push(ProjectionBalance {
            projection: (*projection).to_owned(),
            against: against.unwrap_or("entries").to_owned(),
            clean: differing.is_empty(),
        });
        for day in differing {
            report.differs(Difference {
                check: Check::Projection,
                topic: None,
                partition: None,
                offset: None,
                detail: format!(
                    "the projection {projection} and {} have other totals on {} in `{}`",
                    against.unwrap_or("the entries"),
                    day.day,
                    day.currency_code
                ),
            });
        }
    }
    Ok(())
}

async fn totals(
    auditor: &Auditor,
    query: Open,
    projection: Option<&str>,
) -> Result<BTreeMap<(String, String), Day>, Error> {
    let query = auditor.query(query);
    let query = match projection {
        Some(name) => query
            .with_setting("optimize_use_projections", "1")
            .with_setting("preferred_optimize_projection_name", name)
            .with_setting("force_optimize_projection_name", name),
        None => query.with_setting("optimize_use_projections", "0"),
    };
    let days: Vec<Day> =
        query.fetch_all().await.map_err(|source| Error::store("the daily totals", source))?;
    Ok(days.into_iter().map(|day| ((day.day.clone(), day.currency_code.clone()), day)).collect())
}
