//! Mints and revokes API tokens.

use ledger::event::Millis;
use schemas::command::{MintToken, RevokeToken};
use schemas::tables::TokenRow;

use super::{CommandMaker, Effect, Place, Refusal};
use crate::source::parse_sha256;

const TOKEN: &str = include_str!("../../../schemas/clickhouse/queries/token_before.sql");

#[derive(clickhouse::Row, serde::Deserialize)]
struct Token {
    name: String,
    secret_hash: [u8; 32],
    scopes: Vec<String>,
    customers: Vec<String>,
    teams: Vec<String>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked: u8,
}

impl CommandMaker {
    pub(super) fn mint(&self, place: &Place<'_>, command: &MintToken) -> Result<Effect, Refusal> {
        if self.token(place, &command.token_id)?.is_some() {
            return Err(Refusal::Refused(format!("token {} exists already", command.token_id)));
        }
        let secret_hash = parse_sha256(&command.secret_hash)
            .ok_or_else(|| Refusal::Refused("secret_hash is not 64 hexadecimal digits".into()))?;
        let mut effect = Effect { detail: format!("token {} minted", command.token_id), ..Effect::default() };
        effect.result = serde_json::json!({ "token_id": command.token_id }).to_string();
        if !place.is_held("api_tokens", 0) {
            effect.tokens.push(&TokenRow {
                origin: place.origin(0),
                token_id: &command.token_id,
                name: &command.name,
                secret_hash,
                scopes: &command.scopes,
                customers: &command.customers,
                teams: &command.teams,
                created_at: place.log_time,
                expires_at: command.expires_at.map(Millis),
                revoked: false,
            });
        }
        Ok(effect)
    }

    pub(super) fn revoke(&self, place: &Place<'_>, command: &RevokeToken) -> Result<Effect, Refusal> {
        let Some(token) = self.token(place, &command.token_id)? else {
            return Err(Refusal::Refused(format!("there is no token {}", command.token_id)));
        };
        let mut effect =
            Effect { detail: format!("token {} revoked", command.token_id), ..Effect::default() };
        effect.result = serde_json::json!({ "token_id": command.token_id }).to_string();
        if token.revoked == 0 && !place.is_held("api_tokens", 0) {
            effect.tokens.push(&TokenRow {
                origin: place.origin(0),
                token_id: &command.token_id,
                name: &token.name,
                secret_hash: token.secret_hash,
                scopes: &token.scopes,
                customers: &token.customers,
                teams: &token.teams,
                created_at: Millis(token.created_at),
                expires_at: token.expires_at.map(Millis),
                revoked: true,
            });
        }
        Ok(effect)
    }

    /// A token's state before this command; where it was minted by the migration, that is its state.
    fn token(&self, place: &Place<'_>, token_id: &str) -> Result<Option<Token>, Refusal> {
        let query = self.store.sequential(TOKEN);
        Ok(self.store.block_on(
            query
                .param("topic", place.partition.topic.as_ref())
                .param("offset", place.offset)
                .param("token_id", token_id)
                .fetch_optional(),
        )?)
    }
}
