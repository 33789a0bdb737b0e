//! What a request says besides its body: who asks, and the parameters of the URL, which ClickHouse's HTTP
//! interface shares between itself (`query`, `database` …), the statement (`param_*`) and settings.

use crate::{
    body::{Encoding, Packing},
    exception::{Exception, code},
};
use axum::http::{HeaderMap, Uri, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// The only user.
const USER: &str = "default";
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The parameters of a request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// The statement, or its beginning, where the URL carries one.
    pub(crate) query: Option<String>,
    pub(crate) query_id: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) default_format: Option<String>,
    /// Names and values for `{name:Type}` in the statement.
    pub(crate) parameters: Vec<(String, String)>,
    /// Settings of the engine for this statement.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) session: Option<Session>,
    /// `compress=1`: the answer as ClickHouse's compressed blocks.
    pub(crate) compress: bool,
    /// `wait_end_of_query=1`: no answer before the statement has ended.
    pub(crate) wait_end_of_query: bool,
    pub(crate) packing: Packing,
    user: Option<String>,
    password: Option<String>,
}

/// The session that a request belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) timeout: Duration,
    /// `session_check=1`: it must exist already.
    pub(crate) must_exist: bool,
    /// `close_session=1`: it ends with this statement.
    pub(crate) close: bool,
}

impl Request {
    pub(crate) fn parse(uri: &Uri, headers: &HeaderMap) -> Result<Self, Exception> {
        let mut request = Self::default();
        let mut session_id = None;
        let (mut timeout, mut must_exist, mut close) = (SESSION_TIMEOUT, false, false);
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "query" => request.query = Some(value.into_owned()),
                "session_id" => session_id = Some(value.into_owned()),
                "session_timeout" => {
                    let seconds = value.parse().map_err(|_| bad("session_timeout", &value))?;
                    timeout = Duration::from_secs(seconds).min(SESSION_TIMEOUT_MAX);
                }
                "session_check" => must_exist = value == "1",
                "close_session" => close = value == "1",
                _ => request.set(&name, value.into_owned())?,
            }
        }
        request.session =
            session_id.filter(|id| !id.is_empty()).map(|id| Session { id, timeout, must_exist, close });
        request.read_headers(headers)?;
        Ok(request)
    }

    /// Takes one parameter, of the URL or of a multipart form.
    pub(crate) fn set(&mut self, name: &str, value: String) -> Result<(), Exception> {
        match name {
            "query" => self.query = Some(value),
            "query_id" => self.query_id = Some(value).filter(|id| !id.is_empty()),
            "database" => self.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.default_format = Some(value).filter(|name| !name.is_empty()),
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "compress" => self.compress = value == "1",
            "decompress" => self.packing.blocks = value == "1",
            "wait_end_of_query" => self.wait_end_of_query = value == "1",
            "stacktrace" | "buffer_size" | "quota_key" | "role" | "client_protocol_version" => {}
            _ => match name.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((parameter.to_owned(), value)),
                None if is_setting(name) => self.settings.push((name.to_owned(), value)),
                None => return Err(bad("parameter", name)),
            },
        }
        Ok(())
    }

    /// Whether the request names the user and carries the secret.
    pub(crate) fn authenticate(&self, secret: &SecretString) -> Result<(), Exception> {
        let user = self.user.as_deref().filter(|user| !user.is_empty()).unwrap_or(USER);
        let password = self.password.as_deref().unwrap_or_default();
        if user == USER && equal(password.as_bytes(), secret.expose_secret().as_bytes()) {
            return Ok(());
        }
        Err(Exception::new(
            code::AUTHENTICATION_FAILED,
            "AUTHENTICATION_FAILED",
            format_args!(
                "{user}: Authentication failed: password is incorrect, or there is no user with such name"
            ),
        ))
    }

    fn read_headers(&mut self, headers: &HeaderMap) -> Result<(), Exception> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some((user, password)) = text(header::AUTHORIZATION.as_str()).as_deref().and_then(basic) {
            self.user = Some(user);
            self.password = Some(password);
        }
        self.user = text("x-clickhouse-user").or(self.user.take());
        self.password = text("x-clickhouse-key").or(self.password.take());
        self.database = self.database.take().or(text("x-clickhouse-database"));
        self.default_format = self.default_format.take().or(text("x-clickhouse-format"));
        self.query_id = self.query_id.take().or(text("x-clickhouse-query-id")).filter(|id| !id.is_empty());
        if let Some(encoding) = text(header::CONTENT_ENCODING.as_str()) {
            self.packing.encoding = Encoding::parse(&encoding)?;
        }
        Ok(())
    }
}

fn is_setting(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// Compares in a time that does not tell where the first difference is.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn bad(what: &str, value: &str) -> Exception {
    Exception::new(code::BAD_ARGUMENTS, "BAD_ARGUMENTS", format_args!("Invalid {what}: `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn parse(query: &str, headers: &[(&'static str, &str)]) -> Result<Request, Exception> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Request::parse(&format!("/?{query}").parse().unwrap(), &map)
    }

    #[test]
    fn parameters_are_told_from_settings_and_from_the_interfaces_own() {
        let request = parse("query=SELECT+1&param_a=x&max_threads=2&session_id=s&query_id=q", &[]).unwrap();
        assert_eq!(request.query.as_deref(), Some("SELECT 1"));
        assert_eq!(request.parameters, [("a".to_owned(), "x".to_owned())]);
        assert_eq!(request.settings, [("max_threads".to_owned(), "2".to_owned())]);
        assert_eq!(request.session.unwrap().id, "s");
        assert_eq!(parse("a%27b=1", &[]).unwrap_err().code, code::BAD_ARGUMENTS);
    }

    #[test]
    fn the_secret_is_taken_from_every_place_that_clients_put_it() {
        let secret = SecretString::from("s3");
        let basic = format!("Basic {}", BASE64_STANDARD.encode("default:s3"));
        for (query, headers) in [
            ("user=default&password=s3", vec![]),
            ("", vec![("authorization", basic.as_str())]),
            ("", vec![("x-clickhouse-user", "default"), ("x-clickhouse-key", "s3")]),
            ("", vec![("x-clickhouse-key", "s3")]),
        ] {
            parse(query, &headers).unwrap().authenticate(&secret).unwrap();
        }
        for query in ["", "password=s4", "user=root&password=s3"] {
            let refused = parse(query, &[]).unwrap().authenticate(&secret).unwrap_err();
            assert_eq!(refused.code, code::AUTHENTICATION_FAILED);
        }
    }
}
