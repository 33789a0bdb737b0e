//! Derives every amount of an archive again: files from the manifest, entries from the price rows, lines from entries,
//! rounded amounts from lines, the total from those. The first difference is named, and ends it.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;

use ::api::answers::{Entry, Line};
use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use ledger::event::Millis;
use ledger::money::{Amount, Decimal};
use schemas::invoices::{InvoiceText, LineText, decimals, month_of};
use sha2::{Digest, Sha256};

use super::arithmetic::{Price, marked};
use super::rows::{self, Rows};
use super::{Contents, ENTRIES, FORM, INVOICE, MANIFEST, PRICE_ROWS, Verify, hexadecimal};

/// Of what is missing to a minimum.
const MINIMUM: &str = "minimum";
/// Of amounts that somebody else reported.
const REPORTED: &str = "reported";

/// The files of an archive.
type Files = BTreeMap<String, Vec<u8>>;

/// What was derived.
#[derive(Debug, Default)]
struct Derived {
    /// The entries, by where they come from.
    origins: HashSet<String>,
    /// What entries come to by line, as far as no line of the invoice was compared with it.
    sums: BTreeMap<Key, (Decimal, Amount)>,
    rows: usize,
    /// Amounts that are taken as they are recorded: what somebody reported, and what was missing to a minimum.
    recorded: u64,
}

/// What tells one line of usage from another; an adjustment takes any price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    adjusts: Option<String>,
    model: String,
    unit: String,
    price: Option<String>,
}

pub(super) fn run(options: &Verify) -> anyhow::Result<()> {
    let path = options.file.display();
    let file = File::open(&options.file).with_context(|| format!("opening {path}"))?;
    let files = files(file).with_context(|| format!("reading {path}"))?;
    let (invoice, derived) = derive(&files)?;
    let hash = invoice.hash.as_deref().unwrap_or("none, because the invoice is open");
    println!(
        "{} {} {}: {} {} is right\n{} entries in {} lines, {} price rows; hash {hash}",
        invoice.kind,
        invoice.account,
        invoice.period,
        invoice.total,
        invoice.currency,
        derived.origins.len(),
        invoice.lines.len(),
        derived.rows
    );
    if derived.recorded > 0 {
        println!(
            "{} amounts are taken as they are recorded: reported ones, and what was missing to a minimum",
            derived.recorded
        );
    }
    Ok(())
}

/// Derives all that there is.
fn derive(files: &Files) -> anyhow::Result<(InvoiceText, Derived)> {
    let invoice = checked(files)?;
    let rows = Rows::read(std::str::from_utf8(member(files, PRICE_ROWS)?)?)?;
    let mut derived = Derived { rows: rows.len(), ..Derived::default() };
    for row in std::str::from_utf8(member(files, ENTRIES)?)?.lines() {
        let entry: Entry = serde_json::from_str(row).context("an entry cannot be read")?;
        let origin = entry.origin.to_string();
        derived.entry(&invoice, &entry, &rows).with_context(|| format!("entry {origin}"))?;
        ensure!(derived.origins.insert(origin.clone()), "entry {origin} is there twice");
    }
    for line in &invoice.lines {
        derived.line(&invoice, line).with_context(|| format!("line {}", line.number))?;
    }
    let left = derived.sums.iter().find(|(_, (quantity, amount))| !quantity.is_zero() || !amount.is_zero());
    if let Some((key, (_, amount))) = left {
        bail!(
            "the entries of {} {} come to {amount}, and no line of the invoice has them",
            key.model,
            key.unit
        );
    }
    total(&invoice)?;
    Ok((invoice, derived))
}

fn files(file: File) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for entry in tar::Archive::new(file).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        ensure!(files.insert(name.clone(), bytes).is_none(), "{name} is in the archive twice");
    }
    Ok(files)
}

fn member<'a>(files: &'a Files, name: &str) -> anyhow::Result<&'a [u8]> {
    files.get(name).map(Vec::as_slice).with_context(|| format!("{name} is missing"))
}

/// The invoice of an archive whose files are what the manifest says.
fn checked(files: &Files) -> anyhow::Result<InvoiceText> {
    let contents: Contents = serde_json::from_slice(member(files, MANIFEST)?).context(MANIFEST)?;
    ensure!(contents.form == FORM, "this is an archive of the form {}, not {FORM}", contents.form);
    for known in &contents.files {
        let bytes = member(files, &known.name)?;
        let sha256 = hexadecimal(&Sha256::digest(bytes));
        ensure!(
            sha256 == known.sha256,
            "{} has SHA-256 {sha256}, the manifest says {}",
            known.name,
            known.sha256
        );
    }
    let unknown =
        files.keys().find(|name| *name != MANIFEST && !contents.files.iter().any(|one| one.name == **name));
    ensure!(unknown.is_none(), "{unknown:?} is not in the manifest");
    let invoice: InvoiceText = serde_json::from_slice(member(files, INVOICE)?).context(INVOICE)?;
    ensure!(
        invoice.id == contents.invoice && invoice.hash == contents.hash,
        "the manifest is of another invoice"
    );
    if let Some(hash) = &invoice.hash {
        let digest = invoice.digest()?;
        ensure!(digest == *hash, "the invoice has SHA-256 {digest}, its hash says {hash}");
    }
    Ok(invoice)
}

impl Derived {
    /// What the entries of a line come to is what it says, and its amount is that, rounded.
    fn line(&mut self, invoice: &InvoiceText, line: &LineText) -> anyhow::Result<()> {
        let exact = Amount::parse(&line.exact_amount)?;
        if let Some(unit) = &line.unit {
            let key = Key {
                adjusts: line.adjusts.clone(),
                model: line.model.clone(),
                unit: unit.clone(),
                price: line.unit_price.clone(),
            };
            let (quantity, amount) = self.sums.remove(&key).unwrap_or((Decimal::ZERO, Amount::ZERO));
            let said = &line.quantity;
            ensure!(quantity == Decimal::parse(said)?, "its entries have {quantity}, it says {said}");
            ensure!(amount == exact, "its entries come to {amount}, it says {}", line.exact_amount);
        }
        let rounded = exact.round_to(decimals(&invoice.currency)).context("it is too large")?;
        ensure!(
            rounded == Amount::parse(&line.amount)?,
            "{exact} is rounded to {rounded}, it says {}",
            line.amount
        );
        Ok(())
    }

    /// Derives the amounts of an entry again, and adds them to their lines.
    fn entry(&mut self, invoice: &InvoiceText, entry: &Entry, rows: &Rows) -> anyhow::Result<()> {
        let owner = if invoice.kind == "team" { &entry.team } else { &entry.customer };
        ensure!(owner.as_ref() == Some(&invoice.account), "it is of {owner:?}");
        let currency = entry.charge_currency.as_ref().or(entry.currency.as_ref());
        ensure!(currency == Some(&invoice.currency), "it is charged in {currency:?}");
        let at: Timestamp = entry.occurred_at.parse().context("it has no time")?;
        let month = month_of(Millis(at.as_millisecond()), &invoice.time_zone).context("it has no month")?;
        let adjusts = Some(month.to_string()).filter(|month| *month != invoice.period);
        let lines = entry.charging.as_ref().map_or(&entry.lines, |charging| &charging.lines);
        let mut charge = Amount::ZERO;
        for own in lines {
            let derived = self.amount(entry, own, rows).with_context(|| own.unit.clone())?;
            charge = charge.checked_add(derived).context("the sum is too large")?;
            let is_minimum = own.price_basis == MINIMUM;
            let price = own.unit_price.clone().filter(|_| adjusts.is_none() && !is_minimum);
            let model = entry.model.clone().unwrap_or_default();
            let key = Key { adjusts: adjusts.clone(), model, unit: own.unit.clone(), price };
            let (quantity, amount) = self.sums.entry(key).or_insert((Decimal::ZERO, Amount::ZERO));
            if !is_minimum {
                *quantity = quantity.checked_add(Decimal::parse(&own.quantity)?)?;
            }
            *amount = amount.checked_add(derived).context("the sum is too large")?;
        }
        ensure!(
            charge == Amount::parse(&entry.charge)?,
            "its lines come to {charge}, it says {}",
            entry.charge
        );
        Ok(())
    }

    /// The amount of a line of an entry, from its quantity and its price, and the price from its row.
    fn amount(&mut self, entry: &Entry, own: &Line, rows: &Rows) -> anyhow::Result<Amount> {
        let Some(said) = &own.amount else { return Ok(Amount::ZERO) };
        let said = Amount::parse(said)?;
        let quantity = Decimal::parse(&own.quantity)?;
        let is_marked = entry.charging.as_ref().is_some_and(|charging| charging.markup.is_some());
        if own.price_basis == REPORTED || own.price_basis == MINIMUM {
            self.recorded += 1;
            return Ok(said);
        }
        let made = match (&own.arithmetic, &own.unit_price) {
            (Some(text), _) => marked(text).with_context(|| format!("{text} cannot be worked out"))?,
            (None, Some(price)) => {
                let price = Price::parse(price).with_context(|| format!("{price} is no price"))?;
                price.of(quantity).with_context(|| format!("{price:?} × {quantity} cannot be worked out"))?
            }
            (None, None) => bail!("it has an amount and no price"),
        };
        ensure!(
            made == said,
            "{} × {quantity} is {made}, it says {said}",
            own.unit_price.as_deref().unwrap_or_default()
        );
        let row = entry
            .charging
            .as_ref()
            .and_then(|charging| charging.model_row.as_ref())
            .or(entry.model_row.as_ref());
        if let Some(row) = row.filter(|_| !is_marked) {
            let line = rows::Line { unit: &own.unit, basis: &own.price_basis, quantity, amount: said };
            rows.check(row, &line)?;
        }
        Ok(said)
    }
}

/// The total is the sum of the rounded lines, and the exact usage that of usage and adjustments.
fn total(invoice: &InvoiceText) -> anyhow::Result<()> {
    let total = sum(invoice.lines.iter().map(|line| &line.amount))?;
    ensure!(
        total == Amount::parse(&invoice.total)?,
        "the lines add up to {total}, the total says {}",
        invoice.total
    );
    let usage = invoice.lines.iter().filter(|line| line.unit.is_some());
    let exact = sum(usage.map(|line| &line.exact_amount))?;
    let said = &invoice.exact_usage;
    ensure!(
        exact == Amount::parse(said)?,
        "the exact amounts add up to {exact}, the exact usage says {said}"
    );
    Ok(())
}

fn sum<'a>(mut amounts: impl Iterator<Item = &'a String>) -> anyhow::Result<Amount> {
    amounts.try_fold(Amount::ZERO, |sum, amount| {
        sum.checked_add(Amount::parse(amount)?).context("the sum is too large")
    })
}

#[cfg(test)]
mod tests;
