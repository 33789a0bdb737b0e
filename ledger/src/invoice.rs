//! An invoice: what an account owes for a month, in lines that are rounded once each. Knows nothing of where entries
//! are kept; it is given their exact sums.

use std::collections::BTreeMap;
use std::fmt;

use crate::event::names;
use crate::money::{Amount, Decimal, Error, rate};

/// A calendar month in the account's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: u8,
}

impl Month {
    /// The month of a year, from 1 to 12; `None` for any other, and outside the years 1 to 9999.
    #[must_use]
    pub const fn new(year: i16, month: u8) -> Option<Self> {
        if year >= 1 && year <= 9999 && month >= 1 && month <= 12 { Some(Self { year, month }) } else { None }
    }

    /// Reads `YYYY-MM`; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let is_plain =
            |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain(year, 4) || !is_plain(month, 2) {
            return None;
        }
        Self::new(year.parse().ok()?, month.parse().ok()?)
    }

    /// The year.
    #[must_use]
    pub const fn year(self) -> i16 {
        self.year
    }

    /// The month, from 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The month after; `None` after 9999-12.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.month == 12 { Self::new(self.year + 1, 1) } else { Self::new(self.year, self.month + 1) }
    }
}

/// `YYYY-MM`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

names! {
    /// What a line is for.
    LineKind {
        /// Usage of the invoice's own month.
        Usage = "usage",
        /// What came after the invoice of an earlier month was closed.
        Adjustment = "adjustment",
        /// A flat fee for the month.
        Fee = "fee",
        /// What is missing to the least that the account is billed for a month.
        Minimum = "minimum",
        /// What the account is given.
        Credit = "credit",
        /// Tax on the lines before it.
        Tax = "tax",
    }
}

/// What tells one line of usage from another. An adjustment names the month that it adjusts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineKey {
    /// The month that is adjusted; `None` for usage of the invoice's own.
    pub adjusts: Option<Month>,
    /// The team, where the account's invoice is taken apart by team; else empty.
    pub team: String,
    /// The model that was used.
    pub model: String,
    /// The unit that was used.
    pub unit: String,
    /// The price of one of the unit, as text; empty for adjustments, which may mix prices.
    pub unit_price: String,
}

/// What the entries of one line add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Which line.
    pub key: LineKey,
    /// How much of the unit.
    pub quantity: Decimal,
    /// The exact sum of the charges.
    pub amount: Amount,
}

/// What an account is billed besides its usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// A flat fee for each month, with what it is called.
    pub fee: Option<(String, Amount)>,
    /// The least that usage, adjustments and fee come to.
    pub minimum: Option<Amount>,
    /// What is given for this month, each with what it is called; amounts above zero. A credit takes no more than what
    /// is left to pay.
    pub credits: Vec<(String, Amount)>,
    /// A tax on the total before it: what it is called, and its rate as a factor, such as 0.19.
    pub tax: Option<(String, Decimal)>,
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is for.
    pub kind: LineKind,
    /// Which usage; of other lines `model` is the description and the rest is empty.
    pub key: LineKey,
    /// How much of the unit; 1 where nothing is counted.
    pub quantity: Decimal,
    /// Before rounding.
    pub exact_amount: Amount,
    /// Rounded half-even to the currency's minor unit: what is owed.
    pub amount: Amount,
}

/// The lines of an invoice and what they come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Usage, then adjustments, then fees, minimum, credits and tax; each sorted by its key.
    pub lines: Vec<Line>,
    /// The sum of the rounded lines: what is owed.
    pub total: Amount,
    /// The exact sum of usage and adjustments, for the balance with the ledger.
    pub exact_usage: Amount,
}

/// Makes the lines of an invoice: each rounded once, half-even, to `decimals` decimals, so that the total is the sum
/// of what is printed.
///
/// # Errors
/// [`Error::Overflow`] where a sum has more than 38 digits.
pub fn bill(sums: impl IntoIterator<Item = Sum>, terms: &Terms, decimals: u8) -> Result<Bill, Error> {
    let mut lines = Vec::new();
    let mut exact_usage = Amount::ZERO;
    for (key, (quantity, amount)) in merge(sums)? {
        exact_usage = add(exact_usage, amount)?;
        let kind = if key.adjusts.is_some() { LineKind::Adjustment } else { LineKind::Usage };
        lines.push(line(kind, key, quantity, amount, decimals)?);
    }
    lines.sort_by(|one, two| {
        (one.key.adjusts.is_some(), &one.key).cmp(&(two.key.adjusts.is_some(), &two.key))
    });
    let mut bill = Bill { total: total(&lines)?, lines, exact_usage };
    let extra = |kind, name: &str, exact: Amount, bill: &mut Bill| -> Result<(), Error> {
        let key = LineKey {
            adjusts: None,
            team: String::new(),
            model: name.to_owned(),
            unit: String::new(),
            unit_price: String::new(),
        };
        let line = line(kind, key, Decimal::ONE, exact, decimals)?;
        bill.total = add(bill.total, line.amount)?;
        bill.lines.push(line);
        Ok(())
    };
    if let Some((name, fee)) = &terms.fee {
        extra(LineKind::Fee, name, *fee, &mut bill)?;
    }
    if let Some(minimum) = terms.minimum.filter(|minimum| *minimum > bill.total) {
        let missing = add(minimum, bill.total.neg())?;
        extra(LineKind::Minimum, "monthly minimum", missing, &mut bill)?;
    }
    for (name, credit) in &terms.credits {
        let taken = (*credit).min(bill.total);
        if taken > Amount::ZERO {
            extra(LineKind::Credit, name, taken.neg(), &mut bill)?;
        }
    }
    if let Some((name, factor)) = &terms.tax {
        let tax = rate(bill.total.to_decimal(), *factor, Decimal::ONE, 1)?;
        extra(LineKind::Tax, name, tax, &mut bill)?;
    }
    Ok(bill)
}

/// Sums by key, in the order of the keys. Keys that come to nothing in quantity and amount are no line.
fn merge(sums: impl IntoIterator<Item = Sum>) -> Result<BTreeMap<LineKey, (Decimal, Amount)>, Error> {
    let mut merged = BTreeMap::<LineKey, (Decimal, Amount)>::new();
    for sum in sums {
        let (quantity, amount) = merged.entry(sum.key).or_insert((Decimal::ZERO, Amount::ZERO));
        *quantity = quantity.checked_add(sum.quantity)?;
        *amount = add(*amount, sum.amount)?;
    }
    merged.retain(|_, (quantity, amount)| !quantity.is_zero() || !amount.is_zero());
    Ok(merged)
}

fn line(kind: LineKind, key: LineKey, quantity: Decimal, exact: Amount, decimals: u8) -> Result<Line, Error> {
    let amount = exact.round_to(decimals).ok_or(Error::Overflow)?;
    Ok(Line { kind, key, quantity, exact_amount: exact, amount })
}

fn total(lines: &[Line]) -> Result<Amount, Error> {
    lines.iter().try_fold(Amount::ZERO, |sum, line| add(sum, line.amount))
}

fn add(one: Amount, two: Amount) -> Result<Amount, Error> {
    one.checked_add(two).ok_or(Error::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn key(model: &str, adjusts: Option<&str>) -> LineKey {
        LineKey {
            adjusts: adjusts.map(|month| Month::parse(month).unwrap()),
            team: String::new(),
            model: model.into(),
            unit: "output_text_tokens".into(),
            unit_price: if adjusts.is_some() { String::new() } else { "0.000002".into() },
        }
    }

    fn sum(model: &str, adjusts: Option<&str>, quantity: u64, exact: &str) -> Sum {
        Sum { key: key(model, adjusts), quantity: Decimal::from(quantity), amount: amount(exact) }
    }

    #[test]
    fn a_line_is_rounded_once_over_the_exact_sum_of_its_entries_and_half_goes_to_even() {
        // Three entries of 0.0016 each: rounded apart they would be 0; together they are 0.0048, which is 0.00 too,
        // and ten of them are 0.016, which is 0.02.
        let three = bill((0..3).map(|_| sum("a", None, 1, "0.0016")), &Terms::default(), 2).unwrap();
        assert_eq!(three.lines.len(), 1);
        assert_eq!((three.lines[0].exact_amount, three.total), (amount("0.0048"), Amount::ZERO));
        let ten = bill((0..10).map(|_| sum("a", None, 1, "0.0016")), &Terms::default(), 2).unwrap();
        assert_eq!((ten.lines[0].exact_amount, ten.total), (amount("0.016"), amount("0.02")));
        for (exact, rounded) in [
            ("0.005", "0"),
            ("0.015", "0.02"),
            ("0.025", "0.02"),
            ("-0.005", "0"),
            ("-0.015", "-0.02"),
            ("0.005000000000000001", "0.01"),
            ("2.5", "2.5"),
        ] {
            assert_eq!(amount(exact).round_to(2), Some(amount(rounded)), "{exact}");
        }
        assert_eq!(amount("2.5").round_to(0), Some(amount("2")));
        assert_eq!(amount("0.0125").round_to(3), Some(amount("0.012")));
        assert_eq!(amount("0.000000000000000001").round_to(18), Some(amount("0.000000000000000001")));
    }

    #[test]
    fn the_total_is_the_sum_of_the_printed_lines_and_adjustments_come_after_usage() {
        let sums = [
            sum("b", Some("2026-09"), 5, "-0.333"),
            sum("b", None, 7, "1.005"),
            sum("a", None, 3, "2.004"),
            sum("gone", None, 0, "0"),
        ];
        let made = bill(sums, &Terms::default(), 2).unwrap();
        let shown: Vec<_> =
            made.lines.iter().map(|line| (line.key.model.as_str(), line.kind, line.amount)).collect();
        let expected = [
            ("a", LineKind::Usage, amount("2")),
            ("b", LineKind::Usage, amount("1")),
            ("b", LineKind::Adjustment, amount("-0.33")),
        ];
        assert_eq!(shown, expected);
        // 2.00 + 1.00 (1.005 is halfway, and 0 is even) - 0.33.
        assert_eq!(made.total, amount("2.67"));
        // 2.004 + 1.005 - 0.333.
        assert_eq!(made.exact_usage, amount("2.676"));
    }

    #[test]
    fn fee_minimum_credit_and_tax_are_lines_of_their_own_in_that_order() {
        let terms = Terms {
            fee: Some(("platform fee".into(), amount("10"))),
            minimum: Some(amount("50")),
            credits: vec![("goodwill".into(), amount("5"))],
            tax: Some(("VAT 19 %".into(), Decimal::parse("0.19").unwrap())),
        };
        let made = bill([sum("a", None, 3, "2.004")], &terms, 2).unwrap();
        let shown: Vec<_> = made.lines.iter().map(|line| (line.kind, line.amount)).collect();
        let expected = [
            (LineKind::Usage, amount("2")),
            (LineKind::Fee, amount("10")),
            // 50 - 12.
            (LineKind::Minimum, amount("38")),
            (LineKind::Credit, amount("-5")),
            // 19 % of 45.
            (LineKind::Tax, amount("8.55")),
        ];
        assert_eq!(shown, expected);
        assert_eq!(made.total, amount("53.55"));
        assert_eq!(made.exact_usage, amount("2.004"));
    }

    #[test]
    fn a_credit_takes_no_more_than_what_is_left_to_pay() {
        let credits = |amounts: &[&str]| Terms {
            credits: amounts.iter().map(|text| ("given".into(), amount(text))).collect(),
            ..Terms::default()
        };
        // 2.00 - 1.50 leaves 0.50, of which the second takes all and the third finds nothing.
        let made = bill([sum("a", None, 3, "2.004")], &credits(&["1.5", "5", "1"]), 2).unwrap();
        let taken: Vec<_> = made.lines[1..].iter().map(|line| line.amount).collect();
        assert_eq!((taken, made.total), (vec![amount("-1.5"), amount("-0.5")], Amount::ZERO));
        // Adjustments below zero stay owed to the account.
        let owed = bill([sum("a", Some("2026-09"), 3, "-2")], &credits(&["1"]), 2).unwrap();
        assert_eq!((owed.lines.len(), owed.total), (1, amount("-2")));
    }

    #[test]
    fn a_month_is_four_digits_a_dash_and_two() {
        for text in ["2026-11", "0001-01", "9999-12"] {
            assert_eq!(Month::parse(text).unwrap().to_string(), text);
        }
        for text in ["2026-13", "2026-00", "2026-1", "26-01", "+026-01", "2026-11-01", "0000-01", ""] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
        let month = |text| Month::parse(text).unwrap();
        assert_eq!(month("2026-12").next(), Some(month("2027-01")));
        assert_eq!(month("9999-12").next(), None);
    }
}
