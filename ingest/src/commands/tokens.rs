//! Mints, rotates and revokes API tokens.

use ledger::event::Millis;
use schemas::command::{MintToken, RevokeToken, RotateToken};
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
        let secret_hash = secret_hash(&command.secret_hash)?;
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
        let token = self.known_token(place, &command.token_id)?;
        let mut effect =
            Effect { detail: format!("token {} revoked", command.token_id), ..Effect::default() };
        effect.result = serde_json::json!({ "token_id": command.token_id }).to_string();
        if token.revoked == 0 && !place.is_held("api_tokens", 0) {
            let row = token.row(place, 0, &command.token_id);
            effect.tokens.push(&TokenRow { revoked: true, ..row });
        }
        Ok(effect)
    }

    pub(super) fn rotate(&self, place: &Place<'_>, command: &RotateToken) -> Result<Effect, Refusal> {
        let RotateToken { token_id, new_token_id, old_expires_at, expires_at, .. } = command;
        let token = self.known_token(place, token_id)?;
        if token.revoked != 0 {
            return Err(Refusal::Refused(format!("token {token_id} is revoked; mint a new one")));
        }
        if self.token(place, new_token_id)?.is_some() {
            return Err(Refusal::Refused(format!("token {new_token_id} exists already")));
        }
        let secret_hash = secret_hash(&command.secret_hash)?;
        let old_expires_at = token.expires_at.map_or(*old_expires_at, |at| at.min(*old_expires_at));
        let mut effect =
            Effect { detail: format!("token {new_token_id} replaces {token_id}"), ..Effect::default() };
        effect.result = serde_json::json!({
            "token_id": new_token_id, "replaces": token_id, "old_expires_at_ms": old_expires_at,
        })
        .to_string();
        if !place.is_held("api_tokens", 0) {
            effect.tokens.push(&TokenRow {
                secret_hash,
                created_at: place.log_time,
                expires_at: expires_at.map(Millis),
                ..token.row(place, 0, new_token_id)
            });
        }
        if !place.is_held("api_tokens", 1) {
            let row = token.row(place, 1, token_id);
            effect.tokens.push(&TokenRow { expires_at: Some(Millis(old_expires_at)), ..row });
        }
        Ok(effect)
    }

    fn known_token(&self, place: &Place<'_>, token_id: &str) -> Result<Token, Refusal> {
        self.token(place, token_id)?.ok_or_else(|| Refusal::Refused(format!("there is no token {token_id}")))
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

impl Token {
    /// The token as it is, as a row of this command.
    fn row<'a>(&'a self, place: &'a Place<'_>, ordinal: u32, token_id: &'a str) -> TokenRow<'a> {
        TokenRow {
            origin: place.origin(ordinal),
            token_id,
            name: &self.name,
            secret_hash: self.secret_hash,
            scopes: &self.scopes,
            customers: &self.customers,
            teams: &self.teams,
            created_at: Millis(self.created_at),
            expires_at: self.expires_at.map(Millis),
            revoked: self.revoked != 0,
        }
    }
}

fn secret_hash(text: &str) -> Result<[u8; 32], Refusal> {
    parse_sha256(text).ok_or_else(|| Refusal::Refused("secret_hash is not 64 hexadecimal digits".into()))
}
