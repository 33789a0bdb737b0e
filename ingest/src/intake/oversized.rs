//! What is kept of an event that is larger than an event may be: its beginning without credentials, its length and
//! its SHA-256. Memory stays bounded however large it is.

use ledger::event::Millis;
use schemas::event::{BYTES_MAX, Decoder, Record};
use sha2::{Digest, Sha256};

/// Bytes that are kept.
pub(super) const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are searched for credentials at a time; an event of the largest permitted size is searched whole, so
/// a window must not be larger.
const WINDOW_BYTES: usize = 192 * 1024;
/// Bytes that are searched twice, so that no beginning of a credential is cut in two.
const OVERLAP_BYTES: usize = 1024;
const _: () = assert!(KEPT_BYTES_MAX + OVERLAP_BYTES < WINDOW_BYTES && WINDOW_BYTES < BYTES_MAX);

/// The part of an event that goes to the log.
pub(super) struct Kept {
    pub(super) value: Vec<u8>,
    /// The text of the header that says what the whole was.
    pub(super) header: String,
    pub(super) has_secret: bool,
}

/// Cuts an event down.
pub(super) fn cut(decoder: &Decoder, value: &[u8]) -> Kept {
    let redacted =
        |window| decoder.redact(&Record { value: Some(window), content_type: None, log_time: Millis(0) });
    let first = value.get(..WINDOW_BYTES).unwrap_or(value);
    let beginning = redacted(first);
    let mut has_secret = *beginning != *first;
    let mut end = first.len();
    while !has_secret && end < value.len() {
        let window_end = value.len().min(end - OVERLAP_BYTES + WINDOW_BYTES);
        let window = from_a_words_end(value.get(end - OVERLAP_BYTES..window_end).unwrap_or_default());
        has_secret = *redacted(window) != *window;
        end = window_end;
    }
    let kept = beginning.get(..KEPT_BYTES_MAX).unwrap_or(&beginning).to_vec();
    Kept {
        value: kept,
        header: format!("{} {}", value.len(), hexadecimal(&Sha256::digest(value))),
        has_secret,
    }
}

/// Leaves out the word that a window begins inside of: its rest is no word, so no credential begins with it.
fn from_a_words_end(window: &[u8]) -> &[u8] {
    let rest_of_word = window.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    window.get(rest_of_word..).unwrap_or_default()
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Truncated;

    const SECRET: &str = "sk-ant-0123456789abcdefghij";

    fn of(value: &[u8]) -> Kept {
        cut(&Decoder::new().unwrap(), value)
    }

    #[test]
    fn the_first_bytes_the_length_and_the_digest_are_kept() {
        let value = vec![b'x'; 300_000];
        let kept = of(&value);
        assert_eq!(kept.value, value[..KEPT_BYTES_MAX]);
        assert!(!kept.has_secret);
        let header = Truncated::parse(&kept.header).unwrap();
        assert_eq!((header.length, header.sha256), (300_000, Sha256::digest(&value).into()));
    }

    #[test]
    fn a_credential_is_found_wherever_it_begins_and_never_kept() {
        for at in
            [0, 5, KEPT_BYTES_MAX - 10, WINDOW_BYTES - 10, WINDOW_BYTES - OVERLAP_BYTES, 400_000, 599_000]
        {
            let mut value = vec![b'.'; 600_000];
            value[at..at + SECRET.len()].copy_from_slice(SECRET.as_bytes());
            let kept = of(&value);
            assert!(kept.has_secret, "{at}");
            assert!(!String::from_utf8_lossy(&kept.value).contains("sk-"), "{at}");
        }
    }

    #[test]
    fn a_word_that_a_window_cuts_in_two_is_no_credential() {
        for at in WINDOW_BYTES - OVERLAP_BYTES - 4..WINDOW_BYTES - OVERLAP_BYTES + 4 {
            let mut value = vec![b'.'; 400_000];
            let word = b"risk-0123456789abcdefghij";
            value[at..at + word.len()].copy_from_slice(word);
            assert!(!of(&value).has_secret, "{at}");
        }
    }
}
