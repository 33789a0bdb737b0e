//! How an amount is made of a quantity and a price, read from the text that an entry has of it: `0.002`,
//! `0.111/3600*1.2 minimum 10 increment 5`, or `0.5 * 1.2 + 3 * 0.01 / 1000` of what a markup made.

use ledger::money::{Amount, Decimal, rate};

/// A price as a row or an entry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) amount: Decimal,
    pub(super) per: u64,
    pub(super) factor: Decimal,
    pub(super) minimum: Option<Decimal>,
    pub(super) increment: Option<Decimal>,
}

impl Price {
    /// Reads the text of a price.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (price, factor) = split(words.next()?, '*');
        let (amount, per) = split(price, '/');
        let mut parsed = Self {
            amount: Decimal::parse(amount).ok()?,
            per: per.map_or(Some(1), |per| per.parse().ok())?,
            factor: factor.map_or(Some(Decimal::ONE), |factor| Decimal::parse(factor).ok())?,
            minimum: None,
            increment: None,
        };
        while let Some(word) = words.next() {
            let number = Decimal::parse(words.next()?).ok()?;
            match word {
                "minimum" => parsed.minimum = Some(number),
                "increment" => parsed.increment = Some(number),
                _ => return None,
            }
        }
        Some(parsed)
    }

    /// What a quantity comes to.
    pub(super) fn of(&self, quantity: Decimal) -> Option<Amount> {
        let is_less = |minimum: &Decimal| quantity.checked_sub(*minimum).is_ok_and(Decimal::is_negative);
        let raised = self.minimum.filter(|minimum| !quantity.is_zero() && is_less(minimum));
        let mut charged = raised.unwrap_or(quantity);
        if let Some(increment) = self.increment {
            charged = charged.round_up_to(increment).ok()?;
        }
        rate(charged, self.amount, self.factor, self.per).ok()
    }
}

/// What `base * factor + quantity * addition / per` comes to; the factor and what is added may be left out.
pub(super) fn marked(text: &str) -> Option<Amount> {
    let (base, addition) = text.split_once(" + ").map_or((text, None), |(base, rest)| (base, Some(rest)));
    let (base, factor) = base.split_once(" * ").map_or((base, None), |(base, factor)| (base, Some(factor)));
    let number = |text: &str| Decimal::parse(text.trim()).ok();
    let based = number(base)?.checked_mul(factor.map_or(Some(Decimal::ONE), number)?).ok()?;
    let Some(addition) = addition else { return rate(based, Decimal::ONE, Decimal::ONE, 1).ok() };
    let (quantity, added) = addition.split_once(" * ")?;
    let (added, per) =
        added.split_once(" / ").map_or((added, 1), |(added, per)| (added, per.parse().unwrap_or(0)));
    let added = number(quantity)?.checked_mul(number(added)?).ok()?;
    let whole = based.checked_mul(Decimal::from(per)).ok()?.checked_add(added).ok()?;
    if per == 0 { None } else { rate(whole, Decimal::ONE, Decimal::ONE, per).ok() }
}

fn split(text: &str, by: char) -> (&str, Option<&str>) {
    text.split_once(by).map_or((text, None), |(one, other)| (one, Some(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(price: &str, quantity: &str) -> Option<String> {
        Some(Price::parse(price)?.of(Decimal::parse(quantity).unwrap())?.to_string())
    }

    #[test]
    fn an_amount_is_quantity_times_price_rounded_once() {
        assert_eq!(amount("0.002", "3").as_deref(), Some("0.006"));
        // 7 × 0.111 ÷ 3600 × 1.2 = 0.000259.
        assert_eq!(amount("0.111/3600*1.2", "7").as_deref(), Some("0.000259"));
        // 1 ÷ 3 at 18 decimals.
        assert_eq!(amount("1/3", "1").as_deref(), Some("0.333333333333333333"));
        // 3 seconds are charged as 10, and 13 as 15.
        assert_eq!(amount("0.1 minimum 10 increment 5", "3").as_deref(), Some("1"));
        assert_eq!(amount("0.1 minimum 10 increment 5", "13").as_deref(), Some("1.5"));
        assert_eq!(amount("= 1", "3"), None);
    }

    #[test]
    fn what_a_markup_made_is_made_again() {
        let marked = |text| super::marked(text).map(|amount| amount.to_string());
        assert_eq!(marked("0.5"), Some("0.5".into()));
        assert_eq!(marked("0.5 * 1.2"), Some("0.6".into()));
        // 0.6 + 3 × 0.01 ÷ 3 = 0.61.
        assert_eq!(marked("0.5 * 1.2 + 3 * 0.01 / 3"), Some("0.61".into()));
        assert_eq!(marked("0.5 * x"), None);
    }
}
