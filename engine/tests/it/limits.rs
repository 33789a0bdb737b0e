//! Goal: what is too much is refused or waits, and the engine lives on.

use crate::support::{Engine, assert_code, eventually, running};
use anyhow::Result;
use clickhouse::Compression;
use tempfile::tempdir;

const HUNGRY: &str = "SELECT length(groupArray(number)) FROM numbers(1000000000)";

#[tokio::test]
async fn a_statement_beyond_the_memory_bound_fails_alone() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start_with(&folder, &["--memory-mib-max", "700"])?;
    let client = engine.client();
    assert_code(&client.query(HUNGRY).execute().await, 241);
    assert_eq!(client.query("SELECT 1").fetch_one::<u8>().await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_document_beyond_its_bound_is_refused() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let query =
        engine.client().query("SELECT number FROM numbers(100000000)").fetch_bytes("JSON")?.next().await;
    assert_code(&query, 396);
    Ok(())
}

#[tokio::test]
async fn selects_run_beside_an_insert_that_is_under_way() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start_with(&folder, &["--selects-max", "2", "--inserts-max", "1"])?;
    let client = engine.client();
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    let mut insert = client
        .clone()
        .with_compression(Compression::None)
        .insert_formatted_with("INSERT INTO t FORMAT TSV")
        .with_setting("query_id", "insert 1");
    insert.send("1\n".into()).await?;
    eventually(async || Ok(running(&client, "insert ").await? == 1)).await?;
    let selects = (0..20_u64).map(|number| {
        client.query("SELECT sum(number) + ? FROM numbers(100000)").bind(number).fetch_one::<u64>()
    });
    let sums = futures::future::try_join_all(selects).await?;
    assert_eq!(sums, (0..20).map(|number| 4_999_950_000 + number).collect::<Vec<u64>>());
    assert_eq!(running(&client, "insert ").await?, 1);
    insert.send("2\n".into()).await?;
    insert.end().await?;
    assert_eq!(running(&client, "insert ").await?, 0);
    assert_eq!(client.query("SELECT count() FROM t").fetch_one::<u64>().await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_query_id_runs_once_at_a_time() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client();
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    let mut insert =
        client.insert_formatted_with("INSERT INTO t FORMAT TSV").with_setting("query_id", "the one");
    insert.send("1\n".into()).await?;
    eventually(async || Ok(running(&client, "the one").await? == 1)).await?;
    assert_code(&client.query("SELECT 1").with_setting("query_id", "the one").execute().await, 216);
    insert.end().await?;
    client.query("SELECT 1").with_setting("query_id", "the one").execute().await?;
    Ok(())
}
