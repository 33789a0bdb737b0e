//! `tollbook spend`: totals by any dimensions, as `GET /v1/spend` answers them. Every total is the service's own.

use ::api::answers::{Spend, SpendRow};
use ::api::client::Client;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ledger::money::Amount;

use crate::service::{Filter, ServiceOptions, filter};
use crate::table::{Column, aligned};

/// Rows of a page.
const PAGE: &str = "10000";
/// What stands for a group whose entries have no value.
const NONE: &str = "(none)";

/// Options of `tollbook spend`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Dimensions to group by, up to four, such as team,model or tag:feature
    #[arg(long, env = "TOLLBOOK_GROUP_BY", value_delimiter = ',', value_name = "DIMENSIONS")]
    group_by: Vec<String>,
    /// Only what has that value, such as team=search-core or model=gpt-*, or has it not: team!=ads; may be repeated
    #[arg(long = "where", env = "TOLLBOOK_WHERE", value_parser = filter, value_name = "DIMENSION=VALUE")]
    filters: Vec<Filter>,
    /// Start of the period, a date in --tz or an instant; by default the start of the current month
    #[arg(long, env = "TOLLBOOK_FROM", value_name = "TIME")]
    from: Option<String>,
    /// End of the period, not part of it
    #[arg(long, env = "TOLLBOOK_TO", value_name = "TIME")]
    to: Option<String>,
    /// Time zone of dates and intervals, such as Europe/Berlin; by default UTC
    #[arg(long, env = "TOLLBOOK_TZ", value_name = "ZONE")]
    tz: Option<String>,
    /// One row for each hour, day, week or month
    #[arg(long, env = "TOLLBOOK_INTERVAL", value_name = "INTERVAL")]
    interval: Option<String>,
    /// What to add up: charge, cost or list_cost
    #[arg(long, env = "TOLLBOOK_MEASURE", default_value = "charge", value_name = "MEASURE")]
    measure: String,
    /// Only the rows with the largest amounts, the largest first
    #[arg(long, env = "TOLLBOOK_TOP", value_name = "ROWS")]
    top: Option<usize>,
    /// Form of the answer
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Asks and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let mut spend = service.runtime.block_on(options.read(&service.client, options.groups()))?;
    if let Some(top) = options.top {
        spend.rows = largest(spend.rows, top)?;
    }
    if options.format == Format::Json {
        println!("{}", serde_json::to_string_pretty(&spend)?);
        return Ok(());
    }
    // Groups may overlap, so the total is not their sum.
    let totals = service.runtime.block_on(options.read(&service.client, Vec::new()))?;
    println!("{}", options.table(&spend.rows, &totals.rows));
    if let Some(unpriced) = &spend.unpriced {
        let units: Vec<&str> = unpriced.units.keys().map(String::as_str).collect();
        let units = if units.is_empty() { String::new() } else { format!(" (units: {})", units.join(", ")) };
        println!("{} entries have no full price{units}", unpriced.entries);
    }
    match &spend.complete_through {
        Some(instant) => println!("complete through {instant}"),
        None => println!("not complete: a partition is unread"),
    }
    Ok(())
}

impl Options {
    /// What divides the totals.
    fn groups(&self) -> Vec<(&str, &str)> {
        let groups = self.group_by.iter().map(|dimension| ("group_by", dimension.as_str()));
        groups.chain(self.interval.as_deref().map(|interval| ("interval", interval))).collect()
    }

    /// All pages of an answer as one.
    async fn read<'a>(&'a self, client: &Client, groups: Vec<(&'a str, &'a str)>) -> anyhow::Result<Spend> {
        let mut parameters = groups;
        parameters.extend(self.filters.iter().map(|(dimension, value)| (dimension.as_str(), value.as_str())));
        let given = [("from", &self.from), ("to", &self.to), ("tz", &self.tz)];
        parameters.extend(given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
        parameters.extend([("measure", self.measure.as_str()), ("quantities", "false"), ("limit", PAGE)]);
        let mut spend = client.spend(&parameters).await?;
        while let Some(cursor) = spend.next_cursor.take() {
            let mut parameters = parameters.clone();
            parameters.push(("cursor", &cursor));
            let page = client.spend(&parameters).await?;
            spend.rows.extend(page.rows);
            spend.next_cursor = page.next_cursor;
        }
        Ok(spend)
    }

    fn table(&self, rows: &[SpendRow], totals: &[SpendRow]) -> String {
        let mut columns: Vec<Column<'_>> =
            self.interval.iter().map(|interval| Column::Text(interval)).collect();
        columns.extend(self.group_by.iter().map(|dimension| Column::Text(dimension)));
        let labels = columns.len();
        columns.extend([
            Column::Number("requests"),
            Column::Number("attempts"),
            Column::Number(&self.measure),
        ]);
        columns.push(Column::Text("currency"));
        let shown = rows.iter().map(|row| {
            let group = self.group_by.iter().map(|dimension| row.group.get(dimension).cloned().flatten());
            let group = group.map(|value| value.unwrap_or_else(|| NONE.to_owned()));
            with_numbers(self.interval.iter().map(|_| row.from.clone()).chain(group).collect(), row)
        });
        let totals = totals.iter().filter(|_| labels > 0).map(|row| {
            let label =
                ["total".to_owned()].into_iter().chain(std::iter::repeat_n(String::new(), labels - 1));
            with_numbers(label.collect(), row)
        });
        aligned(&columns, shown.chain(totals))
    }
}

fn with_numbers(mut labels: Vec<String>, row: &SpendRow) -> Vec<String> {
    let currency = row.currency.clone().unwrap_or_else(|| "no price".to_owned());
    labels.extend([row.requests.to_string(), row.attempts.to_string(), row.amount.clone(), currency]);
    labels
}

/// The rows with the largest amounts, whatever their currency.
fn largest(rows: Vec<SpendRow>, top: usize) -> anyhow::Result<Vec<SpendRow>> {
    if top == 0 {
        bail!("--top must be at least 1");
    }
    let mut rows = rows
        .into_iter()
        .map(|row| {
            Ok((Amount::parse(&row.amount).with_context(|| format!("the amount {}", row.amount))?, row))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    rows.sort_by(|(one, _), (other, _)| other.cmp(one));
    rows.truncate(top);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(team: &str, amount: &str) -> SpendRow {
        SpendRow {
            group: [("team".to_owned(), Some(team.to_owned()))].into(),
            from: "2026-11-01T00:00:00Z".into(),
            to: "2026-12-01T00:00:00Z".into(),
            requests: 1,
            attempts: 2,
            quantities: None,
            amount: amount.into(),
            currency: Some("USD".into()),
            is_other: false,
            previous: None,
        }
    }

    #[test]
    fn the_top_rows_are_those_of_the_largest_numbers_and_not_of_the_largest_texts() {
        let rows = largest(vec![row("a", "9.5"), row("b", "10.25"), row("c", "-1")], 2).unwrap();
        let teams: Vec<_> = rows.iter().map(|row| row.group["team"].clone().unwrap()).collect();
        assert_eq!(teams, ["b", "a"]);
    }
}
