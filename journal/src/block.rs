//! The stored form of records. A block is a checksum over all that follows, a timestamp, a count, and that many
//! records back to back. Lengths are little-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::record::{Headers, NewRecord, Record};

/// A block is closed before it grows past this, unless one record is larger. With its place in a B-tree page it
/// stays just below a power of two, which is what the store allocates.
const BLOCK_BYTES_MAX: usize = (256 << 10) - 128;
/// Checksum, timestamp and count.
const BLOCK_HEAD_BYTES: usize = 8 + 8 + 4;
const CHECKSUM_BYTES: usize = 8;

/// What one append may take, in bytes as stored.
const APPEND_BYTES_MAX: usize = 64 << 20;
const HEADER_NAME_BYTES_MAX: usize = u16::MAX as usize;

const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;

/// Records of one append in their stored form, made on the caller's thread.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: BytesMut,
    count: u64,
}

impl Encoded {
    /// How many records there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How much memory the records take.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Encodes the records of one append. Fails where it is empty, or too large as a whole or in a header's name.
pub(crate) fn encode(records: &[NewRecord]) -> Result<Encoded, Error> {
    if records.is_empty() {
        return Err(Error::Empty);
    }
    let size = records.iter().map(encoded_len).fold(0, usize::saturating_add);
    check_size("an append in bytes", size, APPEND_BYTES_MAX)?;
    let mut bytes = BytesMut::with_capacity(size);
    for record in records {
        encode_record(record, &mut bytes)?;
    }
    debug_assert_eq!(bytes.len(), size, "the length of a record is known before it is encoded");
    Ok(Encoded { bytes, count: records.len().try_into().unwrap_or(u64::MAX) })
}

/// `Err(TooLarge)` where `size` exceeds its bound.
pub(crate) fn check_size(what: &'static str, size: usize, size_max: usize) -> Result<(), Error> {
    if size > size_max { Err(Error::TooLarge { what, size, size_max }) } else { Ok(()) }
}

/// Length prefix, flags, key with its length, headers with their length, value.
fn encoded_len(record: &NewRecord) -> usize {
    let key = record.key.as_ref().map_or(0, |key| 4 + key.len());
    4 + 1 + key + 4 + headers_len(record) + record.value.as_ref().map_or(0, Bytes::len)
}

fn headers_len(record: &NewRecord) -> usize {
    record.headers.iter().map(|(name, value)| 2 + 4 + name.len() + value.len()).sum()
}

fn encode_record(record: &NewRecord, into: &mut BytesMut) -> Result<(), Error> {
    put_len(into, encoded_len(record) - 4)?;
    let has_key = if record.key.is_some() { HAS_KEY } else { 0 };
    let has_value = if record.value.is_some() { HAS_VALUE } else { 0 };
    into.put_u8(has_key | has_value);
    if let Some(key) = &record.key {
        put_len(into, key.len())?;
        into.put_slice(key);
    }
    put_len(into, headers_len(record))?;
    for (name, value) in &record.headers {
        check_size("a header's name in bytes", name.len(), HEADER_NAME_BYTES_MAX)?;
        into.put_u16_le(name.len().try_into().unwrap_or(u16::MAX));
        put_len(into, value.len())?;
        into.put_slice(name.as_bytes());
        into.put_slice(value);
    }
    into.put_slice(record.value.as_deref().unwrap_or_default());
    Ok(())
}

fn put_len(into: &mut BytesMut, len: usize) -> Result<(), Error> {
    let len = u32::try_from(len).map_err(|_| Error::TooLarge {
        what: "a record in bytes",
        size: len,
        size_max: APPEND_BYTES_MAX,
    })?;
    into.put_u32_le(len);
    Ok(())
}

/// Gathers what one transaction adds to one partition into blocks.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    finished: Vec<Finished>,
    body: BytesMut,
    count: u32,
}

/// A block ready to be stored, and how many records it holds.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) bytes: Bytes,
    pub(crate) count: u64,
}

impl Builder {
    /// Adds all records of an append, which bear `timestamp_ms`, as do all others of this builder.
    pub(crate) fn push(&mut self, append: &Encoded, timestamp_ms: u64) {
        let mut rest = &append.bytes[..];
        while let Some(record) = split_record(&mut rest) {
            if self.count > 0 && BLOCK_HEAD_BYTES + self.body.len() + record.len() > BLOCK_BYTES_MAX {
                self.finish_block(timestamp_ms);
            }
            self.body.put_slice(record);
            self.count += 1;
        }
    }

    /// All blocks, in order.
    pub(crate) fn finish(mut self, timestamp_ms: u64) -> Vec<Finished> {
        if self.count > 0 {
            self.finish_block(timestamp_ms);
        }
        self.finished
    }

    fn finish_block(&mut self, timestamp_ms: u64) {
        let body = self.body.split();
        let mut bytes = BytesMut::with_capacity(BLOCK_HEAD_BYTES + body.len());
        bytes.put_u64_le(0);
        bytes.put_u64_le(timestamp_ms);
        bytes.put_u32_le(self.count);
        bytes.put_slice(&body);
        let checksum = xxh3_64(&bytes[CHECKSUM_BYTES..]);
        bytes[..CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.finished.push(Finished { bytes: bytes.freeze(), count: u64::from(self.count) });
        self.count = 0;
    }
}

/// Cuts the first record, with its length prefix, off an encoded run.
fn split_record<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(rest.get(..4)?.get_u32_le()).ok()?;
    let (record, tail) = rest.split_at_checked(length.checked_add(4)?)?;
    *rest = tail;
    Some(record)
}

/// What a block's first bytes tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) timestamp_ms: u64,
    pub(crate) count: u64,
}

/// Reads the head of a block without checking the rest. `None` where it is too short to have one.
pub(crate) fn head(block: &[u8]) -> Option<Head> {
    let mut rest = block.get(CHECKSUM_BYTES..BLOCK_HEAD_BYTES)?;
    Some(Head { timestamp_ms: rest.try_get_u64_le().ok()?, count: u64::from(rest.try_get_u32_le().ok()?) })
}

/// Reads the records of a block from offset `from` on, for as long as `take` says of a record's size in bytes
/// that there is room for it. `None` where the block is not what was written.
pub(crate) fn decode(
    block: &Bytes,
    first_offset: u64,
    from: u64,
    records: &mut Vec<Record>,
    mut take: impl FnMut(usize) -> bool,
) -> Option<()> {
    let checksum = block.get(..CHECKSUM_BYTES)?.get_u64_le();
    if xxh3_64(&block[CHECKSUM_BYTES..]) != checksum {
        return None;
    }
    let head = head(block)?;
    let mut position = BLOCK_HEAD_BYTES;
    for offset in first_offset..first_offset.checked_add(head.count)? {
        let length = usize::try_from(block.get(position..position.checked_add(4)?)?.get_u32_le()).ok()?;
        let start = position + 4;
        position = start.checked_add(length)?;
        if offset < from {
            continue;
        }
        if position > block.len() {
            return None;
        }
        if !take(length + 4) {
            return Some(());
        }
        records.push(decode_record(block.slice(start..position), offset, head.timestamp_ms)?);
    }
    Some(())
}

fn decode_record(mut rest: Bytes, offset: u64, timestamp_ms: u64) -> Option<Record> {
    let flags = rest.try_get_u8().ok()?;
    let key = if flags & HAS_KEY == 0 { None } else { Some(take_prefixed(&mut rest)?) };
    let headers = Headers { encoded: take_prefixed(&mut rest)? };
    let value = (flags & HAS_VALUE != 0).then_some(rest);
    Some(Record { offset, timestamp_ms, key, value, headers })
}

fn take_prefixed(rest: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    (length <= rest.len()).then(|| rest.split_to(length))
}

#[cfg(test)]
mod tests {
    //! A block gives back what went in, or nothing.

    use super::*;

    fn records() -> Vec<NewRecord> {
        let headers = vec![("name".to_owned(), b"value".to_vec())];
        let first = NewRecord { key: Some(Bytes::from_static(b"k")), value: None, headers };
        vec![first, NewRecord::of_value("v"), NewRecord::default()]
    }

    fn block(records: &[NewRecord]) -> Bytes {
        let mut builder = Builder::default();
        builder.push(&encode(records).unwrap(), 77);
        let blocks = builder.finish(77);
        assert_eq!(blocks.len(), 1);
        blocks[0].bytes.clone()
    }

    #[test]
    fn a_block_is_split_before_it_grows_past_its_bound() {
        let mut builder = Builder::default();
        for size in [100_000, 100_000, 100_000, 1_000_000, 10] {
            builder.push(&encode(&[NewRecord::of_value(vec![0; size])]).unwrap(), 0);
        }
        let counts: Vec<_> = builder.finish(0).iter().map(|block| block.count).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
    }

    #[test]
    fn any_damaged_byte_is_noticed() {
        let whole = block(&records());
        let decoded = |block: Vec<u8>| {
            let mut records = Vec::new();
            decode(&Bytes::from(block), 5, 5, &mut records, |_| true).map(|()| records)
        };
        assert_eq!(decoded(whole.to_vec()).unwrap().len(), 3);
        for position in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[position] ^= 1;
            assert_eq!(decoded(damaged), None, "byte {position}");
            assert_eq!(decoded(whole[..position].to_vec()), None, "cut at {position}");
        }
    }
}
