//! What accounts at a provider have free. Quantities are rated at their price, call by call; what an account's
//! allowance covers is found for a whole period and credited. Knows nothing of customers and invoices.
//!
//! **Which units are free.** Those that were used first: uses count in the order of their time, then of event id,
//! then of ordinal. A use is free as far as what was used before it in the same pool leaves room in the quota of the
//! row that priced it. One that reaches past the quota is credited in proportion: amount × free / quantity, rounded
//! half-even at 18 decimals. So it is decided by the uses alone, not by the order in which they are found.

use crate::event::Millis;
use crate::money::{self, Amount, Decimal};
use crate::prices::{FreeQuota, ModelRow, QuotaPeriod};
use crate::unit::Unit;

/// What shares one allowance: one account, one unit, one group of models, one period.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pool<'a> {
    /// Who serves the models.
    pub provider: &'a str,
    /// The account at the provider; absent where events do not name one.
    pub provider_account: Option<&'a str>,
    /// What is free.
    pub unit: Unit,
    /// The models that share it.
    pub group: Group<'a>,
    /// When the period begins; it ends where the next begins.
    pub from: Millis,
    /// When the next period begins.
    pub to: Millis,
}

/// The models that share an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group<'a> {
    /// All whose rows name this group.
    Shared(&'a str),
    /// One model alone.
    Model(&'a str),
}

/// A rated quantity of a pool's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use<'a> {
    /// When the attempt started.
    pub at: Millis,
    /// The event, which decides between uses of one instant.
    pub event_id: &'a str,
    /// The entry's number within its event.
    pub ordinal: u16,
    /// How much was used, corrections included: what was taken back is no use any more.
    pub quantity: Decimal,
    /// What that was rated at.
    pub amount: Amount,
    /// How much the row that rated it has free in a period.
    pub quota: Decimal,
}

/// What is free of one use, or of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// How much of the unit.
    pub quantity: Decimal,
    /// The part of the rated amount that is not owed.
    pub amount: Amount,
}

impl<'a> Pool<'a> {
    /// The pool that a use at an instant belongs to, by the row that priced it.
    #[must_use]
    pub fn of(
        row: &'a ModelRow,
        quota: &'a FreeQuota,
        provider: &'a str,
        account: Option<&'a str>,
        at: Millis,
    ) -> Self {
        let (from, to) = bounds(quota.period, at);
        Self {
            provider: row.provider.as_deref().unwrap_or(provider),
            provider_account: account,
            unit: quota.unit,
            group: quota.shared_group.as_deref().map_or(Group::Model(&row.model), Group::Shared),
            from,
            to,
        }
    }
}

impl Credit {
    /// Nothing.
    pub const ZERO: Self = Self { quantity: Decimal::ZERO, amount: Amount::ZERO };

    /// Both together.
    ///
    /// # Errors
    /// [`money::Error::Overflow`] where the sum has more than 38 digits.
    pub fn checked_add(self, other: Self) -> Result<Self, money::Error> {
        Ok(Self {
            quantity: self.quantity.checked_add(other.quantity)?,
            amount: self.amount.checked_add(other.amount).ok_or(money::Error::Overflow)?,
        })
    }
}

/// What is free of each use of one pool; the credits stand where their uses do, and their sum is the pool's.
///
/// # Errors
/// [`money::Error::Overflow`] where a sum has more than 38 digits.
pub fn credits(uses: &[Use<'_>]) -> Result<Vec<Credit>, money::Error> {
    let mut order: Vec<usize> = (0..uses.len()).collect();
    order.sort_by_key(|position| {
        let one = &uses[*position];
        (one.at, one.event_id, one.ordinal)
    });
    let mut credits = vec![Credit::ZERO; uses.len()];
    let mut used = Decimal::ZERO;
    for position in order {
        let one = &uses[position];
        if one.quantity.is_zero() || one.quantity.is_negative() {
            continue;
        }
        credits[position] = credit(one, used)?;
        used = used.checked_add(one.quantity)?;
    }
    Ok(credits)
}

/// What is free of a use where that much of the quota is used already.
fn credit(one: &Use<'_>, used: Decimal) -> Result<Credit, money::Error> {
    let left = one.quota.checked_sub(used)?;
    if left.is_zero() || left.is_negative() {
        return Ok(Credit::ZERO);
    }
    if left >= one.quantity {
        return Ok(Credit { quantity: one.quantity, amount: one.amount });
    }
    Ok(Credit { quantity: left, amount: one.amount.share(left, one.quantity)? })
}

const MILLIS_A_DAY: i64 = 86_400_000;

/// Where the period of an instant begins and ends, UTC.
fn bounds(period: QuotaPeriod, at: Millis) -> (Millis, Millis) {
    let day = at.0.div_euclid(MILLIS_A_DAY);
    let (from, to) = match period {
        QuotaPeriod::Day => (day, day + 1),
        QuotaPeriod::Month => month_of(day),
    };
    (Millis(from * MILLIS_A_DAY), Millis(to * MILLIS_A_DAY))
}

/// The first day of the month of a day, and of the month after, all as days since 1970-01-01. Years begin with March
/// here, so that the leap day is the last of its year, and repeat every 400 years.
fn month_of(day: i64) -> (i64, i64) {
    const DAYS_TO_1970_FROM_MARCH_OF_0: i64 = 719_468;
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let shifted = day + DAYS_TO_1970_FROM_MARCH_OF_0;
    let cycle = shifted.div_euclid(DAYS_IN_400_YEARS);
    let day_of_cycle = shifted.rem_euclid(DAYS_IN_400_YEARS);
    let year = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let first_of_year = 365 * year + year / 4 - year / 100;
    let day_of_year = day_of_cycle - first_of_year;
    // Months from March on: 31, 30, 31, 30, 31 days, again and again.
    let month = (5 * day_of_year + 2) / 153;
    let first = |month: i64| (153 * month + 2) / 5;
    let is_leap_february =
        month == 11 && (year + 1) % 4 == 0 && ((year + 1) % 100 != 0 || (year + 1) % 400 == 0);
    let length = match month {
        11 => 28 + i64::from(is_leap_february),
        _ => first(month + 1) - first(month),
    };
    let from = cycle * DAYS_IN_400_YEARS - DAYS_TO_1970_FROM_MARCH_OF_0 + first_of_year + first(month);
    (from, from + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    fn used(at: i64, event_id: &str, quantity: &str, amount: &str) -> Use<'static> {
        Use {
            at: Millis(at),
            event_id: Box::leak(event_id.to_owned().into_boxed_str()),
            ordinal: 0,
            quantity: decimal(quantity),
            amount: Amount::parse(amount).unwrap(),
            quota: decimal("5"),
        }
    }

    fn shown(uses: &[Use<'_>]) -> Vec<(String, String)> {
        let credits = credits(uses).unwrap();
        credits.iter().map(|credit| (credit.quantity.to_string(), credit.amount.to_string())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(quantity, amount)| ((*quantity).into(), (*amount).into())).collect()
    }

    #[test]
    fn what_was_used_first_is_free_and_the_use_that_reaches_past_the_quota_in_part() {
        // Five are free. At 14 each, then at 35 each: three of the first, two of the next three.
        let uses = [used(1, "a", "3", "42"), used(2, "b", "3", "105"), used(3, "c", "1", "14")];
        assert_eq!(shown(&uses), pairs(&[("3", "42"), ("2", "70"), ("0", "0")]));
    }

    #[test]
    fn uses_of_one_instant_go_by_event_and_ordinal_however_they_are_found() {
        let further = Use { ordinal: 1, ..used(1, "a", "4", "8") };
        let uses = [used(1, "b", "4", "4"), further, used(1, "a", "4", "40")];
        assert_eq!(shown(&uses), pairs(&[("0", "0"), ("1", "2"), ("4", "40")]));
    }

    #[test]
    fn a_quota_that_is_not_used_up_is_not_paid_out() {
        assert_eq!(shown(&[used(1, "a", "2", "28")]), pairs(&[("2", "28")]));
        assert_eq!(shown(&[]), []);
    }

    #[test]
    fn a_credit_is_rounded_once_and_only_where_a_use_is_free_in_part() {
        // 1 × 5 / 7 does not end; the whole use would have been credited to the last digit.
        let third = used(1, "a", "7", "1");
        assert_eq!(shown(&[third]), pairs(&[("5", "0.714285714285714286")]));
    }

    #[test]
    fn where_a_later_row_has_another_quota_each_use_goes_by_its_own() {
        let larger = Use { quota: decimal("8"), ..used(3, "c", "4", "4") };
        let uses = [used(1, "a", "4", "4"), used(2, "b", "2", "2"), larger];
        assert_eq!(shown(&uses), pairs(&[("4", "4"), ("1", "1"), ("2", "2")]));
    }

    #[test]
    fn what_was_taken_back_neither_has_a_credit_nor_gives_one() {
        let uses = [used(1, "a", "-3", "-3"), used(2, "b", "6", "6"), used(3, "c", "0", "0")];
        assert_eq!(shown(&uses), pairs(&[("0", "0"), ("5", "5"), ("0", "0")]));
    }

    #[test]
    fn days_and_months_begin_at_midnight_utc() {
        // 2026-11-03T12:00:00Z; the day began at 00:00, the month two days before, and has 30 days.
        let noon = Millis(1_793_707_200_000);
        let midnight = 1_793_664_000_000;
        assert_eq!(bounds(QuotaPeriod::Day, noon), (Millis(midnight), Millis(midnight + MILLIS_A_DAY)));
        let first = midnight - 2 * MILLIS_A_DAY;
        assert_eq!(bounds(QuotaPeriod::Month, noon), (Millis(first), Millis(first + 30 * MILLIS_A_DAY)));
        assert_eq!(bounds(QuotaPeriod::Month, Millis(first)).0, Millis(first), "the first instant");
        assert_eq!(bounds(QuotaPeriod::Month, Millis(first - 1)).1, Millis(first), "the last instant before");
    }

    #[test]
    fn months_follow_each_other_without_a_gap_for_eight_hundred_years() {
        // From 1970-01-01 on, by the lengths that everybody knows.
        let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let mut first = 0;
        for year in 1970..2770 {
            for length in [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                assert_eq!(month_of(first), (first, first + length), "{year}");
                assert_eq!(month_of(first + length - 1), (first, first + length), "{year}");
                first += length;
            }
        }
    }

    proptest! {
        #[test]
        fn the_credit_of_a_pool_is_what_its_quota_reaches_and_no_order_changes_it(
            quantities in proptest::collection::vec((0_i64..50, 1_u64..9), 0..12), quota in 1_u64..40,
            rotation in 0_usize..12,
        ) {
            let uses: Vec<Use<'_>> = quantities.iter().enumerate().map(|(position, (at, quantity))| Use {
                quota: Decimal::from(quota),
                ..used(*at, &format!("{position:03}"), &quantity.to_string(), &(quantity * 3).to_string())
            }).collect();
            let sum = |uses: &[Use<'_>]| {
                credits(uses).unwrap().into_iter().try_fold(Credit::ZERO, Credit::checked_add).unwrap()
            };
            let total = sum(&uses);
            let free = quota.min(quantities.iter().map(|(_, quantity)| quantity).sum());
            prop_assert_eq!(total.quantity, Decimal::from(free));
            // At one price for all, the credit is that price times what is free.
            prop_assert_eq!(total.amount.to_string(), (free * 3).to_string());
            let mut turned = uses.clone();
            turned.rotate_left(rotation.min(uses.len()));
            turned.reverse();
            prop_assert_eq!(sum(&turned), total);
        }
    }
}
