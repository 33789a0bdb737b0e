//! The book as it is now, by which a dry run prices: the one that the worker of the command log would take.

use clickhouse::Row;
use ledger::event::Millis;
use ledger::in_force::Book;
use ledger::prices::PriceBook;
use schemas::log::COMMANDS_TOPIC;
use schemas::queries;
use schemas::registries::{self, AccountText, Change, MarkupText, OwnerText, Stored};
use serde::Deserialize;

use crate::bounds::{Value, Values};
use crate::error::Problem;
use crate::store::Store;

#[derive(Row, Deserialize)]
struct Published {
    row_id: String,
    body: String,
    effective_from: Option<i64>,
}

/// Everything that commands have set until now.
pub(super) async fn read(store: &Store) -> Result<Book, Problem> {
    let rows: Vec<Published> = store.open(queries::BOOK_ROWS, values()).await?;
    let mut parsed = Vec::with_capacity(rows.len());
    for row in rows {
        let mut model_row = schemas::prices::from_json(&row.body)
            .map_err(|error| unreadable(&format!("row {}: {error}", row.row_id)))?;
        model_row.effective_from = row.effective_from.map(Millis);
        parsed.push(model_row);
    }
    Ok(Book {
        prices: PriceBook::new(parsed).map_err(|error| unreadable(&error.to_string()))?,
        markups: registry::<MarkupText>(store).await?,
        accounts: registry::<AccountText>(store).await?,
        owners: registry::<OwnerText>(store).await?,
    })
}

async fn registry<C: Change>(store: &Store) -> Result<C::State, Problem> {
    let values = values().with("table", Value::Text(C::TABLE.to_owned()));
    let rows: Vec<Stored> = store.open(queries::REGISTRY_ROWS, values).await?;
    registries::read::<C>(&rows).map_err(|error| unreadable(&error.to_string()))
}

fn values() -> Values {
    Values::default()
        .with("topic", Value::Text(COMMANDS_TOPIC.to_owned()))
        .with("through", Value::Unsigned(u64::MAX))
}

fn unreadable(detail: &str) -> Problem {
    tracing::error!(detail, "The book cannot be read");
    Problem::internal()
}
