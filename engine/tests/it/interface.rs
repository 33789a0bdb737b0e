//! Goal: the rest of the HTTP interface behaves as a server's. Method: requests by hand.

use crate::support::{Engine, SECRET, http, post};
use anyhow::Result;
use tempfile::tempdir;

#[test]
fn without_the_secret_nothing_but_ping_is_answered() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let ping = http(engine.address, "/ping", &[], b"")?;
    assert_eq!((ping.status, ping.body.as_str()), (200, "Ok.\n"));
    for headers in [
        &[][..],
        &[("X-ClickHouse-User", "default"), ("X-ClickHouse-Key", "wrong")],
        &[("X-ClickHouse-User", "root"), ("X-ClickHouse-Key", SECRET)],
    ] {
        let refused = http(engine.address, "/", headers, b"SELECT 1")?;
        assert_eq!(refused.status, 403);
        assert!(refused.head.contains("x-clickhouse-exception-code: 516"), "{}", refused.head);
        assert!(refused.body.contains("AUTHENTICATION_FAILED"), "{}", refused.body);
    }
    Ok(())
}

#[test]
fn one_request_runs_one_statement() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    post(&engine, "/", b"CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a")?;
    for text in ["SELECT 1; DROP TABLE t", "DROP TABLE t; garbage(", "INSERT INTO t VALUES (1); DROP TABLE t"]
    {
        let refused = post(&engine, "/", text.as_bytes())?;
        assert_eq!(refused.status, 400, "{text}");
        assert!(refused.body.contains("Multi-statements are not allowed"), "{text}: {}", refused.body);
    }
    assert_eq!(post(&engine, "/", b"INSERT INTO t VALUES (1), (2);")?.status, 200);
    assert!(post(&engine, "/", b"SELECT count() FROM t; -- fin")?.body.contains('2'));
    Ok(())
}

#[test]
fn files_and_addresses_outside_of_the_folder_are_out_of_reach() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let outfile = folder.path().join("out");
    let into = format!("SELECT 1 INTO OUTFILE '{}'", outfile.display());
    let explain = format!("EXPLAIN SELECT 1 INTO /* */ OUTFILE '{}'", outfile.display());
    for (text, name) in [
        (into.as_str(), "INTO_OUTFILE_NOT_ALLOWED"),
        (explain.as_str(), "INTO_OUTFILE_NOT_ALLOWED"),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT TSV", "UNKNOWN_TYPE_OF_QUERY"),
        ("SELECT * FROM file('/etc/passwd', 'LineAsString')", "ACCESS_DENIED"),
        ("DESCRIBE file('/etc/passwd')", "ACCESS_DENIED"),
        ("INSERT INTO FUNCTION file('/tmp/x', 'TSV', 'a Int8') VALUES (1)", "ACCESS_DENIED"),
        ("SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", "ACCESS_DENIED"),
        ("SELECT * FROM remote('127.0.0.1', 'system.one')", "ACCESS_DENIED"),
        ("CREATE TABLE f (a String) ENGINE = File(TSV, '/etc/passwd')", "ACCESS_DENIED"),
        ("SYSTEM SHUTDOWN", "ACCESS_DENIED"),
    ] {
        let refused = post(&engine, "/", text.as_bytes())?;
        assert!(refused.body.contains(name), "{text}: {}", refused.body);
    }
    assert!(!outfile.exists());
    Ok(())
}

#[test]
fn an_insert_may_stand_in_the_url_or_before_its_data() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    post(&engine, "/", b"CREATE TABLE t (a Int32, b String) ENGINE = MergeTree ORDER BY a")?;
    for (path, body) in [
        ("/?query=INSERT+INTO+t+FORMAT+TSV", "1\tx;y\n"),
        ("/", "INSERT INTO t FORMAT TSV\n2\tx\n"),
        ("/", "INSERT INTO t (a, b) SETTINGS max_threads = 1 FORMAT CSV\n3,\"two\n\nlines\"\n"),
        ("/?query=INSERT+INTO+t+VALUES", "(4, 'x')"),
        ("/?param_a=5", "INSERT INTO t SELECT {a:Int32}, 'y'"),
    ] {
        let answer = post(&engine, path, body.as_bytes())?;
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
    }
    let rows = post(
        &engine,
        "/",
        b"SELECT groupArray(a) AS a, max(b) FROM (SELECT * FROM t ORDER BY a) FORMAT CSV",
    )?;
    assert!(rows.body.contains("\"[1,2,3,4,5]\",\"y\""), "{}", rows.body);
    assert_eq!(post(&engine, "/?query=INSERT+INTO+t+FORMAT+TSV", b"6\n")?.status, 400);
    Ok(())
}

#[test]
fn a_session_keeps_its_temporary_tables_but_not_the_settings_of_one_request() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let session = "/?session_id=s";
    post(&engine, session, b"CREATE TEMPORARY TABLE kept (a Int8)")?;
    assert_eq!(
        post(&engine, "/?session_id=s&max_block_size=77", b"INSERT INTO kept VALUES (42)")?.status,
        200
    );
    assert!(post(&engine, session, b"SELECT a FROM kept")?.body.contains("42"));
    assert!(!post(&engine, session, b"SELECT getSetting('max_block_size')")?.body.contains("77"));
    assert_eq!(post(&engine, "/", b"SELECT a FROM kept")?.status, 404);
    let missing = post(&engine, "/?session_id=other&session_check=1", b"SELECT 1")?;
    assert!(missing.head.contains("x-clickhouse-exception-code: 372"), "{}", missing.head);
    Ok(())
}

#[test]
fn formats_ids_and_read_only_requests_are_as_on_a_server() -> Result<()> {
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let json = post(&engine, "/?default_format=JSONEachRow&query_id=mine", b"SELECT 1 AS a")?;
    assert!(json.body.contains("{\"a\":1}"), "{}", json.body);
    assert!(json.head.contains("x-clickhouse-query-id: mine"), "{}", json.head);
    assert!(json.head.contains("x-clickhouse-format: jsoneachrow"), "{}", json.head);
    let url = format!("/?user=default&password={}&query=", SECRET.replace(' ', "+"));
    let get = |query: &str| http(engine.address, &format!("{url}{query}"), &[], b"");
    assert!(get("SELECT+41%2B1")?.body.contains("42"));
    assert!(get("CREATE+DATABASE+x")?.body.contains("READONLY"));
    let unknown = post(&engine, "/?database=missing", b"SELECT 1")?;
    assert!(unknown.head.contains("x-clickhouse-exception-code: 81"), "{}", unknown.head);
    let compressed = post(&engine, "/?compress=1", b"SELECT 1")?;
    assert_eq!(compressed.status, 200);
    Ok(())
}
