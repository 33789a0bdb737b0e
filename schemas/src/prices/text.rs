//! YAML and TOML as JSON text, scalars as they stand: a number keeps its digits and meets no binary float.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};
use toml::de::{DeTable, DeValue};

/// Nodes may lie this deep in each other.
const DEPTH_MAX: usize = 64;

/// Why a text cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML.
    #[error(transparent)]
    Yaml(#[from] ScanError),
    /// It is YAML of a kind that no price file needs.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A text in it cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// YAML as JSON. A plain scalar that JSON would take for a number stays one, `null`, `true` and `false` mean what
/// they do in JSON, and everything else is a string.
///
/// # Errors
/// [`Error`] for broken YAML, more than one document, anchors, aliases and tags.
pub(super) fn json_of_yaml(yaml: &str) -> Result<String, Error> {
    let mut json = Json::default();
    let mut documents = 0;
    for event in Parser::new_from_str(yaml) {
        match event?.0 {
            Event::DocumentStart(_) => documents += 1,
            Event::Scalar(text, style, 0, None) => json.scalar(&text, style)?,
            Event::SequenceStart(0, None) => json.open('[', ']')?,
            Event::MappingStart(0, None) => json.open('{', '}')?,
            Event::SequenceEnd | Event::MappingEnd => json.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::Alias(_) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(Error::Unsupported("write anchors, aliases and tags out"));
            }
        }
    }
    if documents > 1 {
        return Err(Error::Unsupported("more than one document; put all rows into one list"));
    }
    Ok(json.text)
}

/// JSON while it is written.
#[derive(Default)]
struct Json {
    text: String,
    /// Closing brackets of what is open, and how many nodes each has so far.
    open: Vec<(char, usize)>,
}

impl Json {
    fn open(&mut self, bracket: char, closing: char) -> Result<(), Error> {
        if self.separate() {
            return Err(Error::Unsupported("a key must be a name"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(Error::Unsupported("nested deeper than 64"));
        }
        self.text.push(bracket);
        self.open.push((closing, 0));
        Ok(())
    }

    fn close(&mut self) {
        self.text.extend(self.open.pop().map(|(closing, _)| closing));
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle) -> Result<(), Error> {
        let is_key = self.separate();
        match text {
            _ if is_key || style != ScalarStyle::Plain => self.text += &serde_json::to_string(text)?,
            "" | "~" | "null" => self.text += "null",
            "true" | "false" => self.text += text,
            number if is_json_number(number) => self.text += number,
            other => self.text += &serde_json::to_string(other)?,
        }
        Ok(())
    }

    /// Writes what stands before the next node, and tells whether that is a key.
    fn separate(&mut self) -> bool {
        let Some((closing, nodes)) = self.open.last_mut() else { return false };
        let is_map = *closing == '}';
        let is_value = is_map && *nodes % 2 == 1;
        if is_value {
            self.text.push(':');
        } else if *nodes > 0 {
            self.text.push(',');
        }
        *nodes += 1;
        is_map && !is_value
    }
}

fn is_json_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// TOML as JSON; `None` where the text is no TOML, or only a comment.
pub(super) fn json_of_toml(toml: &str) -> Option<String> {
    let table = DeTable::parse(toml).ok()?.into_inner();
    if table.is_empty() {
        return None;
    }
    let mut json = String::new();
    write_table(&table, &mut json).then_some(json)
}

fn write_table(table: &DeTable<'_>, json: &mut String) -> bool {
    json.push('{');
    let all = table.iter().enumerate().all(|(index, (name, value))| {
        if index > 0 {
            json.push(',');
        }
        write_text(name.get_ref(), json) && {
            json.push(':');
            write_value(value.get_ref(), json)
        }
    });
    json.push('}');
    all
}

fn write_value(value: &DeValue<'_>, json: &mut String) -> bool {
    match value {
        DeValue::String(text) => write_text(text, json),
        // What JSON's numbers cannot write, such as `inf`, stays a text that no price can be read from.
        DeValue::Integer(number) if number.radix() == 10 => write_number(number.as_str(), json),
        DeValue::Integer(number) => write_text(number.as_str(), json),
        DeValue::Float(number) => write_number(number.as_str(), json),
        DeValue::Boolean(value) => {
            *json += if *value { "true" } else { "false" };
            true
        }
        DeValue::Datetime(instant) => write_text(&instant.to_string(), json),
        DeValue::Table(table) => write_table(table, json),
        DeValue::Array(values) => {
            json.push('[');
            let all = values.iter().enumerate().all(|(index, value)| {
                if index > 0 {
                    json.push(',');
                }
                write_value(value.get_ref(), json)
            });
            json.push(']');
            all
        }
    }
}

fn write_number(text: &str, json: &mut String) -> bool {
    let digits = text.replace('_', "");
    if is_json_number(&digits) {
        *json += &digits;
        return true;
    }
    write_text(&digits, json)
}

fn write_text(text: &str, json: &mut String) -> bool {
    serde_json::to_string(text).map(|text| *json += &text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_yaml_keep_their_digits() {
        let yaml = "a: 0.10000000000000000001\nb: [1e-07, -2, .5, +1, 0x10, 1_000]\nc: '3'\nd: {e: ~, f: true, g: no}\nh:\n";
        assert_eq!(
            json_of_yaml(yaml).unwrap(),
            r#"{"a":0.10000000000000000001,"b":[1e-07,-2,".5","+1","0x10","1_000"],"c":"3","d":{"e":null,"f":true,"g":"no"},"h":null}"#
        );
    }

    #[test]
    fn yaml_that_no_price_file_needs_is_refused() {
        for yaml in ["a: &x 1\nb: *x", "a: !!str 1", "---\na: 1\n---\nb: 2", "? [a]\n: 1"] {
            assert!(matches!(json_of_yaml(yaml), Err(Error::Unsupported(_))), "{yaml}");
        }
        assert!(matches!(json_of_yaml("a: [1"), Err(Error::Yaml(_))));
    }

    #[test]
    fn numbers_of_toml_keep_their_digits() {
        let toml = "name = \"x\"\n[cost]\ninput = 0.10000000000000000001\noutput = 1_000\nodd = inf\n[[cost.tiers]]\nsize = 1e-7\n";
        assert_eq!(
            json_of_toml(toml).unwrap(),
            r#"{"cost":{"input":0.10000000000000000001,"odd":"inf","output":1000,"tiers":[{"size":1e-7}]},"name":"x"}"#
        );
        assert_eq!(json_of_toml("- id: a"), None);
    }
}
