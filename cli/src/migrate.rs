//! `tollbook migrate`: the schema, and the first admin token. The only command that writes tables itself.

use anyhow::Context;
use clap::Args;

use crate::options::StoreOptions;
use crate::store;

/// Options of `tollbook migrate`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,
}

/// Migrates and prints what was done.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let url = options.store.url()?;
    let client = store::client(&options.store, url, options.store.clickhouse_password.as_ref());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let done = schemas::migrate::migrate(&client)
            .await
            .with_context(|| format!("migrating the store at {url}"))?;
        if done.is_empty() {
            println!("The store is at schema version {} already.", schemas::migrate::VERSION);
        } else {
            let numbers: Vec<String> = done.iter().map(ToString::to_string).collect();
            println!(
                "Applied migrations {}; the store is at version {}.",
                numbers.join(", "),
                schemas::migrate::VERSION
            );
        }
        if let Some(token) = ::api::first_token::mint_where_none(&client).await? {
            println!("First admin token (shown once, keep it): {token}");
        }
        Ok(())
    })
}
