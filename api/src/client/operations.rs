//! The calls that reprice and correct entries, and take that back.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Client, Error, segment};
use crate::answers::{Changed, Operation, Progress};

/// Between two looks at an operation that goes on by itself.
const LOOK: Duration = Duration::from_millis(500);

/// Entries to price again.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Repriced {
    /// A date or an instant: entries from then on.
    pub from: String,
    /// A date or an instant: entries before then.
    pub to: String,
    /// Values by dimension.
    pub filters: BTreeMap<String, Vec<String>>,
    /// Why.
    pub reason: String,
    /// Says what would change, and changes nothing.
    pub dry_run: bool,
}

/// Entries to put right.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Corrected {
    /// Which, and why.
    #[serde(flatten)]
    pub entries: Repriced,
    /// Of which events; of all that the filters leave, where it is empty.
    pub event_ids: Vec<String>,
    /// What is put right, by name.
    pub set: BTreeMap<String, Value>,
}

impl Client {
    /// Prices entries again by what is in force now.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn reprice(&self, entries: &Repriced) -> Result<Changed, Error> {
        self.send(self.call(Method::POST, "/v1/reprice").json(entries)).await
    }

    /// Puts facts of entries right.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn correct(&self, correction: &Corrected) -> Result<Changed, Error> {
        self.send(self.call(Method::POST, "/v1/corrections").json(correction)).await
    }

    /// Takes an operation of `reprice` or `corrections` back.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where there is no such operation.
    pub async fn revert(&self, path: &str, id: &str, reason: Option<&str>) -> Result<Changed, Error> {
        let path = format!("/v1/{path}/{}/revert", segment(id));
        self.send(self.call(Method::POST, &path).json(&json!({ "reason": reason }))).await
    }

    /// Waits until an operation is finished.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn finished(&self, mut changed: Changed) -> Result<Changed, Error> {
        while let (Progress::Running, Some(id)) = (changed.state, &changed.id) {
            tokio::time::sleep(LOOK).await;
            let operation: Operation = self.get(&format!("/v1/operations/{}", segment(id)), &[]).await?;
            let told = operation.result.and_then(|result| serde_json::from_str(result.get()).ok());
            changed = told.unwrap_or(changed);
        }
        Ok(changed)
    }
}
