//! Traffic in a file, for who sends it with tools of their own.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::avro::{AvroEncoder, EncodeError};
use crate::event::Event;

/// How events lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, one event a line: the body of an HTTP request, or the input of a console producer.
    Ndjson,
    /// Avro's single-object encoding, each event behind its length in four bytes, the highest first.
    SingleObject,
}

/// Why a file is not complete.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk or the folder.
    #[error("cannot write {path:?}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An event.
    #[error("event {event_id} cannot be written")]
    Event {
        /// Which one.
        event_id: String,
        /// Why.
        #[source]
        source: EncodeError,
    },
    /// A record without a value, which no line and no length stands for.
    #[error("a file cannot hold a tombstone: make the traffic without them")]
    Tombstone,
}

/// Writes events to a file, which is replaced where it exists, and answers how many there were.
///
/// # Errors
/// [`FileError`] at the first event that could not be written; the file then ends somewhere before it.
pub fn to_file(
    events: impl IntoIterator<Item = Event>,
    path: &Path,
    format: Format,
) -> Result<u64, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let encoder = AvroEncoder::new().map_err(|source| FileError::Event { event_id: String::new(), source })?;
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let mut written = 0;
    for event in events {
        let bytes = match format {
            Format::Ndjson => event.json().map_err(EncodeError::Json),
            Format::SingleObject => encoder.single_object(&event),
        };
        let bytes = bytes.map_err(|source| FileError::Event { event_id: event.event_id(), source })?;
        write(&mut file, &bytes.ok_or(FileError::Tombstone)?, format).map_err(failed)?;
        written += 1;
    }
    file.flush().map_err(failed)?;
    Ok(written)
}

fn write(file: &mut impl Write, bytes: &[u8], format: Format) -> std::io::Result<()> {
    match format {
        Format::Ndjson => {
            file.write_all(bytes)?;
            file.write_all(b"\n")
        }
        Format::SingleObject => {
            let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
            file.write_all(&length.to_be_bytes())?;
            file.write_all(bytes)
        }
    }
}
