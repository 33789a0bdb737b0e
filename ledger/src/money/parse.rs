//! Reads decimal numbers from text, digit for digit.

use super::{Decimal, Error};

/// A whole number of at most 18 digits: what nearly every counter is.
pub(super) fn short_whole(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// Any decimal number.
pub(super) fn decimal(text: &str) -> Result<Decimal, Error> {
    let (mantissa_text, exponent_text) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (negative, digits) = match mantissa_text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut number = Digits::default();
    for byte in digits {
        number.push(*byte)?;
    }
    let (mantissa, decimals) = number.finish()?;
    let exponent = exponent_text.map_or(Ok(0), exponent)?;
    if mantissa == 0 {
        return Ok(Decimal::ZERO);
    }
    let scale = decimals.saturating_sub(exponent);
    let signed = if negative { -mantissa } else { mantissa };
    if let Ok(up) = u32::try_from(scale.saturating_neg()) {
        let shifted = 10_i128.checked_pow(up).and_then(|power| signed.checked_mul(power));
        return Decimal::new(shifted.ok_or(Error::TooManyDigits)?, 0);
    }
    Decimal::new(signed, u8::try_from(scale).map_err(|_| Error::TooManyDigits)?)
}

/// The digits of a number while they are read; zeros at its end count only once another digit follows.
#[derive(Default)]
struct Digits {
    mantissa: i128,
    decimals: i32,
    pending_zeros: u32,
    pending_decimals: i32,
    seen: bool,
    point: bool,
}

impl Digits {
    fn push(&mut self, byte: u8) -> Result<(), Error> {
        match byte {
            b'.' if !self.point => self.point = true,
            b'0'..=b'9' => {
                self.seen = true;
                self.pending_zeros = self.pending_zeros.saturating_add(1);
                self.pending_decimals = self.pending_decimals.saturating_add(i32::from(self.point));
                if byte != b'0' {
                    self.settle(i128::from(byte - b'0'))?;
                }
            }
            _ => return Err(Error::NotANumber),
        }
        Ok(())
    }

    /// Takes the pending places in, the last of which holds `digit`.
    fn settle(&mut self, digit: i128) -> Result<(), Error> {
        let power = if self.mantissa == 0 { Some(1) } else { 10_i128.checked_pow(self.pending_zeros) };
        let shifted = power.and_then(|power| self.mantissa.checked_mul(power));
        self.mantissa = shifted.and_then(|m| m.checked_add(digit)).ok_or(Error::TooManyDigits)?;
        self.decimals = self.decimals.saturating_add(self.pending_decimals);
        (self.pending_zeros, self.pending_decimals) = (0, 0);
        Ok(())
    }

    /// Mantissa and decimal places; places may be negative where whole zeros are pending.
    fn finish(self) -> Result<(i128, i32), Error> {
        if !self.seen {
            return Err(Error::NotANumber);
        }
        let zeros = i32::try_from(self.pending_zeros).map_err(|_| Error::TooManyDigits)?;
        Ok((self.mantissa, self.decimals.saturating_sub(zeros - self.pending_decimals)))
    }
}

fn exponent(text: &str) -> Result<i32, Error> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::NotANumber);
    }
    text.parse().map_err(|_| Error::TooManyDigits)
}
