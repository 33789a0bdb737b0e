//! Whose events a token may send: it fills in its customer and team where an event names none, and refuses an event
//! that names another.

use std::fmt;
use std::ops::Range;

use schemas::caller::Caller;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The customers and teams that a token is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'a> {
    customers: &'a [String],
    teams: &'a [String],
}

/// What an event lacks and the token knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing<'a> {
    pub(super) customer: Option<&'a str>,
    pub(super) team: Option<&'a str>,
}

/// Why a token may not send an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "this token is not bound to the {field} that the event names; send it with a token of that {field}"
    )]
    Another { field: &'static str },
    #[error("this token is bound to several {field}s and the event names none; name one")]
    Unnamed { field: &'static str },
}

impl<'a> Bounds<'a> {
    /// The bounds of a caller; `None` where there are none.
    pub(super) fn of(caller: &'a Caller) -> Option<Self> {
        caller.is_bound().then_some(Self { customers: &caller.customers, teams: &caller.teams })
    }

    /// Holds the owners that an event names against the bounds; empty means absent.
    pub(super) fn judge(&self, customer: Option<&str>, team: Option<&str>) -> Result<Missing<'a>, Refusal> {
        Ok(Missing {
            customer: one("customer", self.customers, customer)?,
            team: one("team", self.teams, team)?,
        })
    }
}

fn one<'a>(
    field: &'static str,
    bound: &'a [String],
    named: Option<&str>,
) -> Result<Option<&'a str>, Refusal> {
    match (bound, named.filter(|named| !named.is_empty())) {
        ([], _) => Ok(None),
        (bound, Some(named)) if bound.iter().any(|bound| bound == named) => Ok(None),
        (_, Some(_)) => Err(Refusal::Another { field }),
        ([only], None) => Ok(Some(only)),
        (_, None) => Err(Refusal::Unnamed { field }),
    }
}

impl Missing<'_> {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The JSON event with what it lacks, every other byte as it was; `None` where the text is no JSON object. In a
    /// CloudEvent, `data` is the event.
    pub(super) fn fill(&self, event: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(event).ok()?;
        let mut edits = Vec::new();
        self.edits(text, 0, &mut edits)?;
        edits.sort_by_key(|(place, _)| place.start);
        let mut filled = String::with_capacity(text.len() + 128);
        let mut end = 0;
        for (place, value) in edits {
            filled.push_str(text.get(end..place.start)?);
            filled.push_str(&value);
            end = place.end;
        }
        filled.push_str(text.get(end..)?);
        Some(filled.into_bytes())
    }

    /// What must change in a text that stands `offset` bytes inside the record.
    fn edits(&self, text: &str, offset: usize, edits: &mut Vec<(Range<usize>, String)>) -> Option<()> {
        let Fields(fields) = serde_json::from_str(text).ok()?;
        let place = |value: &RawValue| {
            let start = value.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
            Some(start + offset..start + offset + value.get().len())
        };
        let field = |name: &str| fields.iter().find(|(found, _)| found == name).map(|(_, value)| *value);
        let is_cloud_event =
            field("event_id").is_none() && field("specversion").is_some_and(|value| value.get() != "null");
        if is_cloud_event {
            let data = field("data")?;
            return self.edits(data.get(), place(data)?.start, edits);
        }
        let inside = offset + text.find('{')? + 1;
        let mut added = Vec::new();
        for (name, value) in [("customer", self.customer), ("team", self.team)] {
            let Some(value) = value else { continue };
            let quoted = serde_json::to_string(value).ok()?;
            match field(name) {
                Some(present) if matches!(present.get(), "null" | "\"\"") => {
                    edits.push((place(present)?, quoted));
                }
                // Of another type than text: the decoder says so.
                Some(_) => {}
                None => added.push(format!("\"{name}\":{quoted}")),
            }
        }
        if !added.is_empty() {
            let separator = if fields.is_empty() { "" } else { "," };
            edits.push((inside..inside, added.join(",") + separator));
        }
        Some(())
    }
}

/// The fields of a JSON object as they were written.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(32);
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Missing<'_> = Missing { customer: Some("ac\"me"), team: Some("blue") };

    fn filled(missing: Missing<'_>, event: &str) -> Option<String> {
        missing.fill(event.as_bytes()).map(|filled| String::from_utf8(filled).unwrap())
    }

    #[test]
    fn what_is_absent_or_null_or_empty_is_filled_in_and_every_other_byte_stays() {
        for (event, expected) in [
            (r#" {"usage" : {"n":1.50}}"#, r#" {"customer":"ac\"me","team":"blue","usage" : {"n":1.50}}"#),
            (r#"{"customer": null ,"team":""}"#, r#"{"customer": "ac\"me" ,"team":"blue"}"#),
            (r#"{"team":null,"x":[1e1]}"#, r#"{"customer":"ac\"me","team":"blue","x":[1e1]}"#),
            ("{ }", r#"{"customer":"ac\"me","team":"blue" }"#),
            (
                r#"{"context":{"customer":"x"}}"#,
                r#"{"customer":"ac\"me","team":"blue","context":{"customer":"x"}}"#,
            ),
        ] {
            assert_eq!(filled(BOTH, event).unwrap(), expected);
        }
    }

    #[test]
    fn a_value_of_another_type_is_left_to_the_decoder() {
        let customer = Missing { customer: Some("acme"), team: None };
        assert_eq!(filled(customer, r#"{"customer":5}"#).unwrap(), r#"{"customer":5}"#);
    }

    #[test]
    fn in_a_cloud_event_the_data_is_filled() {
        let customer = Missing { customer: Some("acme"), team: None };
        let event = r#"{"specversion":"1.0", "data": {"event_id":"e"}, "id":"1"}"#;
        let expected = r#"{"specversion":"1.0", "data": {"customer":"acme","event_id":"e"}, "id":"1"}"#;
        assert_eq!(filled(customer, event).unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_cannot_be_filled() {
        for text in ["[]", "{", "5", "", r#"{"specversion":"1.0"}"#] {
            assert_eq!(filled(BOTH, text), None, "{text}");
        }
    }

    #[test]
    fn a_token_of_one_fills_in_a_token_of_several_does_not_and_neither_takes_another() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (one, two) = (names(&["acme"]), names(&["acme", "zeta"]));
        let bounds = Bounds { customers: &one, teams: &[] };
        assert_eq!(bounds.judge(None, Some("any")), Ok(Missing { customer: Some("acme"), team: None }));
        assert_eq!(bounds.judge(Some(""), None), Ok(Missing { customer: Some("acme"), team: None }));
        assert_eq!(bounds.judge(Some("acme"), None), Ok(Missing::default()));
        assert_eq!(bounds.judge(Some("zeta"), None), Err(Refusal::Another { field: "customer" }));
        let bounds = Bounds { customers: &two, teams: &one };
        assert_eq!(bounds.judge(Some("zeta"), None), Ok(Missing { customer: None, team: Some("acme") }));
        assert_eq!(bounds.judge(None, None), Err(Refusal::Unnamed { field: "customer" }));
    }
}
