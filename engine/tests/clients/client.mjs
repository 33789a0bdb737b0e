// @clickhouse/client against an engine: parameters, inserts, streams, errors, cancellation.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { createClient } = createRequire(`${process.env.CLIENTS}/`)("@clickhouse/client");
const [host, port] = process.argv.slice(2);
const url = `http://${host}:${port}`;
const client = createClient({ url, username: "default", password: process.env.ENGINE_SECRET });

assert.equal((await client.ping()).success, true);
const nasty = "it's \\ ; \n {x:String}";
const bound = await client.query({
  query: "SELECT {text:String} AS text, {n:UInt32} + 1 AS n",
  query_params: { text: nasty, n: 41 },
  format: "JSONEachRow",
});
assert.deepEqual(await bound.json(), [{ text: nasty, n: 42 }]);

await client.command({
  query: "CREATE TABLE lines (id UInt32, name LowCardinality(String)) ENGINE = MergeTree ORDER BY id",
});
const rows = Array.from({ length: 5000 }, (_, id) => ({ id, name: id % 2 ? "odd" : "even" }));
const inserted = await client.insert({ table: "lines", values: rows, format: "JSONEachRow" });
assert.equal(inserted.summary?.written_rows, "5000");
const json = await client.query({ query: "SELECT * FROM lines ORDER BY id", format: "JSON" });
assert.deepEqual((await json.json()).data, rows);

const streamed = await client.query({ query: "SELECT * FROM lines ORDER BY id", format: "JSONEachRow" });
let count = 0;
for await (const part of streamed.stream()) count += part.length;
assert.equal(count, 5000);

const packed = createClient({
  url,
  username: "default",
  password: process.env.ENGINE_SECRET,
  compression: { request: true, response: true },
});
await packed.insert({ table: "lines", values: [{ id: 5000, name: "even" }], format: "JSONEachRow" });
const total = await packed.query({ query: "SELECT count() AS c FROM lines", format: "JSONEachRow" });
assert.deepEqual(await total.json(), [{ c: 5001 }]);

await assert.rejects(client.query({ query: "SELECT * FROM missing" }), (error) => error.code === "60");
const wrong = createClient({ url, username: "default", password: "wrong" });
await assert.rejects(wrong.query({ query: "SELECT 1" }), (error) => error.code === "516");

const controller = new AbortController();
const endless = client.query({
  query: "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 7",
  query_id: "endless",
  abort_signal: controller.signal,
});
const running = async () => {
  const found = await client.query({
    query: "SELECT count() AS c FROM system.processes WHERE query_id = 'endless'",
    format: "JSONEachRow",
  });
  return (await found.json())[0].c;
};
while ((await running()) !== 1);
controller.abort();
await assert.rejects(endless);
while ((await running()) !== 0);

await Promise.all([client.close(), packed.close(), wrong.close()]);
