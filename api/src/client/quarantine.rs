//! The calls that resolve what is in quarantine.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Client, Error, segment};
use crate::answers::{BulkResolved, Quarantined, Resolved};

/// Open records to resolve, a page at a time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OpenRecords {
    /// Values by filter; the filters are those of `GET /v1/quarantine`.
    pub filters: BTreeMap<String, Vec<String>>,
    /// Logged at or after that date or instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Logged before that date or instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Client {
    /// One record in quarantine.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where there is no such record.
    pub async fn quarantined(&self, id: &str) -> Result<Quarantined, Error> {
        self.get(&path(id, ""), &[]).await
    }

    /// The bytes that are kept of one record in quarantine.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where there is no such record.
    pub async fn quarantined_bytes(&self, id: &str) -> Result<Vec<u8>, Error> {
        let response = self.raw(&path(id, "/raw"), &[]).await?;
        let bytes = response.bytes().await.map_err(|source| self.unreachable(source))?;
        Ok(bytes.to_vec())
    }

    /// Sends one record again: its own bytes, or the event in their place.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where the event would go to quarantine again.
    pub async fn replay(
        &self,
        id: &str,
        event: Option<&RawValue>,
        note: Option<&str>,
    ) -> Result<Resolved, Error> {
        let body = json!({ "note": note });
        // The event's text goes out digit for digit.
        let body = match event {
            Some(event) => format!("{{\"event\":{},\"note\":{}}}", event.get(), body["note"]),
            None => body.to_string(),
        };
        let call = self.call(Method::POST, &path(id, "/replay"));
        self.send(call.header("content-type", "application/json").body(body)).await
    }

    /// Lets one record go.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn discard(&self, id: &str, note: &str) -> Result<Resolved, Error> {
        let call = self.call(Method::POST, &path(id, "/discard"));
        self.send(call.json(&json!({ "note": note }))).await
    }

    /// Sends a page of open records again, as they are.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn replay_open(&self, records: &OpenRecords) -> Result<BulkResolved, Error> {
        self.send(self.call(Method::POST, "/v1/quarantine/replay").json(records)).await
    }

    /// Lets a page of open records go.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn discard_open(&self, records: &OpenRecords) -> Result<BulkResolved, Error> {
        self.send(self.call(Method::POST, "/v1/quarantine/discard").json(records)).await
    }
}

fn path(id: &str, call: &str) -> String {
    format!("/v1/quarantine/{}{call}", segment(id))
}
