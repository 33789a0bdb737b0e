//! Numbers of price files, read from their text: a binary float never comes near a price.

use ledger::money::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A number that may stand in quotes; written in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub(crate) Decimal);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        parse(raw).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The number that a JSON number or string holds.
pub(super) fn parse(raw: &RawValue) -> Result<Decimal, String> {
    let text = raw.get();
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    Decimal::parse(digits).map_err(|error| format!("{text}: {error}"))
}
