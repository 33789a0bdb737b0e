//! A block that the store itself made, as it answers in Native format: it can be sent back with one more column.

use bytes::Bytes;

use super::BlockWriter;

/// Rows as the store answered them.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    columns: usize,
    rows: usize,
    body: Bytes,
}

/// Why an answer is not the one block that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The answer has no header.
    #[error("the answer is no block")]
    Malformed,
    /// The answer has another number of rows, or comes in several blocks.
    #[error("the answer's block has {found} rows instead of {expected}")]
    Rows {
        /// Rows of the first block.
        found: usize,
        /// Rows that were asked for.
        expected: usize,
    },
}

impl Fetched {
    /// Takes an answer of that many rows in one block; an empty answer is no block at all.
    ///
    /// # Errors
    /// [`Error`] where it is none.
    pub fn new(answer: &Bytes, rows: usize) -> Result<Self, Error> {
        if rows == 0 && answer.is_empty() {
            return Ok(Self::default());
        }
        let mut rest: &[u8] = answer;
        let columns = varint(&mut rest).ok_or(Error::Malformed)?;
        let found = varint(&mut rest).ok_or(Error::Malformed)?;
        if found != rows {
            return Err(Error::Rows { found, expected: rows });
        }
        Ok(Self { columns, rows, body: answer.slice(answer.len() - rest.len()..) })
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The block with one more column, which has the same value in every row.
    #[must_use]
    pub fn with_constant(self, name: &str, kind: &str, value: &[u8]) -> Vec<Bytes> {
        let mut block = BlockWriter::new(self.rows);
        block.encoded(self.columns, self.body);
        block.constant(name, kind, value);
        block.finish()
    }
}

/// Takes a variable-length integer from the front.
fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_the_store_is_sent_back_with_one_more_column() {
        let answer = Bytes::from([&[1, 2, 1, b'a', 5][..], b"UInt8", &[7, 8]].concat());
        let block = Fetched::new(&answer, 2).unwrap().with_constant("b", "UInt8", &[9]).concat();
        assert_eq!(
            block,
            [&[2, 2, 1, b'a', 5][..], b"UInt8", &[7, 8], &[1, b'b', 5], b"UInt8", &[9, 9]].concat()
        );
    }

    #[test]
    fn an_answer_that_is_not_the_block_asked_for_is_refused() {
        assert_eq!(Fetched::new(&Bytes::new(), 0).unwrap().rows(), 0);
        assert_eq!(Fetched::new(&Bytes::new(), 1).unwrap_err(), Error::Malformed);
        let two_hundred = Bytes::from_static(&[1, 0xc8, 0x01]);
        let error = Fetched::new(&two_hundred, 300).unwrap_err();
        assert_eq!(error, Error::Rows { found: 200, expected: 300 });
    }
}
