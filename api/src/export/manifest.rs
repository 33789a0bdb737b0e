//! What an exported file says of itself: its name, rows, sums and SHA-256, and of which invoice it was made. Whoever has
//! file and manifest can tell that nothing is missing, without asking the service.

use ledger::money::Amount;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::invoices::InvoiceText;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{File, Format, failed};
use crate::error::Problem;

/// What stands in a file's name as it is.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The manifest of one exported file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// The file's name: account, month, currency, kind, format.
    pub file: String,
    /// The format: `json`, `csv`, `parquet`, `focus`, `xlsx` or `pdf`.
    pub format: String,
    /// The media type.
    pub media_type: String,
    /// Rows of the file, without its head; of JSON the lines of the invoice.
    pub rows: usize,
    /// Length of the file.
    pub bytes: usize,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What the file's rows add up to, by currency.
    pub sums: Vec<ManifestSum>,
    /// The invoice.
    pub invoice: ManifestInvoice,
}

/// A sum of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestSum {
    /// ISO 4217 code.
    pub currency: String,
    /// The sum of the rounded amounts; of FOCUS the sum of `BilledCost`, which is the same.
    pub amount: String,
    /// The sum of the exact amounts.
    pub exact_amount: String,
}

/// The invoice that a file was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestInvoice {
    /// Its id.
    pub id: String,
    /// `customer` or `team`.
    pub kind: String,
    /// The account.
    pub account: String,
    /// The month.
    pub period: String,
    /// `open` or `closed`.
    pub state: String,
    /// Its hash; null while it is open.
    pub hash: Option<String>,
}

/// The manifest of a file.
pub(super) fn of(invoice: &InvoiceText, format: Format, file: &File) -> Result<Manifest, Problem> {
    let mut exact = Amount::ZERO;
    for line in &invoice.lines {
        let amount = Amount::parse(&line.exact_amount).map_err(|error| failed(&error))?;
        exact = exact.checked_add(amount).ok_or_else(Problem::internal)?;
    }
    Ok(Manifest {
        file: file_name(invoice, format),
        format: format.name().to_owned(),
        media_type: format.media_type().to_owned(),
        rows: file.rows,
        bytes: file.bytes.len(),
        sha256: hexadecimal(&Sha256::digest(&file.bytes)),
        sums: vec![ManifestSum {
            currency: invoice.currency.clone(),
            amount: invoice.total.clone(),
            exact_amount: exact.to_string(),
        }],
        invoice: ManifestInvoice {
            id: invoice.id.clone(),
            kind: invoice.kind.clone(),
            account: invoice.account.clone(),
            period: invoice.period.clone(),
            state: invoice.state.clone(),
            hash: invoice.hash.clone(),
        },
    })
}

/// The name of the file: no two invoices have one name, and none names a folder.
pub(super) fn file_name(invoice: &InvoiceText, format: Format) -> String {
    let InvoiceText { account, period, currency, kind, .. } = invoice;
    let account = utf8_percent_encode(account, NAME).to_string().replacen(
        '.',
        "%2E",
        usize::from(account.starts_with('.')),
    );
    format!("{account}_{period}_{currency}_{kind}.{}", format.extension())
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
