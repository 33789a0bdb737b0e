//! Operations: what a long command is about, what its steps say they did, and how far each is. An operation is a start
//! and its steps, all of them commands; it is finished with its last step.

mod facts;
mod history;
mod outcome;
mod plan;
mod question;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use facts::{Facts, UsageText, check_usage};
pub use history::{History, HistoryRow, Known};
pub use outcome::{Delta, Outcome, Started, Stepped};
pub use plan::plan;
pub use question::{Asked, Bound, filter_names, live_counts, live_rows, reverted_rows};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoices::Cut;
    use crate::posted::PostedRow;

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
    fn a_sum_of_more_than_38_digits_says_so_and_stays_so() {
        let mut row = PostedRow { currency: "USD".into(), cost: i128::MAX / 2, ..PostedRow::default() };
        let mut delta = Delta::default();
        (0..3).for_each(|_| delta.add(&row));
        assert_eq!(delta.texts()["cost"]["USD"], "too large");
        delta.take_back(&row);
        assert_eq!(delta.texts()["cost"]["USD"], "too large");

        row.cost = 1_500_000_000_000_000_000;
        let mut plain = Delta::default();
        plain.add(&row);
        plain.add(&row);
        plain.take_back(&row);
        let mut outcome = Outcome { delta: plain.texts(), ..Outcome::default() };
        assert_eq!(outcome.delta["cost"]["USD"], "1.5");
        outcome.add(&Outcome { delta: delta.texts(), ..Outcome::default() });
        assert_eq!(outcome.delta["cost"]["USD"], "too large");
        outcome.add(&Outcome { delta: plain.texts(), ..Outcome::default() });
        assert_eq!(outcome.delta["cost"]["USD"], "too large");
    }

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
