//! Finds what looks like a live credential, so that none is ever stored, and blots it out.
//! Works on bytes, so that a record that does not decode is checked as well.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

/// What a credential begins with.
const PREFIXES: [&str; 4] = ["sk-", "AIza", "AKIA", "Bearer "];
/// Fewer characters behind a prefix are a name, not a credential.
const CREDENTIAL_MIN: usize = 16;
/// Shorter strings have too little in them to be judged by entropy.
const ENTROPY_LENGTH_MIN: usize = 24;
/// Bits a character from which a string counts as random.
const ENTROPY_BITS_MIN: f64 = 4.0;
/// What stands where a credential stood.
pub const REDACTED: &str = "[redacted]";

/// A record without any of these has no credential by prefix: escaped ASCII begins with the last one.
static FINDERS: LazyLock<[Finder<'static>; 5]> =
    LazyLock::new(|| ["sk-", "AIza", "AKIA", "Bearer ", r"\u00"].map(Finder::new));

/// What may stand before a word in these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Text: what is no letter and no digit.
    Text,
    /// Avro: also the length of a string, which may look like a letter.
    Binary,
}

/// Cheap: whether the bytes may hold a credential at all.
pub(super) fn suspicious(bytes: &[u8]) -> bool {
    FINDERS.iter().any(|finder| finder.find(bytes).is_some())
}

/// Where the credentials with a known prefix are, escaped ones too; in order, none overlaps another.
pub(super) fn by_prefix(bytes: &[u8], layout: Layout) -> Vec<Range<usize>> {
    if !suspicious(bytes) {
        return Vec::new();
    }
    let letters = letters(bytes);
    let mut spans = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let length = credential(&letters, at, bytes, layout);
        match length {
            Some(length) => {
                spans.push(span(&letters, at, at + length, bytes.len()));
                at += length;
            }
            None => at += 1,
        }
    }
    spans
}

/// Where a gateway key looks random: a run of base64 characters that is neither a hash nor a UUID.
pub(super) fn by_entropy(key: &[u8]) -> Vec<Range<usize>> {
    if key.len() < ENTROPY_LENGTH_MIN {
        return Vec::new();
    }
    let letters = letters(key);
    let mut spans = Vec::new();
    let mut start = 0;
    for run in letters.split(|letter| !is_base64(letter.value)) {
        if looks_random(run) {
            spans.push(span(&letters, start, start + run.len(), key.len()));
        }
        start += run.len() + 1;
    }
    spans
}

/// Blots out the credentials at these places. In binary data the length stays what it was, since it
/// stands somewhere else too.
pub(super) fn blot(bytes: &[u8], spans: &[Range<usize>], layout: Layout) -> Vec<u8> {
    let mut blotted = Vec::with_capacity(bytes.len());
    let mut end = 0;
    for span in spans {
        blotted.extend_from_slice(bytes.get(end..span.start).unwrap_or_default());
        blotted.extend_from_slice(REDACTED.as_bytes());
        if layout == Layout::Binary {
            let length = blotted.len() + span.len().saturating_sub(REDACTED.len());
            blotted.resize(length, b'*');
        }
        end = span.end;
    }
    blotted.extend_from_slice(bytes.get(end..).unwrap_or_default());
    blotted
}

/// Blots out the credentials of one text, for a listing or an error message.
#[must_use]
pub fn redact_text(text: &str) -> String {
    let spans = by_prefix(text.as_bytes(), Layout::Text);
    String::from_utf8_lossy(&blot(text.as_bytes(), &spans, Layout::Text)).into_owned()
}

/// A character after unescaping, and where it begins in the bytes.
#[derive(Clone, Copy)]
struct Letter {
    value: char,
    start: usize,
}

/// Reads the bytes as characters, JSON escapes resolved; what is no UTF-8 becomes the replacement character.
fn letters(bytes: &[u8]) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(bytes.len());
    let mut chunk_start = 0;
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        let mut rest = valid.char_indices();
        while let Some((start, value)) = rest.next() {
            let (value, skipped) = match value {
                '\\' => unescape(rest.as_str()),
                value => (value, 0),
            };
            letters.push(Letter { value, start: chunk_start + start });
            for _ in 0..skipped {
                rest.next();
            }
        }
        chunk_start += valid.len();
        if !chunk.invalid().is_empty() {
            letters.push(Letter { value: char::REPLACEMENT_CHARACTER, start: chunk_start });
        }
        chunk_start += chunk.invalid().len();
    }
    letters
}

/// What a backslash and the text behind it stand for, and how many characters of the text that takes.
fn unescape(text: &str) -> (char, usize) {
    match text.as_bytes() {
        [b'u', digits @ ..] => match digits.get(..4).and_then(hexadecimal) {
            Some(unit) => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
            None => ('\\', 0),
        },
        [b'b' | b'f' | b'n' | b'r' | b't', ..] => ('\n', 1),
        [escaped @ (b'"' | b'\\' | b'/'), ..] => (char::from(*escaped), 1),
        _ => ('\\', 0),
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

fn span(letters: &[Letter], start: usize, end: usize, length: usize) -> Range<usize> {
    let place = |at: usize| letters.get(at).map_or(length, |letter| letter.start);
    place(start)..place(end)
}

/// How many characters a credential that begins here has, its prefix included. The word's start is checked
/// before anything is counted, so that no text makes this slow.
fn credential(letters: &[Letter], at: usize, bytes: &[u8], layout: Layout) -> Option<usize> {
    let rest = letters.get(at..)?;
    let prefix = PREFIXES.iter().find(|prefix| {
        rest.len() >= prefix.len()
            && prefix.chars().zip(rest).all(|(expected, letter)| letter.value == expected)
    })?;
    if !begins_word(letters, at, prefix.len() + CREDENTIAL_MIN, bytes, layout) {
        return None;
    }
    let dots = *prefix == "Bearer ";
    let body = rest.get(prefix.len()..)?;
    let length = body
        .iter()
        .take_while(|letter| match letter.value {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' => true,
            '.' => dots,
            _ => false,
        })
        .count();
    (length >= CREDENTIAL_MIN).then_some(prefix.len() + length)
}

/// Whether a word begins here; in binary data also one of at least `length` bytes behind its length.
fn begins_word(letters: &[Letter], at: usize, length: usize, bytes: &[u8], layout: Layout) -> bool {
    let Some(before) = at.checked_sub(1).and_then(|before| letters.get(before)) else { return true };
    if !before.value.is_alphanumeric() {
        return true;
    }
    let start = letters.get(at).map_or(bytes.len(), |letter| letter.start);
    layout == Layout::Binary && is_string_length(bytes, start, length)
}

/// Whether the bytes before `start` may be the length of a string that begins there and holds `length` bytes.
fn is_string_length(bytes: &[u8], start: usize, length: usize) -> bool {
    (1..=3).any(|width| {
        let Some(digits) = start.checked_sub(width).and_then(|from| bytes.get(from..start)) else {
            return false;
        };
        let zigzag = digits.iter().rev().fold(0_usize, |sum, digit| (sum << 7) | usize::from(digit & 0x7F));
        let continued = digits.iter().rev().skip(1).all(|digit| digit & 0x80 != 0);
        let ends = digits.last().is_some_and(|digit| digit & 0x80 == 0);
        continued && ends && zigzag % 2 == 0 && (length..=bytes.len() - start).contains(&(zigzag / 2))
    })
}

fn is_base64(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '_' | '-')
}

fn looks_random(run: &[Letter]) -> bool {
    let has = |test: fn(&char) -> bool| run.iter().any(|letter| test(&letter.value));
    run.len() >= ENTROPY_LENGTH_MIN
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
        && !is_hashed_id(run)
        && bits_per_letter(run) >= ENTROPY_BITS_MIN
}

/// A hash of 64 hexadecimal digits, or a UUID.
fn is_hashed_id(run: &[Letter]) -> bool {
    match run.len() {
        64 => run.iter().all(|letter| letter.value.is_ascii_hexdigit()),
        36 => run.iter().enumerate().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter.value == '-',
            _ => letter.value.is_ascii_hexdigit(),
        }),
        _ => false,
    }
}

/// Shannon entropy; a hair is added, so that exactly four bits are not lost to rounding.
fn bits_per_letter(run: &[Letter]) -> f64 {
    let mut counts = [0_u32; 128];
    let mut total = 0_u32;
    for letter in run {
        if let Some(count) = usize::try_from(u32::from(letter.value)).ok().and_then(|at| counts.get_mut(at)) {
            *count += 1;
            total += 1;
        }
    }
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / f64::from(total));
    shares.map(|share| -share * share.log2()).sum::<f64>() + 1e-9
}
