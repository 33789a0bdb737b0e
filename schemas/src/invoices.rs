//! Invoices as they cross the boundary: the sums of entries that a bill is made of, the invoice as canonical text, its
//! hash, and the table of closed ones. The worker closes by this, and the API shows open invoices by it, so that an
//! open invoice is what a close would make of the same entries.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use iso_currency::Currency;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use ledger::account::{Account, Kind};
use ledger::event::Millis;
use ledger::invoice::{Bill, Line, LineKey, LineKind, Month, Sum, Terms, bill};
use ledger::money::{Amount, Decimal};
use ledger::unit::Unit;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::columns::{Fixed, List, Text, table};
use crate::entries::price_column;
use crate::queries;
use crate::tables::{Origin, push_list};

/// Decimals of a currency that ISO 4217 does not know or gives no minor unit.
const DECIMALS_USUAL: u8 = 2;
/// What an invoice's id begins with.
const ID_PREFIX: &str = "inv_";

/// Why an invoice cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A month is not one, or has no such time zone.
    #[error("the month {month} of the zone {time_zone:?} has no bounds: {detail}")]
    Bounds {
        /// The month.
        month: Month,
        /// The account's zone.
        time_zone: String,
        /// Why not.
        detail: String,
    },
    /// The store answered with what is no number.
    #[error("the store's sum {text:?} is no number of the ledger")]
    Number {
        /// What it answered.
        text: String,
    },
    /// A sum has more than 38 digits.
    #[error("a sum of account {account:?} has more than 38 digits")]
    Overflow {
        /// The account.
        account: String,
    },
}

/// A position in each partition: of entries before it, whatever posted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Topic of each partition.
    pub topics: Vec<String>,
    /// Number of each partition.
    pub partitions: Vec<u32>,
    /// The offset in each partition before which entries belong to it.
    pub nexts: Vec<u64>,
}

impl Cut {
    /// The offset before which entries of a partition belong to it; 0 where it does not name the partition.
    #[must_use]
    pub fn next(&self, topic: &str, partition: u32) -> u64 {
        let names = self.topics.iter().zip(&self.partitions).zip(&self.nexts);
        let found = names.into_iter().find(|((name, number), _)| *name == topic && **number == partition);
        found.map_or(0, |(_, next)| *next)
    }

    /// Whether all that is before the other one is before this one too.
    #[must_use]
    pub fn reaches(&self, other: &Self) -> bool {
        let others = other.topics.iter().zip(&other.partitions).zip(&other.nexts);
        others.into_iter().all(|((topic, partition), next)| self.next(topic, *partition) >= *next)
    }
}

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

/// The months that one question for sums is about, in one time zone: those that are closed, and the one to bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Months {
    starts: Vec<(i64, Month)>,
    end: i64,
    time_zone: String,
}

impl Months {
    /// The months from `first` to `last`, both included.
    ///
    /// # Errors
    /// [`Error::Bounds`] where the calendar or the zone has no such instants.
    pub fn new(first: Month, last: Month, time_zone: &str) -> Result<Self, Error> {
        let mut starts = Vec::new();
        let mut month = first.min(last);
        loop {
            starts.push((start(month, time_zone)?, month));
            if month >= last {
                break;
            }
            month = after(month, time_zone)?;
        }
        Ok(Self { starts, end: start(after(last, time_zone)?, time_zone)?, time_zone: time_zone.to_owned() })
    }

    /// All months that can have entries, up to `last`: what came late for any of them is billed with it.
    ///
    /// # Errors
    /// As [`Months::new`].
    pub fn up_to(last: Month, time_zone: &str) -> Result<Self, Error> {
        // No event is older.
        Self::new(Month::new(2015, 1).unwrap_or(last), last, time_zone)
    }

    /// Where each month begins, in seconds since 1970.
    #[must_use]
    pub fn starts(&self) -> Vec<i64> {
        self.starts.iter().map(|(start, _)| *start).collect()
    }

    /// Where the last month ends, in seconds since 1970.
    #[must_use]
    pub const fn end(&self) -> i64 {
        self.end
    }

    /// The bounds of the last month, half-open.
    #[must_use]
    pub fn last_bounds(&self) -> (Millis, Millis) {
        let start = self.starts.last().map_or(self.end, |(start, _)| *start);
        (Millis(start.saturating_mul(1000)), Millis(self.end.saturating_mul(1000)))
    }

    /// A row of the store's answer as a sum of an invoice.
    ///
    /// # Errors
    /// [`Error::Number`] where its figures are no numbers of the ledger.
    pub fn sum(&self, row: SumRow) -> Result<Sum, Error> {
        let adjusts = (row.adjusts_month_start != 0).then(|| {
            let month = self.starts.iter().find(|(start, _)| *start == row.adjusts_month_start);
            month.map(|(_, month)| *month)
        });
        let adjusts = adjusts
            .map(|month| month.ok_or_else(|| number(&row.adjusts_month_start.to_string())))
            .transpose()?;
        Ok(Sum {
            key: LineKey {
                adjusts,
                team: row.team_name,
                model: row.model_name,
                unit: row.unit_name,
                unit_price: row.unit_price_text,
            },
            quantity: Decimal::parse(&row.quantity_total).map_err(|_| number(&row.quantity_total))?,
            amount: Amount::parse(&row.amount_total).map_err(|_| number(&row.amount_total))?,
        })
    }
}

fn number(text: &str) -> Error {
    Error::Number { text: text.to_owned() }
}

/// Where a local month begins, in seconds since 1970.
fn start(month: Month, time_zone: &str) -> Result<i64, Error> {
    let bounds = |error: jiff::Error| Error::Bounds {
        month,
        time_zone: time_zone.to_owned(),
        detail: error.to_string(),
    };
    let zone = TimeZone::get(time_zone).map_err(bounds)?;
    let first = i8::try_from(month.month()).ok().and_then(|number| Date::new(month.year(), number, 1).ok());
    let first = first.ok_or_else(|| Error::Bounds {
        month,
        time_zone: time_zone.to_owned(),
        detail: "the calendar has no such month".into(),
    })?;
    Ok(first.to_zoned_datetime(zone).map_err(bounds)?.timestamp().as_second())
}

fn after(month: Month, time_zone: &str) -> Result<Month, Error> {
    let detail = "there is no month after it".to_owned();
    month.next().ok_or_else(|| Error::Bounds { month, time_zone: time_zone.to_owned(), detail })
}

/// The local month of an instant; `None` where there is no such zone.
#[must_use]
pub fn month_of(at: Millis, time_zone: &str) -> Option<Month> {
    let zone = TimeZone::get(time_zone).ok()?;
    let date = Timestamp::from_millisecond(at.0).ok()?.to_zoned_datetime(zone).date();
    Month::new(date.year(), u8::try_from(date.month()).ok()?)
}

/// When the bill of a month can be complete at the earliest: its end, and the account's grace.
#[must_use]
pub fn settled_at(end: Millis, account: &Account) -> Millis {
    let grace = i64::from(account.grace_hours).hours();
    let at = Timestamp::from_millisecond(end.0).ok().and_then(|end| end.checked_add(grace).ok());
    at.map_or(end, |at| Millis(at.as_millisecond()))
}

/// How many decimals the amounts of a currency have.
#[must_use]
pub fn decimals(currency: &str) -> u8 {
    let exponent = Currency::from_code(currency).and_then(Currency::exponent);
    exponent.and_then(|exponent| u8::try_from(exponent).ok()).unwrap_or(DECIMALS_USUAL)
}

/// An invoice as text: what the API shows, what exports are made of, and what the hash is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvoiceText {
    /// Names it for ever.
    pub id: String,
    /// `open`: what a close would make of the present entries; `closed`: this never changes.
    pub state: String,
    /// `customer` or `team`.
    pub kind: String,
    /// The account that is billed.
    pub account: String,
    /// The account's name.
    pub name: String,
    /// The account's postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The account's tax number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    /// The month, `YYYY-MM`.
    pub period: String,
    /// The zone in which the month begins.
    pub time_zone: String,
    /// Start of the month.
    pub from: String,
    /// End of the month, not part of it.
    pub to: String,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    /// What is billed.
    pub lines: Vec<LineText>,
    /// The sum of the lines' rounded amounts: what is owed.
    pub total: String,
    /// The exact sum of usage and adjustments, for the balance with the ledger.
    pub exact_usage: String,
    /// How amounts were rounded.
    pub rounding: String,
    /// What it was closed over although it was not as it should be, with what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// Why it was closed over that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The log time up to which everything was in the ledger.
    pub complete_through: Option<String>,
    /// The position of each partition before which entries are on it; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// The position of the command log as of which prices and accounts were in force; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands_through: Option<u64>,
    /// When it was closed; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
    /// SHA-256 of the canonical text: this object as compact JSON, in this order, without this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// What an invoice was closed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// `unpriced`, `incomplete`, `quarantine` or `audit`.
    pub what: String,
    /// What was found.
    pub detail: String,
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineText {
    /// From 1.
    pub number: u32,
    /// `usage`, `adjustment`, `fee`, `minimum`, `credit` or `tax`.
    pub kind: String,
    /// The month that it adjusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusts: Option<String>,
    /// The team, where the invoice is taken apart by team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The model; of what is no usage, the description.
    pub model: String,
    /// The unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The price of one of the unit; absent where the line mixes prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
    /// How much of the unit.
    pub quantity: String,
    /// The exact sum of the entries.
    pub exact_amount: String,
    /// That sum rounded once to the currency's minor unit.
    pub amount: String,
}

/// What an account's invoice of a month is besides its lines.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// The account as of the end of the month.
    pub account: &'a Account,
    /// The months that were asked for; the last one is billed.
    pub months: &'a Months,
    /// The month that is billed.
    pub month: Month,
}

/// The invoices of an account's month: one for each currency that occurs, and the account's own in any case, so that a
/// month without usage can be closed too. They are open; the worker closes them.
///
/// # Errors
/// [`Error::Overflow`] where a sum has more than 38 digits.
pub fn invoices(heading: &Heading<'_>, sums: BTreeMap<String, Vec<Sum>>) -> Result<Vec<InvoiceText>, Error> {
    let own = &heading.account.currency;
    let mut sums = sums;
    sums.entry(own.clone()).or_default();
    let (terms, nothing) = (heading.account.terms(heading.month), Terms::default());
    sums.into_iter()
        .map(|(currency, sums)| {
            // Fees and the like are of the account's own currency.
            let terms = if currency == *own { &terms } else { &nothing };
            let decimals = decimals(&currency);
            let bill = bill(sums, terms, decimals);
            let bill = bill.map_err(|_| Error::Overflow { account: heading.account.id.clone() })?;
            Ok(heading.invoice(&currency, &bill, decimals))
        })
        .collect()
}

impl Heading<'_> {
    fn invoice(&self, currency: &str, bill: &Bill, decimals: u8) -> InvoiceText {
        let Self { account, months, month } = self;
        let (from, to) = months.last_bounds();
        let kind = account.kind.name();
        InvoiceText {
            id: id(kind, &account.id, *month, currency),
            state: "open".into(),
            kind: kind.into(),
            account: account.id.clone(),
            name: account.name.clone(),
            address: account.address.clone(),
            tax_id: account.tax_id.clone(),
            period: month.to_string(),
            time_zone: months.time_zone.clone(),
            from: instant(from),
            to: instant(to),
            currency: currency.into(),
            lines: (1..)
                .zip(&bill.lines)
                .map(|(number, line)| LineText::of(number, line, decimals))
                .collect(),
            total: money(bill.total, decimals),
            exact_usage: bill.exact_usage.to_string(),
            rounding: format!("each line once, half to even, to {decimals} decimals"),
            accepted: Vec::new(),
            reason: None,
            complete_through: None,
            cut: None,
            commands_through: None,
            closed_at: None,
            hash: None,
        }
    }
}

impl LineText {
    fn of(number: u32, line: &Line, decimals: u8) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let is_counted = matches!(line.kind, LineKind::Usage | LineKind::Adjustment);
        Self {
            number,
            kind: line.kind.name().into(),
            adjusts: line.key.adjusts.map(|month| month.to_string()),
            team: text(&line.key.team),
            model: line.key.model.clone(),
            unit: text(&line.key.unit).filter(|_| is_counted),
            unit_price: text(&line.key.unit_price),
            quantity: line.quantity.to_string(),
            exact_amount: line.exact_amount.to_string(),
            amount: money(line.amount, decimals),
        }
    }
}

impl InvoiceText {
    /// The canonical text, which the hash is over.
    ///
    /// # Errors
    /// Where it cannot be written, which no invoice is known for.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Self { hash: None, ..self.clone() })
    }

    /// The SHA-256 of the canonical text, in hexadecimal.
    ///
    /// # Errors
    /// As [`InvoiceText::canonical`].
    pub fn digest(&self) -> Result<String, serde_json::Error> {
        Ok(hexadecimal(&Sha256::digest(self.canonical()?.as_bytes())))
    }
}

/// The id of an invoice: what names it, so that an open one has the id that it keeps when it is closed.
#[must_use]
pub fn id(kind: &str, account: &str, month: Month, currency: &str) -> String {
    let name = serde_json::json!([kind, account, month.to_string(), currency]).to_string();
    format!("{ID_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(name))
}

/// What an invoice's id names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What the account's id names.
    pub kind: Kind,
    /// The account.
    pub account: String,
    /// The month.
    pub month: Month,
    /// ISO 4217 code.
    pub currency: String,
}

impl Named {
    /// Reads an id; `None` where it is none.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let name = BASE64_URL_SAFE_NO_PAD.decode(id.strip_prefix(ID_PREFIX)?).ok()?;
        let (kind, account, month, currency): (String, String, String, String) =
            serde_json::from_slice(&name).ok()?;
        Some(Self { kind: Kind::parse(&kind)?, account, month: Month::parse(&month)?, currency })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn instant(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// An amount with all the decimals of its currency: `1.50`.
fn money(amount: Amount, decimals: u8) -> String {
    let mut text = amount.to_string();
    let places = text.split_once('.').map_or(0, |(_, places)| places.len());
    let missing = usize::from(decimals).saturating_sub(places);
    if missing > 0 {
        if places == 0 {
            text.push('.');
        }
        text.push_str(&"0".repeat(missing));
    }
    text
}

table! {
    /// Rows of `invoices`.
    Invoices = "invoices" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        invoice_id: Text = "String",
        kind: Text = "String",
        account: Text = "String",
        month: Text = "String",
        currency: Text = "String",
        period_from: Fixed<8> = "DateTime64(3, 'UTC')",
        period_to: Fixed<8> = "DateTime64(3, 'UTC')",
        cut_topics: List<Text> = "Array(String)",
        cut_partitions: List<Fixed<4>> = "Array(UInt32)",
        cut_nexts: List<Fixed<8>> = "Array(UInt64)",
        total: Fixed<16> = "Decimal(38, 18)",
        exact_usage: Fixed<16> = "Decimal(38, 18)",
        hash: Text = "String",
        body: Text = "String",
        closed_at: Fixed<8> = "DateTime64(3, 'UTC')",
    }
}

/// A closed invoice.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0018_invoices.sql explains")]
pub struct InvoiceRow<'a> {
    pub origin: Origin<'a>,
    pub invoice: &'a InvoiceText,
    pub body: &'a str,
    pub bounds: (Millis, Millis),
    pub cut: &'a Cut,
    pub total: Amount,
    pub exact_usage: Amount,
    pub closed_at: Millis,
}

impl Invoices {
    /// Appends one row.
    pub fn push(&mut self, row: &InvoiceRow<'_>) {
        self.rows += 1;
        self.topic.push(row.origin.topic);
        self.partition.push(row.origin.partition.to_le_bytes());
        self.offset.push(row.origin.offset.to_le_bytes());
        self.ordinal.push(row.origin.ordinal.to_le_bytes());
        self.invoice_id.push(&row.invoice.id);
        self.kind.push(&row.invoice.kind);
        self.account.push(&row.invoice.account);
        self.month.push(&row.invoice.period);
        self.currency.push(&row.invoice.currency);
        self.period_from.push(row.bounds.0.0.to_le_bytes());
        self.period_to.push(row.bounds.1.0.to_le_bytes());
        push_list(&mut self.cut_topics, &row.cut.topics);
        for partition in &row.cut.partitions {
            self.cut_partitions.items.push(partition.to_le_bytes());
        }
        self.cut_partitions.end_row(row.cut.partitions.len());
        for next in &row.cut.nexts {
            self.cut_nexts.items.push(next.to_le_bytes());
        }
        self.cut_nexts.end_row(row.cut.nexts.len());
        self.total.push(row.total.raw().to_le_bytes());
        self.exact_usage.push(row.exact_usage.raw().to_le_bytes());
        self.hash.push(row.invoice.hash.as_deref().unwrap_or_default());
        self.body.push(row.body);
        self.closed_at.push(row.closed_at.0.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use ledger::account::MonthlyTerms;

    use super::*;

    fn account() -> Account {
        Account {
            kind: Kind::Customer,
            id: "acme".into(),
            name: "Acme".into(),
            currency: "EUR".into(),
            time_zone: "Asia/Kolkata".into(),
            grace_hours: 24,
            plan: None,
            address: None,
            tax_id: None,
            terms: MonthlyTerms::default(),
        }
    }

    fn month(text: &str) -> Month {
        Month::parse(text).unwrap()
    }

    #[test]
    fn a_month_begins_at_the_accounts_own_midnight() {
        let months = Months::new(month("2026-09"), month("2026-11"), "Asia/Kolkata").unwrap();
        let (from, to) = months.last_bounds();
        assert_eq!(
            (instant(from), instant(to)),
            ("2026-10-31T18:30:00Z".into(), "2026-11-30T18:30:00Z".into())
        );
        assert_eq!(months.starts().len(), 3);
        assert_eq!(instant(settled_at(to, &account())), "2026-12-01T18:30:00Z");
        assert_eq!(month_of(from, "Asia/Kolkata"), Some(month("2026-11")));
        assert_eq!(month_of(Millis(from.0 - 1), "Asia/Kolkata"), Some(month("2026-10")));
        assert!(Months::new(month("2026-09"), month("2026-09"), "Mars/Olympus").is_err());
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (currency, decimals) in [("USD", 2), ("JPY", 0), ("KWD", 3), ("XXX", 2)] {
            assert_eq!(super::decimals(currency), decimals, "{currency}");
        }
        let amount = |text| Amount::parse(text).unwrap();
        assert_eq!(money(amount("1.5"), 2), "1.50");
        assert_eq!(money(amount("-3"), 2), "-3.00");
        assert_eq!(money(amount("3"), 0), "3");
        assert_eq!(money(Amount::ZERO, 3), "0.000");
    }

    #[test]
    fn each_currency_has_an_invoice_and_the_accounts_own_also_without_usage() {
        let months = Months::new(month("2026-10"), month("2026-11"), "Asia/Kolkata").unwrap();
        let row = SumRow {
            account_id: "acme".into(),
            currency_code: "USD".into(),
            adjusts_month_start: months.starts()[0],
            team_name: String::new(),
            model_name: "gpt-5".into(),
            unit_name: "output_text_tokens".into(),
            unit_price_text: String::new(),
            quantity_total: "-12".into(),
            amount_total: "-0.015".into(),
        };
        let sum = months.sum(row).unwrap();
        assert_eq!(sum.key.adjusts, Some(month("2026-10")));
        let account = account();
        let heading = Heading { account: &account, months: &months, month: month("2026-11") };
        let made = invoices(&heading, BTreeMap::from([("USD".to_owned(), vec![sum])])).unwrap();
        assert_eq!(made.len(), 2);
        assert_eq!(
            (made[0].currency.as_str(), made[0].lines.len(), made[0].total.as_str()),
            ("EUR", 0, "0.00")
        );
        assert_eq!((made[1].currency.as_str(), made[1].total.as_str()), ("USD", "-0.02"));
        assert_eq!(made[1].lines[0].adjusts.as_deref(), Some("2026-10"));
        assert_ne!(made[0].id, made[1].id);
        let named = Named::parse(&made[1].id).unwrap();
        assert_eq!(
            (named.account.as_str(), named.month, named.currency.as_str()),
            ("acme", month("2026-11"), "USD")
        );
        assert_eq!(Named::parse("inv_x"), None);
    }

    #[test]
    fn a_cut_that_lacks_a_partition_or_ends_sooner_does_not_reach_the_other() {
        let cut = |ends: &[(&str, u32, u64)]| Cut {
            topics: ends.iter().map(|(topic, ..)| (*topic).to_owned()).collect(),
            partitions: ends.iter().map(|(_, partition, _)| *partition).collect(),
            nexts: ends.iter().map(|(.., next)| *next).collect(),
        };
        let before = cut(&[("u", 0, 5), ("u", 1, 7)]);
        assert!(cut(&[("c", 0, 1), ("u", 1, 7), ("u", 0, 6)]).reaches(&before));
        assert!(!cut(&[("u", 0, 5), ("u", 1, 6)]).reaches(&before));
        assert!(!cut(&[("u", 0, 9)]).reaches(&before));
        assert!(before.reaches(&Cut::default()));
        assert_eq!((before.next("u", 1), before.next("u", 2)), (7, 0));
    }

    #[test]
    fn the_hash_is_over_everything_but_itself() {
        let months = Months::new(month("2026-11"), month("2026-11"), "UTC").unwrap();
        let account = account();
        let heading = Heading { account: &account, months: &months, month: month("2026-11") };
        let mut invoice = invoices(&heading, BTreeMap::new()).unwrap().remove(0);
        let digest = invoice.digest().unwrap();
        invoice.hash = Some(digest.clone());
        assert_eq!(invoice.digest().unwrap(), digest);
        invoice.total = "0.01".into();
        assert_ne!(invoice.digest().unwrap(), digest);
    }
}
