//! Packs an invoice: its entries as they are answered, and the versions of price rows, markups, accounts and owners
//! that they name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use schemas::invoices::InvoiceText;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Contents, ENTRIES, Evidence, FORM, INVOICE, MANIFEST, Member, PRICE_ROWS, hexadecimal};
use crate::service::Service;

/// Rows that are asked for at a time.
const PAGE: &str = "1000";
const METHOD: &str = include_str!("method.txt");

/// What the entries of an invoice name.
#[derive(Debug, Default)]
struct Named {
    rows: BTreeSet<String>,
    markups: BTreeSet<String>,
    keys: BTreeSet<String>,
}

/// As much of an entry as tells what it names.
#[derive(Deserialize)]
struct Names {
    key: Option<String>,
    model_row: Option<String>,
    charging: Option<NamesOfPlane>,
}

#[derive(Deserialize)]
struct NamesOfPlane {
    model_row: Option<String>,
    markup: Option<String>,
}

pub(super) fn run(options: &Evidence) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let id = service.runtime.block_on(options.which.id(&service))?;
    let beside = options.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = tempfile::tempdir_in(beside.unwrap_or_else(|| Path::new(".")))?;
    let invoice = service.runtime.block_on(collect(&service, &id, folder.path()))?;
    let part = folder.path().join("archive.tar");
    let files = write(&invoice, folder.path(), &part)?;
    fs::rename(&part, &options.out).with_context(|| format!("writing {}", options.out.display()))?;
    println!("{files} files of invoice {} {} in {}", invoice.account, invoice.period, options.out.display());
    Ok(())
}

/// Brings all that belongs to an invoice into a folder.
async fn collect(service: &Service, id: &str, folder: &Path) -> anyhow::Result<InvoiceText> {
    let bytes = service.client.export(id, &[("format", "json")]).await?.bytes().await?;
    let invoice: InvoiceText = serde_json::from_slice(&bytes).context("the invoice cannot be read")?;
    fs::write(folder.join(INVOICE), &bytes)?;
    fs::write(folder.join("method.txt"), METHOD)?;
    let path = folder.join(ENTRIES);
    download(service, &invoice, &path).await?;
    let named = Named::read(&path)?;
    let rows = listed(service, "/v1/models", &[]).await?;
    keep(folder, PRICE_ROWS, &rows, |row| named.rows.contains(&row.id))?;
    let markups = listed(service, "/v1/markups", &[]).await?;
    keep(folder, "markups.ndjson", &markups, |row| named.markups.contains(&row.id))?;
    let accounts = listed(service, "/v1/accounts", &[("id", &invoice.account)]).await?;
    keep(folder, "accounts.ndjson", &accounts, |row| row.kind == invoice.kind)?;
    let owners = listed(service, "/v1/owners", &[]).await?;
    keep(folder, "owners.ndjson", &owners, |row| named.keys.contains(&row.key))?;
    Ok(invoice)
}

async fn download(service: &Service, invoice: &InvoiceText, path: &Path) -> anyhow::Result<()> {
    let mut answer = service.client.invoice_entries(&invoice.id).await?;
    let mut file = File::create(path)?;
    while let Some(chunk) = answer.chunk().await.context("the entries broke off")? {
        file.write_all(&chunk)?;
    }
    Ok(())
}

impl Named {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut named = Self::default();
        for row in BufReader::new(File::open(path)?).lines() {
            let names: Names = serde_json::from_str(&row?).context("an entry cannot be read")?;
            named.keys.extend(names.key);
            named.rows.extend(names.model_row);
            if let Some(plane) = names.charging {
                named.rows.extend(plane.model_row);
                named.markups.extend(plane.markup);
            }
        }
        Ok(named)
    }
}

/// A page of a list, its rows as they were answered: their numbers are kept digit for digit.
#[derive(Deserialize)]
struct Page {
    rows: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// What tells whether a row is named.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    id: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    kind: String,
}

/// All rows of a list, over its pages.
async fn listed(
    service: &Service,
    path: &str,
    filters: &[(&str, &str)],
) -> anyhow::Result<Vec<Box<RawValue>>> {
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters = filters.to_vec();
        parameters.push(("limit", PAGE));
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Page =
            serde_json::from_slice(&service.client.raw(path, &parameters).await?.bytes().await?)?;
        rows.extend(page.rows);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

fn keep(
    folder: &Path,
    name: &str,
    rows: &[Box<RawValue>],
    is_named: impl Fn(&Row) -> bool,
) -> anyhow::Result<()> {
    let mut file = File::create(folder.join(name))?;
    for row in rows {
        if is_named(&serde_json::from_str(row.get())?) {
            writeln!(file, "{row}")?;
        }
    }
    Ok(())
}

/// Writes the archive, the manifest first, and answers how many files it has.
fn write(invoice: &InvoiceText, folder: &Path, out: &Path) -> anyhow::Result<usize> {
    let names =
        [INVOICE, ENTRIES, PRICE_ROWS, "markups.ndjson", "accounts.ndjson", "owners.ndjson", "method.txt"];
    let files = names.iter().map(|name| member(folder, name)).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(
        invoice.hash.is_none() || invoice.digest()? == *invoice.hash.as_ref().unwrap_or(&String::new()),
        "the invoice is not what its hash says"
    );
    let contents =
        Contents { form: FORM.to_owned(), invoice: invoice.id.clone(), hash: invoice.hash.clone(), files };
    fs::write(folder.join(MANIFEST), serde_json::to_vec_pretty(&contents)?)?;
    let mut archive = tar::Builder::new(File::create(out)?);
    // Times and owners of files are no part of the evidence.
    archive.mode(tar::HeaderMode::Deterministic);
    for name in std::iter::once(MANIFEST).chain(names) {
        archive.append_path_with_name(folder.join(name), name)?;
    }
    archive.into_inner()?.sync_all()?;
    Ok(names.len() + 1)
}

fn member(folder: &Path, name: &str) -> anyhow::Result<Member> {
    let mut hash = Sha256::new();
    let bytes = std::io::copy(&mut File::open(folder.join(name))?, &mut hash)?;
    Ok(Member { name: name.to_owned(), bytes, sha256: hexadecimal(&hash.finalize()) })
}
