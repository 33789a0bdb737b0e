//! A small file system in memory over a folder, to be filled up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::folder;

/// A small file system. Dropping it takes it away with all that is in it.
pub struct Disk {
    folder: TempDir,
    filler: PathBuf,
}

impl Disk {
    /// One of that size; `None` where this process may not mount, as in most containers.
    pub fn small(mib: u64) -> Result<Option<Self>> {
        let folder = folder::fresh("disk")?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(folder.path());
        if !mount.output().is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let filler = folder.path().join("filler");
        Ok(Some(Self { folder, filler }))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it to the last byte. Fails where it was not filled.
    pub fn fill(&self) -> Result<()> {
        let mut file = fs::File::create(&self.filler).context("could not create the filler")?;
        let block = vec![1; 64 * 1024];
        let full =
            std::iter::repeat_with(|| std::io::Write::write_all(&mut file, &block)).find_map(Result::err);
        let kind = full.map(|error| error.kind());
        ensure!(kind == Some(std::io::ErrorKind::StorageFull), "ended with {kind:?}");
        Ok(())
    }

    /// Frees what [`Self::fill`] took.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(&self.filler).context("could not remove the filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process may still use it: it goes when that does.
        let _left_to_the_system = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}
