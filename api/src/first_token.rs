//! The very first admin token, minted beside the schema where a store has no token at all: without it nobody could
//! ask for a command. Every later token is minted by one.

use clickhouse::Client;
use ledger::event::Millis;
use schemas::columns::Table;
use schemas::tables::{ApiTokens, Origin, TokenRow};
use sha2::{Digest, Sha256};

use crate::auth::PREFIX;
use crate::error::Problem;
use crate::{commands, tokens};

/// The topic that the row bears, as if a command had made it.
const TOPIC: &str = "migrate";
/// The lease of the row, in milliseconds.
const LEASE_MS: i64 = 60_000;

/// Why no token could be minted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer.
    #[error("the store refused to be asked for tokens or to keep the first one")]
    Store(#[from] clickhouse::error::Error),
    /// The system has no randomness.
    #[error("no token can be drawn: {}", .0.detail)]
    Random(Problem),
}

/// Mints an admin token where the store has none; answers its text, which is kept nowhere else.
///
/// # Errors
/// Where the store does not answer, or the system has no randomness.
pub async fn mint_where_none(store: &Client) -> Result<Option<String>, Error> {
    let (known, now): (u64, i64) =
        store.query(include_str!("../../schemas/clickhouse/queries/tokens_known.sql")).fetch_one().await?;
    if known > 0 {
        return Ok(None);
    }
    let token_id = commands::new_id("").map_err(Error::Random)?;
    let token = format!("{PREFIX}{token_id}_{}", tokens::secret().map_err(Error::Random)?);
    let mut rows = ApiTokens::default();
    rows.push(&TokenRow {
        origin: Origin { topic: TOPIC, partition: 0, offset: 0, ordinal: 0 },
        token_id: &token_id,
        name: "first admin token",
        secret_hash: Sha256::digest(token.as_bytes()).into(),
        scopes: &["admin".to_owned()],
        customers: &[],
        teams: &[],
        created_at: Millis(now),
        expires_at: None,
        revoked: false,
    });
    let mut insert =
        store.insert_formatted_with("INSERT INTO api_tokens FORMAT Native").with_setting("async_insert", "0");
    for chunk in rows.take_block(Millis(now.saturating_add(LEASE_MS))) {
        insert.send(chunk).await?;
    }
    insert.end().await?;
    Ok(Some(token))
}
