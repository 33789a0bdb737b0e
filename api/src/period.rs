//! Periods and buckets: half-open, from local dates or instants, cut at the local midnights, Mondays and firsts of
//! a zone, whatever its clocks do. Instants are milliseconds since 1970, kept as the ledger keeps event time.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::error::Problem;
use crate::parameters::Parameters;

/// Milliseconds of a UTC day.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Milliseconds of a quarter hour.
pub(crate) const QUARTER_MS: i64 = 900_000;
const HOUR_MS: i64 = 3_600_000;
/// The first and the last year that a period may touch.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2099;
/// Buckets that one answer may have.
const BUCKETS_MAX: usize = 10_000;

/// A half-open period `[from, to)` and the zone whose dates it was asked in.
#[derive(Clone, Debug)]
pub(crate) struct Period {
    pub(crate) from: i64,
    pub(crate) to: i64,
    zone: TimeZone,
}

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    Hour,
    Day,
    Week,
    Month,
}

/// The names of the intervals.
pub(crate) const INTERVALS: &[(&str, Interval)] =
    &[("hour", Interval::Hour), ("day", Interval::Day), ("week", Interval::Week), ("month", Interval::Month)];

/// The local intervals that a period touches, whole: bucket `i` is `[starts[i], starts[i + 1])`, the last one ends
/// at `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    pub(crate) starts: Vec<i64>,
    pub(crate) end: i64,
}

impl Period {
    /// Takes `from`, `to` and `tz`; what is absent makes it the current month, or the month of what is given.
    pub(crate) fn take(parameters: &mut Parameters, now: Timestamp) -> Result<Self, Problem> {
        let zone = zone(parameters)?;
        let from = parameters.one("from")?.map(|text| instant("from", &text, &zone)).transpose()?;
        let to = parameters.one("to")?.map(|text| instant("to", &text, &zone)).transpose()?;
        let now = now.as_millisecond();
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, month_after(from.max(now), &zone)?),
            (None, Some(to)) => (month_of(now.min(to - 1), &zone)?, to),
            (None, None) => (month_of(now, &zone)?, month_after(now, &zone)?),
        };
        if from >= to {
            return Err(Problem::parameter(
                "to",
                "`from` must be before `to`: the period begins at `from` and ends just before `to`",
            ));
        }
        Ok(Self { from, to, zone })
    }

    /// Takes `from`, `to` and `tz` where the period may be open on either side.
    pub(crate) fn take_open(parameters: &mut Parameters) -> Result<(Option<i64>, Option<i64>), Problem> {
        let zone = zone(parameters)?;
        let from = parameters.one("from")?.map(|text| instant("from", &text, &zone)).transpose()?;
        let to = parameters.one("to")?.map(|text| instant("to", &text, &zone)).transpose()?;
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Problem::parameter("to", "`from` must be before `to`"));
        }
        Ok((from, to))
    }

    /// The buckets of this period.
    pub(crate) fn buckets(&self, interval: Interval) -> Result<Buckets, Problem> {
        let mut starts = vec![self.first_start(interval)?];
        loop {
            let last = starts.last().copied().unwrap_or(self.from);
            let next = self.next_start(interval, last)?;
            if next >= self.to {
                return Ok(Buckets { starts, end: next });
            }
            if starts.len() >= BUCKETS_MAX {
                return Err(Problem::parameter(
                    "interval",
                    format!(
                        "the period has more than {BUCKETS_MAX} such intervals; shorten it or take a longer one"
                    ),
                ));
            }
            starts.push(next);
        }
    }

    /// The period of the same length that ends where this one begins: as many local months or days before, where
    /// this one is whole months or days; else as many milliseconds.
    pub(crate) fn previous(&self) -> Result<Self, Problem> {
        let (from, to) = (local(self.from, &self.zone)?, local(self.to, &self.zone)?);
        let months = self.whole_months()?;
        let is_midnight = |instant: i64, date: Date| Ok::<_, Problem>(midnight(date, &self.zone)? == instant);
        let start = if let Some(months) = months {
            let date = from.date().checked_sub(months.months()).map_err(|_| out_of_range("from"))?;
            midnight(date, &self.zone)?
        } else if is_midnight(self.from, from.date())? && is_midnight(self.to, to.date())? {
            let days = from.date().until(to.date()).map_err(|_| out_of_range("from"))?.get_days();
            let date = from.date().checked_sub(days.days()).map_err(|_| out_of_range("from"))?;
            midnight(date, &self.zone)?
        } else {
            self.from.saturating_sub(self.to.saturating_sub(self.from))
        };
        Ok(Self { from: start, to: self.from, zone: self.zone.clone() })
    }

    /// How many local months the period is, where it is whole ones.
    fn whole_months(&self) -> Result<Option<i32>, Problem> {
        let mut months = 0;
        let mut end = self.from;
        if month_of(self.from, &self.zone)? != self.from {
            return Ok(None);
        }
        while end < self.to {
            end = month_after(end, &self.zone)?;
            months += 1;
        }
        Ok((end == self.to).then_some(months))
    }

    /// From the start of this period to the end of that one, in two buckets.
    pub(crate) fn followed_by(&self, next: &Self) -> (Self, Buckets) {
        let whole = Self { from: self.from, to: next.to, zone: self.zone.clone() };
        (whole, Buckets { starts: vec![self.from, next.from], end: next.to })
    }

    fn first_start(&self, interval: Interval) -> Result<i64, Problem> {
        let local = local(self.from, &self.zone)?;
        match interval {
            Interval::Hour => {
                let offset = i64::from(local.offset().seconds()) * 1000;
                Ok((self.from + offset).div_euclid(HOUR_MS) * HOUR_MS - offset)
            }
            Interval::Day => midnight(local.date(), &self.zone),
            Interval::Week => {
                let days = i64::from(local.date().weekday().to_monday_zero_offset());
                midnight(local.date().checked_sub(days.days()).map_err(|_| out_of_range("from"))?, &self.zone)
            }
            Interval::Month => midnight(local.date().first_of_month(), &self.zone),
        }
    }

    fn next_start(&self, interval: Interval, start: i64) -> Result<i64, Problem> {
        let step = match interval {
            Interval::Hour => return Ok(start + HOUR_MS),
            Interval::Day => 1.day(),
            Interval::Week => 1.week(),
            Interval::Month => 1.month(),
        };
        let date = local(start, &self.zone)?.date();
        midnight(date.checked_add(step).map_err(|_| out_of_range("to"))?, &self.zone)
    }
}

/// Takes one date or instant of that name; a date is the midnight that it begins with in UTC.
pub(crate) fn take_instant(parameters: &mut Parameters, name: &str) -> Result<Option<i64>, Problem> {
    parameters.one(name)?.map(|text| instant(name, &text, &TimeZone::UTC)).transpose()
}

/// An instant as RFC 3339 in UTC.
pub(crate) fn rfc3339(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |instant| instant.to_string())
}

/// The UTC date of an instant, as ISO 8601.
pub(crate) fn utc_date(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(
        |_| millis.to_string(),
        |instant| instant.to_zoned_datetime(TimeZone::UTC).date().to_string(),
    )
}

fn zone(parameters: &mut Parameters) -> Result<TimeZone, Problem> {
    let Some(name) = parameters.one("tz")? else { return Ok(TimeZone::UTC) };
    TimeZone::get(&name).map_err(|_| {
        Problem::parameter("tz", format!("there is no time zone `{name}`"))
            .allowed(["a name of the IANA time zone database, for example `Europe/Berlin` or `UTC`"])
    })
}

/// A date or an instant; a date is the midnight that it begins with in the zone.
pub(crate) fn instant(name: &str, text: &str, zone: &TimeZone) -> Result<i64, Problem> {
    let millis = if let Some(date) = date(text) {
        midnight(date, zone)?
    } else {
        // A plus sign that was not percent-encoded arrives as a space.
        let instant = Timestamp::from_str(&text.replace(' ', "+")).map_err(|_| {
            Problem::parameter(name, format!("`{name}` cannot be `{text}`")).allowed([
                "a date in `tz`, for example `2026-11-01`",
                "an instant with its offset (RFC 3339), for example `2026-11-01T00:00:00Z`",
            ])
        })?;
        ceil_millis(instant)
    };
    if !YEARS.contains(&local(millis, &TimeZone::UTC)?.year()) {
        return Err(out_of_range(name));
    }
    Ok(millis)
}

fn date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| Date::from_str(text).ok()).flatten()
}

/// The ledger cuts event time to the millisecond, so that an event lies at or after an instant just where its
/// millisecond does.
fn ceil_millis(instant: Timestamp) -> i64 {
    let millis = instant.as_nanosecond().div_euclid(1_000_000);
    let floor = i64::try_from(millis).unwrap_or(i64::MAX);
    if instant.as_nanosecond().rem_euclid(1_000_000) == 0 { floor } else { floor.saturating_add(1) }
}

fn local(millis: i64, zone: &TimeZone) -> Result<ZonedDateTime, Problem> {
    Timestamp::from_millisecond(millis)
        .map(|instant| instant.to_zoned_datetime(zone.clone()))
        .map_err(|_| out_of_range("from"))
}

fn midnight(date: Date, zone: &TimeZone) -> Result<i64, Problem> {
    date.to_zoned_datetime(zone.clone())
        .map(|start| start.timestamp().as_millisecond())
        .map_err(|_| out_of_range("from"))
}

fn month_of(millis: i64, zone: &TimeZone) -> Result<i64, Problem> {
    midnight(local(millis, zone)?.date().first_of_month(), zone)
}

fn month_after(millis: i64, zone: &TimeZone) -> Result<i64, Problem> {
    let first = local(millis, zone)?.date().first_of_month();
    midnight(first.checked_add(1.month()).map_err(|_| out_of_range("to"))?, zone)
}

fn out_of_range(name: &str) -> Problem {
    Problem::parameter(name, format!("`{name}` is outside the years that the ledger covers"))
        .allowed([format!("an instant in the years {} to {}", YEARS.start(), YEARS.end())])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-24T10:07:33.5Z";

    fn period(query: &str) -> Result<Period, Problem> {
        let mut parameters = Parameters::parse(&format!("/x?{query}").parse().unwrap()).unwrap();
        Period::take(&mut parameters, NOW.parse().unwrap())
    }

    fn shown(query: &str) -> (String, String) {
        let period = period(query).unwrap();
        (rfc3339(period.from), rfc3339(period.to))
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn without_a_period_it_is_the_current_month_of_the_zone() {
        assert_eq!(shown(""), pair("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"));
        assert_eq!(shown("tz=Asia/Kolkata"), pair("2026-10-31T18:30:00Z", "2026-11-30T18:30:00Z"));
    }

    #[test]
    fn one_end_alone_is_completed_by_the_month() {
        assert_eq!(shown("from=2026-10-05"), pair("2026-10-05T00:00:00Z", "2026-12-01T00:00:00Z"));
        assert_eq!(shown("to=2026-10-01"), pair("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"));
        assert_eq!(shown("from=2027-02-03"), pair("2027-02-03T00:00:00Z", "2027-03-01T00:00:00Z"));
    }

    #[test]
    fn the_period_before_is_as_many_months_or_days_or_milliseconds_long() {
        let before = |query: &str| {
            let before = period(query).unwrap().previous().unwrap();
            (rfc3339(before.from), rfc3339(before.to))
        };
        assert_eq!(before(""), pair("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"));
        // A quarter of 90 days after one of 92, in a zone whose clocks changed in between.
        assert_eq!(
            before("from=2026-01-01&to=2026-04-01&tz=Europe/Berlin"),
            pair("2025-09-30T22:00:00Z", "2025-12-31T23:00:00Z")
        );
        assert_eq!(
            before("from=2026-03-29&to=2026-03-31&tz=Europe/Berlin"),
            pair("2026-03-26T23:00:00Z", "2026-03-28T23:00:00Z")
        );
        assert_eq!(
            before("from=2026-11-24T09:15:00Z&to=2026-11-24T10:00:00Z"),
            pair("2026-11-24T08:30:00Z", "2026-11-24T09:15:00Z")
        );
    }

    #[test]
    fn dates_are_local_and_instants_are_instants() {
        assert_eq!(
            shown("from=2026-03-29&to=2026-03-30&tz=Europe/Berlin"),
            pair("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        );
        assert_eq!(
            shown("from=2026-11-01T02:00:00+02:00&to=2026-11-02T00:00:00.0001Z"),
            pair("2026-11-01T00:00:00Z", "2026-11-02T00:00:00.001Z")
        );
    }

    #[test]
    fn what_is_no_period_is_refused_by_name() {
        let refused = |query: &str| period(query).unwrap_err().parameter.unwrap();
        assert_eq!(refused("from=yesterday"), "from");
        assert_eq!(refused("from=2026-02-30"), "from");
        assert_eq!(refused("from=2026-11-01T00:00:00"), "from");
        assert_eq!(refused("to=1969-01-01"), "to");
        assert_eq!(refused("tz=Mars/Olympus"), "tz");
        assert_eq!(refused("from=2026-11-02&to=2026-11-02"), "to");
    }

    #[test]
    fn a_day_is_23_and_25_hours_long_where_the_clocks_change() {
        // Berlin 2026: clocks go forward on March 29 and back on October 25.
        let hours = |query: &str| {
            let buckets = period(query).unwrap().buckets(Interval::Day).unwrap();
            let mut ends = buckets.starts[1..].to_vec();
            ends.push(buckets.end);
            buckets.starts.iter().zip(ends).map(|(start, end)| (end - start) / HOUR_MS).collect::<Vec<_>>()
        };
        assert_eq!(hours("from=2026-03-28&to=2026-03-31&tz=Europe/Berlin"), [24, 23, 24]);
        assert_eq!(hours("from=2026-10-24&to=2026-10-27&tz=Europe/Berlin"), [24, 25, 24]);
    }

    #[test]
    fn an_hour_is_sixty_minutes_and_begins_on_the_local_hour() {
        let buckets = period("from=2026-10-25&to=2026-10-26&tz=Europe/Berlin")
            .unwrap()
            .buckets(Interval::Hour)
            .unwrap();
        assert_eq!(buckets.starts.len(), 25);
        let buckets = period("from=2026-11-01T10:10:00Z&to=2026-11-01T11:00:00Z&tz=Asia/Kolkata")
            .unwrap()
            .buckets(Interval::Hour)
            .unwrap();
        let starts: Vec<String> = buckets.starts.iter().map(|start| rfc3339(*start)).collect();
        assert_eq!(starts, ["2026-11-01T09:30:00Z", "2026-11-01T10:30:00Z"]);
    }

    #[test]
    fn weeks_begin_on_monday_and_buckets_are_whole_local_intervals() {
        // 2026-11-24 is a Tuesday.
        let buckets = period("from=2026-11-24&to=2026-12-01").unwrap().buckets(Interval::Week).unwrap();
        let starts: Vec<String> = buckets.starts.iter().map(|start| rfc3339(*start)).collect();
        assert_eq!(starts, ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]);
        assert_eq!(rfc3339(buckets.end), "2026-12-07T00:00:00Z");
    }

    #[test]
    fn months_are_local_months() {
        let buckets = period("from=2026-02-15&to=2026-04-02&tz=America/New_York")
            .unwrap()
            .buckets(Interval::Month)
            .unwrap();
        let starts: Vec<String> = buckets.starts.iter().map(|start| rfc3339(*start)).collect();
        assert_eq!(starts, ["2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"]);
    }

    #[test]
    fn too_many_buckets_are_refused() {
        let period = period("from=2020-01-01&to=2026-01-01").unwrap();
        assert_eq!(period.buckets(Interval::Hour).unwrap_err().parameter.as_deref(), Some("interval"));
    }
}
