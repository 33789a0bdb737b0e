//! Plans from where a spend question is answered: whole UTC days from a projection by day, the rest of a local
//! period from quarter hours, and what no projection keeps from the entries themselves.

use std::fmt::Write;

use crate::dimension::Kept;
use crate::period::{Buckets, DAY_MS, Interval, Period, QUARTER_MS, utc_date};

/// Ranges of one segment; beyond, one coarse range over finer rows is cheaper than a long condition.
const RANGES_MAX: usize = 200;

/// Where a segment is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The projection by UTC day without the key.
    DayAndModel,
    /// The projection by UTC day without the model.
    DayAndKey,
    /// The projection by quarter hour.
    QuarterHour,
    /// The entries themselves.
    Entries,
}

/// Half-open, in milliseconds since 1970.
type Range = (i64, i64);

/// Part of a period and where it is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) source: Source,
    pub(crate) ranges: Vec<Range>,
}

impl Source {
    /// The start of a row's slot, in the source's own expression, in seconds since 1970.
    pub(crate) const fn slot_seconds(self) -> &'static str {
        match self {
            Self::DayAndModel | Self::DayAndKey => "toInt64(toDate(occurred_at, 'UTC')) * 86400",
            Self::QuarterHour | Self::Entries => {
                "toInt64(toUnixTimestamp(toStartOfFifteenMinutes(occurred_at)))"
            }
        }
    }
}

impl Segment {
    /// The condition of time, in the source's own expression.
    pub(crate) fn time_sql(&self) -> String {
        let mut sql = String::new();
        for (index, (from, to)) in self.ranges.iter().enumerate() {
            let or = if index == 0 { "" } else { " OR " };
            // Writing to a string cannot fail.
            let _ = match self.source {
                Source::DayAndModel | Source::DayAndKey => write!(
                    sql,
                    "{or}(toDate(occurred_at, 'UTC') >= toDate('{}') AND toDate(occurred_at, 'UTC') < toDate('{}'))",
                    utc_date(*from),
                    utc_date(*to)
                ),
                Source::QuarterHour => write!(
                    sql,
                    "{or}(toStartOfFifteenMinutes(occurred_at) >= toDateTime({}, 'UTC') \
                     AND toStartOfFifteenMinutes(occurred_at) < toDateTime({}, 'UTC'))",
                    from / 1000,
                    to / 1000
                ),
                Source::Entries => write!(sql, "{or}({})", entries_sql(*from, *to)),
            };
        }
        sql
    }
}

/// The condition that an entry occurred in `[from, to)`.
pub(crate) fn entries_sql(from: i64, to: i64) -> String {
    format!(
        "occurred_at >= fromUnixTimestamp64Milli(toInt64({from}), 'UTC') \
         AND occurred_at < fromUnixTimestamp64Milli(toInt64({to}), 'UTC')"
    )
}

/// The segments that together are the period. `kept` says of each dimension in the question which sources keep it.
pub(crate) fn plan(
    period: &Period,
    interval: Option<Interval>,
    buckets: Option<&Buckets>,
    kept: &[Kept],
) -> Vec<Segment> {
    let by_day = day_source(kept);
    let by_quarter = kept.iter().all(|kept| *kept == Kept::Everywhere);
    let cuts = buckets.map_or(&[][..], |buckets| &buckets.starts);
    let days = match by_day {
        Some(source) if interval != Some(Interval::Hour) => {
            Some((source, whole_days(period, cuts))).filter(|(_, days)| days.len() <= RANGES_MAX)
        }
        _ => None,
    };
    let mut segments = Vec::new();
    let mut rest = vec![(period.from, period.to)];
    if let Some((source, days)) = days.filter(|(_, days)| !days.is_empty()) {
        rest = complement(period, &days);
        segments.push(Segment { source, ranges: days });
    }
    let mut quarters = Vec::new();
    let mut entries = Vec::new();
    for range in rest {
        if by_quarter {
            split_quarters(range, &mut quarters, &mut entries);
        } else {
            entries.push(range);
        }
    }
    for (source, ranges) in [(Source::QuarterHour, quarters), (Source::Entries, entries)] {
        if !ranges.is_empty() {
            segments.push(Segment { source, ranges });
        }
    }
    segments
}

fn day_source(kept: &[Kept]) -> Option<Source> {
    let all = |sources: &[Kept]| kept.iter().all(|kept| sources.contains(kept));
    if all(&[Kept::Everywhere, Kept::ByDay, Kept::ByDayAndModel]) {
        Some(Source::DayAndModel)
    } else if all(&[Kept::Everywhere, Kept::ByDay, Kept::ByDayAndKey]) {
        Some(Source::DayAndKey)
    } else {
        None
    }
}

/// The UTC days that lie wholly in the period and in one bucket each, neighbors joined.
fn whole_days(period: &Period, cuts: &[i64]) -> Vec<Range> {
    let first = ceil(period.from, DAY_MS);
    let last = floor(period.to, DAY_MS);
    if first >= last {
        return Vec::new();
    }
    let mut ranges = Vec::new();
    let mut start = first;
    for cut in cuts.iter().copied().filter(|cut| *cut > first && *cut < last) {
        let end = floor(cut, DAY_MS);
        if cut != end {
            if start < end {
                ranges.push((start, end));
            }
            start = start.max(end + DAY_MS);
        }
    }
    if start < last {
        ranges.push((start, last));
    }
    ranges
}

/// What of the period is in none of the ranges, which are in order.
fn complement(period: &Period, ranges: &[Range]) -> Vec<Range> {
    let mut rest = Vec::new();
    let mut start = period.from;
    for (from, to) in ranges {
        if start < *from {
            rest.push((start, *from));
        }
        start = *to;
    }
    if start < period.to {
        rest.push((start, period.to));
    }
    rest
}

fn split_quarters((from, to): Range, quarters: &mut Vec<Range>, entries: &mut Vec<Range>) {
    let (first, last) = (ceil(from, QUARTER_MS), floor(to, QUARTER_MS));
    if first >= last {
        entries.push((from, to));
        return;
    }
    if from < first {
        entries.push((from, first));
    }
    quarters.push((first, last));
    if last < to {
        entries.push((last, to));
    }
}

const fn floor(millis: i64, step: i64) -> i64 {
    millis.div_euclid(step) * step
}

const fn ceil(millis: i64, step: i64) -> i64 {
    floor(millis + step - 1, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Parameters;
    use crate::period::rfc3339;

    /// The plan in words: source, then its ranges.
    fn planned(query: &str, interval: Option<Interval>, kept: &[Kept]) -> Vec<String> {
        let mut parameters = Parameters::parse(&format!("/x?{query}").parse().unwrap()).unwrap();
        let period = Period::take(&mut parameters, "2026-11-24T10:00:00Z".parse().unwrap()).unwrap();
        let buckets = interval.map(|interval| period.buckets(interval).unwrap());
        plan(&period, interval, buckets.as_ref(), kept)
            .into_iter()
            .map(|segment| {
                let ranges: Vec<String> = segment
                    .ranges
                    .iter()
                    .map(|(from, to)| format!("{}/{}", &rfc3339(*from)[5..16], &rfc3339(*to)[5..16]))
                    .collect();
                format!("{:?} {}", segment.source, ranges.join(" "))
            })
            .collect()
    }

    #[test]
    fn a_utc_month_by_model_is_whole_days() {
        assert_eq!(
            planned("", None, &[Kept::ByDayAndModel, Kept::Everywhere]),
            ["DayAndModel 11-01T00:00/12-01T00:00"]
        );
        assert_eq!(
            planned("", Some(Interval::Day), &[Kept::ByDayAndKey]),
            ["DayAndKey 11-01T00:00/12-01T00:00"]
        );
    }

    #[test]
    fn a_local_month_is_whole_days_and_quarter_hours_at_its_edges() {
        assert_eq!(
            planned("tz=Europe/Berlin", None, &[Kept::Everywhere]),
            [
                "DayAndModel 11-01T00:00/11-30T00:00",
                "QuarterHour 10-31T23:00/11-01T00:00 11-30T00:00/11-30T23:00"
            ]
        );
        // The quarter hours do not keep the model, so the edges are read raw.
        assert_eq!(
            planned("tz=Europe/Berlin", None, &[Kept::ByDayAndModel]),
            [
                "DayAndModel 11-01T00:00/11-30T00:00",
                "Entries 10-31T23:00/11-01T00:00 11-30T00:00/11-30T23:00"
            ]
        );
    }

    #[test]
    fn local_weeks_cut_the_days_that_their_mondays_begin_in() {
        assert_eq!(
            planned(
                "from=2026-11-16&to=2026-11-30&tz=Europe/Berlin",
                Some(Interval::Week),
                &[Kept::Everywhere]
            ),
            [
                "DayAndModel 11-16T00:00/11-22T00:00 11-23T00:00/11-29T00:00",
                "QuarterHour 11-15T23:00/11-16T00:00 11-22T00:00/11-23T00:00 11-29T00:00/11-29T23:00"
            ]
        );
    }

    #[test]
    fn local_days_and_hours_are_quarter_hours() {
        assert_eq!(
            planned(
                "from=2026-11-16&to=2026-11-18&tz=Europe/Berlin",
                Some(Interval::Day),
                &[Kept::Everywhere]
            ),
            ["QuarterHour 11-15T23:00/11-17T23:00"]
        );
        assert_eq!(
            planned("from=2026-11-16&to=2026-11-18", Some(Interval::Hour), &[Kept::Everywhere]),
            ["QuarterHour 11-16T00:00/11-18T00:00"]
        );
    }

    #[test]
    fn what_no_projection_keeps_is_read_from_the_entries() {
        for kept in [&[Kept::InEntries][..], &[Kept::InLines], &[Kept::ByDayAndModel, Kept::ByDayAndKey]] {
            assert_eq!(planned("", None, kept), ["Entries 11-01T00:00/12-01T00:00"]);
        }
    }

    #[test]
    fn an_instant_inside_a_quarter_hour_is_read_from_the_entries_up_to_the_next() {
        assert_eq!(
            planned("from=2026-11-24T09:07:00Z&to=2026-11-24T10:20:00Z", None, &[Kept::Everywhere]),
            [
                "QuarterHour 11-24T09:15/11-24T10:15",
                "Entries 11-24T09:07/11-24T09:15 11-24T10:15/11-24T10:20"
            ]
        );
        assert_eq!(
            planned("from=2026-11-24T09:01:00Z&to=2026-11-24T09:02:00Z", None, &[Kept::Everywhere]),
            ["Entries 11-24T09:01/11-24T09:02"]
        );
    }
}
