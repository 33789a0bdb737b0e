//! The ClickHouse client that the options name.

use std::time::Duration;

use clickhouse::Client;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;

use crate::options::StoreOptions;

/// A client of the store at `url`.
pub(crate) fn client(options: &StoreOptions, url: &str, password: Option<&SecretString>) -> Client {
    let mut client = Client::default()
        .with_url(url)
        .with_database(&options.clickhouse_database)
        .with_user(&options.clickhouse_user)
        // Every schema of ours is known at build time, so the crate need not ask for it before each insert.
        .with_compression(clickhouse::Compression::None);
    if let Some(password) = password {
        client = client.with_password(password.expose_secret());
    }
    client
}

/// Pause between two looks at a store that is not there yet.
const RETRY: Duration = Duration::from_secs(1);

/// Waits for the store, and checks that it has this version's schema.
///
/// # Errors
/// Where the store answers and has another schema; a store that does not answer is waited for.
pub(crate) fn wait_until_migrated(runtime: &Runtime, client: &Client, url: &str) -> anyhow::Result<()> {
    loop {
        match runtime.block_on(schemas::migrate::check(client)) {
            Ok(()) => return Ok(()),
            Err(schemas::migrate::Error::Store {
                source: clickhouse::error::Error::BadResponse(answer),
                what,
            }) => {
                anyhow::bail!("the store was asked to {what} and answered: {answer}");
            }
            Err(error @ schemas::migrate::Error::Store { .. }) => {
                tracing::warn!("Waiting for the store at {url}: {}", ingest::worker::chain(&error));
                std::thread::sleep(RETRY);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
