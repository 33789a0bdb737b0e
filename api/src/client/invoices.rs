//! The calls about invoices.

use reqwest::header::{CONTENT_DISPOSITION, HeaderMap};
use reqwest::{Method, Response};
use serde::Serialize;

use super::{Client, Error, segment};
use crate::answers::{Closed, Invoice, Invoices, Manifest};

/// The month to close, of some accounts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MonthToClose {
    /// The accounts; `all` alone stands for all of the kind.
    pub account: Vec<String>,
    /// `customer` or `team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The month, `YYYY-MM`.
    pub period: String,
    /// What to close over.
    pub accept: Vec<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Client {
    /// Invoices; the parameters are those of `GET /v1/invoices`.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn invoices(&self, parameters: &[(&str, &str)]) -> Result<Invoices, Error> {
        self.get("/v1/invoices", parameters).await
    }

    /// One invoice with its sub-totals.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where there is no such invoice.
    pub async fn invoice(&self, id: &str) -> Result<Invoice, Error> {
        self.get(&format!("/v1/invoices/{}", segment(id)), &[]).await
    }

    /// Closes a month. A repeat answers with the same invoices.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; its problem then names the blockers of each account.
    pub async fn close_month(&self, month: &MonthToClose) -> Result<Closed, Error> {
        let mut body = serde_json::to_value(month).unwrap_or_default();
        if let [all] = month.account.as_slice() {
            body["account"] = all.as_str().into();
        }
        self.send(self.call(Method::POST, "/v1/invoices/close").json(&body)).await
    }

    /// What an export of an invoice will be.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn export_manifest(&self, id: &str, parameters: &[(&str, &str)]) -> Result<Manifest, Error> {
        let manifest = [("manifest", "true")];
        let parameters: Vec<_> = parameters.iter().chain(&manifest).copied().collect();
        self.get(&export_path(id), &parameters).await
    }

    /// The entries of an invoice, one a line.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn invoice_entries(&self, id: &str) -> Result<Response, Error> {
        self.raw(&format!("/v1/invoices/{}/entries", segment(id)), &[]).await
    }

    /// An export of an invoice as it is answered; the parameters are those of `GET /v1/invoices/{id}/export`.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn export(&self, id: &str, parameters: &[(&str, &str)]) -> Result<Response, Error> {
        self.raw(&export_path(id), parameters).await
    }
}

/// The name that an answer gives to what is saved of it.
#[must_use]
pub fn file_name(headers: &HeaderMap) -> Option<String> {
    let (_, name) = headers.get(CONTENT_DISPOSITION)?.to_str().ok()?.split_once("filename=\"")?;
    name.split('"').next().map(str::to_owned)
}

fn export_path(id: &str) -> String {
    format!("/v1/invoices/{}/export", segment(id))
}
