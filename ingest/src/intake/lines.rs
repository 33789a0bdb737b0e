//! Takes a body apart into events: one object, an array, NDJSON, one Avro record, or CloudEvents. Whether an event
//! is one is not decided here; a body that has no events to judge is refused as a whole.

use std::borrow::Cow;
use std::fmt;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{self, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::Problem;

/// Events that a body may have. The smallest valid ones fill the largest body with fewer.
pub const EVENTS_MAX: usize = 150_000;

const CLOUD_EVENT: &str = "application/cloudevents+json";
const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";
const SPEC_VERSION_HEADER: &str = "ce-specversion";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const EXPECTED: &str =
    "one usage event as a JSON object, a JSON array of them, NDJSON, an Avro record, or CloudEvents";

/// One event as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its bytes.
    pub value: Bytes,
    /// How it is encoded, where its bytes do not say that it is a JSON event.
    pub content_type: Option<Cow<'static, str>>,
}

impl Line {
    /// An event in JSON.
    #[must_use]
    pub fn json(value: Bytes) -> Self {
        Self { value, content_type: None }
    }

    fn cloud_event(value: Bytes) -> Self {
        Self { value, content_type: Some(Cow::Borrowed(CLOUD_EVENT)) }
    }

    /// A line of NDJSON, which is JSON or broken, even where it begins like Avro.
    fn of_text(value: Bytes) -> Self {
        let content_type = is_avro(&value).then_some(Cow::Borrowed("application/json"));
        Self { value, content_type }
    }
}

/// The events of a body, in order.
///
/// # Errors
/// A problem where the body is empty, broken as a whole, or has more than [`EVENTS_MAX`] events.
pub(super) fn split(headers: &HeaderMap, body: &Bytes) -> Result<Vec<Line>, Problem> {
    let body = match body.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => body.slice_ref(rest),
        None => body.clone(),
    };
    if body.trim_ascii().is_empty() {
        return Err(Problem::body(format!("the body is empty; send {EXPECTED}")));
    }
    let media_type = essence(headers);
    let is_binary_mode = headers.contains_key(SPEC_VERSION_HEADER);
    match media_type.as_str() {
        CLOUD_EVENT => {
            one_object(&body, "a structured CloudEvent").map(|event| vec![Line::cloud_event(event)])
        }
        CLOUD_EVENTS => Ok(array(&body)?.into_iter().map(Line::cloud_event).collect()),
        name if name.contains("avro") => {
            Ok(vec![Line { value: body.clone(), content_type: Some(Cow::Owned(media_type)) }])
        }
        _ if is_binary_mode && !is_avro(&body) => {
            one_object(&body, "the data of a CloudEvent in binary mode").map(|event| vec![Line::json(event)])
        }
        "application/json" | "text/json" => document(&body),
        name if name.ends_with("+json") => document(&body),
        "application/x-ndjson"
        | "application/ndjson"
        | "text/x-ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines"
        | "application/json-lines" => lines(&body),
        _ => sniff(&body),
    }
}

/// The media type in lower case, without parameters.
fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the bytes begin as Avro does in the Confluent format or in single-object encoding.
fn is_avro(bytes: &[u8]) -> bool {
    matches!(bytes, [0x00, ..] | [0xC3, 0x01, ..])
}

/// A body whose content type says nothing: Avro by its first bytes, a whole JSON document, or else NDJSON.
fn sniff(body: &Bytes) -> Result<Vec<Line>, Problem> {
    if is_avro(body) {
        return Ok(vec![Line { value: body.clone(), content_type: None }]);
    }
    if body.trim_ascii_start().starts_with(b"[") {
        return document(body);
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
    let is_valid = matches!(values.next(), Some(Ok(_)));
    let rest = body.get(values.byte_offset()..).unwrap_or_default();
    if is_valid && rest.trim_ascii().is_empty() { document(body) } else { lines(body) }
}

/// One JSON document: an object is one event, an array any number.
fn document(body: &Bytes) -> Result<Vec<Line>, Problem> {
    match body.trim_ascii_start().first() {
        Some(b'[') => Ok(array(body)?.into_iter().map(Line::json).collect()),
        _ => one_object(body, "one event").map(|event| vec![Line::json(event)]),
    }
}

fn one_object(body: &Bytes, what: &str) -> Result<Bytes, Problem> {
    let value: &RawValue = serde_json::from_slice(body).map_err(|error| broken(&error))?;
    if !value.get().starts_with('{') {
        return Err(Problem::body(format!("the body is JSON, but {what} is an object; send {EXPECTED}")));
    }
    Ok(body.slice_ref(value.get().as_bytes()))
}

fn broken(error: &serde_json::Error) -> Problem {
    let hint = if error.to_string().starts_with("trailing characters") {
        "; several events are an array, or NDJSON with the content type application/x-ndjson"
    } else {
        ""
    };
    Problem::body(format!("the body is not valid JSON: {error}{hint}"))
}

/// The elements of a JSON array.
fn array(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::body("the body is no JSON array; send one, or a single event as a JSON object"));
    }
    let mut elements = Elements { body, found: Vec::new() };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = reader.deserialize_seq(&mut elements).and_then(|()| reader.end());
    if elements.found.len() > EVENTS_MAX {
        return Err(too_many());
    }
    read.map_err(|error| broken(&error))?;
    Ok(elements.found)
}

struct Elements<'b> {
    body: &'b Bytes,
    found: Vec<Bytes>,
}

impl<'de> Visitor<'de> for &mut Elements<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(element) = sequence.next_element::<&'de RawValue>()? {
            self.found.push(self.body.slice_ref(element.get().as_bytes()));
            if self.found.len() > EVENTS_MAX {
                return Err(de::Error::custom("too many events"));
            }
        }
        Ok(())
    }
}

/// The lines of NDJSON; blank ones are skipped.
fn lines(body: &Bytes) -> Result<Vec<Line>, Problem> {
    let mut found = Vec::new();
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', body).chain([body.len()]);
    for end in ends {
        let line = body.get(start..end).unwrap_or_default().trim_ascii();
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        if found.len() == EVENTS_MAX {
            return Err(too_many());
        }
        found.push(Line::of_text(body.slice_ref(line)));
    }
    Ok(found)
}

fn too_many() -> Problem {
    Problem::too_large(format!("a body may have {EVENTS_MAX} events; send it in parts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(content_type: &str, body: &str) -> Result<Vec<String>, String> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
        let lines =
            split(&headers, &Bytes::copy_from_slice(body.as_bytes())).map_err(|problem| problem.detail)?;
        Ok(lines.into_iter().map(|line| String::from_utf8(line.value.to_vec()).unwrap()).collect())
    }

    #[test]
    fn an_array_is_taken_apart_into_its_elements_as_they_were_written() {
        for content_type in ["application/json", "application/json; charset=utf-8", "", "text/plain"] {
            let found = texts(content_type, " [ {\"a\" : 1.0} ,2, [3] ] \n").unwrap();
            assert_eq!(found, ["{\"a\" : 1.0}", "2", "[3]"], "{content_type}");
            assert_eq!(texts(content_type, "[]").unwrap(), [""; 0]);
        }
    }

    #[test]
    fn a_single_object_may_span_lines() {
        for content_type in ["application/json", "", "application/x-www-form-urlencoded"] {
            assert_eq!(
                texts(content_type, "{\n \"a\": 1\n}\n").unwrap(),
                ["{\n \"a\": 1\n}"],
                "{content_type}"
            );
        }
    }

    #[test]
    fn ndjson_is_taken_line_by_line_and_blank_lines_are_skipped() {
        for content_type in ["application/x-ndjson", "application/jsonl", "Application/NDJSON", ""] {
            let found = texts(content_type, "{\"a\":1}\r\n\n  \n{\"b\":\n{\"c\":3}").unwrap();
            assert_eq!(found, ["{\"a\":1}", "{\"b\":", "{\"c\":3}"], "{content_type}");
        }
        assert_eq!(texts("application/x-ndjson", "[1]\n2").unwrap(), ["[1]", "2"]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_event() {
        assert_eq!(texts("application/x-ndjson", "\u{FEFF}{}\n{}").unwrap(), ["{}", "{}"]);
    }

    #[test]
    fn json_that_is_broken_or_neither_object_nor_array_is_refused_as_a_whole() {
        for body in ["{\"a\":1", "[{}", "[{}]x", "{}{}", "5", "\"text\"", "null", "[{},]", "{\"a\":\u{1}}"] {
            assert!(texts("application/json", body).is_err(), "{body}");
        }
        assert!(texts("", "5").is_err());
        assert!(texts("application/json", "{}\n{}").unwrap_err().contains("application/x-ndjson"));
    }

    #[test]
    fn nesting_without_end_is_taken_apart_and_left_to_the_decoder() {
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(texts("application/json", &deep).unwrap().len(), 1);
    }

    #[test]
    fn an_empty_body_is_refused_with_what_is_expected() {
        for body in ["", " \n\t "] {
            assert!(texts("application/x-ndjson", body).unwrap_err().contains("NDJSON"), "{body:?}");
        }
    }

    #[test]
    fn more_events_than_a_body_may_have_are_refused() {
        let lines = "1\n".repeat(EVENTS_MAX);
        assert_eq!(texts("application/x-ndjson", &lines).unwrap().len(), EVENTS_MAX);
        assert!(texts("application/x-ndjson", &format!("{lines}1")).unwrap_err().contains("150000"));
        let array = format!("[{}1]", "1,".repeat(EVENTS_MAX));
        assert!(texts("application/json", &array).unwrap_err().contains("150000"));
    }

    #[test]
    fn cloud_events_keep_their_content_type_one_by_one() {
        let split = |content_type: &str, body: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
            split(&headers, &Bytes::from_static(body.as_bytes()))
        };
        assert_eq!(split(CLOUD_EVENT, "{}").unwrap(), [Line::cloud_event(Bytes::from_static(b"{}"))]);
        assert_eq!(
            split(CLOUD_EVENTS, "[{},{}]").unwrap(),
            vec![Line::cloud_event(Bytes::from_static(b"{}")); 2]
        );
        assert!(split(CLOUD_EVENTS, "{}").is_err());
        assert!(split(CLOUD_EVENT, "[{}]").is_err());
    }

    #[test]
    fn in_binary_mode_the_body_is_one_event() {
        let headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, "application/json".parse().unwrap()),
            ("ce-specversion".parse().unwrap(), "1.0".parse().unwrap()),
        ]);
        assert_eq!(
            split(&headers, &Bytes::from_static(b"{}")).unwrap(),
            [Line::json(Bytes::from_static(b"{}"))]
        );
        assert!(split(&headers, &Bytes::from_static(b"[{}]")).is_err());
    }

    #[test]
    fn avro_is_told_by_its_content_type_or_its_first_bytes_and_never_inside_ndjson() {
        let split = |content_type: &'static str, body: &'static [u8]| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
            split(&headers, &Bytes::from_static(body)).unwrap()
        };
        for content_type in ["application/avro", "avro/binary", "application/vnd.confluent.avro"] {
            let lines = split(content_type, b"\0\0\0\0\x01\n\x02");
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0].content_type.as_deref(), Some(content_type));
        }
        assert_eq!(split("", b"\xC3\x01\n\x02"), [Line::json(Bytes::from_static(b"\xC3\x01\n\x02"))]);
        let lines = split("application/x-ndjson", b"\0\0\0\0\x01\n{}");
        assert_eq!(lines[0].content_type.as_deref(), Some("application/json"));
        assert_eq!(lines[1].content_type, None);
    }
}
