//! `GET /v1/invoices/{id}/export`: an invoice as a file. One file here for each format; what they share is that each is
//! made of the invoice as it is shown, so that every format says the same to the last digit.

mod charges;
mod csv;
mod focus;
mod manifest;
mod parquet;
mod pdf;
mod xlsx;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemas::invoices::InvoiceText;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::auth::Authenticated;
use crate::bounds::Bounds;
use crate::error::Problem;
use crate::invoices::{Found, find};
use crate::parameters::Parameters;
use crate::router::Service;
pub use manifest::{Manifest, ManifestInvoice, ManifestSum};

/// The media type of a spreadsheet.
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// Who issues invoices, where the call does not say.
const ISSUER: &str = "Tollbook";
const ISSUER_CHARACTERS_MAX: usize = 128;

/// How an invoice is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Parquet,
    Focus,
    Xlsx,
    Pdf,
}

const FORMATS: &[(&str, Format)] = &[
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("parquet", Format::Parquet),
    ("focus", Format::Focus),
    ("xlsx", Format::Xlsx),
    ("pdf", Format::Pdf),
];
const FLAGS: &[(&str, bool)] = &[("true", true), ("false", false)];

impl Format {
    fn name(self) -> &'static str {
        FORMATS.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv | Self::Focus => crate::csv::MEDIA_TYPE,
            Self::Parquet => crate::parquet::MEDIA_TYPE,
            Self::Xlsx => XLSX,
            Self::Pdf => "application/pdf",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Focus => "focus.csv",
            Self::Xlsx => "xlsx",
            Self::Pdf => "pdf",
        }
    }
}

/// What is answered as JSON.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the answer; what is answered is one of the two")]
pub(crate) enum Exported {
    /// By `format=json`.
    Invoice(Box<InvoiceText>),
    /// By `manifest=true`.
    Manifest(Box<Manifest>),
}

/// A file, and how many rows it has.
struct File {
    bytes: Bytes,
    rows: usize,
}

/// An invoice as a file, or what that file will be. The header `repr-digest` has the SHA-256 of the bytes.
#[utoipa::path(
    get, path = "/v1/invoices/{id}/export", tag = "invoices",
    params(
        ("id" = String, Path, description = "The invoice, as the list names it"),
        ("format" = Option<String>, Query, description = "json (default), csv, parquet, xlsx, pdf, or focus: rows of FOCUS 1.2 as CSV"),
        ("issuer" = Option<String>, Query, description = "With `format=focus`: who issues the invoice; Tollbook by default"),
        ("manifest" = Option<bool>, Query, description = "true: the manifest of the file instead of the file"),
    ),
    responses(
        (status = 200, content((Exported = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"), (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), (Vec<u8> = "application/pdf"))),
        (status = 404, body = crate::error::Problem, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(crate) async fn export(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(&uri)?;
    let format = parameters.choice("format", FORMATS)?.unwrap_or(Format::Json);
    let wants_manifest = parameters.choice("manifest", FLAGS)?.unwrap_or(false);
    let issuer = parameters.one("issuer")?;
    parameters.finish(["format", "issuer", "manifest"])?;
    let issuer = issuer.map_or_else(|| Ok(ISSUER.to_owned()), |name| checked(name, format))?;
    let bounds = Bounds::of(&caller);
    let found = find(&service.store, &bounds, &id).await?;
    let file = file(&bounds, &found, format, &issuer).await?;
    if wants_manifest {
        return Ok(Json(manifest::of(&found.invoice, format, &file)?).into_response());
    }
    let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(&file.bytes)));
    let attachment = format!("attachment; filename=\"{}\"", manifest::file_name(&found.invoice, format));
    let headers = [
        (header::CONTENT_TYPE.as_str(), format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION.as_str(), attachment),
        ("repr-digest", digest),
    ];
    Ok((headers, file.bytes).into_response())
}

fn checked(issuer: String, format: Format) -> Result<String, Problem> {
    if format != Format::Focus {
        return Err(Problem::parameter("issuer", "only `format=focus` names the issuer"));
    }
    if issuer.chars().count() > ISSUER_CHARACTERS_MAX || issuer.chars().any(char::is_control) {
        return Err(Problem::parameter(
            "issuer",
            format!("`issuer` is a name of at most {ISSUER_CHARACTERS_MAX} characters"),
        ));
    }
    Ok(issuer)
}

async fn file(bounds: &Bounds, found: &Found, format: Format, issuer: &str) -> Result<File, Problem> {
    let invoice = &found.invoice;
    match format {
        Format::Json => {
            let bytes = serde_json::to_vec(invoice).map_err(|error| failed(&error))?;
            Ok(File { bytes: bytes.into(), rows: invoice.lines.len() })
        }
        Format::Csv => csv::file(invoice),
        Format::Parquet => parquet::file(invoice),
        Format::Xlsx => xlsx::file(invoice),
        Format::Pdf => Ok(pdf::file(invoice)),
        Format::Focus => {
            let charges = charges::read(&found.snapshot, bounds, found).await?;
            focus::file(found, &charges, issuer)
        }
    }
}

/// What should not be is written to the log, and told as a failure of the service.
fn failed(error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = crate::store::chain(error), "An export cannot be written");
    Problem::internal()
}
