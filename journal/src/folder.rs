//! The journal's folder: made where it is missing, and held by one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;

/// The right to use a folder, given up when dropped and by the system when the process ends in any way.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// Makes the folder and takes hold of it. Fails with [`Error::InUse`] where somebody else has it.
pub(crate) fn hold(folder: &Path) -> Result<Held, Error> {
    std::fs::create_dir_all(folder).map_err(|error| failed("create the folder", folder, error))?;
    let path = folder.join("lock");
    let mut lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| failed("open", &path, error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::InUse { folder: folder.to_owned(), holder: holder(&mut lock) });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", &path, error)),
    }
    // The name only serves the message that another process gives, so a full disk is no reason not to start.
    let _unnamed_at_worst = name_holder(&mut lock);
    Ok(Held { _lock: lock })
}

/// Where the records are.
pub(crate) fn data_file(folder: &Path) -> PathBuf {
    folder.join("journal.redb")
}

/// An [`Error::Io`] about a path.
pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source: Arc::new(source) }
}

fn name_holder(lock: &mut File) -> io::Result<()> {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_name).unwrap_or_default();
    lock.set_len(0)?;
    lock.rewind()?;
    write!(lock, "process {} ({})", std::process::id(), program.display())
}

fn holder(lock: &mut File) -> String {
    let mut holder = String::new();
    match lock.read_to_string(&mut holder) {
        Ok(length) if length > 0 => holder,
        _ => "another process".to_owned(),
    }
}
