//! A record as it is given to the journal and as it is read back.

use bytes::{Buf, Bytes};

/// A record to be appended. Offset and timestamp are the journal's to assign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// What the record is about, if it says so.
    pub key: Option<Bytes>,
    /// The content; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Names and values beside the content, in order; names may repeat.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl NewRecord {
    /// A record of a value alone.
    pub fn of_value(value: impl Into<Bytes>) -> NewRecord {
        NewRecord { value: Some(value.into()), ..NewRecord::default() }
    }
}

/// A record as stored. Its parts share the buffer of the block it came in, which lives as long as any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The position in its partition, from 0 and without holes.
    pub offset: u64,
    /// When the journal took it, in milliseconds since 1970, UTC; never less than that of the record before.
    pub timestamp_ms: u64,
    /// What the record is about, if it says so.
    pub key: Option<Bytes>,
    /// The content; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Names and values beside the content.
    pub headers: Headers,
}

/// The headers of a stored record, decoded when they are iterated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// As written, which the block's checksum vouches for: per header, name length (`u16`), value length (`u32`), name in UTF-8, value.
    pub(crate) encoded: Bytes,
}

impl Headers {
    /// All headers in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &self.encoded[..];
        std::iter::from_fn(move || {
            let name_length = usize::from(rest.try_get_u16_le().ok()?);
            let value_length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
            let (name, tail) = rest.split_at_checked(name_length)?;
            let (value, tail) = tail.split_at_checked(value_length)?;
            rest = tail;
            Some((std::str::from_utf8(name).ok()?, value))
        })
    }

    /// The value of the first header of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }
}
