//! ClickHouse's compressed blocks (`decompress=1`, `compress=1`): checksum, method, sizes, LZ4 data.

use crate::exception::{Exception, code};
use bytes::{Buf, Bytes, BytesMut};

const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
const METHOD_LZ4: u8 = 0x82;
const METHOD_NONE: u8 = 0x02;
/// The bound of a server too: one block, packed or not, is at most 1 GiB.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Takes blocks apart, whatever the pieces they arrive in.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole block, or `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Exception> {
        let Some(header) = self.buffer.get(CHECKSUM_BYTES..CHECKSUM_BYTES + HEADER_BYTES) else {
            return Ok(None);
        };
        let method = header[0];
        let packed_bytes = size(&header[1..5]);
        let plain_bytes = size(&header[5..9]);
        if !(HEADER_BYTES..=BLOCK_BYTES_MAX).contains(&packed_bytes) || plain_bytes > BLOCK_BYTES_MAX {
            let text =
                format_args!("Compressed block of {packed_bytes} bytes for {plain_bytes} is out of bounds");
            return Err(Exception::new(code::TOO_LARGE_SIZE_COMPRESSED, "TOO_LARGE_SIZE_COMPRESSED", text));
        }
        if self.buffer.len() < CHECKSUM_BYTES + packed_bytes {
            return Ok(None);
        }
        let stated = self.buffer.get_u128_le();
        let block = self.buffer.split_to(packed_bytes).freeze();
        if checksum(&block) != stated {
            let text = "Checksum of a compressed block doesn't match: corrupted data";
            return Err(Exception::new(code::CHECKSUM_DOESNT_MATCH, "CHECKSUM_DOESNT_MATCH", text));
        }
        let data = block.slice(HEADER_BYTES..);
        match method {
            METHOD_NONE => Ok(Some(data)),
            METHOD_LZ4 => unpack(&data, plain_bytes).map(Some),
            other => {
                let text = format_args!("Unknown compression method: {other}; LZ4 is understood");
                Err(Exception::new(code::UNKNOWN_COMPRESSION_METHOD, "UNKNOWN_COMPRESSION_METHOD", text))
            }
        }
    }

    /// Fails when the input ended inside a block.
    pub(crate) fn end(&self) -> Result<(), Exception> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let text = "The body ended inside a compressed block";
        Err(Exception::new(code::UNEXPECTED_END_OF_FILE, "UNEXPECTED_END_OF_FILE", text))
    }
}

/// Packs a piece of an answer as one LZ4 block; a piece of 2 GiB or more does not fit in one.
pub(crate) fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    let head_bytes = CHECKSUM_BYTES + HEADER_BYTES;
    let mut block = vec![0; head_bytes + lz4_flex::block::get_maximum_output_size(plain.len())];
    let packed = lz4_flex::block::compress_into(plain, &mut block[head_bytes..]).ok()?;
    block.truncate(head_bytes + packed);
    block[CHECKSUM_BYTES] = METHOD_LZ4;
    block[CHECKSUM_BYTES + 1..CHECKSUM_BYTES + 5]
        .copy_from_slice(&u32::try_from(packed + HEADER_BYTES).ok()?.to_le_bytes());
    block[CHECKSUM_BYTES + 5..head_bytes].copy_from_slice(&u32::try_from(plain.len()).ok()?.to_le_bytes());
    let sum = checksum(&block[CHECKSUM_BYTES..]);
    block[..CHECKSUM_BYTES].copy_from_slice(&sum.to_le_bytes());
    Some(block)
}

fn unpack(data: &[u8], plain_bytes: usize) -> Result<Bytes, Exception> {
    lz4_flex::block::decompress(data, plain_bytes)
        .map(Bytes::from)
        .map_err(|error| Exception::new(code::CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", error))
}

/// ClickHouse stores the two halves of CityHash 1.0.2 the other way round.
fn checksum(block: &[u8]) -> u128 {
    cityhash_rs::cityhash_102_128(block).rotate_right(64)
}

fn size(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |sum, &byte| (sum << 8) | usize::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_survives_any_split_of_its_bytes() {
        let plain = b"one two one two one two".repeat(50);
        let packed = [pack(&plain).unwrap(), pack(b"tail").unwrap()].concat();
        for step in [1, 7, packed.len()] {
            let (mut decoder, mut got) = (Decoder::default(), Vec::new());
            for piece in packed.chunks(step) {
                decoder.push(piece);
                while let Some(block) = decoder.next().unwrap() {
                    got.extend_from_slice(&block);
                }
            }
            decoder.end().unwrap();
            assert_eq!(got, [&plain[..], b"tail"].concat());
        }
    }

    #[test]
    fn a_flipped_bit_and_a_cut_block_are_refused() {
        let mut packed = pack(b"hello hello hello").unwrap();
        let mut cut = Decoder::default();
        cut.push(&packed[..packed.len() - 1]);
        assert!(cut.next().unwrap().is_none());
        assert_eq!(cut.end().unwrap_err().code, code::UNEXPECTED_END_OF_FILE);

        *packed.last_mut().unwrap() ^= 1;
        let mut flipped = Decoder::default();
        flipped.push(&packed);
        assert_eq!(flipped.next().unwrap_err().code, code::CHECKSUM_DOESNT_MATCH);
    }
}
