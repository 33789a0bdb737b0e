//! Reads counters and durations from the text of a JSON number, so that `10` and `10.0` are one count.

use super::{Error, Node};
use crate::money::{self, Decimal};

/// One more than the largest count; sums of several still fit in 64 bits.
const COUNT_END: u64 = 10_u64.pow(18);

/// A counter; `None` where it is absent or null.
pub(super) fn count(name: &str, node: Node<'_>) -> Result<Option<u64>, Error> {
    let Some(number) = decimal(name, node)? else { return Ok(None) };
    if !number.is_whole() {
        return Err(Error::malformed(format_args!("{name} comes whole, not as {number}")));
    }
    let whole = number.to_i64().and_then(|whole| u64::try_from(whole).ok());
    match whole.filter(|whole| *whole < COUNT_END) {
        Some(whole) => Ok(Some(whole)),
        None => Err(Error::unpostable(format_args!("{name} is more than the ledger can keep: {number}"))),
    }
}

/// A counter that a platform sends as a header, and so as text.
pub(super) fn count_or_text(name: &str, node: Node<'_>) -> Result<Option<u64>, Error> {
    match node {
        Node::Text(text) => count(name, Node::Number(text)),
        other => count(name, other),
    }
}

/// A quantity that may have a fraction; `None` where it is absent or null.
pub(super) fn decimal(name: &str, node: Node<'_>) -> Result<Option<Decimal>, Error> {
    match node {
        Node::Null => Ok(None),
        Node::Number(text) => parse(name, text).map(Some),
        _ => Err(Error::malformed(format_args!("{name} is not a number"))),
    }
}

/// The same where the provider writes the number as a string.
pub(super) fn decimal_or_text(name: &str, node: Node<'_>) -> Result<Option<Decimal>, Error> {
    match node {
        Node::Text(text) => parse(name, text).map(Some),
        other => decimal(name, other),
    }
}

/// A quantity that is not below zero.
pub(super) fn parse(name: &str, text: &str) -> Result<Decimal, Error> {
    let number = Decimal::parse(text).map_err(|error| match error {
        money::Error::TooManyDigits | money::Error::Overflow => {
            Error::unpostable(format_args!("{name} has {error}"))
        }
        money::Error::NotANumber => Error::malformed(format_args!("{name} is {error}")),
    })?;
    if number.is_negative() {
        return Err(Error::malformed(format_args!("{name} is below zero: {number}")));
    }
    Ok(number)
}

/// The fields of an object that say anything; an error for any other kind, none for null.
pub(super) fn object<'a>(
    name: &str,
    node: Node<'a>,
) -> Result<impl Iterator<Item = (&'a str, Node<'a>)> + use<'a>, Error> {
    match node {
        Node::Null | Node::Object(_) => Ok(stated(node)),
        _ => Err(Error::malformed(format_args!("{name} is not an object"))),
    }
}

/// The fields that are not null, which is as good as absent; none where this is no object.
pub(super) fn stated(node: Node<'_>) -> impl Iterator<Item = (&str, Node<'_>)> {
    node.fields().iter().copied().filter(|(_, value)| !value.is_null())
}

/// The items of an array; an error for any other kind, none for null.
pub(super) fn list<'a>(name: &str, node: Node<'a>) -> Result<&'a [Node<'a>], Error> {
    match node {
        Node::Null => Ok(&[]),
        Node::List(items) => Ok(items),
        _ => Err(Error::malformed(format_args!("{name} is not an array"))),
    }
}
