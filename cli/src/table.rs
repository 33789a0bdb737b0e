//! Tables for people: columns aligned by spaces, numbers to the right.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// How a column is aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column<'a> {
    /// Words, to the left.
    Text(&'a str),
    /// Numbers, to the right.
    Number(&'a str),
}

/// The table, without a line break at its end.
pub(crate) fn aligned(columns: &[Column<'_>], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| match column {
        Column::Text(name) | Column::Number(name) => *name,
    }));
    table.add_rows(rows);
    for (column, own) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if let Column::Number(_) = own {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_to_the_left_and_numbers_to_the_right() {
        let columns = [Column::Text("team"), Column::Number("cost"), Column::Text("currency")];
        let rows = [["a", "1.5", "USD"], ["growth", "12", "EUR"]];
        let table = aligned(&columns, rows.map(|row| row.map(str::to_owned).to_vec()));
        assert_eq!(table, "team    cost  currency\na        1.5  USD\ngrowth    12  EUR");
    }
}
