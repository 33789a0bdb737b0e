//! The file under the store. It adds one thing to redb's own: it remembers the first sync that failed, after which
//! the system may have dropped what it could not write, so nothing may be acknowledged by this process any more.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use redb::StorageBackend;
use redb::backends::FileBackend;
use rustix::fs::{Advice, fadvise};

/// The first failed sync of a journal's file, shared between the file and the writer.
#[derive(Debug, Default)]
pub(crate) struct SyncFailure {
    first: OnceLock<Arc<io::Error>>,
    #[cfg(test)]
    pub(crate) disk: crate::fault_tests::Disk,
}

impl SyncFailure {
    /// The error of the first sync that failed, if one has.
    pub(crate) fn first(&self) -> Option<&Arc<io::Error>> {
        self.first.get()
    }
}

/// A file whose failed syncs are remembered.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: FileBackend,
    failure: Arc<SyncFailure>,
}

impl DiskFile {
    /// Opens the file, made where it is missing.
    pub(crate) fn open(path: &Path, failure: Arc<SyncFailure>) -> io::Result<DiskFile> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        sync_folder_of(path)?;
        // After a failed sync the page cache may show what the disk does not have: look at the disk.
        fadvise(&file, 0, None, Advice::DontNeed)?;
        Ok(DiskFile { file: FileBackend::new(file).map_err(io::Error::other)?, failure })
    }
}

/// Makes the file's name durable, without which its content is lost with it.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.failure.disk.before_set_len(len)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        let synced = match self.failure.disk.before_sync() {
            Ok(true) => self.file.sync_data(),
            pretended => pretended.map(drop),
        };
        #[cfg(not(test))]
        let synced = self.file.sync_data();
        synced.inspect_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            self.failure.first.get_or_init(|| Arc::new(copy));
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.failure.disk.before_write(offset, data)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
