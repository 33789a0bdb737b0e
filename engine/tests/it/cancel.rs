//! Goal: a statement ends when its client goes or another client kills it, and leaves nothing behind.

use crate::support::{Engine, eventually, running};
use anyhow::Result;
use clickhouse::Compression;
use tempfile::tempdir;

const ENDLESS: &str = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 7";

#[tokio::test]
async fn a_select_ends_when_its_client_goes() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client();
    let endless = client.query(ENDLESS).with_setting("query_id", "endless 1");
    let endless = tokio::spawn(async move { endless.fetch_one::<u64>().await });
    eventually(async || Ok(running(&client, "endless").await? == 1)).await?;
    endless.abort();
    eventually(async || Ok(running(&client, "endless").await? == 0)).await
}

#[tokio::test]
async fn a_streaming_select_ends_when_its_client_goes() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client();
    let query =
        client.query("SELECT number FROM numbers(1000000000000)").with_setting("query_id", "stream 1");
    let mut cursor = query.fetch::<u64>()?;
    assert_eq!(cursor.next().await?, Some(0));
    assert_eq!(running(&client, "stream").await?, 1);
    drop(cursor);
    eventually(async || Ok(running(&client, "stream").await? == 0)).await
}

#[tokio::test]
async fn an_insert_whose_client_goes_leaves_no_row() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client().with_compression(Compression::None);
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    let mut insert =
        client.insert_formatted_with("INSERT INTO t FORMAT TSV").with_setting("query_id", "insert 1");
    insert.send("1\n2\n".into()).await?;
    eventually(async || Ok(running(&client, "insert").await? == 1)).await?;
    drop(insert);
    eventually(async || Ok(running(&client, "insert").await? == 0)).await?;
    assert_eq!(client.query("SELECT count() FROM t").fetch_one::<u64>().await?, 0);
    Ok(())
}

#[tokio::test]
async fn kill_query_frees_the_place_of_a_select_that_nobody_reads() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start_with(&folder, &["--selects-max", "1"])?;
    let client = engine.client();
    let query = client.query("SELECT number FROM numbers(1000000000000)").with_setting("query_id", "stalled");
    let mut cursor = query.fetch::<u64>()?;
    assert_eq!(cursor.next().await?, Some(0));
    client.query("KILL QUERY WHERE query_id = 'stalled' SYNC").execute().await?;
    assert_eq!(running(&client, "stalled").await?, 0);
    assert_eq!(client.query("SELECT 1").fetch_one::<u8>().await?, 1);
    // What was on its way is still read; then comes the error, not an end.
    while cursor.next().await.inspect_err(|error| assert!(error.to_string().contains("Code: 394."))).is_ok() {
    }
    Ok(())
}

#[tokio::test]
async fn kill_query_reaches_selects_and_inserts_by_id_and_by_prefix() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client().with_compression(Compression::None);
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    for condition in ["query_id = 'work/1'", "startsWith(query_id, 'work/')", "query_id LIKE 'work/%'"] {
        let endless = client.query(ENDLESS).with_setting("query_id", "work/1");
        let endless = tokio::spawn(async move { endless.fetch_one::<u64>().await });
        eventually(async || Ok(running(&client, "work/").await? == 1)).await?;
        client.query(&format!("KILL QUERY WHERE {condition} SYNC")).execute().await?;
        assert_eq!(running(&client, "work/").await?, 0);
        let error = endless.await?.unwrap_err();
        assert!(error.to_string().contains("Code: 394."), "{error}");
    }
    let mut insert =
        client.insert_formatted_with("INSERT INTO t FORMAT TSV").with_setting("query_id", "work/2");
    insert.send("1\n".into()).await?;
    eventually(async || Ok(running(&client, "work/").await? == 1)).await?;
    client.query("KILL QUERY WHERE query_id = {id:String}").param("id", "work/2").execute().await?;
    let error = insert.end().await.unwrap_err();
    assert!(error.to_string().contains("Code: 394."), "{error}");
    assert_eq!(client.query("SELECT count() FROM t").fetch_one::<u64>().await?, 0);
    Ok(())
}
