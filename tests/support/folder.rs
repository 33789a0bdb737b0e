//! Where the checkout is, and folders in it that tests may fill.
//!
//! A process that is killed cannot clean up, so each process removes what dead ones left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The top of the checkout.
#[must_use]
pub fn repository() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// What `deploy/setup/run.sh` fetched: `.tollbook/` in the checkout.
#[must_use]
pub fn fetched() -> PathBuf {
    repository().join(".tollbook")
}

/// A new empty folder, removed when dropped. Fails when the checkout cannot be written.
pub fn fresh(name: &str) -> Result<TempDir> {
    static SWEEP: Once = Once::new();
    let all = fetched().join("test");
    fs::create_dir_all(&all).with_context(|| format!("could not create {}", all.display()))?;
    SWEEP.call_once(|| remove_leftovers(&all));
    tempfile::Builder::new()
        .prefix(&format!("{}-{name}-", process::id()))
        .tempdir_in(&all)
        .with_context(|| format!("could not create a folder in {}", all.display()))
}

/// Removes the folders of processes that are gone. What cannot be removed now is left to the next run.
fn remove_leftovers(all: &Path) {
    let Ok(folders) = fs::read_dir(all) else { return };
    for folder in folders.flatten() {
        let name = folder.file_name();
        let owner = name.to_string_lossy().split('-').next().and_then(|id| id.parse::<u32>().ok());
        if owner.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            let _left = fs::remove_dir_all(folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_removed_when_it_is_dropped() {
        let folder = fresh("dropped").unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn folders_of_dead_processes_are_removed_and_those_of_living_ones_kept() {
        let all = fresh("sweep").unwrap();
        let mut dead = process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let left = all.path().join(format!("{}-broker-a", dead.id()));
        let kept = all.path().join(format!("{}-broker-b", process::id()));
        fs::create_dir(&left).unwrap();
        fs::create_dir(&kept).unwrap();
        remove_leftovers(all.path());
        assert!(!left.exists());
        assert!(kept.exists());
    }
}
