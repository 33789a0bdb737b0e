//! A store of an earlier version keeps its entries through the migrations.

use anyhow::Result;

use crate::engine_process::Engine;

const ENTRIES: &str = include_str!("../../../schemas/clickhouse/0001_entries.sql");

/// The charge of entries by its currency, from the projection alone.
const BY_PROJECTION: &str = "SELECT toString(charge_currency) AS code, toString(sum(toDecimal256(charge, 18))) AS amount \
     FROM entries WHERE operation = 0 AND toDate(occurred_at, 'UTC') >= toDate('2026-11-01') \
     GROUP BY code ORDER BY code";

#[tokio::test]
async fn entries_from_before_the_planes_are_charged_in_the_currency_of_their_cost_and_rolled_up_anew()
-> Result<()> {
    let engine = Engine::start()?;
    let client = engine.client().with_setting("mutations_sync", "2");
    let database = "CREATE DATABASE IF NOT EXISTS tollbook";
    engine.client().with_database("default").query_raw(database).execute().await?;
    client.query_raw(ENTRIES).execute().await?;
    client
        .query_raw(
            "INSERT INTO entries (event_id, occurred_at, model, currency, attempts, cost, charge, list_cost, write_before) \
             VALUES ('e', '2026-11-03 12:00:00.000', 'm', 'EUR', 1, 1.5, 1.5, 1.5, '2200-01-01 00:00:00.000')",
        )
        .execute()
        .await?;
    schemas::migrate::migrate(&client).await?;
    for projection in ["by_day_and_model", "by_day_and_key"] {
        let sums: Vec<(String, String)> = client
            .query_raw(BY_PROJECTION)
            .with_setting("preferred_optimize_projection_name", projection)
            .with_setting("force_optimize_projection_name", projection)
            .fetch_all()
            .await?;
        assert_eq!(sums, [("EUR".to_owned(), "1.5".to_owned())], "{projection}");
    }
    let report = api::audit::run(&client).await?;
    assert!(report.projections.iter().all(|projection| projection.clean), "{report}");
    Ok(())
}
