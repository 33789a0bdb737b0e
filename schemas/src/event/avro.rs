//! Avro becomes fields: the same ones that JSON gives, so that everything after knows one shape only.
//! Fields are found by name in the writer's schema; what it lacks is absent, what it adds is unknown.

use std::cell::Cell;

use bumpalo::collections::Vec as ArenaVec;
use ledger::reject::{Reason, Reject};
use ledger::usage::Node;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};

use super::decode::BYTES_MAX;
use super::fields::{Field, Name};
use super::json;
use super::{Arena, reject};

/// Reads the fields of one Avro datum into `fields`; what was read before an error stays there.
///
/// # Errors
/// `decode` for a datum that is no record of the schema; `invalid_field` where `usage` or `context` is no
/// string holding JSON text.
pub(super) fn record<'a>(
    datum: &'a [u8],
    schema: &Schema,
    arena: &'a Arena,
    fields: &mut ArenaVec<'a, Field<'a>>,
) -> Result<(), Reject> {
    let mut config = DeserializerConfig::new(schema);
    config.max_seq_size = BYTES_MAX;
    config.allowed_depth = json::DEPTH_MAX;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let context = Context { arena, line_break: Cell::new(false), budget: Cell::new(BYTES_MAX) };
    Root { context: &context, fields }
        .deserialize(state.deserializer())
        .map_err(|error| reject(Reason::Decode, format!("broken Avro: {error}")))?;
    let mut rest = state.into_reader();
    if std::io::Read::read(&mut rest, &mut [0]).unwrap_or(0) > 0 {
        return Err(reject(Reason::Decode, "broken Avro: bytes are left after the record"));
    }
    fields.iter_mut().try_for_each(|field| read_json(field, arena))
}

/// Replaces the text of `usage` and `context` by the tree that it holds.
fn read_json<'a>(field: &mut Field<'a>, arena: &'a Arena) -> Result<(), Reject> {
    if !matches!(field.known, Some(Name::Usage | Name::Context)) {
        return Ok(());
    }
    let Node::Text(text) = field.node else {
        return Err(reject(
            Reason::InvalidField,
            format!("`{}` must be a string that holds JSON text", field.name),
        ));
    };
    field.raw = text.trim_matches([' ', '\t', '\n', '\r']);
    (field.node, field.line_break) = json::value(field.raw, 1, arena)
        .map_err(|inner| reject(inner.reason, format!("`{}`: {}", field.name, inner.detail)))?;
    Ok(())
}

/// What all visitors of one record share.
struct Context<'a> {
    arena: &'a Arena,
    line_break: Cell<bool>,
    /// Values that may still come: some take no byte of the record, so its size does not bound them.
    budget: Cell<usize>,
}

impl Context<'_> {
    fn spend<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.budget.get().checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        self.budget.set(left);
        Ok(())
    }

    fn check<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        match json::control(text) {
            None => Ok(()),
            Some(true) => {
                self.line_break.set(true);
                Ok(())
            }
            Some(false) => Err(E::custom("control character in a string")),
        }
    }
}

/// The record itself: its fields go to the caller's list one by one.
struct Root<'c, 'f, 'a> {
    context: &'c Context<'a>,
    fields: &'f mut ArenaVec<'a, Field<'a>>,
}

impl<'a> DeserializeSeed<'a> for Root<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Root<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a record")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((known, name)) = map.next_key_seed(FieldName(self.context))? {
            self.context.line_break.set(false);
            let verbatim = matches!(known, Some(Name::Usage | Name::Context));
            let node = map.next_value_seed(Value { context: self.context, verbatim })?;
            if !node.is_null() {
                let line_break = self.context.line_break.get();
                self.fields.push(Field { known, name, node, raw: "", line_break });
            }
        }
        Ok(())
    }
}

/// A field's name: that of the contract where it is one, so that only unknown names are copied.
struct FieldName<'c, 'a>(&'c Context<'a>);

impl<'a> DeserializeSeed<'a> for FieldName<'_, 'a> {
    type Value = (Option<Name>, &'a str);

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for FieldName<'_, 'a> {
    type Value = (Option<Name>, &'a str);

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a field name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let known = Name::parse(name);
        let name = match known {
            Some(known) => known.name(),
            None => self.0.arena.alloc_str(name),
        };
        Ok((known, name))
    }
}

/// A map's key, borrowed from the record.
struct Key<'c, 'a>(&'c Context<'a>);

impl<'a> DeserializeSeed<'a> for Key<'_, 'a> {
    type Value = &'a str;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<&'a str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key<'_, 'a> {
    type Value = &'a str;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'a str) -> Result<&'a str, E> {
        self.0.check(name)?;
        Ok(name)
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<&'a str, E> {
        self.0.check(name)?;
        Ok(self.0.arena.alloc_str(name))
    }
}

/// Any value, as the tree that JSON would give.
#[derive(Clone, Copy)]
struct Value<'c, 'a> {
    context: &'c Context<'a>,
    /// The string holds JSON text, in which line breaks are white space.
    verbatim: bool,
}

impl<'a> Value<'_, 'a> {
    fn number(self, text: &str) -> Node<'a> {
        Node::Number(self.context.arena.alloc_str(text))
    }

    fn inner(self) -> Self {
        Self { verbatim: false, ..self }
    }
}

impl<'a> DeserializeSeed<'a> for Value<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        self.context.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, 'a> {
    type Value = Node<'a>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node<'a>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node<'a>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node<'a>, E> {
        Ok(self.number(itoa::Buffer::new().format(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node<'a>, E> {
        Ok(self.number(itoa::Buffer::new().format(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node<'a>, E> {
        let text = value.to_string();
        Ok(if value.is_finite() {
            self.number(&text)
        } else {
            Node::Text(self.context.arena.alloc_str(&text))
        })
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'a str) -> Result<Node<'a>, E> {
        if !self.verbatim {
            self.context.check(text)?;
        }
        Ok(Node::Text(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node<'a>, E> {
        self.visit_borrowed_str(&*self.context.arena.alloc_str(text))
    }

    /// Bytes are no string of the contract; those that are text are kept where a credential is looked for.
    fn visit_borrowed_bytes<E: serde::de::Error>(self, bytes: &'a [u8]) -> Result<Node<'a>, E> {
        let text: &str = self.context.arena.alloc_str(&String::from_utf8_lossy(bytes));
        Ok(Node::List(self.context.arena.alloc([Node::Text(text)])))
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Node<'a>, E> {
        self.visit_borrowed_bytes(self.context.arena.alloc_slice_copy(bytes))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<Node<'a>, A::Error> {
        let mut items = ArenaVec::new_in(self.context.arena);
        while let Some(item) = sequence.next_element_seed(self.inner())? {
            items.push(item);
        }
        Ok(Node::List(items.into_bump_slice()))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Node<'a>, A::Error> {
        let mut fields = ArenaVec::new_in(self.context.arena);
        while let Some(name) = map.next_key_seed(Key(self.context))? {
            fields.push((name, map.next_value_seed(self.inner())?));
        }
        if let Some(name) = json::duplicate(&fields) {
            return Err(A::Error::custom(format_args!(
                "name `{}` stands twice in one map",
                name.escape_debug()
            )));
        }
        Ok(Node::Object(fields.into_bump_slice()))
    }
}
