//! Numbers as text: compares and converts decimals without ever going through a binary float.

use smallvec::SmallVec;

/// A decimal in the one form that equal numbers share: `digits × 10^exponent`, no zero at either end of the
/// digits. Zero has no digits and no sign.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Canonical {
    pub(super) negative: bool,
    pub(super) digits: SmallVec<[u8; 40]>,
    pub(super) exponent: i64,
}

/// Reads a number of the JSON grammar; `None` for anything else, and for exponents beyond 64 bits.
pub(super) fn canonical(text: &str) -> Option<Canonical> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (unsigned.get(..at)?, exponent(unsigned.get(at + 1..)?)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut digits: SmallVec<[u8; 40]> =
        whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
    let mut exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    while digits.last() == Some(&b'0') {
        digits.pop();
        exponent = exponent.checked_add(1)?;
    }
    if digits.is_empty() {
        return Some(Canonical { negative: false, digits, exponent: 0 });
    }
    Some(Canonical { negative, digits, exponent })
}

/// The exponent behind `e`: an optional sign and at least one digit.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Whether the text is a number of the JSON grammar.
pub(super) fn is_decimal(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 18
        && text.bytes().all(|digit| digit.is_ascii_digit())
        && !text.starts_with('0')
        || canonical(text).is_some()
}

/// What a number means where an integer is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Integer {
    /// A whole number of at most 64 bits, however it was spelled: `200`, `200.0` and `2e2` are one.
    Whole(i64),
    /// A whole number beyond 64 bits.
    Beyond,
    /// Not a whole number.
    Fraction,
}

/// Reads a JSON number as an integer.
pub(super) fn integer(text: &str) -> Integer {
    if let Ok(value) = text.parse::<i64>() {
        return Integer::Whole(value);
    }
    let Some(Canonical { negative, digits, exponent }) = canonical(text) else { return Integer::Beyond };
    if exponent < 0 {
        return Integer::Fraction;
    }
    let Ok(zeros) = u32::try_from(exponent) else { return Integer::Beyond };
    let magnitude =
        digits.iter().try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_sub(i64::from(digit - b'0')));
    let scaled = magnitude.and_then(|sum| sum.checked_mul(10_i64.checked_pow(zeros)?));
    match if negative { scaled } else { scaled.and_then(i64::checked_neg) } {
        Some(value) => Integer::Whole(value),
        None => Integer::Beyond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_canonical_form() {
        for (left, right) in
            [("10", "10.0"), ("10", "1e1"), ("1E+1", "100e-1"), ("0", "-0.00"), ("0.5", "5e-1")]
        {
            assert_eq!(canonical(left), canonical(right), "{left} = {right}");
        }
        assert_ne!(canonical("10"), canonical("-10"));
        assert_ne!(canonical("1"), canonical("10"));
    }

    #[test]
    fn only_the_json_grammar_is_a_number() {
        for text in [
            "",
            "-",
            "+1",
            ".5",
            "5.",
            "01",
            "1e",
            "1e+",
            "0x1",
            "NaN",
            "1 ",
            "1_000",
            "1e99999999999999999999",
        ] {
            assert!(!is_decimal(text), "{text}");
        }
        for text in ["0", "-0", "12", "0.5", "7.5e-08", "1E9"] {
            assert!(is_decimal(text), "{text}");
        }
    }

    #[test]
    fn an_integer_may_be_spelled_with_a_point_or_an_exponent() {
        for (text, value) in [("200", 200), ("200.0", 200), ("2e2", 200), ("-1.0", -1), ("0.0", 0)] {
            assert_eq!(integer(text), Integer::Whole(value), "{text}");
        }
        assert_eq!(integer("-9223372036854775808.0"), Integer::Whole(i64::MIN));
        assert_eq!(integer("9223372036854775808"), Integer::Beyond);
        assert_eq!(integer("1e400"), Integer::Beyond);
        assert_eq!(integer("1.5"), Integer::Fraction);
    }
}
