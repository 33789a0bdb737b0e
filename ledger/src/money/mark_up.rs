//! The amount of a marked-up line: two products summed exactly and rounded once.

use ethnum::{I256, U256};

use super::{AMOUNT_SCALE, Amount, Decimal, Error, rate};

/// `base × factor + quantity × addition / per`: computed exactly, divided once, rounded half-even to 18 decimals.
///
/// # Errors
/// [`Error::Overflow`] where a step has more than 76 digits, the amount more than 38, or `per` is 0.
pub fn mark_up(
    base: Amount,
    factor: Decimal,
    quantity: Decimal,
    addition: Decimal,
    per: u64,
) -> Result<Amount, Error> {
    if addition.is_zero() {
        return rate(base.to_decimal(), factor, Decimal::ONE, 1);
    }
    sum(base, factor, quantity, addition, per).ok_or(Error::Overflow)
}

/// Both products over one divisor: `(base × factor × per + quantity × addition) / per`, at the scale of the finer.
fn sum(base: Amount, factor: Decimal, quantity: Decimal, addition: Decimal, per: u64) -> Option<Amount> {
    let product = |one: i128, two: i128| I256::from(one).checked_mul(I256::from(two));
    let ten_to = |exponent: u32| I256::new(10).checked_pow(exponent);
    let marked = product(base.raw(), factor.mantissa)?.checked_mul(I256::from(per))?;
    let added = product(quantity.mantissa, addition.mantissa)?;
    let marked_scale = u32::from(AMOUNT_SCALE) + u32::from(factor.scale);
    let added_scale = u32::from(quantity.scale) + u32::from(addition.scale);
    let scale = marked_scale.max(added_scale);
    let number = marked
        .checked_mul(ten_to(scale - marked_scale)?)?
        .checked_add(added.checked_mul(ten_to(scale - added_scale)?)?)?;
    // The scale is at least that of an amount, because the base has it.
    let divisor = ten_to(scale - u32::from(AMOUNT_SCALE))?.checked_mul(I256::from(per))?;
    let (number, is_negative) = (number.unsigned_abs(), number.is_negative());
    let size = round(number, divisor.unsigned_abs())?;
    Amount::from_raw(if is_negative { size.checked_neg()? } else { size })
}

fn round(number: U256, divisor: U256) -> Option<i128> {
    let (quotient, rest) = (number.checked_div(divisor)?, number.checked_rem(divisor)?);
    let up = match rest.cmp(&(divisor - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % U256::new(2) == U256::ONE,
        std::cmp::Ordering::Greater => true,
    };
    i128::try_from(if up { quotient.checked_add(U256::ONE)? } else { quotient }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(base: &str, factor: &str, quantity: &str, addition: &str, per: u64) -> String {
        let number = |text: &str| Decimal::parse(text).unwrap();
        let base = Amount::parse(base).unwrap();
        mark_up(base, number(factor), number(quantity), number(addition), per).unwrap().to_string()
    }

    #[test]
    fn both_parts_are_summed_before_anything_is_rounded() {
        assert_eq!(marked("1.5", "1.2", "1000", "0.000001", 1), "1.801"); // 1.8 + 0.001
        assert_eq!(marked("1.5", "0.9", "0", "0", 1), "1.35");
        // 10^-18 × 0.5 + 1 × 10^-18 / 2 is 10^-18: each part alone would round to 0.
        assert_eq!(
            marked("0.000000000000000001", "0.5", "1", "0.000000000000000001", 2),
            "0.000000000000000001"
        );
    }

    #[test]
    fn a_half_goes_to_the_even_neighbor() {
        // 2.5 and 3.5 of 10^-18.
        assert_eq!(
            marked("0.000000000000000002", "1", "1", "0.000000000000000001", 2),
            "0.000000000000000002"
        );
        assert_eq!(
            marked("0.000000000000000003", "1", "1", "0.000000000000000001", 2),
            "0.000000000000000004"
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let large = Amount::parse("99999999999999999999").unwrap();
        let ten = Decimal::from(10);
        assert_eq!(mark_up(large, ten, Decimal::ONE, Decimal::ONE, 1), Err(Error::Overflow));
        assert_eq!(mark_up(Amount::ZERO, ten, Decimal::ONE, Decimal::ONE, 0), Err(Error::Overflow));
    }
}
