//! `/v1/tokens`: mints, lists, rotates and revokes API tokens. A token's text is made here from 32 random bytes and shown
//! once; what goes to the log and the store is its SHA-256.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use schemas::caller::{Caller, Scope};
use schemas::command::{Command, MintToken, RevokeToken, RotateToken};
use schemas::queries;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{PREFIX, TokenRow, Unbound, digest};
use crate::body::Body;
use crate::bounds::Values;
use crate::commands::{self, Reach};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::rfc3339;
use crate::router::Service;

const NAME_CHARS_MAX: usize = 128;
const BOUND_MAX: usize = 1_000;
const OVERLAP_HOURS_DEFAULT: u32 = 24;
const OVERLAP_HOURS_MAX: u32 = 720;
const HOUR_MS: i64 = 3_600_000;

/// Answer of `GET /v1/tokens`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// In the order in which they were minted.
    pub rows: Vec<Token>,
}

/// A token, without its text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Public id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Any of `ingest`, `read`, `admin`.
    pub scopes: Vec<String>,
    /// Customers it is bound to; empty where it is not bound to customers.
    pub customers: Vec<String>,
    /// Teams it is bound to; empty where it is not bound to teams.
    pub teams: Vec<String>,
    /// When it was minted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it stops working; null for never.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Whether it has been revoked.
    pub revoked: bool,
}

/// Body of `POST /v1/tokens`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Minting {
    /// What it is for.
    name: String,
    /// Any of `ingest`, `read`, `admin`.
    scopes: Vec<String>,
    /// Customers to bind it to.
    #[serde(default)]
    customers: Vec<String>,
    /// Teams to bind it to.
    #[serde(default)]
    teams: Vec<String>,
    /// When it stops working, an instant with its offset.
    #[serde(default)]
    expires_at: Option<String>,
}

/// Body of `POST /v1/tokens/{id}/rotate`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// Hours for which the old token works on, 0 to 720; 24 by default.
    #[serde(default)]
    #[schema(maximum = 720)]
    overlap_hours: Option<u32>,
    /// When the new one stops working, an instant with its offset; never by default.
    #[serde(default)]
    expires_at: Option<String>,
}

/// Answer of `POST /v1/tokens` and `POST /v1/tokens/{id}/rotate`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Minted {
    /// Public id.
    pub id: String,
    /// The token itself; it is shown this once and stored nowhere.
    pub token: String,
    /// The change that minted it.
    pub operation: String,
    /// Whether it works already; else it will within moments.
    pub applied: bool,
}

/// Answer of `DELETE /v1/tokens/{id}`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// Public id.
    pub id: String,
    /// The change that revoked it.
    pub operation: String,
    /// Whether it is revoked already; else it will be within moments.
    pub applied: bool,
}

/// All tokens, without their texts.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", responses((status = 200, body = Tokens)), security(("token" = [])))]
pub(crate) async fn list(
    State(service): State<Service>,
    _caller: Unbound,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Tokens>, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let rows: Vec<TokenRow> = service.store.open(queries::TOKENS, Values::default()).await?;
    Ok(Json(Tokens { rows: rows.into_iter().map(shown).collect() }))
}

/// Mints a token and shows its text, this once.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", request_body = Minting,
    responses((status = 201, body = Minted), (status = 202, body = Minted), (status = 400, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn mint(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Body(minting): Body<Minting>,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let expires_at = minting.check(Timestamp::now())?;
    let minted = |token_id, secret_hash| {
        Command::MintToken(MintToken {
            token_id,
            name: minting.name,
            secret_hash,
            scopes: minting.scopes,
            customers: minting.customers,
            teams: minting.teams,
            expires_at,
        })
    };
    put_into_force(&service, &caller, minted).await
}

/// Makes a token's id and text, sends the command that `minted` makes of the id and the text's hash, and shows the
/// text.
async fn put_into_force(
    service: &Service,
    caller: &Caller,
    minted: impl FnOnce(String, String) -> Command,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    let token_id = commands::new_id("")?;
    let token = format!("{PREFIX}{token_id}_{}", secret()?);
    let command = minted(token_id.clone(), digest(&token));
    let operation = commands::change(service, caller, &command, Reach::Tables).await?;
    service.tokens.forget().await;
    let applied = operation.state == commands::State::Applied;
    let status = if applied { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(Minted { id: token_id, token, operation: operation.id, applied })))
}

/// Mints a token with the name, scopes and bounds of another, which works on for a while, so that whoever uses it can
/// change over without a gap.
#[utoipa::path(
    post, path = "/v1/tokens/{id}/rotate", tag = "tokens", request_body = Rotation,
    params(("id" = String, Path, description = "Public id of the token to replace")),
    responses((status = 201, body = Minted), (status = 202, body = Minted), (status = 404, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn rotate(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    Body(rotation): Body<Rotation>,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let now = Timestamp::now();
    let old_expires_at = rotation.old_expires_at(now)?;
    let expires_at = rotation.expires_at.as_deref().map(|text| expiry(text, now)).transpose()?;
    known(&service, &id).await?;
    let minted = |token_id: String, secret_hash| {
        Command::RotateToken(RotateToken {
            token_id: id,
            new_token_id: token_id,
            secret_hash,
            old_expires_at,
            expires_at,
        })
    };
    put_into_force(&service, &caller, minted).await
}

/// Revokes a token; it stops working within seconds.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "Public id of the token")),
    responses((status = 200, body = Revoked), (status = 202, body = Revoked), (status = 404, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn revoke(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Revoked>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    known(&service, &id).await?;
    let command = Command::RevokeToken(RevokeToken { token_id: id.clone() });
    let operation = commands::change(&service, &caller, &command, Reach::Tables).await?;
    service.tokens.forget().await;
    let applied = operation.state == commands::State::Applied;
    let status = if applied { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Revoked { id, operation: operation.id, applied })))
}

/// Whether there is such a token.
async fn known(service: &Service, id: &str) -> Result<(), Problem> {
    let rows: Vec<TokenRow> = service.store.open(queries::TOKENS, Values::default()).await?;
    if rows.iter().any(|row| row.token_id == id) {
        Ok(())
    } else {
        Err(Problem::not_found("token of that id"))
    }
}

impl Rotation {
    /// When the old token stops working, in milliseconds since 1970.
    fn old_expires_at(&self, now: Timestamp) -> Result<i64, Problem> {
        let hours = self.overlap_hours.unwrap_or(OVERLAP_HOURS_DEFAULT);
        if hours > OVERLAP_HOURS_MAX {
            let detail = format!("`overlap_hours` is at most {OVERLAP_HOURS_MAX}, which is 30 days");
            return Err(Problem::parameter("overlap_hours", detail));
        }
        Ok(now.as_millisecond().saturating_add(i64::from(hours) * HOUR_MS))
    }
}

impl Minting {
    /// Whether such a token can be; answers its expiry in milliseconds since 1970.
    fn check(&self, now: Timestamp) -> Result<Option<i64>, Problem> {
        if self.name.is_empty() || self.name.chars().count() > NAME_CHARS_MAX {
            return Err(Problem::parameter("name", format!("`name` has 1 to {NAME_CHARS_MAX} characters")));
        }
        let scopes: Option<Vec<Scope>> = self.scopes.iter().map(|name| Scope::parse(name)).collect();
        let scopes = scopes.filter(|scopes| !scopes.is_empty()).ok_or_else(|| {
            Problem::parameter("scopes", "`scopes` names at least one scope and no others")
                .allowed(Scope::ALL.iter().map(|scope| scope.name()))
        })?;
        for (field, names) in [("customers", &self.customers), ("teams", &self.teams)] {
            if names.len() > BOUND_MAX || names.iter().any(String::is_empty) {
                return Err(Problem::parameter(
                    field,
                    format!("`{field}` has up to {BOUND_MAX} names, none empty"),
                ));
            }
        }
        if scopes.contains(&Scope::Admin) && !(self.customers.is_empty() && self.teams.is_empty()) {
            return Err(Problem::parameter(
                "scopes",
                "a token that is bound to customers or teams cannot have the scope `admin`, which concerns all",
            )
            .allowed(["ingest", "read"]));
        }
        self.expires_at.as_deref().map(|text| expiry(text, now)).transpose()
    }
}

fn expiry(text: &str, now: Timestamp) -> Result<i64, Problem> {
    let refused = |detail: &str| {
        Problem::parameter("expires_at", detail)
            .allowed(["an instant to come, with its offset (RFC 3339), for example `2027-01-01T00:00:00Z`"])
    };
    let instant: Timestamp = text.parse().map_err(|_| refused("`expires_at` is not an instant"))?;
    if instant <= now {
        return Err(refused("`expires_at` has passed"));
    }
    Ok(instant.as_millisecond())
}

pub(crate) fn secret() -> Result<String, Problem> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(error = error.to_string(), "The system has no random bytes");
        Problem::internal()
    })?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn shown(row: TokenRow) -> Token {
    Token {
        id: row.token_id,
        name: row.token_name,
        scopes: row.scope_names,
        customers: row.customer_ids,
        teams: row.team_ids,
        created_at: rfc3339(row.created_ms),
        expires_at: Some(row.expires_ms).filter(|millis| *millis >= 0).map(rfc3339),
        revoked: row.is_revoked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> Option<String> {
        let minting: Minting = serde_json::from_str(body).unwrap();
        minting.check("2026-11-24T00:00:00Z".parse().unwrap()).err().and_then(|problem| problem.parameter)
    }

    #[test]
    fn what_a_token_cannot_be_is_refused_by_field() {
        for (body, field) in [
            (r#"{"name":"","scopes":["read"]}"#, "name"),
            (r#"{"name":"a","scopes":[]}"#, "scopes"),
            (r#"{"name":"a","scopes":["write"]}"#, "scopes"),
            (r#"{"name":"a","scopes":["read"],"customers":[""]}"#, "customers"),
            (r#"{"name":"a","scopes":["read","admin"],"teams":["t"]}"#, "scopes"),
            (r#"{"name":"a","scopes":["read"],"expires_at":"2026-11-23T00:00:00Z"}"#, "expires_at"),
            (r#"{"name":"a","scopes":["read"],"expires_at":"2027-01-01"}"#, "expires_at"),
        ] {
            assert_eq!(refused(body).as_deref(), Some(field), "{body}");
        }
        assert_eq!(refused(r#"{"name":"a","scopes":["read"],"teams":["t"]}"#), None);
    }

    #[test]
    fn a_secret_has_43_characters_of_base64url() {
        let secret = secret().unwrap();
        assert_eq!(secret.len(), 43);
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }
}
