//! Price rows as the store answers them, and the book that they make.

use ledger::event::Millis;
use ledger::prices::{ModelRow, PriceBook};
use serde::Deserialize;

use super::from_json;

/// A row as `book_rows.sql` answers it.
#[derive(Clone, Debug, clickhouse::Row, Deserialize)]
pub struct BookRow {
    /// Its id.
    pub row_id: String,
    /// Its JSON text as it was published.
    pub body: String,
    /// From when it holds, in milliseconds since 1970; from the beginning of time where there is none.
    pub effective_from: Option<i64>,
}

impl BookRow {
    /// The row of the domain.
    ///
    /// # Errors
    /// Says which row this version cannot read, and why.
    pub fn model_row(&self) -> Result<ModelRow, String> {
        let row = from_json(&self.body).map_err(|error| format!("row {}: {error}", self.row_id))?;
        Ok(ModelRow { effective_from: self.effective_from.map(Millis), ..row })
    }
}

/// The book of these rows.
///
/// # Errors
/// Says what cannot be read, or be in one book.
pub fn book(rows: &[BookRow]) -> Result<PriceBook, String> {
    let rows = rows.iter().map(BookRow::model_row).collect::<Result<_, _>>()?;
    PriceBook::new(rows).map_err(|error| error.to_string())
}
