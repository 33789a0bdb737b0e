//! Avro schemas by their Confluent id: fetched once from a schema registry, then known for good, because a
//! registry never changes what an id means. Without a registry every id is read as the built-in schema.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemas::event::{Decoder, SchemaError};
use tokio::runtime::Handle;

use crate::batch::MakeError;
use crate::intake::Schemas;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The schemas known so far.
#[derive(Debug)]
pub struct Registry {
    url: Option<String>,
    runtime: Handle,
    http: reqwest::Client,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    schemas: BTreeMap<u32, Result<String, String>>,
    decoder: Arc<Decoder>,
}

#[derive(serde::Deserialize)]
struct Answer {
    schema: String,
}

impl Registry {
    /// A registry at that URL, or none; `runtime` carries the connections.
    ///
    /// # Errors
    /// Only where the built-in schema is broken, which a test rules out.
    pub fn new(url: Option<&str>, runtime: Handle) -> Result<Self, SchemaError> {
        let decoder = Arc::new(if url.is_some() { Decoder::with_registry()? } else { Decoder::new()? });
        let url = url.map(|url| url.trim_end_matches('/').to_owned());
        let known = Mutex::new(Known { schemas: BTreeMap::new(), decoder });
        Ok(Self { url, runtime, http: reqwest::Client::new(), known })
    }

    /// A decoder that knows every schema fetched so far.
    #[must_use]
    pub fn decoder(&self) -> Arc<Decoder> {
        self.known.lock().decoder.clone()
    }

    /// Fetches one schema and answers a decoder that knows it. An id that the registry does not have is known as
    /// refused: its records go to quarantine.
    ///
    /// # Errors
    /// Where the registry does not answer; the batch waits and is tried again.
    pub fn fetch(&self, id: u32) -> Result<Arc<Decoder>, MakeError> {
        let url = self.url.as_deref().unwrap_or_default();
        let down = |detail: String| MakeError::Registry { url: url.to_owned(), id, detail };
        let request = self.http.get(format!("{url}/schemas/ids/{id}")).timeout(TIMEOUT);
        let schema: Result<String, String> = self.runtime.block_on(async {
            let response = request.send().await.map_err(|error| down(error.to_string()))?;
            // An id that no registry can have, such as what the first bytes of something else say, may be called bad.
            if matches!(response.status().as_u16(), 400 | 404 | 422) {
                return Ok(Err(format!("the schema registry has no schema with id {id}")));
            }
            let response = response.error_for_status().map_err(|error| down(error.to_string()))?;
            let answer: Answer = response.json().await.map_err(|error| down(error.to_string()))?;
            Ok::<_, MakeError>(Ok(answer.schema))
        })?;
        let mut known = self.known.lock();
        known.schemas.insert(id, schema);
        known.decoder = Arc::new(decoder_of(&known.schemas).map_err(|error| down(error.to_string()))?);
        Ok(known.decoder.clone())
    }
}

impl Schemas for Registry {
    fn decoder(&self) -> Arc<Decoder> {
        Self::decoder(self)
    }

    fn fetch(&self, id: u32) -> Result<Arc<Decoder>, String> {
        Self::fetch(self, id).map_err(|error| error.to_string())
    }
}

fn decoder_of(schemas: &BTreeMap<u32, Result<String, String>>) -> Result<Decoder, SchemaError> {
    let mut decoder = Decoder::with_registry()?;
    for (id, schema) in schemas {
        match schema {
            Ok(text) => {
                if let Err(error) = decoder.add_schema(*id, text) {
                    decoder
                        .refuse_schema(*id, format!("the registry's schema {id} is no Avro schema: {error}"));
                }
            }
            Err(detail) => decoder.refuse_schema(*id, detail.clone()),
        }
    }
    Ok(decoder)
}
