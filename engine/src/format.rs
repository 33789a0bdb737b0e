//! How an output format behaves in pieces: the engine starts it anew in each one.

/// What is to be done with a format's pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// They follow one another as they are.
    Plain,
    /// Each begins with a header of which only the first may stay.
    Header(Header),
    /// They would be several documents: the result must come in one.
    Whole,
}

/// The header of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// So many lines.
    Lines(usize),
    /// So many lines of CSV: a line end in quotes is part of a name.
    CsvLines(usize),
    /// The number of columns, their names, their types, as RowBinary writes them.
    RowBinary,
}

/// How the pieces of `format` are joined.
pub(crate) fn pieces(format: &str) -> Pieces {
    match format {
        "Native" | "RowBinary" | "TabSeparated" | "TSV" | "TabSeparatedRaw" | "TSVRaw" | "CSV"
        | "JSONEachRow" | "JSONLines" | "NDJSON" | "JSONCompactEachRow" | "LineAsString" | "RawBLOB" => {
            Pieces::Plain
        }
        "RowBinaryWithNamesAndTypes" => Pieces::Header(Header::RowBinary),
        "TabSeparatedWithNames" | "TSVWithNames" | "JSONCompactEachRowWithNames" => {
            Pieces::Header(Header::Lines(1))
        }
        "CSVWithNames" => Pieces::Header(Header::CsvLines(1)),
        "CSVWithNamesAndTypes" => Pieces::Header(Header::CsvLines(2)),
        "TabSeparatedWithNamesAndTypes" | "TSVWithNamesAndTypes" | "JSONCompactEachRowWithNamesAndTypes" => {
            Pieces::Header(Header::Lines(2))
        }
        _ => Pieces::Whole,
    }
}

impl Header {
    /// The length of the header that `piece` begins with; `None` when it has none.
    pub(crate) fn length(self, piece: &[u8]) -> Option<usize> {
        match self {
            Self::Lines(lines) => {
                let mut ends =
                    piece.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
                ends.nth(lines.checked_sub(1)?)
            }
            Self::CsvLines(lines) => {
                let mut in_quotes = false;
                let mut ends = piece.iter().enumerate().filter_map(|(at, byte)| {
                    in_quotes ^= *byte == b'"';
                    (*byte == b'\n' && !in_quotes).then_some(at + 1)
                });
                ends.nth(lines.checked_sub(1)?)
            }
            Self::RowBinary => {
                let (columns, mut at) = variable_integer(piece)?;
                for _ in 0..columns.checked_mul(2)? {
                    let (length, bytes) = variable_integer(piece.get(at..)?)?;
                    at = at.checked_add(bytes)?.checked_add(length)?;
                }
                (at <= piece.len()).then_some(at)
            }
        }
    }
}

/// The `Content-Type` that a ClickHouse server gives to `format`.
pub(crate) fn content_type(format: &str) -> &'static str {
    match format {
        "TabSeparated"
        | "TSV"
        | "TabSeparatedWithNames"
        | "TSVWithNames"
        | "TabSeparatedWithNamesAndTypes"
        | "TSVWithNamesAndTypes"
        | "TabSeparatedRaw"
        | "TSVRaw" => "text/tab-separated-values; charset=UTF-8",
        "CSV" => "text/csv; charset=UTF-8; header=absent",
        "CSVWithNames" | "CSVWithNamesAndTypes" => "text/csv; charset=UTF-8; header=present",
        "JSONEachRow" | "JSONLines" | "NDJSON" | "JSONCompactEachRow" => {
            "application/x-ndjson; charset=UTF-8"
        }
        _ if format.starts_with("JSON") => "application/json; charset=UTF-8",
        "XML" => "application/xml; charset=UTF-8",
        "Native" | "Arrow" | "ArrowStream" | "Parquet" | "Avro" | "ORC" | "MsgPack" => {
            "application/octet-stream"
        }
        _ if format.starts_with("RowBinary") => "application/octet-stream",
        _ => "text/plain; charset=UTF-8",
    }
}

fn variable_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        value |= usize::from(byte & 0x7f).checked_shl(u32::try_from(at * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_where_the_first_row_begins() {
        assert_eq!(Header::Lines(2).length(b"a\tb\nString\tInt8\nx\t1\n"), Some(16));
        assert_eq!(Header::CsvLines(1).length(b"\"a\n\"\"b\",\"c\"\n1,2\n"), Some(12));
        assert_eq!(Header::RowBinary.length(b"\x01\x01n\x06UInt64\x07"), Some(10));
        assert_eq!(Header::RowBinary.length(b"\x01\x01n\x06UIn"), None);
    }
}
