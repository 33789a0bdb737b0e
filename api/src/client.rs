//! A client of the API, for the command line. A problem document becomes an error that reads as a sentence.

mod invoices;
mod operations;
mod quarantine;

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answers::{
    Minted, Models, Problem, Proof, Publishing, Quarantine, Revoked, Setting, Spend, Tokens,
};
use crate::audit::Report;

pub use invoices::{MonthToClose, file_name};
pub use operations::{Corrected, Repriced};
pub use quarantine::OpenRecords;

/// An answer has to begin within this time; an audit reads everything.
const TIMEOUT: Duration = Duration::from_secs(900);

/// A client of one API with one token.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API cannot be reached, or broke off.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// What was called.
        url: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// The API refused the call.
    #[error("{}", sentence(.0))]
    Refused(Box<Problem>),
    /// What answered is no API of Tollbook.
    #[error("{url} answered {status} with what is no answer of this API; is it the address of a tollbook?")]
    Foreign {
        /// What was called.
        url: String,
        /// The HTTP status.
        status: StatusCode,
    },
}

/// The token to mint.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// Any of `ingest`, `read`, `admin`.
    pub scopes: Vec<String>,
    /// Customers to bind it to.
    pub customers: Vec<String>,
    /// Teams to bind it to.
    pub teams: Vec<String>,
    /// When it stops working, an instant with its offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Which audit is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Every row is read.
    pub full: bool,
    /// The last one that the API's process made by itself is shown.
    pub cached: bool,
    /// Repeats beyond the window are reversed first.
    pub reverse: bool,
    /// Whose amounts are derived again: `all`, or how many.
    pub reprice: Option<String>,
    /// Draws the sample.
    pub seed: Option<u64>,
}

impl Audit {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let flags = [("full", self.full), ("cached", self.cached)];
        let mut parameters: Vec<_> = flags
            .into_iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| (name, "true".to_owned()))
            .collect();
        parameters.extend(self.reprice.clone().map(|reprice| ("reprice", reprice)));
        parameters.extend(self.seed.map(|seed| ("seed", seed.to_string())));
        parameters
    }
}

impl Client {
    /// A client of the API at that address.
    ///
    /// # Errors
    /// Where the system's TLS cannot be set up.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        let url = url.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder()
            .read_timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|source| Error::Unreachable { url: url.clone(), source })?;
        Ok(Self { http, url, token: token.to_owned() })
    }

    /// Totals; the parameters are those of `GET /v1/spend`.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn spend(&self, parameters: &[(&str, &str)]) -> Result<Spend, Error> {
        self.get("/v1/spend", parameters).await
    }

    /// The proof of one request.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where there is no such request.
    pub async fn request(&self, request_id: &str) -> Result<Proof, Error> {
        self.get(&format!("/v1/requests/{}", segment(request_id)), &[]).await
    }

    /// Published price rows; the parameters are those of `GET /v1/models`.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn models(&self, parameters: &[(&str, &str)]) -> Result<Models, Error> {
        self.get("/v1/models", parameters).await
    }

    /// Publishes price rows, or with `dry_run` shows what would change. It is refused where another number of rows
    /// is published than `based_on`.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn publish(
        &self,
        rows: &[Box<RawValue>],
        dry_run: bool,
        based_on: Option<u64>,
    ) -> Result<Publishing, Error> {
        let body = json!({ "rows": rows, "dry_run": dry_run, "based_on": based_on });
        self.send(self.call(Method::POST, "/v1/models").json(&body)).await
    }

    /// All tokens, without their texts.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn tokens(&self) -> Result<Tokens, Error> {
        self.get("/v1/tokens", &[]).await
    }

    /// Mints a token; its text is shown this once.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn mint(&self, token: &NewToken) -> Result<Minted, Error> {
        self.send(self.call(Method::POST, "/v1/tokens").json(token)).await
    }

    /// Mints a token in the place of another, which works on for so many hours.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where there is no such token.
    pub async fn rotate(
        &self,
        id: &str,
        overlap_hours: u32,
        expires_at: Option<&str>,
    ) -> Result<Minted, Error> {
        let body = json!({ "overlap_hours": overlap_hours, "expires_at": expires_at });
        self.send(self.call(Method::POST, &format!("/v1/tokens/{}/rotate", segment(id))).json(&body)).await
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses; also where there is no such token.
    pub async fn revoke(&self, id: &str) -> Result<Revoked, Error> {
        self.send(self.call(Method::DELETE, &format!("/v1/tokens/{}", segment(id)))).await
    }

    /// Versions of the registry at `/v1/…`, `markups`, `accounts` or `owners`; the parameters are those of its `GET`.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn registry(&self, registry: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
        self.get(&format!("/v1/{registry}"), parameters).await
    }

    /// Sets versions of a registry from a body of that content type, or with `dry_run` says what would be set.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn set(
        &self,
        registry: &str,
        (content_type, body): (&str, Vec<u8>),
        dry_run: bool,
    ) -> Result<Setting, Error> {
        let request = self.call(Method::POST, &format!("/v1/{registry}")).query(&[("dry_run", dry_run)]);
        self.send(request.header(CONTENT_TYPE, content_type).body(body)).await
    }

    /// Records in quarantine; the parameters are those of `GET /v1/quarantine`.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn quarantine(&self, parameters: &[(&str, &str)]) -> Result<Quarantine, Error> {
        self.get("/v1/quarantine", parameters).await
    }

    /// The trial balance by digests; it only reads.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn audit(&self) -> Result<Report, Error> {
        self.audit_as(&Audit::default()).await
    }

    /// The trial balance, with what is asked for besides.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn audit_as(&self, audit: &Audit) -> Result<Report, Error> {
        let method = if audit.reverse { Method::POST } else { Method::GET };
        self.send(self.call(method, "/v1/audit").query(&audit.parameters())).await
    }

    /// Any call that reads, as it is answered; for exports.
    ///
    /// # Errors
    /// Where the API cannot be reached or refuses.
    pub async fn raw(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Response, Error> {
        self.answer(self.call(Method::GET, path).query(parameters)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<T, Error> {
        self.send(self.call(Method::GET, path).query(parameters)).await
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let response = self.answer(request).await?;
        let (url, status) = (response.url().to_string(), response.status());
        let bytes = response.bytes().await.map_err(|source| self.unreachable(source))?;
        serde_json::from_slice(&bytes).map_err(|_| Error::Foreign { url, status })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (url, status) = (response.url().to_string(), response.status());
        let bytes = response.bytes().await.map_err(|source| self.unreachable(source))?;
        Err(serde_json::from_slice(&bytes)
            .map_or(Error::Foreign { url, status }, |problem| Error::Refused(Box::new(problem))))
    }

    fn unreachable(&self, source: reqwest::Error) -> Error {
        Error::Unreachable { url: self.url.clone(), source }
    }
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn sentence(problem: &Problem) -> String {
    if problem.allowed.is_empty() {
        problem.detail.clone()
    } else {
        format!("{} (allowed: {})", problem.detail, problem.allowed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence_with_what_is_allowed() {
        let problem = Problem::parameter("interval", "`interval` cannot be `year`").allowed(["day", "month"]);
        let error = Error::Refused(Box::new(problem));
        assert_eq!(error.to_string(), "`interval` cannot be `year` (allowed: day, month)");
    }
}
