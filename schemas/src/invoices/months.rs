//! Months in an account's time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use ledger::account::Account;
use ledger::event::Millis;
use ledger::invoice::{LineKey, Month, Sum};
use ledger::money::{Amount, Decimal};

use super::{Error, SumRow};

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

    /// The zone in which they begin.
    pub(super) fn time_zone(&self) -> &str {
        &self.time_zone
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
