//! Memory of columns that is used again: a block's buffers come back once its bytes are sent, so that the next block
//! finds room of the size it needs, in pages that the process has already.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers that are kept for each column at most: those of a block that is built and of one that is sent.
const KEPT_MAX: usize = 2;
/// A smaller buffer is not worth keeping.
const KEPT_BYTES_MIN: usize = 16 * 1024;

/// A column's place among the kept buffers: its name, and which of its parts.
pub type Shelf = (&'static str, u8);

static KEPT: LazyLock<Mutex<HashMap<Shelf, Vec<Vec<u8>>>>> = LazyLock::new(Mutex::default);

/// Bytes that grow. Where it was taken from a shelf, its memory goes back there at the end.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    shelf: Option<Shelf>,
}

impl Buffer {
    /// An empty buffer with room for that many bytes, and more where the column needed more before.
    #[must_use]
    pub fn take(shelf: Shelf, bytes: usize) -> Self {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = kept.get_mut(&shelf).and_then(Vec::pop).unwrap_or_default();
        drop(kept);
        buffer.reserve(bytes);
        Self { bytes: buffer, shelf: Some(shelf) }
    }

    /// What was written, to be sent; the buffer is left empty, without memory.
    pub fn send(&mut self) -> Bytes {
        Bytes::from_owner(std::mem::take(self))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(shelf) = self.shelf.filter(|_| self.bytes.capacity() >= KEPT_BYTES_MIN) else { return };
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = kept.entry(shelf).or_default();
        if buffers.len() < KEPT_MAX {
            buffers.push(bytes);
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_empty_once_its_bytes_are_sent() {
        let shelf = ("memory_comes_back", 0);
        let mut buffer = Buffer::take(shelf, KEPT_BYTES_MIN);
        buffer.extend_from_slice(b"sent");
        let place = buffer.as_ptr();
        let bytes = buffer.send();
        assert_eq!(&bytes[..], b"sent");
        assert_ne!(Buffer::take(shelf, KEPT_BYTES_MIN).as_ptr(), place, "it is still on its way");
        drop(bytes);
        let again = [Buffer::take(shelf, 1), Buffer::take(shelf, 1)];
        assert!(again.iter().any(|buffer| buffer.as_ptr() == place));
        assert!(again.iter().all(|buffer| buffer.is_empty()));
    }
}
