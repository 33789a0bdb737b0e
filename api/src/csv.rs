//! CSV (RFC 4180) that a spreadsheet opens safely: lines end with CRLF, and no text is taken for a formula.

use std::io;

use axum::body::Bytes;

/// The media type, with its encoding.
pub(crate) const MEDIA_TYPE: &str = "text/csv; charset=utf-8";

/// Rows as bytes.
pub(crate) fn records(rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<Bytes> {
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(&row)?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| io::Error::other(error.to_string()))
}

/// A text that a spreadsheet does not take for a formula: one that begins like a formula gets an apostrophe before
/// it. Numbers never pass through here, so a negative amount stays a number.
pub(crate) fn safe(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_like_a_formula_is_made_harmless_and_others_are_not_touched() {
        for text in ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"] {
            assert_eq!(safe(text), format!("'{text}"));
        }
        assert_eq!(safe("gpt-5 = best"), "gpt-5 = best");
    }

    #[test]
    fn commas_quotes_and_line_breaks_are_quoted() {
        let row = ["a,b", "c\"d", "e\nf", "g"].map(str::to_owned).to_vec();
        let bytes = records([row]).unwrap();
        assert_eq!(bytes, &b"\"a,b\",\"c\"\"d\",\"e\nf\",g\r\n"[..]);
    }
}
