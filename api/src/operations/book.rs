//! The book as it is now, by which a dry run prices: the one that the worker of the command log would take.

use ledger::in_force::Book;
use schemas::log::COMMANDS_TOPIC;
use schemas::registries::{self, AccountText, Change, MarkupText, OwnerText, Stored};
use schemas::{prices, queries};

use crate::bounds::{Value, Values};
use crate::error::Problem;
use crate::store::Store;

/// Everything that commands have set until now.
pub(super) async fn read(store: &Store) -> Result<Book, Problem> {
    let rows: Vec<prices::BookRow> = store.open(queries::BOOK_ROWS, values()).await?;
    Ok(Book {
        prices: prices::book(&rows).map_err(|error| unreadable(&error))?,
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
