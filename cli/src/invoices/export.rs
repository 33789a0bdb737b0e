//! `tollbook invoices export`: an invoice as a file, or all of a month as a folder of files, each with its manifest. A
//! file has its name only once it is whole and is what its manifest says, so a run that was broken off is repeated: what
//! is there and right is left alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ::api::answers::Manifest;
use ::api::client::file_name;
use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use schemas::invoices::InvoiceText;
use sha2::{Digest, Sha256};

use super::{Which, needed, read};
use crate::options::Usage;
use crate::service::{Service, ServiceOptions};

/// What a manifest's name ends with.
const MANIFEST: &str = ".manifest.json";
/// What the name of a file ends with that is not whole yet.
const PART: &str = ".part";
/// An open invoice may change between its manifest and its file; then both are asked for again.
const TRIES: usize = 3;

/// Options of `tollbook invoices export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    which: Which,
    /// All invoices of the month, into a folder; closed ones, or with --open also open ones
    #[arg(long, conflicts_with_all = ["id", "account", "currency"])]
    all: bool,
    /// With --all: open invoices too, as they are now
    #[arg(long, requires = "all")]
    open: bool,
    /// Form of the files
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "csv", value_name = "FORMAT")]
    format: Format,
    /// With --format focus: who issues the invoices
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// The file, or with --all the folder; without it, and for `-`, one invoice goes to standard output
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Csv,
    Parquet,
    Focus,
    Xlsx,
    Pdf,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Focus => "focus",
            Self::Xlsx => "xlsx",
            Self::Pdf => "pdf",
        }
    }
}

pub(super) fn run(options: &Export) -> anyhow::Result<()> {
    if options.all {
        return all(options);
    }
    let service = options.service.connect()?;
    let id = service.runtime.block_on(options.which.id(&service))?;
    let (manifest, bytes) = service.runtime.block_on(fetch(&service, options, &id))?;
    match options.out.as_deref().filter(|path| path.as_os_str() != "-") {
        None => std::io::stdout().write_all(&bytes)?,
        Some(path) if path.is_dir() => {
            let path = path.join(plain(&manifest.file)?);
            write(&path, &bytes)?;
            println!("{}", path.display());
        }
        Some(path) => write(path, &bytes)?,
    }
    Ok(())
}

fn all(options: &Export) -> anyhow::Result<()> {
    let month = needed(options.which.month.as_deref(), "name the month with --month YYYY-MM")?;
    let Some(folder) = options.out.as_deref() else { bail!(Usage("name the folder with --out FOLDER")) };
    let service = options.service.connect()?;
    let mut parameters = vec![("period", month)];
    parameters.extend(options.which.kind.as_deref().map(|kind| ("kind", kind)));
    let invoices = service.runtime.block_on(read(&service, &parameters))?.rows;
    let (closed, open): (Vec<_>, Vec<_>) =
        invoices.into_iter().partition(|invoice| invoice.state == "closed");
    let left_out = if options.open { 0 } else { open.len() };
    let due: Vec<InvoiceText> = closed.into_iter().chain(open.into_iter().skip(left_out)).collect();
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut written = 0;
    let present = manifests(folder)?;
    for invoice in &due {
        if present.iter().any(|manifest| is_done(folder, manifest, invoice, options)) {
            continue;
        }
        let (manifest, bytes) = service.runtime.block_on(fetch(&service, options, &invoice.id))?;
        let path = folder.join(plain(&manifest.file)?);
        write(&path, &bytes)?;
        write(&beside(&path, MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
        written += 1;
    }
    println!(
        "{} invoices of {month} in {}: {written} written, {} there already",
        due.len(),
        folder.display(),
        due.len() - written
    );
    if left_out > 0 {
        println!("{left_out} invoices are open and left out; --open takes them too");
    }
    Ok(())
}

/// An export with its manifest, which it is held to.
async fn fetch(service: &Service, options: &Export, id: &str) -> anyhow::Result<(Manifest, Vec<u8>)> {
    let mut parameters = vec![("format", options.format.name())];
    parameters.extend(options.issuer.as_deref().map(|issuer| ("issuer", issuer)));
    for _ in 0..TRIES {
        let manifest = service.client.export_manifest(id, &parameters).await?;
        let response = service.client.export(id, &parameters).await?;
        let name = file_name(response.headers());
        let bytes = response.bytes().await.context("the export broke off")?.to_vec();
        if digest(&bytes) == manifest.sha256 {
            ensure!(
                name.as_deref() == Some(manifest.file.as_str()),
                "the file is {name:?}, its manifest says {}",
                manifest.file
            );
            return Ok((manifest, bytes));
        }
    }
    bail!("{id} is not what its manifest says: it changes too fast, or something on the way changes it")
}

/// The manifests that a folder has.
fn manifests(folder: &Path) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(MANIFEST) {
            // One that cannot be read is of a file that is written again.
            manifests.extend(fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()));
        }
    }
    Ok(manifests)
}

/// Whether a file is there, whole, and of the invoice as it is now. An open one may have changed.
fn is_done(folder: &Path, manifest: &Manifest, invoice: &InvoiceText, options: &Export) -> bool {
    let is_of = manifest.invoice.id == invoice.id
        && manifest.format == options.format.name()
        && invoice.hash.is_some()
        && manifest.invoice.hash == invoice.hash
        && options.issuer.is_none();
    is_of
        && plain(&manifest.file).is_ok_and(|name| {
            fs::read(folder.join(name)).is_ok_and(|bytes| digest(&bytes) == manifest.sha256)
        })
}

/// Writes a file whole, or not at all.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = beside(path, PART);
    let written = fs::File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&part, path)).with_context(|| format!("writing {}", path.display()))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A name that stays in its folder.
fn plain(name: &str) -> anyhow::Result<&str> {
    ensure!(Path::new(name).file_name().is_some_and(|plain| plain == name), "{name:?} is no name of a file");
    Ok(name)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_refused() {
        for name in ["../a", "/a", "a/b", "", ".."] {
            assert!(plain(name).is_err(), "{name}");
        }
        assert_eq!(plain("a.csv").unwrap(), "a.csv");
    }
}
