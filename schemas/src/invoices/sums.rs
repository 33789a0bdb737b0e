//! What entries come to by the lines of invoices: the parts of the questions, and a row of the answer.

use ledger::account::Kind;
use ledger::unit::Unit;
use serde::Deserialize;

use crate::entries::price_column;
use crate::queries;

/// The column of `entries` whose value an account's id is.
#[must_use]
pub const fn account_column(kind: Kind) -> &'static str {
    match kind {
        Kind::Customer => "customer",
        Kind::Team => "team",
    }
}

/// The condition that an entry is on an invoice of an account of that kind; its values are bound by name.
#[must_use]
pub fn membership_sql(kind: Kind) -> String {
    without_comments(queries::INVOICE_MEMBERSHIP).replace("{{account}}", account_column(kind))
}

/// The id of the closed invoice that an entry is on, as an expression over its columns.
#[must_use]
pub fn invoice_of_entry_sql() -> String {
    without_comments(queries::INVOICE_OF_ENTRY)
}

/// The condition that an entry has a line that a line of an invoice sums; its values are bound by name.
#[must_use]
pub fn entry_line_sql() -> String {
    without_comments(queries::INVOICE_ENTRY_LINE).replace("{{fixed_lines}}", &fixed_lines_sql())
}

/// A query that is a part of others.
fn without_comments(part: queries::Open) -> String {
    part.text().lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(
        "
",
    )
}

/// The lines of the units with columns of their own, as the slot of the query for sums takes them.
fn fixed_lines_sql() -> String {
    let line = |unit: &Unit| {
        let name = unit.name();
        let price = price_column(name);
        format!(
            "('{name}', toDecimal128({name}, 18), if(has(unpriced_units, '{name}'), '', toString({price})), toDecimal256({name}, 0) * {price}, '')"
        )
    };
    Unit::FIXED.iter().map(line).collect::<Vec<_>>().join(",\n                ")
}

/// The slots of the query for sums, but for the conditions of whoever asks.
#[must_use]
pub fn sums_slots(kind: Kind) -> [(&'static str, String); 4] {
    [
        ("membership", membership_sql(kind)),
        ("account", account_column(kind).to_owned()),
        ("team", "''".to_owned()),
        ("fixed_lines", fixed_lines_sql()),
    ]
}

/// One row of what entries come to, as the store answers it.
#[derive(Clone, Debug, PartialEq, Eq, clickhouse::Row, Deserialize)]
#[expect(missing_docs, reason = "the fields are explained in invoice_sums.sql")]
pub struct SumRow {
    pub account_id: String,
    pub currency_code: String,
    pub adjusts_month_start: i64,
    pub team_name: String,
    pub model_name: String,
    pub unit_name: String,
    pub unit_price_text: String,
    pub quantity_total: String,
    pub amount_total: String,
}
