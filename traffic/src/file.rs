//! Traffic in a file, for who sends it with tools of their own.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::avro::{AvroEncoder, AvroSchema, Container, EncodeError};
use crate::event::Event;

/// How events lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, one event a line: the body of an HTTP request, or the input of a console producer.
    Ndjson,
    /// An Avro object container file, which holds its schema.
    Avro,
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
    /// The encoder.
    #[error("an event cannot be encoded")]
    Encode(#[from] EncodeError),
    /// An event that this format has no way to hold.
    #[error("{path:?} cannot hold event {event_id}, which is {what}: make the traffic without such events")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The event.
        event_id: String,
        /// What it is.
        what: &'static str,
    },
}

/// Writes events to a file, which is replaced where it exists, and answers how many there were.
///
/// # Errors
/// [`FileError`] at the first event that could not be written; the file then ends somewhere before it. No line stands
/// for a tombstone, and no Avro file holds an event that breaks the schema.
pub fn to_file(
    events: impl IntoIterator<Item = Event>,
    path: &Path,
    format: Format,
) -> Result<u64, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let file = BufWriter::new(File::create(path).map_err(failed)?);
    match format {
        Format::Ndjson => lines(events, path, file),
        Format::Avro => container(events, path, file),
    }
}

fn lines(
    events: impl IntoIterator<Item = Event>,
    path: &Path,
    mut file: impl Write,
) -> Result<u64, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let (mut written, mut line) = (0, Vec::new());
    for event in events {
        line.clear();
        if !event.append_json(&mut line).map_err(EncodeError::Json)? {
            return Err(unfit(path, &event, "a tombstone"));
        }
        line.push(b'\n');
        file.write_all(&line).map_err(failed)?;
        written += 1;
    }
    file.flush().map_err(failed)?;
    Ok(written)
}

fn container(
    events: impl IntoIterator<Item = Event>,
    path: &Path,
    file: impl Write,
) -> Result<u64, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let schema = AvroSchema::usage_v1()?;
    let mut encoder = AvroEncoder::new(&schema);
    let mut file = Container::new(&mut encoder, file)?;
    let mut written = 0;
    for event in events {
        if !event.fits_the_schema() {
            return Err(unfit(path, &event, "broken on purpose"));
        }
        file.append(&event)?;
        written += 1;
    }
    file.finish()?.flush().map_err(failed)?;
    Ok(written)
}

fn unfit(path: &Path, event: &Event, what: &'static str) -> FileError {
    FileError::Unfit { path: path.to_owned(), event_id: event.event_id(), what }
}
