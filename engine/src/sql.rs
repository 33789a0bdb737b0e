//! Reads as much of a statement as the front must know: where an INSERT's data begins, which format is
//! asked for, where `system.processes` stands. Everything else is left to the engine's own parser.

use std::{borrow::Cow, ops::Range};

/// A word, name, text or sign of a statement; comments and blanks are none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    text: &'a [u8],
    range: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Name,
    Text,
    Sign(u8),
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word.as_bytes())
    }

    /// A plain or quoted identifier that says exactly `name`.
    fn names(&self, name: &str) -> bool {
        match self.kind {
            Kind::Word => self.text == name.as_bytes(),
            Kind::Name => self.text.get(1..self.text.len().saturating_sub(1)) == Some(name.as_bytes()),
            Kind::Text | Kind::Sign(_) => false,
        }
    }
}

/// The beginning of a text that may be an INSERT.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Not an INSERT, or one whose rows come from a SELECT: an ordinary statement.
    Statement,
    /// The text ends before that can be told.
    Unfinished,
    /// An INSERT with data behind it.
    Insert {
        /// The end of `INSERT INTO t (…) SETTINGS …`, without FORMAT or VALUES.
        statement_end: usize,
        /// The data's format.
        format: String,
        /// Where the data begins.
        data_start: usize,
    },
    /// `INSERT … FROM INFILE`.
    FromInfile,
}

/// Which limit a statement comes under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Reads.
    Select,
    /// Inserts, with data or from a SELECT.
    Insert,
    /// Everything else that runs in the engine: CREATE, ALTER, SYSTEM …
    Change,
    /// Questions about running statements, and KILL QUERY: never held up by what they ask about.
    Control,
}

/// The parts of `KILL QUERY WHERE condition SYNC FORMAT f`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kill<'a> {
    pub(crate) condition: &'a [u8],
    pub(crate) manner: Manner,
    pub(crate) format: Option<String>,
}

/// How a KILL is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answer once the kill is under way.
    Async,
    /// Answer once the statements have ended.
    Sync,
    /// Only say which statements it would be.
    Test,
}

/// Reads the beginning of `text`; `whole` says that nothing follows it.
pub(crate) fn head(text: &[u8], whole: bool) -> Head {
    let unfinished = |token: &Token<'_>| !whole && token.range.end == text.len();
    let mut tokens = Tokens::new(text).peekable();
    match tokens.next() {
        None if whole => return Head::Statement,
        None => return Head::Unfinished,
        Some(first) if unfinished(&first) => return Head::Unfinished,
        Some(first) if !first.is("INSERT") => return Head::Statement,
        Some(_) => {}
    }
    tokens.next_if(|token| token.is("INTO"));
    tokens.next_if(|token| token.is("TABLE"));
    tokens.next_if(|token| token.is("FUNCTION"));
    // The table: its name may be any word, `format` and `values` too.
    tokens.next();
    while tokens.next_if(|token| token.kind == Kind::Sign(b'.')).is_some() {
        tokens.next();
    }
    let mut depth = 0_usize;
    let mut end = text.len();
    while let Some(token) = tokens.next() {
        if unfinished(&token) {
            return Head::Unfinished;
        }
        match token.kind {
            Kind::Sign(b'(' | b'[' | b'{') => depth += 1,
            Kind::Sign(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Kind::Sign(b';') if depth == 0 => {
                end = token.range.start;
                break;
            }
            _ if depth > 0 => {}
            _ if token.is("SELECT") || token.is("WITH") => return Head::Statement,
            _ if token.is("FROM") => return Head::FromInfile,
            _ if token.is("VALUES") => {
                return Head::Insert {
                    statement_end: token.range.start,
                    format: "Values".into(),
                    data_start: token.range.end,
                };
            }
            _ if token.is("FORMAT") => {
                let Some(format) = tokens.next() else { break };
                if unfinished(&format) {
                    return Head::Unfinished;
                }
                let Some(data_start) = data_start(text, format.range.end, whole) else {
                    return Head::Unfinished;
                };
                return Head::Insert {
                    statement_end: token.range.start,
                    format: String::from_utf8_lossy(format.text).into_owned(),
                    data_start,
                };
            }
            _ => {}
        }
    }
    if !whole {
        return Head::Unfinished;
    }
    // As a server: without FORMAT, what follows is read as VALUES. A parenthesis may hold a SELECT.
    let select_in_parentheses = Tokens::new(text).any(|token| token.is("SELECT"));
    match select_in_parentheses {
        true => Head::Statement,
        false => Head::Insert { statement_end: end, format: "Values".into(), data_start: text.len() },
    }
}

/// Data begins after the blanks behind the format's name and after one line end.
fn data_start(text: &[u8], from: usize, whole: bool) -> Option<usize> {
    let blanks = text[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\x0c')).count();
    let mut at = from + blanks;
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    match text.get(at) {
        Some(b'\n') => Some(at + 1),
        Some(_) => Some(at),
        None => whole.then_some(at),
    }
}

/// The limit that a statement comes under.
pub(crate) fn lane(text: &[u8]) -> Lane {
    if reads(text) {
        let asks_for_running = processes(text).next().is_some();
        return if asks_for_running { Lane::Control } else { Lane::Select };
    }
    match Tokens::new(text).next() {
        Some(token) if token.is("INSERT") => Lane::Insert,
        _ if kill(text).is_some() => Lane::Control,
        _ => Lane::Change,
    }
}

fn reads(text: &[u8]) -> bool {
    const WORDS: [&str; 11] = [
        "SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK", "VALUES", "TABLE", "FROM",
    ];
    Tokens::new(text)
        .next()
        .is_some_and(|token| token.kind == Kind::Sign(b'(') || WORDS.iter().any(|word| token.is(word)))
}

/// Whether the engine can hand out the result in pieces: it does so for SELECT only.
pub(crate) fn streams(text: &[u8]) -> bool {
    Tokens::new(text)
        .next()
        .is_some_and(|token| token.is("SELECT") || token.is("WITH") || token.kind == Kind::Sign(b'('))
}

/// Whether the text holds `INTO OUTFILE` or `INFILE`, which name files of this machine.
pub(crate) fn names_file(text: &[u8]) -> bool {
    let mut into = false;
    Tokens::new(text).any(|token| {
        let found = token.is("INFILE") || (into && token.is("OUTFILE"));
        into = token.is("INTO");
        found
    })
}

/// The format that the text asks for, where it names one.
pub(crate) fn output_format(text: &[u8]) -> Option<String> {
    let tokens: Vec<Token<'_>> = Tokens::new(text).collect();
    let mut found = None;
    for (at, pair) in tokens.windows(2).enumerate() {
        let last = tokens.get(at + 2).is_none_or(|next| next.is("SETTINGS") || next.kind == Kind::Sign(b';'));
        if pair[0].is("FORMAT") && pair[1].kind == Kind::Word && last {
            found = Some(String::from_utf8_lossy(pair[1].text).into_owned());
        }
    }
    found
}

/// The text with each `system.processes` replaced, or as it is when there is none. A view that is being
/// created keeps the name: only statements that read now mean the rows of now.
pub(crate) fn replace_processes<'a>(text: &'a [u8], replacement: impl FnOnce() -> Vec<u8>) -> Cow<'a, [u8]> {
    let places: Vec<Range<usize>> = processes(text).collect();
    if places.is_empty() || !reads(text) {
        return Cow::Borrowed(text);
    }
    let replacement = replacement();
    let (mut replaced, mut from) = (Vec::new(), 0);
    for place in places {
        replaced.extend_from_slice(&text[from..place.start]);
        replaced.extend_from_slice(&replacement);
        from = place.end;
    }
    replaced.extend_from_slice(&text[from..]);
    Cow::Owned(replaced)
}

fn processes(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut before: [Option<Token<'_>>; 2] = [None, None];
    Tokens::new(text).filter_map(move |token| {
        let [first, dot] = &before;
        let found = match (first, dot) {
            (Some(first), Some(dot))
                if first.names("system") && dot.kind == Kind::Sign(b'.') && token.names("processes") =>
            {
                Some(first.range.start..token.range.end)
            }
            _ => None,
        };
        before.rotate_left(1);
        before[1] = Some(token);
        found
    })
}

/// The parts of a `KILL QUERY`; `None` for any other text.
pub(crate) fn kill(text: &[u8]) -> Option<Kill<'_>> {
    let mut tokens = Tokens::new(text);
    if !(tokens.next()?.is("KILL") && tokens.next()?.is("QUERY")) {
        return None;
    }
    let start = tokens.by_ref().find(|token| token.is("WHERE"))?.range.end;
    let (mut end, mut manner, mut format) = (text.len(), Manner::Async, None);
    let mut rest: Vec<Token<'_>> = tokens.collect();
    if rest.last().is_some_and(|token| token.kind == Kind::Sign(b';')) {
        end = rest.pop()?.range.start;
    }
    if let [.., keyword, name] = rest.as_slice()
        && keyword.is("FORMAT")
    {
        format = Some(String::from_utf8_lossy(name.text).into_owned());
        end = keyword.range.start;
        rest.truncate(rest.len() - 2);
    }
    if let Some(last) = rest.last() {
        let found = [("SYNC", Manner::Sync), ("ASYNC", Manner::Async), ("TEST", Manner::Test)]
            .into_iter()
            .find(|(word, _)| last.is(word));
        if let Some((_, said)) = found {
            manner = said;
            end = last.range.start;
        }
    }
    Some(Kill { condition: text.get(start..end)?, manner, format })
}

/// Quotes a value as a string of ClickHouse's SQL.
pub(crate) fn quote(value: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in value {
        if matches!(byte, b'\'' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'\'');
    quoted
}

/// Quotes a name as an identifier of ClickHouse's SQL.
pub(crate) fn quote_name(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            self.at += match rest {
                [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b || *byte == 0 => 1,
                [b'-', b'-', ..] | [b'#', b' ' | b'!', ..] => {
                    rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1)
                }
                [b'/', b'*', ..] => find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4),
                _ => return,
            };
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks_and_comments();
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (kind, length) = match rest {
            [b'\'', ..] => (Kind::Text, quoted(rest, b'\'')),
            [b'"', ..] => (Kind::Name, quoted(rest, b'"')),
            [b'`', ..] => (Kind::Name, quoted(rest, b'`')),
            [0xE2, 0x80, 0x98, ..] => (Kind::Text, until(rest, 3, "\u{2019}".as_bytes())),
            [0xE2, 0x80, 0x9C, ..] => (Kind::Name, until(rest, 3, "\u{201D}".as_bytes())),
            [b'$', ..] => match here_document(rest) {
                Some(length) => (Kind::Text, length),
                None => (Kind::Sign(b'$'), 1),
            },
            [byte, ..] if is_word(*byte) => {
                (Kind::Word, rest.iter().take_while(|&&byte| is_word(byte) || byte == b'$').count())
            }
            [byte, ..] => (Kind::Sign(*byte), 1),
            [] => return None,
        };
        let range = self.at..self.at + length;
        self.at = range.end;
        Some(Token { kind, text: &self.text[range.clone()], range })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Length of a quoted text: the quote is escaped by a backslash or by doubling.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if byte == quote && rest.get(at + 1) == Some(&quote) => at += 2,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of `$tag$ … $tag$`.
fn here_document(rest: &[u8]) -> Option<usize> {
    let name = rest[1..].iter().take_while(|&&byte| is_word(byte)).count();
    let tag = rest.get(..name + 2).filter(|tag| tag.ends_with(b"$"))?;
    Some(until(rest, tag.len(), tag))
}

fn until(rest: &[u8], from: usize, end: &[u8]) -> usize {
    find(&rest[from..], end).map_or(rest.len(), |at| from + at + end.len())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_head(text: &str, expected: Option<(&str, &str, &str)>) {
        let found = match head(text.as_bytes(), true) {
            Head::Insert { statement_end, format, data_start } => {
                Some((text[..statement_end].trim_end().to_owned(), format, text[data_start..].to_owned()))
            }
            _ => None,
        };
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_insert_is_split_from_its_data() {
        check_head("INSERT INTO t FORMAT CSV\n1,2", Some(("INSERT INTO t", "CSV", "1,2")));
        check_head("insert into t(a) values (1)", Some(("insert into t(a)", "Values", " (1)")));
        check_head("INSERT INTO `d`.format FORMAT TSV", Some(("INSERT INTO `d`.format", "TSV", "")));
        check_head("INSERT INTO d.t (values, select) FORMAT Native \r\nx", {
            Some(("INSERT INTO d.t (values, select)", "Native", "x"))
        });
        check_head("/* FORMAT x */ INSERT INTO t SETTINGS a='FORMAT y' FORMAT TSV \n\n", {
            Some(("/* FORMAT x */ INSERT INTO t SETTINGS a='FORMAT y'", "TSV", "\n"))
        });
        check_head("INSERT INTO t (a)", Some(("INSERT INTO t (a)", "Values", "")));
        check_head("INSERT INTO t (* EXCEPT(a)) FORMAT CSV 1", {
            Some(("INSERT INTO t (* EXCEPT(a))", "CSV", "1"))
        });
    }

    #[test]
    fn other_statements_have_no_data() {
        for text in
            ["", "SELECT 'INSERT INTO t FORMAT CSV'", "INSERT INTO t SELECT 1", "INSERT INTO t (SELECT 1)"]
        {
            assert_eq!(head(text.as_bytes(), true), Head::Statement, "{text}");
        }
        assert_eq!(head(b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", true), Head::FromInfile);
    }

    #[test]
    fn every_cut_of_an_insert_is_unfinished_until_its_data_begins() {
        let text = b"INSERT INTO t (a, 'FORMAT') SETTINGS b=1 FORMAT RowBinary\n\x01";
        for end in 0..text.len() - 1 {
            assert_eq!(head(&text[..end], false), Head::Unfinished, "{end}");
        }
        assert!(matches!(head(text, false), Head::Insert { data_start, .. } if data_start == text.len() - 1));
    }

    #[test]
    fn the_table_of_running_statements_is_found_outside_of_texts_and_comments() {
        let replace = |text: &str| {
            let replaced = replace_processes(text.as_bytes(), || b"(X)".to_vec());
            String::from_utf8(replaced.into_owned()).unwrap()
        };
        assert_eq!(replace("SELECT * FROM system.processes p"), "SELECT * FROM (X) p");
        assert_eq!(replace("SELECT 1 FROM `system` . \"processes\""), "SELECT 1 FROM (X)");
        for text in [
            "SELECT 'system.processes'",
            "SELECT 1 -- system.processes",
            "SELECT $$system.processes$$",
            "CREATE VIEW v AS SELECT * FROM system.processes",
        ] {
            assert_eq!(replace(text), text);
        }
        assert_eq!(lane(b"SELECT count() FROM system.processes"), Lane::Control);
    }

    #[test]
    fn a_kill_is_taken_apart() {
        let parts = |text| kill(text).map(|kill| (kill.condition.to_vec(), kill.manner, kill.format));
        let expected = (b" query_id = 'SYNC' ".to_vec(), Manner::Sync, Some("JSON".to_owned()));
        assert_eq!(parts(b"KILL QUERY WHERE query_id = 'SYNC' SYNC FORMAT JSON"), Some(expected));
        assert_eq!(parts(b"kill query where 1;"), Some((b" 1".to_vec(), Manner::Async, None)));
        assert_eq!(parts(b"KILL MUTATION WHERE 1"), None);
    }

    #[test]
    fn formats_lanes_and_files_are_recognized() {
        assert_eq!(output_format(b"SELECT format, 1 FORMAT JSON SETTINGS a=1").as_deref(), Some("JSON"));
        assert_eq!(output_format(b"SELECT format FROM t"), None);
        assert_eq!(lane(b"-- c\n(SELECT 1)"), Lane::Select);
        assert_eq!(lane(b"INSERT INTO t SELECT 1"), Lane::Insert);
        assert_eq!(lane(b"CREATE TABLE t (a Int8) ENGINE=Null"), Lane::Change);
        assert!(names_file(b"SELECT 1 INTO /* */ OUTFILE 'x'"));
        assert!(!names_file(b"SELECT 'INTO OUTFILE'"));
    }
}
