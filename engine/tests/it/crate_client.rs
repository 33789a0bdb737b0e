//! Goal: the `clickhouse` crate, unmodified, works as with a server. Method: the calls of its manual.

use crate::support::{Engine, assert_code};
use anyhow::{Context, Result};
use clickhouse::{Client, Compression, Row};
use serde::{Deserialize, Serialize};
use tempfile::tempdir;

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Line {
    id: u64,
    name: String,
    amount: i128,
    at: i64,
    tags: Vec<String>,
    note: Option<String>,
}

fn line(id: u64) -> Line {
    Line {
        id,
        name: if id.is_multiple_of(2) { "even" } else { "odd" }.into(),
        amount: i128::from(id) * 1_000_000_000_000_000_000 + 5,
        at: 1_767_225_600_123,
        tags: vec!["a;b".into(), "\n\n".into()],
        note: (id == 0).then(|| "first".into()),
    }
}

async fn create_lines(client: &Client) -> Result<()> {
    client
        .query(
            "CREATE TABLE lines (id UInt64, name LowCardinality(String), amount Decimal(38, 18), \
             at DateTime64(3, 'UTC'), tags Array(String), note Nullable(String)) ENGINE = MergeTree ORDER BY id",
        )
        .execute()
        .await?;
    Ok(())
}

async fn insert_lines(client: &Client, ids: std::ops::Range<u64>) -> Result<()> {
    let mut insert = client.insert::<Line>("lines").await?;
    for id in ids {
        insert.write(&line(id)).await?;
    }
    insert.end().await?;
    Ok(())
}

#[tokio::test]
async fn rows_come_back_as_they_were_inserted() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    for (table, client) in
        [("packed", engine.client()), ("plain", engine.client().with_compression(Compression::None))]
    {
        create_lines(&client).await?;
        insert_lines(&client, 0..10_000).await?;
        let lines: Vec<Line> = client.query("SELECT ?fields FROM lines ORDER BY id").fetch_all().await?;
        assert_eq!(lines.len(), 10_000, "{table}");
        assert!(lines.iter().zip(0..).all(|(got, id)| *got == line(id)), "{table}");
        client.query("DROP TABLE lines SYNC").execute().await?;
    }
    Ok(())
}

#[tokio::test]
async fn values_are_bound_by_the_client_and_by_the_server() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client();
    let nasty = "it's \\ {x:String} ? -- ;\n\t";
    let bound: String = client.query("SELECT ?").bind(nasty).fetch_one().await?;
    assert_eq!(bound, nasty);
    let (text, sum): (String, u64) = client
        .query("SELECT {text:String}, arraySum({numbers:Array(UInt64)})")
        .param("text", nasty)
        .param("numbers", vec![1_u64, 2, 3])
        .fetch_one()
        .await?;
    assert_eq!((text.as_str(), sum), (nasty, 6));
    Ok(())
}

#[tokio::test]
async fn a_large_result_streams_with_one_header() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let mut cursor = engine.client().query("SELECT number FROM numbers(1000000)").fetch::<u64>()?;
    let (mut rows, mut sum) = (0_u64, 0_u64);
    while let Some(number) = cursor.next().await? {
        rows += 1;
        sum += number;
    }
    assert_eq!((rows, sum), (1_000_000, 499_999_500_000));
    Ok(())
}

#[tokio::test]
async fn formats_with_a_header_have_it_once_however_many_pieces_come() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    for (format, header) in [("CSVWithNames", "\"a\nb\"\n"), ("TSVWithNamesAndTypes", "a\\nb\nUInt64\n")] {
        let query = engine.client().query("SELECT number AS `a\nb` FROM numbers(200000)");
        let mut cursor = query.fetch_bytes(format)?;
        let text = String::from_utf8(cursor.collect().await?.to_vec())?;
        let rows = text.strip_prefix(header).with_context(|| format!("{format}: {:?}", &text[..20]))?;
        let expected: String = (0..200_000).map(|number| format!("{number}\n")).collect();
        assert!(rows == expected, "{format}");
    }
    Ok(())
}

#[tokio::test]
async fn errors_carry_the_code_of_the_server() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client();
    assert_code(&client.query("SELECT * FROM missing").execute().await, 60);
    assert_code(&client.query("SELEC 1").execute().await, 62);
    assert_code(&client.query("SELECT 1").with_setting("no_such_setting", "1").execute().await, 115);
    assert_code(&client.query("SELECT 1").with_setting("max_threads", "many").execute().await, 27);
    let mut insert = client.insert_formatted_with("INSERT INTO missing FORMAT TSV");
    let _ = insert.send("1\n".into()).await;
    assert_code(&insert.end().await, 60);
    Ok(())
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_result_is_an_error_and_not_an_end() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let mut cursor = engine
        .client()
        .query("SELECT number + throwIf(number = 900000)::UInt64 FROM numbers(1000000)")
        .with_setting("max_block_size", "1000")
        .with_setting("max_threads", "1")
        .fetch::<u64>()?;
    let mut rows = 0;
    let error = loop {
        match cursor.next().await {
            Ok(Some(_)) => rows += 1,
            Ok(None) => panic!("the result ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(rows > 0, "the error came before any row");
    assert!(error.to_string().contains("Code: 395."), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_native_insert_of_100_000_wide_rows_is_one_part() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client().with_compression(Compression::None);
    let columns: Vec<String> = (0..50).map(|column| format!("c{column} UInt64")).collect();
    let create = format!("CREATE TABLE wide ({}) ENGINE = MergeTree ORDER BY c0", columns.join(", "));
    client.query(&create).execute().await?;
    let mut insert = client.insert_formatted_with("INSERT INTO wide FORMAT Native");
    for block in native_block(100_000, 50)?.chunks(1 << 20) {
        insert.send(block.to_vec().into()).await?;
    }
    insert.end().await?;
    let (parts, rows): (u64, u64) = client
        .query("SELECT count(), sum(rows) FROM system.parts WHERE table = 'wide' AND active")
        .fetch_one()
        .await?;
    assert_eq!((parts, rows), (1, 100_000));
    let sum: u64 = client.query("SELECT sum(c49) FROM wide").fetch_one().await?;
    assert_eq!(sum, (0..100_000_u64).map(|row| row + 49).sum::<u64>());
    Ok(())
}

/// A block of ClickHouse's Native format: column c of row r is r + c.
fn native_block(rows: u64, columns: u64) -> Result<Vec<u8>> {
    let mut block = Vec::new();
    integer(&mut block, columns)?;
    integer(&mut block, rows)?;
    for column in 0..columns {
        for text in [format!("c{column}"), "UInt64".into()] {
            integer(&mut block, text.len().try_into()?)?;
            block.extend_from_slice(text.as_bytes());
        }
        for row in 0..rows {
            block.extend_from_slice(&(row + column).to_le_bytes());
        }
    }
    Ok(block)
}

/// Seven bits a byte, the low ones first.
fn integer(block: &mut Vec<u8>, mut value: u64) -> Result<()> {
    while value >= 128 {
        block.push(u8::try_from(value % 128)? | 128);
        value /= 128;
    }
    block.push(u8::try_from(value)?);
    Ok(())
}

#[tokio::test]
async fn a_constraint_on_the_servers_clock_refuses_a_late_insert() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let client = engine.client();
    client
        .query(
            "CREATE TABLE leased (id UInt64, write_before DateTime64(3, 'UTC'), \
             CONSTRAINT fresh CHECK write_before > nowInBlock64(3)) ENGINE = MergeTree ORDER BY id \
             SETTINGS non_replicated_deduplication_window = 100",
        )
        .execute()
        .await?;
    let insert = async |lease: &str| {
        let mut insert = client
            .insert_formatted_with("INSERT INTO leased FORMAT TSV")
            .with_setting("insert_deduplication_token", "once");
        insert.send(format!("1\t{lease}\n").into()).await?;
        insert.end().await
    };
    assert_code(&insert("2020-01-01 00:00:00.000").await, 469);
    // The refused insert has not used up its token; the accepted one has.
    insert("2100-01-01 00:00:00.000").await?;
    insert("2100-01-01 00:00:00.000").await?;
    let rows: u64 = client.query("SELECT count() FROM leased").fetch_one().await?;
    assert_eq!(rows, 1);
    Ok(())
}
