//! Renames of files that fail with EIO, in a process that was started with the library of `failing.rs`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::folder;
use super::process::Recipe;

/// The library, compiled by `build.rs`.
const LIBRARY: &str = env!("FAILING_LIBRARY");

/// What fails at present: nothing, at first.
pub struct Failures {
    folder: TempDir,
}

impl Failures {
    /// Nothing fails yet.
    pub fn none() -> Result<Self> {
        Ok(Self { folder: folder::fresh("failures")? })
    }

    /// The process of that recipe, with its renames under these failures.
    #[must_use]
    pub fn over(&self, recipe: Recipe) -> Recipe {
        recipe.variable("LD_PRELOAD", LIBRARY).variable("FAIL_WHEN", self.file())
    }

    /// From now on renames of files with `part` in their path fail, until [`Self::end`].
    pub fn begin(&self, part: &str) -> Result<()> {
        let (new, file) = (self.folder.path().join("new"), self.file());
        fs::write(&new, format!("{part}\n"))?;
        fs::rename(new, file).context("could not say what fails")
    }

    /// Nothing fails any more.
    pub fn end(&self) -> Result<()> {
        fs::remove_file(self.file()).context("nothing was failing")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("renames")
    }
}
