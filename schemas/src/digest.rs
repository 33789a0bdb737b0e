//! Digests by which the audit compares batches with rows, without reading the rows: one of each row, summed over a
//! batch, so that the order of rows and the months they lie in do not matter. The store computes the same from its
//! columns, in a projection of `entries` (`0012_entries_batch_and_reversal.sql`), so what they give never changes.

use ledger::event::Millis;
use ledger::unit::Unit;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a row that the digest covers.
const LENGTH: usize = 8 + 4 + 16 + 8 + 8 + 3 + 8 * Unit::FIXED.len() + 4 * 16;

/// How many rows there are and the sum of their digests, which wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Rows.
    pub rows: u64,
    /// Sum of their digests modulo 2^64.
    pub sum: u64,
}

impl Digest {
    /// Adds the digest of one row.
    pub fn add(&mut self, row: u64) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row);
    }
}

/// What the digest of an entry covers: where it comes from, which event it is of, when that was, and all that is
/// summed in fixed columns.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0001_entries.sql explains")]
pub struct DigestedEntry {
    pub offset: u64,
    pub ordinal: u32,
    pub event_hash: u128,
    pub content_hash: u64,
    pub occurred_at: Millis,
    pub attempts: i8,
    pub requests: i8,
    pub unpriced: i8,
    /// By [`Unit::FIXED`].
    pub quantities: [i64; Unit::FIXED.len()],
    /// Times 10^18, as are the other amounts.
    pub list_cost: i128,
    pub cost: i128,
    pub charge: i128,
    pub cost_avoided: i128,
}

impl DigestedEntry {
    /// The digest of the row.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut bytes = Bytes { bytes: [0; LENGTH], length: 0 };
        bytes.put(self.offset.to_le_bytes());
        bytes.put(self.ordinal.to_le_bytes());
        bytes.put(self.event_hash.to_le_bytes());
        bytes.put(self.content_hash.to_le_bytes());
        bytes.put(self.occurred_at.0.to_le_bytes());
        bytes.put([self.attempts, self.requests, self.unpriced].map(i8::cast_unsigned));
        for quantity in self.quantities {
            bytes.put(quantity.to_le_bytes());
        }
        for amount in [self.list_cost, self.cost, self.charge, self.cost_avoided] {
            bytes.put(amount.to_le_bytes());
        }
        xxh3_64(&bytes.bytes)
    }
}

/// The digest of a row in quarantine: its offset and its reason.
#[must_use]
pub fn quarantined(offset: u64, reason: &str) -> u64 {
    let mut bytes = Vec::with_capacity(8 + reason.len());
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(reason.as_bytes());
    xxh3_64(&bytes)
}

struct Bytes {
    bytes: [u8; LENGTH],
    length: usize,
}

impl Bytes {
    fn put<const WIDTH: usize>(&mut self, value: [u8; WIDTH]) {
        let end = self.length + WIDTH;
        self.bytes[self.length..end].copy_from_slice(&value);
        self.length = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: u64 = 1_902_481_706_273_164_718;
    const QUARANTINED: u64 = 16_215_775_265_545_442_613;

    /// The figures are the store's own, of a row with these values: `xxh3(concat(reinterpretAsFixedString(…), …))`.
    #[test]
    fn a_digest_is_the_one_that_the_store_computes() {
        let mut entry = DigestedEntry {
            offset: 7,
            ordinal: 1,
            event_hash: (3 << 64) | 9,
            content_hash: 11,
            occurred_at: Millis(1_767_225_600_001),
            attempts: -1,
            requests: 0,
            unpriced: 1,
            quantities: [1, 2, 3, 4, 5, 6, -7],
            list_cost: 1_500_000_000_000_000_000,
            cost: -1,
            charge: 2,
            cost_avoided: 0,
        };
        assert_eq!(entry.digest(), ENTRY);
        entry.cost = 0;
        assert_ne!(entry.digest(), ENTRY);
        assert_eq!(quarantined(5, "conflict"), QUARANTINED);
    }

    #[test]
    fn the_sum_of_digests_does_not_depend_on_their_order_and_wraps() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        [u64::MAX, 1, 7].into_iter().for_each(|row| one.add(row));
        [7, u64::MAX, 1].into_iter().for_each(|row| other.add(row));
        assert_eq!((one, one), (other, Digest { rows: 3, sum: 7 }));
    }
}
