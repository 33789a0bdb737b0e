//! `occurred_at`: RFC 3339 text becomes milliseconds since 1970. Stricter than most parsers: an offset is
//! required and second 60 is refused, so an instant never depends on a leap second table.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Reads an RFC 3339 timestamp and truncates it to the millisecond.
///
/// # Errors
/// Says in a few words what is wrong with the text.
pub(super) fn parse_rfc3339(text: &str) -> Result<i64, &'static str> {
    const SHAPE: &str = "is no RFC 3339 timestamp such as 2025-06-01T12:00:00Z";
    let Some((local, rest)) = text.as_bytes().split_at_checked(19) else { return Err(SHAPE) };
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T' | b't', h0, h1, b':', mi0, mi1, b':', s0, s1] =
        local
    else {
        return Err(SHAPE);
    };
    let (Some(century), Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)) = (
        pair(*y0, *y1),
        pair(*y2, *y3),
        pair(*mo0, *mo1),
        pair(*d0, *d1),
        pair(*h0, *h1),
        pair(*mi0, *mi1),
        pair(*s0, *s1),
    ) else {
        return Err(SHAPE);
    };
    if second == 60 {
        return Err("has second 60: leap seconds are refused");
    }
    let (millis, rest) = fraction(rest).ok_or(SHAPE)?;
    let offset = offset(rest)?;
    let year = i16::from(century) * 100 + i16::from(year);
    let local = DateTime::new(year, month, day, hour, minute, second, 0)
        .map_err(|_| "names a day or time that does not exist")?;
    let instant = offset.to_timestamp(local).map_err(|_| "is out of range")?;
    Ok(instant.as_millisecond() + millis)
}

/// Two digits as a number.
fn pair(tens: u8, ones: u8) -> Option<i8> {
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return None;
    }
    i8::try_from((tens - b'0') * 10 + (ones - b'0')).ok()
}

/// An optional fraction of any length, truncated to milliseconds, and what follows it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', digits)) = rest.split_first() else { return Some((0, rest)) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let (fraction, rest) = digits.split_at(length);
    let millis = fraction
        .iter()
        .chain([b'0', b'0'].iter())
        .take(3)
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some((millis, rest))
}

/// `Z` or `±HH:MM`.
fn offset(rest: &[u8]) -> Result<Offset, &'static str> {
    match rest {
        b"Z" | b"z" => Ok(Offset::UTC),
        [] => Err("has no offset: end it with Z or an offset such as +02:00"),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (Some(hours @ 0..=23), Some(minutes @ 0..=59)) = (pair(*h0, *h1), pair(*m0, *m1)) else {
                return Err("has an offset that does not exist");
            };
            let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
            Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds })
                .map_err(|_| "has an offset that does not exist")
        }
        _ => Err("has a malformed offset: end it with Z or an offset such as +02:00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_same_in_every_offset() {
        for text in [
            "2025-06-01T12:00:00Z",
            "2025-06-01t12:00:00z",
            "2025-06-01T14:00:00+02:00",
            "2025-06-01T06:30:00.000-05:30",
            "2025-06-01T12:00:00-00:00",
        ] {
            // 20,240 days after 1970-01-01, and twelve hours: 20,240 × 86,400,000 + 43,200,000.
            assert_eq!(parse_rfc3339(text), Ok(1_748_779_200_000), "{text}");
        }
    }

    #[test]
    fn a_fraction_is_truncated_to_the_millisecond() {
        for (fraction, millis) in
            [(".1", 100), (".12", 120), (".123", 123), (".1239999", 123), (".000999999999999", 0)]
        {
            assert_eq!(
                parse_rfc3339(&format!("2025-06-01T12:00:00{fraction}Z")),
                Ok(1_748_779_200_000 + millis)
            );
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "yesterday",
            "2025-06-01",
            "2025-06-01 12:00:00Z",
            "2025-06-01T12:00:00",
            "2025-06-01T12:00Z",
            "2025-06-01T23:59:60Z",
            "2025-06-01T24:00:00Z",
            "2025-02-30T12:00:00Z",
            "2025-13-01T12:00:00Z",
            "2025-06-01T12:00:00.Z",
            "2025-06-01T12:00:00+2:00",
            "2025-06-01T12:00:00+24:00",
            "2025-06-01T12:00:00+0200",
            "2025-06-01T12:00:00Z ",
            "2025-06-01T12:00:00Z[UTC]",
            "+2025-06-01T12:00:00Z",
            "２０２５-06-01T12:00:00Z",
        ] {
            assert!(parse_rfc3339(text).is_err(), "{text}");
        }
    }
}
