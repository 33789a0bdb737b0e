//! The worker's sight of the command log: which commands are in force, as of when, and the book that they make:
//! prices, markups, accounts and owners. A batch is priced with the book of its own position, also when it is run
//! again much later.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ledger::event::Millis;
use ledger::in_force::Book;
use ledger::prices::PriceBook;
use parking_lot::Mutex;
use schemas::log::COMMANDS_TOPIC;
use schemas::prices;
use schemas::registries::{self, AccountText, Change, MarkupText, OwnerText, Stored};

use crate::batch::MakeError;
use crate::store::Store;

const SIGHT: &str = include_str!("../../schemas/clickhouse/queries/commands_sight.sql");
const BOOK: &str = include_str!("../../schemas/clickhouse/queries/book_rows.sql");
const REGISTRY: &str = include_str!("../../schemas/clickhouse/queries/registry_rows.sql");

/// Books that are kept: the present one, and the few that batches under way or recoveries ask for.
const BOOKS_MAX: usize = 4;

/// How far the command log is known to be carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
pub struct Sight {
    /// Commands with a smaller offset are carried out.
    pub through: u64,
    /// Every command logged before this instant is among them, in milliseconds since 1970; 0 where nobody has said.
    pub as_of: i64,
}

impl Sight {
    /// Milliseconds since the command log was last known to be carried out to its end.
    #[must_use]
    pub fn age_ms(&self) -> i64 {
        wall_clock().0 - self.as_of
    }
}

/// This machine's time.
#[must_use]
pub fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Books by position of the command log.
pub struct Books {
    store: Store,
    kept: Mutex<Vec<(u64, Arc<Book>)>>,
}

impl Books {
    /// Books that are read from that store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, kept: Mutex::new(Vec::new()) }
    }

    /// Looks how far the command log is carried out.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn sight(&self) -> Result<Sight, clickhouse::error::Error> {
        self.store.block_on(self.store.sequential(SIGHT).param("topic", COMMANDS_TOPIC).fetch_one())
    }

    /// The book that the commands before `through` make.
    ///
    /// # Errors
    /// Where the store does not answer, or a published row cannot be read by this version.
    pub fn at(&self, through: u64) -> Result<Arc<Book>, MakeError> {
        let mut kept = self.kept.lock();
        if let Some((_, book)) = kept.iter().find(|(position, _)| *position == through) {
            return Ok(book.clone());
        }
        let book = Arc::new(self.read(through)?);
        if kept.len() == BOOKS_MAX {
            kept.remove(0);
        }
        kept.push((through, book.clone()));
        Ok(book)
    }

    fn read(&self, through: u64) -> Result<Book, MakeError> {
        Ok(Book {
            prices: self.prices(through)?,
            markups: self.registry::<MarkupText>(through)?,
            accounts: self.registry::<AccountText>(through)?,
            owners: self.registry::<OwnerText>(through)?,
        })
    }

    fn prices(&self, through: u64) -> Result<PriceBook, MakeError> {
        let unreadable = |detail: String| MakeError::Book { through, detail };
        let query = self.store.sequential(BOOK).param("topic", COMMANDS_TOPIC).param("through", through);
        let rows: Vec<prices::BookRow> =
            self.store.block_on(query.fetch_all()).map_err(|error| unreadable(error.to_string()))?;
        prices::book(&rows).map_err(unreadable)
    }

    fn registry<C: Change>(&self, through: u64) -> Result<C::State, MakeError> {
        let unreadable = |detail: String| MakeError::Book { through, detail };
        let stored = stored::<C>(&self.store, COMMANDS_TOPIC, through);
        let stored = stored.map_err(|error| unreadable(error.to_string()))?;
        registries::read::<C>(&stored).map_err(|error| unreadable(error.to_string()))
    }
}

/// The versions of a registry that the commands before a position set.
pub(crate) fn stored<C: Change>(
    store: &Store,
    topic: &str,
    through: u64,
) -> Result<Vec<Stored>, clickhouse::error::Error> {
    let query = store.sequential(REGISTRY).param("table", C::TABLE);
    store.block_on(query.param("topic", topic).param("through", through).fetch_all())
}
