"""clickhouse-connect against an engine: parameters, inserts, sessions, streams, errors, cancellation."""

import os
import sys
from datetime import datetime, timezone
from decimal import Decimal

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

host, port = sys.argv[1], int(sys.argv[2])
secret = os.environ["ENGINE_SECRET"]
client = clickhouse_connect.get_client(host=host, port=port, username="default", password=secret)

assert client.ping()
assert client.command("SELECT 1") == 1
nasty = "it's \\ ; \n {x:String}"
assert client.query("SELECT {text:String}, {n:UInt64} + 1", parameters={"text": nasty, "n": 41}).result_rows == [
    (nasty, 42)
]

client.command(
    "CREATE TABLE lines (id UInt64, name LowCardinality(String), amount Decimal(38, 18), "
    "at DateTime64(3, 'UTC'), tags Array(String), note Nullable(String)) ENGINE = MergeTree ORDER BY id"
)
at = datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=timezone.utc)
rows = [(i, "even" if i % 2 == 0 else "odd", Decimal(i) / 8, at, ["a", "b"], None) for i in range(50_000)]
columns = ["id", "name", "amount", "at", "tags", "note"]
for compression in ("lz4", "zstd", "gzip", False):
    other = clickhouse_connect.get_client(
        host=host, port=port, username="default", password=secret, compress=compression
    )
    client.command("TRUNCATE TABLE lines")
    other.insert("lines", rows, column_names=columns)
    got = other.query("SELECT count(), sum(amount) FROM lines").result_rows[0]
    assert got == (50_000, sum(row[2] for row in rows)), (compression, got)

with client.query_row_block_stream("SELECT * FROM lines ORDER BY id", query_tz="UTC", tz_mode="aware") as stream:
    got = [row for block in stream for row in block]
assert [tuple(row) for row in got] == rows
assert client.query("SELECT name, count() FROM lines GROUP BY name ORDER BY name").result_rows == [
    ("even", 25_000),
    ("odd", 25_000),
]

client.command("CREATE TEMPORARY TABLE kept (a Int8)")
client.command("INSERT INTO kept VALUES (7)")
assert client.command("SELECT a FROM kept") == 7

for statement, code in (("SELECT * FROM missing", 60), ("SELEC 1", 62)):
    try:
        client.query(statement)
    except DatabaseError as error:
        assert f"code: {code}" in str(error).lower(), error
    else:
        raise AssertionError(f"{statement} must fail")
try:
    clickhouse_connect.get_client(host=host, port=port, username="default", password="wrong")
except DatabaseError as error:
    assert "516" in str(error), error
else:
    raise AssertionError("a wrong secret must fail")
