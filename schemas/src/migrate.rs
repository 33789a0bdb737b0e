//! Brings a store to the schema of this version: numbered `.sql` files, one statement each, idempotent, forward
//! only. A store that a later version has migrated is refused, never touched.

use clickhouse::Client;
use sha2::{Digest, Sha256};

/// The migrations in order. The number of the last one is the schema version.
const MIGRATIONS: &[(u32, &str, &str)] = &[
    (1, "entries", include_str!("../clickhouse/0001_entries.sql")),
    (2, "quarantine", include_str!("../clickhouse/0002_quarantine.sql")),
    (3, "batches", include_str!("../clickhouse/0003_batches.sql")),
    (4, "progress", include_str!("../clickhouse/0004_progress.sql")),
    (5, "commands", include_str!("../clickhouse/0005_commands.sql")),
    (6, "model_rows", include_str!("../clickhouse/0006_model_rows.sql")),
    (7, "api_tokens", include_str!("../clickhouse/0007_api_tokens.sql")),
    (8, "entries_planes", include_str!("../clickhouse/0008_entries_planes.sql")),
    (9, "markups", include_str!("../clickhouse/0009_markups.sql")),
    (10, "accounts", include_str!("../clickhouse/0010_accounts.sql")),
    (11, "owners", include_str!("../clickhouse/0011_owners.sql")),
    (12, "entries_batch_and_reversal", include_str!("../clickhouse/0012_entries_batch_and_reversal.sql")),
    (13, "batches_digests", include_str!("../clickhouse/0013_batches_digests.sql")),
    (14, "repairs", include_str!("../clickhouse/0014_repairs.sql")),
    (15, "quarantine_resolutions", include_str!("../clickhouse/0015_quarantine_resolutions.sql")),
    (16, "invoices", include_str!("../clickhouse/0016_invoices.sql")),
];

/// Schema version that this build of Tollbook works with.
pub const VERSION: u32 = 16;

/// What an answer says where the database itself is not there yet.
const NO_DATABASE: &str = "UNKNOWN_DATABASE";

const CREATE_DATABASE: &str = "CREATE DATABASE IF NOT EXISTS {name:Identifier}";
const CREATE_MIGRATIONS: &str = include_str!("../clickhouse/0000_schema_migrations.sql");
const APPLIED: &str = include_str!("../clickhouse/queries/migrations_applied.sql");
const RECORD: &str = include_str!("../clickhouse/queries/migration_record.sql");
const EXISTS: &str = include_str!("../clickhouse/queries/migrations_exist.sql");

/// Why a store could not be brought to, or is not at, this version's schema.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer, or refused a statement.
    #[error("the store does not do as asked: {what}")]
    Store {
        /// What was asked.
        what: String,
        /// The store's answer.
        #[source]
        source: clickhouse::error::Error,
    },
    /// A later version migrated the store.
    #[error(
        "the store is at schema version {found}, this tollbook knows {VERSION}: use the tollbook that migrated it or a later one"
    )]
    Future {
        /// Version of the store.
        found: u32,
    },
    /// The store lacks migrations.
    #[error(
        "the store is at schema version {found}, this tollbook needs {VERSION}: run `tollbook migrate` first"
    )]
    Behind {
        /// Version of the store; 0 where it has no schema at all.
        found: u32,
    },
    /// A migration that was applied differs from the one in this build.
    #[error(
        "migration {version} ({name}) was applied with another text than this build has; migrations are never edited"
    )]
    Edited {
        /// Number of the migration.
        version: u32,
        /// Its name.
        name: &'static str,
    },
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Applied {
    version: u32,
    checksum: String,
}

/// Creates the database where it is absent and applies what is missing; answers the numbers that it applied.
///
/// # Errors
/// Where the store refuses a statement, or was migrated by a later version.
pub async fn migrate(client: &Client) -> Result<Vec<u32>, Error> {
    if let Some(database) = client.database() {
        // The database cannot be named before it is there.
        client
            .clone()
            .with_database("default")
            .query(CREATE_DATABASE)
            .param("name", database)
            .execute()
            .await
            .map_err(|source| Error::Store { what: format!("create the database `{database}`"), source })?;
    }
    execute(client, CREATE_MIGRATIONS, "create schema_migrations").await?;
    let applied = applied(client).await?;
    let mut done = Vec::new();
    for (version, name, sql) in MIGRATIONS {
        let checksum = checksum(sql);
        match applied.iter().find(|row| row.version == *version) {
            Some(row) if row.checksum == checksum => {}
            Some(_) => return Err(Error::Edited { version: *version, name }),
            None => {
                execute(client, sql, &format!("migration {version} ({name})")).await?;
                client
                    .query(RECORD)
                    .param("version", version)
                    .param("name", name)
                    .param("checksum", checksum)
                    .execute()
                    .await
                    .map_err(|source| Error::Store { what: format!("record migration {version}"), source })?;
                done.push(*version);
            }
        }
    }
    Ok(done)
}

/// Checks, without changing anything, that the store is at this version's schema.
///
/// # Errors
/// Where it is not, or does not answer.
pub async fn check(client: &Client) -> Result<(), Error> {
    let exists = match client.query(EXISTS).fetch_one::<u8>().await {
        Err(clickhouse::error::Error::BadResponse(answer)) if answer.contains(NO_DATABASE) => 0,
        Err(source) => return Err(Error::Store { what: "tell the schema version".into(), source }),
        Ok(exists) => exists,
    };
    if exists == 0 {
        return Err(Error::Behind { found: 0 });
    }
    let found = applied(client).await?.iter().map(|row| row.version).max().unwrap_or(0);
    if found < VERSION { Err(Error::Behind { found }) } else { Ok(()) }
}

async fn applied(client: &Client) -> Result<Vec<Applied>, Error> {
    let rows: Vec<Applied> = client
        .query(APPLIED)
        .fetch_all()
        .await
        .map_err(|source| Error::Store { what: "list its migrations".into(), source })?;
    match rows.iter().map(|row| row.version).max() {
        Some(found) if found > VERSION => Err(Error::Future { found }),
        _ => Ok(rows),
    }
}

async fn execute(client: &Client, sql: &str, what: &str) -> Result<(), Error> {
    // `query_raw` leaves question marks in the text alone.
    client.query_raw(sql).execute().await.map_err(|source| Error::Store { what: what.to_owned(), source })
}

fn checksum(sql: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(sql.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_upwards_to_the_version() {
        let numbers: Vec<u32> = MIGRATIONS.iter().map(|(version, ..)| *version).collect();
        assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
        assert_eq!(numbers.last(), Some(&VERSION));
    }

    #[test]
    fn each_migration_is_one_statement() {
        for (version, name, sql) in MIGRATIONS {
            let statements = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
            assert!(!statements.collect::<String>().contains(';'), "migration {version} ({name})");
        }
    }
}
