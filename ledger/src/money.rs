//! Decimals for quantities and prices, amounts of money at one fixed scale, and the one place that rounds.
//! Knows no binary floats and no currencies.

mod mark_up;
mod parse;

use std::fmt;

use ethnum::U256;

pub use mark_up::mark_up;

/// Fractional digits of every amount.
pub const AMOUNT_SCALE: u8 = 18;

/// Digits that a decimal or an amount may have.
const DIGITS_MAX: u32 = 38;

/// One more than the largest mantissa and the largest raw amount.
const MANTISSA_END: u128 = 10_u128.pow(DIGITS_MAX);

/// Why a text is no number of ours, or a result does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// More digits than the ledger keeps.
    #[error("more than 38 digits")]
    TooManyDigits,
    /// The result of a calculation does not fit.
    #[error("result exceeds 38 digits")]
    Overflow,
}

/// An exact decimal number: a quantity, a price or a factor. Equal numbers are equal values, however they
/// were written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

impl Decimal {
    /// 0.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };
    /// 1.
    pub const ONE: Self = Self { mantissa: 1, scale: 0 };

    /// `mantissa / 10^scale`, in lowest terms.
    ///
    /// # Errors
    /// [`Error::TooManyDigits`] where more than 38 digits remain, on either side of the point.
    pub fn new(mantissa: i128, scale: u8) -> Result<Self, Error> {
        let (mut mantissa, mut scale) = (mantissa, scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        if mantissa.unsigned_abs() >= MANTISSA_END || u32::from(scale) > DIGITS_MAX {
            return Err(Error::TooManyDigits);
        }
        Ok(Self { mantissa, scale })
    }

    /// Reads JSON's number syntax, and what people write besides: a leading `+` or point, `7.5e-08`.
    ///
    /// # Errors
    /// [`Error::NotANumber`] for anything else, NaN and infinities included; [`Error::TooManyDigits`] beyond
    /// 38 significant digits or 38 decimal places.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match parse::short_whole(text.as_bytes()) {
            Some(whole) => Ok(Self::from(whole)),
            None => parse::decimal(text),
        }
    }

    /// Whether this is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether this is below 0.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// Whether there is no fractional part.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.scale == 0
    }

    /// The whole number; `None` where there is a fractional part or it does not fit.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        if self.scale == 0 { i64::try_from(self.mantissa).ok() } else { None }
    }

    /// The number times 10^18; `None` where that is not whole or has more than 38 digits.
    #[must_use]
    pub fn to_raw18(self) -> Option<i128> {
        let missing = AMOUNT_SCALE.checked_sub(self.scale)?;
        let raw = self.mantissa.checked_mul(ten_to(missing)?)?;
        (raw.unsigned_abs() < MANTISSA_END).then_some(raw)
    }

    /// The product, exactly.
    ///
    /// # Errors
    /// [`Error::Overflow`] where it has more than 38 digits.
    pub fn checked_mul(self, other: Self) -> Result<Self, Error> {
        if self == Self::ONE {
            return Ok(other);
        }
        let mantissa = self.mantissa.checked_mul(other.mantissa).ok_or(Error::Overflow)?;
        let scale = self.scale.checked_add(other.scale).ok_or(Error::Overflow)?;
        Self::new(mantissa, scale).map_err(|_| Error::Overflow)
    }

    /// The sum, exactly.
    ///
    /// # Errors
    /// [`Error::Overflow`] where it has more than 38 digits.
    pub fn checked_add(self, other: Self) -> Result<Self, Error> {
        let scale = self.scale.max(other.scale);
        let aligned = |number: Self| number.mantissa.checked_mul(ten_to(scale - number.scale)?);
        let sum = aligned(self).zip(aligned(other)).and_then(|(one, two)| one.checked_add(two));
        Self::new(sum.ok_or(Error::Overflow)?, scale).map_err(|_| Error::Overflow)
    }

    /// The difference, exactly.
    ///
    /// # Errors
    /// [`Error::Overflow`] where it has more than 38 digits.
    pub fn checked_sub(self, other: Self) -> Result<Self, Error> {
        self.checked_add(Self { mantissa: -other.mantissa, ..other })
    }

    /// The smallest multiple of `step` that is not below this number.
    ///
    /// # Errors
    /// [`Error::Overflow`] where it has more than 38 digits, or `step` is not above zero.
    pub fn round_up_to(self, step: Self) -> Result<Self, Error> {
        let scale = self.scale.max(step.scale);
        let aligned = |number: Self| number.mantissa.checked_mul(ten_to(scale - number.scale)?);
        let (number, step) = aligned(self).zip(aligned(step)).ok_or(Error::Overflow)?;
        if step <= 0 {
            return Err(Error::Overflow);
        }
        let beyond = number.rem_euclid(step);
        let missing = if beyond == 0 { 0 } else { step - beyond };
        Self::new(number.checked_add(missing).ok_or(Error::Overflow)?, scale).map_err(|_| Error::Overflow)
    }

    /// `self / per`, where the quotient ends within 18 decimals; `None` where it does not, or does not fit.
    #[must_use]
    pub fn div_exact(self, per: u64) -> Option<Self> {
        let missing = AMOUNT_SCALE.checked_sub(self.scale)?;
        let raw = self.mantissa.checked_mul(ten_to(missing)?)?;
        let per = i128::from(per);
        if per == 0 || raw % per != 0 {
            return None;
        }
        Self::new(raw / per, AMOUNT_SCALE).ok()
    }
}

impl From<u64> for Decimal {
    fn from(whole: u64) -> Self {
        Self { mantissa: i128::from(whole), scale: 0 }
    }
}

impl std::str::FromStr for Decimal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let sign = self.mantissa.signum().cmp(&other.mantissa.signum());
        if sign.is_ne() || self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        let scale = self.scale.max(other.scale);
        let aligned = |number: &Self| {
            // At most 38 + 38 digits, which 256 bits hold.
            U256::from(number.mantissa.unsigned_abs()) * U256::new(10).pow(u32::from(scale - number.scale))
        };
        let size = aligned(self).cmp(&aligned(other));
        if self.is_negative() { size.reverse() } else { size }
    }
}

/// Plain canonical text: no exponent, no trailing zeros, `0` for zero.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_plain(f, self.mantissa, self.scale)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An amount of money: a whole number of 10^-18 of the currency's unit, of at most 38 digits. The currency
/// stands beside it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount of that many 10^-18; `None` beyond 38 digits.
    #[must_use]
    pub const fn from_raw(raw: i128) -> Option<Self> {
        if raw.unsigned_abs() < MANTISSA_END { Some(Self(raw)) } else { None }
    }

    /// How many 10^-18.
    #[must_use]
    pub const fn raw(self) -> i128 {
        self.0
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` beyond 38 digits.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(raw) => Self::from_raw(raw),
            None => None,
        }
    }

    /// The same amount with the other sign.
    #[must_use]
    pub const fn neg(self) -> Self {
        Self(-self.0)
    }

    /// `self × part / whole`, rounded half-even to 18 decimals.
    ///
    /// # Errors
    /// [`Error::Overflow`] where the result has more than 38 digits, or `whole` is zero.
    pub fn share(self, part: Decimal, whole: Decimal) -> Result<Self, Error> {
        let scale = part.scale.max(whole.scale);
        let aligned = |number: Decimal| {
            let power = U256::new(10).checked_pow(u32::from(scale - number.scale))?;
            U256::from(number.mantissa.unsigned_abs()).checked_mul(power)
        };
        let product = aligned(part).and_then(|part| part.checked_mul(U256::from(self.0.unsigned_abs())));
        let (product, divisor) = product.zip(aligned(whole)).ok_or(Error::Overflow)?;
        let size = i128::try_from(divide_wide(product, divisor)?).map_err(|_| Error::Overflow)?;
        let negative = (self.0 < 0) ^ (part.mantissa < 0) ^ (whole.mantissa < 0);
        Self::from_raw(if negative { -size } else { size }).ok_or(Error::Overflow)
    }

    /// The nearest amount with that many decimals, a half to the even one: the rounding of an invoice line to its
    /// currency. More than 18 decimals change nothing; `None` beyond 38 digits.
    #[must_use]
    pub fn round_to(self, decimals: u8) -> Option<Self> {
        let Some(dropped) = AMOUNT_SCALE.checked_sub(decimals) else { return Some(self) };
        let step = 10_u128.pow(u32::from(dropped));
        let size = round_half_even(self.0.unsigned_abs(), step)?.checked_mul(step)?;
        let size = i128::try_from(size).ok()?;
        Self::from_raw(if self.0.is_negative() { -size } else { size })
    }

    /// Reads a decimal number.
    ///
    /// # Errors
    /// As [`Decimal::parse`]; [`Error::TooManyDigits`] also where it has more than 18 decimals.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let raw = Decimal::parse(text)?.to_raw18().ok_or(Error::TooManyDigits)?;
        Self::from_raw(raw).ok_or(Error::TooManyDigits)
    }

    /// The same number as a decimal.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, AMOUNT_SCALE).unwrap_or(Decimal::ZERO)
    }
}

impl TryFrom<Decimal> for Amount {
    type Error = Error;

    fn try_from(number: Decimal) -> Result<Self, Error> {
        number.to_raw18().and_then(Self::from_raw).ok_or(Error::TooManyDigits)
    }
}

/// Plain canonical text: no exponent, no trailing zeros, `0` for zero.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut raw, mut scale) = (self.0, AMOUNT_SCALE);
        while scale > 0 && raw % 10 == 0 {
            raw /= 10;
            scale -= 1;
        }
        write_plain(f, raw, scale)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `quantity × price × factor / per`: multiplied exactly, divided once, rounded half-even to 18 decimals.
///
/// # Errors
/// [`Error::Overflow`] where the product has more than 77 digits or the amount more than 38.
pub fn rate(quantity: Decimal, price: Decimal, factor: Decimal, per: u64) -> Result<Amount, Error> {
    let scale = u32::from(quantity.scale) + u32::from(price.scale) + u32::from(factor.scale);
    let negative = (quantity.mantissa < 0) ^ (price.mantissa < 0) ^ (factor.mantissa < 0);
    let sizes = [quantity, price, factor].map(|number| number.mantissa.unsigned_abs());
    let size = match rate_narrow(sizes, scale, per) {
        Some(size) => size,
        None => rate_wide(sizes, scale, per)?,
    };
    let raw = i128::try_from(size).map_err(|_| Error::Overflow)?;
    Amount::from_raw(if negative { -raw } else { raw }).ok_or(Error::Overflow)
}

/// Divides and rounds to the nearest whole number, a half to the even one; `None` where `divisor` is 0.
#[must_use]
pub fn round_half_even(number: u128, divisor: u128) -> Option<u128> {
    let (quotient, rest) = (number.checked_div(divisor)?, number.checked_rem(divisor)?);
    let up = match rest.cmp(&(divisor - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 == 1,
        std::cmp::Ordering::Greater => true,
    };
    quotient.checked_add(u128::from(up))
}

/// The amount's size in 128 bits; `None` where a step on the way does not fit.
fn rate_narrow([quantity, price, factor]: [u128; 3], scale: u32, per: u64) -> Option<u128> {
    let product = quantity.checked_mul(price)?.checked_mul(factor)?;
    if let Some(missing) = u32::from(AMOUNT_SCALE).checked_sub(scale) {
        round_half_even(product.checked_mul(10_u128.checked_pow(missing)?)?, u128::from(per))
    } else {
        let excess = 10_u128.checked_pow(scale - u32::from(AMOUNT_SCALE))?;
        round_half_even(product, excess.checked_mul(u128::from(per))?)
    }
}

/// The same in 256 bits.
fn rate_wide([quantity, price, factor]: [u128; 3], scale: u32, per: u64) -> Result<u128, Error> {
    let product = U256::from(quantity)
        .checked_mul(U256::from(price))
        .and_then(|product| product.checked_mul(U256::from(factor)));
    let ten_to = |exponent| U256::new(10).checked_pow(exponent);
    let scale_up = ten_to(u32::from(AMOUNT_SCALE).saturating_sub(scale));
    let scale_down = ten_to(scale.saturating_sub(u32::from(AMOUNT_SCALE)));
    let number = product.zip(scale_up).and_then(|(product, up)| product.checked_mul(up));
    let divisor = scale_down.and_then(|down| down.checked_mul(U256::from(per)));
    let (number, divisor) = number.zip(divisor).ok_or(Error::Overflow)?;
    divide_wide(number, divisor)
}

/// As [`round_half_even`], in 256 bits.
fn divide_wide(number: U256, divisor: U256) -> Result<u128, Error> {
    if divisor == U256::ZERO {
        return Err(Error::Overflow);
    }
    let (quotient, rest) = (number / divisor, number % divisor);
    let up = match rest.cmp(&(divisor - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % U256::new(2) == U256::ONE,
        std::cmp::Ordering::Greater => true,
    };
    let rounded = if up { quotient + U256::ONE } else { quotient };
    u128::try_from(rounded).map_err(|_| Error::Overflow)
}

/// Powers of ten, as far as 128 bits hold them.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

fn ten_to(exponent: u8) -> Option<i128> {
    POWERS.get(usize::from(exponent)).copied()
}

fn write_plain(f: &mut fmt::Formatter<'_>, mantissa: i128, scale: u8) -> fmt::Result {
    let digits = mantissa.unsigned_abs();
    if scale == 0 {
        return f.pad_integral(mantissa >= 0, "", &digits.to_string());
    }
    let power = 10_u128.checked_pow(u32::from(scale));
    let (whole, fraction) = power.map_or((0, digits), |power| (digits / power, digits % power));
    let sign = if mantissa < 0 { "-" } else { "" };
    write!(f, "{sign}{whole}.{fraction:0width$}", width = usize::from(scale))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn equal_numbers_are_equal_however_they_were_written() {
        for (text, canonical) in [
            ("10.0", "10"),
            ("1e3", "1000"),
            ("7.5e-08", "0.000000075"),
            ("2E-6", "0.000002"),
            ("+.5", "0.5"),
            ("-0.0", "0"),
            ("120", "120"),
            ("1.200e1", "12"),
            ("1.5000020000000002e-05", "0.000015000020000000002"),
            ("100000000000000000000", "100000000000000000000"),
            ("0.100", "0.1"),
            ("00.10", "0.1"),
            ("-12.50", "-12.5"),
        ] {
            assert_eq!(decimal(text).to_string(), canonical, "{text}");
            assert_eq!(decimal(text), decimal(canonical));
        }
    }

    #[test]
    fn rounding_up_goes_to_the_next_multiple_and_stays_on_one() {
        for (number, step, multiple) in [
            ("0.1", "60", "60"),
            ("60", "60", "60"),
            ("60.000000001", "60", "120"),
            ("7", "0.25", "7"),
            ("7.01", "0.25", "7.25"),
            ("0", "3", "0"),
            ("-5", "3", "-3"),
        ] {
            assert_eq!(
                decimal(number).round_up_to(decimal(step)),
                Ok(decimal(multiple)),
                "{number} by {step}"
            );
        }
        assert_eq!(decimal("1").round_up_to(Decimal::ZERO), Err(Error::Overflow));
        assert_eq!(decimal(&"9".repeat(38)).round_up_to(decimal("1e-30")), Err(Error::Overflow));
    }

    #[test]
    fn a_share_is_multiplied_first_and_rounded_once() {
        let share = |amount: &str, part: &str, whole: &str| {
            Amount::parse(amount)
                .unwrap()
                .share(decimal(part), decimal(whole))
                .map(|amount| amount.to_string())
        };
        assert_eq!(share("0.042", "2", "3"), Ok("0.028".into()));
        assert_eq!(share("1", "1.5", "4.5"), Ok("0.333333333333333333".into()));
        assert_eq!(share("0.000000000000000003", "1", "2"), Ok("0.000000000000000002".into()), "1.5 to even");
        assert_eq!(share("0.000000000000000005", "1", "2"), Ok("0.000000000000000002".into()), "2.5 to even");
        assert_eq!(share("-3", "1", "2"), Ok("-1.5".into()));
        assert_eq!(share("1", "1", "0"), Err(Error::Overflow));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["", "NaN", "Infinity", "-inf", "1,5", "1.2.3", "1e", "1e+", "e5", ".", "-", "0x10", " 1", "1_0"]
        {
            assert_eq!(Decimal::parse(text), Err(Error::NotANumber), "{text}");
        }
    }

    #[test]
    fn more_than_38_digits_are_refused() {
        assert!(Decimal::parse(&"9".repeat(38)).is_ok());
        for text in
            ["9".repeat(39), "1".repeat(40), format!("0.{}1", "0".repeat(38)), "1e39".into(), "1e-39".into()]
        {
            assert_eq!(Decimal::parse(&text), Err(Error::TooManyDigits), "{text}");
        }
        assert_eq!(decimal(&format!("1.{}", "0".repeat(60))), Decimal::ONE, "zeros at the end are no digits");
    }

    #[test]
    fn a_half_goes_to_the_even_neighbor() {
        // 5 / 10 = 0.5 → 0, 15 / 10 = 1.5 → 2, 25 / 10 = 2.5 → 2, 35 / 10 = 3.5 → 4
        for (number, rounded) in [(5, 0), (15, 2), (25, 2), (35, 4), (24, 2), (26, 3), (0, 0)] {
            assert_eq!(round_half_even(number, 10), Some(rounded), "{number}");
        }
        assert_eq!(round_half_even(1, 0), None);
    }

    #[test]
    fn a_line_is_divided_once_and_rounded_at_18_decimals() {
        // $0.111 an hour, 12.34 s: 12.34 × 0.111 / 3600 = 0.00038048333333333333…
        let amount = rate(decimal("12.34"), decimal("0.111"), Decimal::ONE, 3600).unwrap();
        assert_eq!(amount.to_string(), "0.000380483333333333");
        // Half a 10^-18 goes to the even neighbor: 0.5 → 0, 1.5 → 2, 2.5 → 2.
        for (quantity, text) in [("1", "0"), ("3", "0.000000000000000002"), ("5", "0.000000000000000002")] {
            let amount = rate(decimal(quantity), decimal("5e-19"), Decimal::ONE, 1).unwrap();
            assert_eq!(amount.to_string(), text, "{quantity}");
        }
        let negative = rate(decimal("3"), decimal("-5e-19"), Decimal::ONE, 1).unwrap();
        assert_eq!(negative.to_string(), "-0.000000000000000002");
    }

    #[test]
    fn a_product_too_wide_for_128_bits_is_still_exact() {
        // 10^12 tokens at 1.5000020000000002e-05 × 1.1 = 16 500 022.0000000022
        let amount = rate(decimal("1e12"), decimal("1.5000020000000002e-05"), decimal("1.1"), 1).unwrap();
        assert_eq!(amount.to_string(), "16500022.0000000022");
        let wide =
            rate(decimal("123456789012345678.9"), decimal("0.0123456789012345678901"), decimal("1.1"), 1);
        assert_eq!(wide.unwrap().to_string(), "1676573662856272.042534537445416568");
    }

    #[test]
    fn an_amount_beyond_38_digits_is_an_overflow() {
        assert_eq!(rate(decimal("1e20"), Decimal::ONE, Decimal::ONE, 1), Err(Error::Overflow));
        assert!(rate(decimal("99999999999999999999"), Decimal::ONE, Decimal::ONE, 1).is_ok());
        assert_eq!(Amount::from_raw(10_i128.pow(38)), None);
        assert_eq!(Amount::parse("1e-19"), Err(Error::TooManyDigits));
    }

    #[test]
    fn a_quotient_that_ends_is_exact_and_another_is_none() {
        assert_eq!(decimal("2").div_exact(1_000_000), Some(decimal("0.000002")));
        assert_eq!(decimal("0.111").div_exact(3600), None);
        assert_eq!(decimal("3.6").div_exact(3600), Some(decimal("0.001")));
        assert_eq!(Decimal::ONE.div_exact(0), None);
    }

    proptest! {
        #[test]
        fn text_and_number_are_one(mantissa in -10_i128.pow(37)..10_i128.pow(37), scale in 0_u8..=38) {
            let number = Decimal::new(mantissa, scale).unwrap();
            prop_assert_eq!(Decimal::parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn narrow_and_wide_agree(sizes: [u32; 3], scale in 0_u32..30, per in 1_u64..10_000_000) {
            let sizes = sizes.map(u128::from);
            if let Some(narrow) = rate_narrow(sizes, scale, per) {
                prop_assert_eq!(rate_wide(sizes, scale, per), Ok(narrow));
            }
        }

        #[test]
        fn order_is_that_of_the_numbers(one: i32, two: i32, scale in 0_u8..9) {
            let shrink = |number: i32| Decimal::new(i128::from(number), scale).unwrap();
            prop_assert_eq!(shrink(one).cmp(&shrink(two)), one.cmp(&two));
        }
    }
}
