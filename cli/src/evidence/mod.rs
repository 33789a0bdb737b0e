//! `tollbook evidence` packs what an invoice is made of into one archive; `tollbook verify` derives every amount from
//! such an archive again, without asking anybody.

mod arithmetic;
mod pack;
mod rows;
mod verify;

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::service::ServiceOptions;

/// What an archive says that it is.
const FORM: &str = "tollbook-evidence-1";
const MANIFEST: &str = "manifest.json";
const INVOICE: &str = "invoice.json";
const ENTRIES: &str = "entries.ndjson";
const PRICE_ROWS: &str = "price_rows.ndjson";

/// Options of `tollbook evidence`.
#[derive(Debug, Args)]
pub(crate) struct Evidence {
    #[command(flatten)]
    which: crate::invoices::Which,
    /// The archive to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Options of `tollbook verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The archive that `tollbook evidence` wrote
    file: PathBuf,
}

/// What is in an archive.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    form: String,
    /// Id of the invoice.
    invoice: String,
    /// The invoice's own hash; null where it is open.
    hash: Option<String>,
    files: Vec<Member>,
}

/// A file of an archive.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    name: String,
    bytes: u64,
    sha256: String,
}

/// Packs an invoice.
pub(crate) fn pack(options: &Evidence) -> anyhow::Result<()> {
    pack::run(options)
}

/// Derives an archive's amounts again.
pub(crate) fn verify(options: &Verify) -> anyhow::Result<()> {
    verify::run(options)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
