//! JSON text becomes fields: one pass over the record, text borrowed from it wherever nothing is escaped.
//! Stricter than the grammar: no duplicate names, no control characters, at most 64 levels.

use bumpalo::collections::Vec as ArenaVec;
use jiter::{Jiter, JiterError, Peek};
use ledger::reject::{Reason, Reject};
use ledger::usage::Node;

use super::fields::{Field, Name};
use super::{Arena, reject};

/// Objects and arrays within each other, the event itself counted.
pub(super) const DEPTH_MAX: usize = 64;
/// Up to this many names, a duplicate is found by comparing; beyond, by sorting.
const COMPARED_MAX: usize = 32;
/// Up to this many names, comparing each with each costs less than sorting.
const SORTED_MIN: usize = 8;

/// Reads the fields of one JSON object into `fields`; what was read before an error stays there.
/// Returns how deep the nesting went.
///
/// # Errors
/// `decode`, with the byte where reading ended.
pub(super) fn object<'a>(
    text: &'a str,
    depth_max: usize,
    arena: &'a Arena,
    fields: &mut ArenaVec<'a, Field<'a>>,
) -> Result<usize, Reject> {
    let mut reader = Reader::new(text, depth_max, arena);
    reader.event(fields).map_err(|reject| *reject)?;
    Ok(reader.deepest)
}

/// Reads one JSON value that stands `depth` levels inside the event. Also tells whether a string in it has
/// a tab or a line break.
///
/// # Errors
/// `decode`, with the byte where reading ended.
pub(super) fn value<'a>(text: &'a str, depth: usize, arena: &'a Arena) -> Result<(Node<'a>, bool), Reject> {
    let mut reader = Reader::new(text, DEPTH_MAX, arena);
    let node = reader.document(depth).map_err(|reject| *reject)?;
    Ok((node, reader.line_break))
}

/// Whether a string has a control character: `Some(true)` for those that are only refused in contract
/// fields (tab and line breaks), `Some(false)` for those that are refused everywhere.
pub(super) fn control(text: &str) -> Option<bool> {
    // Without an early exit, so that it is done many bytes at a time.
    let suspicious =
        text.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == 0x7F) | (byte == 0xC2));
    if !suspicious {
        return None;
    }
    let mut line_break = None;
    for character in text.chars().filter(|character| character.is_control()) {
        if !matches!(character, '\t' | '\n' | '\r') {
            return Some(false);
        }
        line_break = Some(true);
    }
    line_break
}

/// Finds a name that an object has twice.
pub(super) fn duplicate<'a, T>(fields: &[(&'a str, T)]) -> Option<&'a str> {
    if fields.len() <= SORTED_MIN {
        let earlier = |at: usize, name: &str| fields.iter().take(at).any(|(other, _)| *other == name);
        return fields.iter().enumerate().find_map(|(at, (name, _))| earlier(at, name).then_some(*name));
    }
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| match pair {
        [left, right] if left == right => Some(*left),
        _ => None,
    })
}

/// Boxed, so that the result of every value stays small.
type Read<T> = Result<T, Box<Reject>>;

fn refuse<T>(detail: impl Into<String>) -> Read<T> {
    Err(Box::new(reject(Reason::Decode, detail)))
}

fn broken(error: &JiterError) -> Box<Reject> {
    Box::new(reject(Reason::Decode, format!("broken JSON at byte {}: {}", error.index, error.error_type)))
}

/// A name clipped for an error message.
fn shown(name: &str) -> String {
    name.chars().take(64).collect::<String>().escape_debug().to_string()
}

struct Reader<'a> {
    text: &'a str,
    json: Jiter<'a>,
    arena: &'a Arena,
    depth_max: usize,
    deepest: usize,
    /// No string of the text has an escape, and none a control character that JSON allows unescaped.
    plain: bool,
    /// A string since the flag was last cleared has a tab or a line break.
    line_break: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, depth_max: usize, arena: &'a Arena) -> Self {
        Self {
            text,
            json: Jiter::new(text.as_bytes()),
            arena,
            depth_max,
            deepest: 0,
            plain: memchr::memchr3(b'\\', 0x7F, 0xC2, text.as_bytes()).is_none(),
            line_break: false,
        }
    }

    fn event(&mut self, fields: &mut ArenaVec<'a, Field<'a>>) -> Read<()> {
        let first = self.json.peek().map_err(|error| broken(&error))?;
        if first != Peek::Object {
            return refuse("JSON, but no object: an event is one JSON object");
        }
        self.deepest = 1;
        let mut seen = Seen::default();
        let mut raw_name =
            self.json.next_object_bytes().map_err(|error| broken(&error))?.map(start_and_length);
        while let Some(place) = raw_name {
            self.line_break = false;
            let name = self.string(place)?;
            if seen.again(name, fields.len(), || fields.iter().any(|field| field.name == name)) {
                return refuse(format!("name `{}` stands twice in the event", shown(name)));
            }
            let peek = self.json.peek().map_err(|error| broken(&error))?;
            let start = self.json.current_index();
            let node = self.node(peek, 1)?;
            let raw = self.text.get(start..self.json.current_index()).unwrap_or_default();
            fields.push(Field { known: Name::parse(name), name, node, raw, line_break: self.line_break });
            raw_name = self.json.next_key_bytes().map_err(|error| broken(&error))?.map(start_and_length);
        }
        if fields.len() > COMPARED_MAX {
            let names: Vec<(&str, ())> = fields.iter().map(|field| (field.name, ())).collect();
            if let Some(name) = duplicate(&names) {
                return refuse(format!("name `{}` stands twice in the event", shown(name)));
            }
        }
        self.json.finish().map_err(|error| broken(&error))
    }

    fn document(&mut self, depth: usize) -> Read<Node<'a>> {
        let peek = self.json.peek().map_err(|error| broken(&error))?;
        let node = self.node(peek, depth)?;
        self.json.finish().map_err(|error| broken(&error))?;
        Ok(node)
    }

    /// Reads the value that begins with `peek`, `depth` levels inside the event.
    fn node(&mut self, peek: Peek, depth: usize) -> Read<Node<'a>> {
        Ok(match peek {
            Peek::String => {
                let raw = self.json.known_bytes().map_err(|error| broken(&error))?;
                let place = start_and_length(raw);
                Node::Text(self.string(place)?)
            }
            Peek::Object => self.fields(depth + 1)?,
            Peek::Array => self.items(depth + 1)?,
            Peek::Null => {
                self.json.known_null().map_err(|error| broken(&error))?;
                Node::Null
            }
            Peek::True | Peek::False => {
                Node::Bool(self.json.known_bool(peek).map_err(|error| broken(&error))?)
            }
            _ => {
                let start = self.json.current_index();
                self.json.known_number_bytes(peek).map_err(|error| broken(&error))?;
                Node::Number(self.text.get(start..self.json.current_index()).unwrap_or_default())
            }
        })
    }

    fn enter(&mut self, depth: usize) -> Read<()> {
        if depth > self.depth_max {
            return refuse(format!("nesting deeper than {DEPTH_MAX} levels"));
        }
        self.deepest = self.deepest.max(depth);
        Ok(())
    }

    fn fields(&mut self, depth: usize) -> Read<Node<'a>> {
        self.enter(depth)?;
        let mut fields = ArenaVec::with_capacity_in(8, self.arena);
        let mut seen = Seen::default();
        let mut raw_name =
            self.json.next_object_bytes().map_err(|error| broken(&error))?.map(start_and_length);
        while let Some(place) = raw_name {
            let name = self.string(place)?;
            if seen.again(name, fields.len(), || fields.iter().any(|(other, _)| *other == name)) {
                return refuse(format!("name `{}` stands twice in one object", shown(name)));
            }
            let peek = self.json.peek().map_err(|error| broken(&error))?;
            let node = self.node(peek, depth)?;
            fields.push((name, node));
            raw_name = self.json.next_key_bytes().map_err(|error| broken(&error))?.map(start_and_length);
        }
        if fields.len() > COMPARED_MAX
            && let Some(name) = duplicate(&fields)
        {
            return refuse(format!("name `{}` stands twice in one object", shown(name)));
        }
        Ok(Node::Object(fields.into_bump_slice()))
    }

    fn items(&mut self, depth: usize) -> Read<Node<'a>> {
        self.enter(depth)?;
        let mut items = ArenaVec::new_in(self.arena);
        let mut next = self.json.known_array().map_err(|error| broken(&error))?;
        while let Some(peek) = next {
            items.push(self.node(peek, depth)?);
            next = self.json.array_step().map_err(|error| broken(&error))?;
        }
        Ok(Node::List(items.into_bump_slice()))
    }

    /// A string by the place of its raw text, unescaped into the arena where that is needed.
    fn string(&mut self, (start, length): Place) -> Read<&'a str> {
        let start = start - self.text.as_ptr().addr();
        let raw = self.text.get(start..start + length).unwrap_or_default();
        if self.plain {
            return Ok(raw);
        }
        let text = if memchr::memchr(b'\\', raw.as_bytes()).is_some() {
            self.unescaped(start, length)?
        } else {
            raw
        };
        match control(text) {
            None => {}
            Some(true) => self.line_break = true,
            Some(false) => return refuse(format!("control character in the string at byte {start}")),
        }
        Ok(text)
    }

    fn unescaped(&self, start: usize, length: usize) -> Read<&'a str> {
        let quoted =
            start.checked_sub(1).and_then(|quote| self.text.get(quote..=start + length)).unwrap_or_default();
        match serde_json::from_str::<String>(quoted) {
            Ok(text) => Ok(self.arena.alloc_str(&text)),
            Err(error) => refuse(format!("broken string at byte {start}: {error}")),
        }
    }
}

/// Address and length of a slice of the text: the parser's own borrow ends at once.
type Place = (usize, usize);

fn start_and_length(raw: &[u8]) -> Place {
    (raw.as_ptr().addr(), raw.len())
}

/// Sixty-four flags by a cheap hash: where a name's flag is free, no earlier name can equal it.
#[derive(Default)]
struct Seen(u64);

impl Seen {
    /// Whether the name was seen before; `compare` is asked only where the flag does not tell.
    fn again(&mut self, name: &str, seen: usize, compare: impl FnOnce() -> bool) -> bool {
        let bytes = name.as_bytes();
        let first = bytes.first().copied().map_or(0, usize::from);
        let middle = bytes.get(bytes.len() / 2).copied().map_or(0, usize::from);
        let last = bytes.last().copied().map_or(0, usize::from);
        let flag = 1_u64 << ((bytes.len() * 7 + first * 3 + middle * 5 + last) % 64);
        let maybe = self.0 & flag != 0;
        self.0 |= flag;
        maybe && seen <= COMPARED_MAX && compare()
    }
}
