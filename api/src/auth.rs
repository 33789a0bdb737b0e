//! Who calls: a bearer token is looked up by its SHA-256 among the present states of all tokens, which are read
//! again each second, so that a revocation takes effect within seconds. Puts a [`Caller`] into the request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use clickhouse::Row;
use jiff::Timestamp;
use schemas::caller::{Caller, Scope};
use schemas::queries;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::bounds::Values;
use crate::error::Problem;
use crate::router::Service;
use crate::store::Store;

/// A sight of the tokens older than this is read again.
const FRESH: Duration = Duration::from_secs(1);
/// Tokens that nobody knows make the store be asked no more often than this.
const PAUSE: Duration = Duration::from_millis(100);
/// While the store does not answer, a sight up to this age still holds.
const STALE_MAX: Duration = Duration::from_secs(5);
/// The store has this long to answer; requests wait for it one behind the other.
const READ_MAX: Duration = Duration::from_secs(3);
/// After it did not, it is asked again no sooner than this.
const RETRY: Duration = Duration::from_millis(500);
/// What a token's text begins with.
pub(crate) const PREFIX: &str = "tb_";
/// Characters of a token's secret: 32 bytes in base64url.
const SECRET_CHARS: usize = 43;

/// The caller behind a request that passed [`require`].
#[derive(Clone, Debug)]
pub(crate) struct Authenticated(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().map(Self).ok_or_else(unauthorized)
    }
}

/// A caller that sees every row; one that is bound to customers or teams is refused.
#[derive(Clone, Debug)]
pub(crate) struct Unbound(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Unbound {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        if caller.is_bound() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "The token may not do this",
                "this call concerns all customers and teams; it needs a token that is bound to none",
            ));
        }
        Ok(Self(caller))
    }
}

/// One token as its row of the present states.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) token_id: String,
    pub(crate) token_name: String,
    pub(crate) digest: String,
    pub(crate) scope_names: Vec<String>,
    pub(crate) customer_ids: Vec<String>,
    pub(crate) team_ids: Vec<String>,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: i64,
    pub(crate) is_revoked: bool,
}

/// The tokens by the SHA-256 of their text, as last read.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Arc<Mutex<Sight>>);

#[derive(Default)]
struct Sight {
    read_at: Option<Instant>,
    failed_at: Option<Instant>,
    tokens: HashMap<String, TokenRow>,
}

impl Tokens {
    /// The token of that text, where it is valid now.
    async fn find(&self, store: &Store, text: &str) -> Result<Option<Caller>, Problem> {
        if !is_token(text) {
            return Ok(None);
        }
        let (digest, arrived) = (digest(text), Instant::now());
        loop {
            let mut sight = self.0.lock().await;
            let is_known = sight.tokens.contains_key(&digest);
            // A token that is not known may have been minted since; only a sight newer than the request tells.
            let is_fresh = sight.read_at.is_some_and(|at| at > arrived || (is_known && at.elapsed() < FRESH));
            if is_fresh {
                return Ok(sight.caller(&digest));
            }
            let rest = sight.read_at.and_then(|at| PAUSE.checked_sub(at.elapsed())).filter(|_| !is_known);
            match rest {
                // Whoever guesses tokens waits, and nobody waits behind him.
                Some(rest) => {
                    drop(sight);
                    tokio::time::sleep(rest).await;
                }
                None => {
                    sight.refresh(store).await?;
                    return Ok(sight.caller(&digest));
                }
            }
        }
    }

    /// Makes the next request read the tokens again.
    pub(crate) async fn forget(&self) {
        self.0.lock().await.read_at = None;
    }
}

impl Sight {
    fn caller(&self, digest: &str) -> Option<Caller> {
        let now = Timestamp::now().as_millisecond();
        self.tokens.get(digest).filter(|token| token.is_valid(now)).map(TokenRow::caller)
    }

    /// Reads the tokens. While the store does not answer, the last sight holds for a moment.
    async fn refresh(&mut self, store: &Store) -> Result<(), Problem> {
        if self.failed_at.is_none_or(|at| at.elapsed() > RETRY) {
            // What is minted while the store reads may be missing.
            let began = Instant::now();
            let read = store.open::<TokenRow>(queries::TOKENS, Values::default());
            if let Ok(Ok(rows)) = tokio::time::timeout(READ_MAX, read).await {
                self.tokens = rows.into_iter().map(|row| (row.digest.clone(), row)).collect();
                self.read_at = Some(began);
                self.failed_at = None;
                return Ok(());
            }
            self.failed_at = Some(Instant::now());
        }
        if self.read_at.is_some_and(|at| at.elapsed() < STALE_MAX) {
            return Ok(());
        }
        Err(Problem::unavailable("the store does not answer, so tokens cannot be checked; try again"))
    }
}

impl TokenRow {
    /// Whether the token works at that instant.
    pub(crate) fn is_valid(&self, now_ms: i64) -> bool {
        !self.is_revoked && (self.expires_ms < 0 || now_ms < self.expires_ms)
    }

    fn caller(&self) -> Caller {
        Caller {
            token_id: self.token_id.clone(),
            scopes: self.scope_names.iter().filter_map(|name| Scope::parse(name)).collect(),
            customers: self.customer_ids.clone(),
            teams: self.team_ids.clone(),
        }
    }
}

/// The SHA-256 of a token's text, in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What a layer of [`require`] knows: the service and the scope that its routes need.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) service: Service,
    pub(crate) scopes: &'static [Scope],
}

/// Lets a request pass whose token has one of the gate's scopes.
pub(crate) async fn require(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let text = bearer(request.headers()).ok_or_else(unauthorized)?;
    let caller = gate.service.tokens.find(&gate.service.store, text).await?.ok_or_else(unauthorized)?;
    if !gate.scopes.iter().any(|scope| caller.may(*scope)) {
        let names: Vec<&str> = gate.scopes.iter().map(|scope| scope.name()).collect();
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The token may not do this",
            format!("this call needs a token with the scope `{}`", names.join("` or `")),
        ));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_token(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    let Some(split) = rest.len().checked_sub(SECRET_CHARS + 1) else { return false };
    rest.is_ascii() && split > 0 && rest.as_bytes().get(split) == Some(&b'_')
}

fn unauthorized() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "No valid token",
        "send `Authorization: Bearer <token>` with a token that is neither revoked nor expired",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_cannot_be_a_token_is_never_looked_up() {
        let secret = "A".repeat(SECRET_CHARS);
        assert!(is_token(&format!("tb_abc_{secret}")));
        assert!(is_token(&format!("tb_a_{}", "_-".repeat(21) + "_")));
        for text in ["", "tb_", "tb__", "tb_abc", &format!("tb_{secret}"), &format!("tb__{secret}"), "sk-abc"]
        {
            assert!(!is_token(text), "{text}");
        }
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        let headers = |value: &str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&headers("bearer x")), Some("x"));
        assert_eq!(bearer(&headers("Basic x")), None);
        assert_eq!(bearer(&headers("x")), None);
    }

    #[test]
    fn a_token_ends_at_its_expiry_and_with_its_revocation() {
        let token = TokenRow {
            token_id: "t".to_owned(),
            token_name: String::new(),
            digest: String::new(),
            scope_names: vec!["read".to_owned()],
            customer_ids: Vec::new(),
            team_ids: Vec::new(),
            created_ms: 0,
            expires_ms: 1000,
            is_revoked: false,
        };
        assert!(token.is_valid(999));
        assert!(!token.is_valid(1000));
        assert!(TokenRow { expires_ms: -1, ..token.clone() }.is_valid(i64::MAX));
        assert!(!TokenRow { is_revoked: true, ..token }.is_valid(0));
    }
}
