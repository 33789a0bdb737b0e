//! Columns on their way to ClickHouse: typed buffers that end as one block of the Native format. Written by hand
//! because this is the path of every event: values go straight into the bytes that are sent, without a row in
//! between. Dictionary types (`LowCardinality`) are sent as the plain type and cast by the server.

mod buffer;
mod fetched;

use bytes::Bytes;

pub use buffer::{Buffer, Shelf};
pub use fetched::{Error as FetchedError, Fetched};

/// Rows that a block should not exceed, so that one INSERT stays one block on the server (its default
/// `max_insert_block_size` is 1,048,449).
pub const BLOCK_ROWS_MAX: usize = 500_000;

/// Bytes of a piece of one value, repeated.
const REPEATED_BYTES: usize = 64 * 1024;

/// Bytes for which room is made for each text of a column.
const TEXT_BYTES_USUAL: usize = 8;

/// A column that can be sent.
pub trait Column {
    /// Makes room for that many rows, as far as their size is known, in memory that the column of that name had
    /// before: growing step by step would copy every value once more.
    fn reserve(&mut self, shelf: Shelf, rows: usize);

    /// Whether every value is the one that the store gives a row of a block without the column.
    fn is_default(&self) -> bool;

    /// Appends the column's bytes in Native format to `out`, leaving the column empty.
    fn encode(&mut self, out: &mut Vec<Bytes>);
}

/// Values of a fixed width, little endian.
#[derive(Debug)]
pub struct Fixed<const WIDTH: usize> {
    /// The value of the rows at the beginning, as long as they have the same: many columns never have another in a
    /// block, and then nothing is written for a row.
    first: [u8; WIDTH],
    first_rows: usize,
    bytes: Buffer,
}

impl<const WIDTH: usize> Default for Fixed<WIDTH> {
    fn default() -> Self {
        Self { first: [0; WIDTH], first_rows: 0, bytes: Buffer::default() }
    }
}

impl<const WIDTH: usize> Fixed<WIDTH> {
    /// Appends one value.
    #[inline]
    pub fn push(&mut self, value: [u8; WIDTH]) {
        if self.bytes.is_empty() {
            if self.first_rows == 0 {
                self.first = value;
            }
            if self.first == value {
                self.first_rows += 1;
                return;
            }
            self.write_run();
        }
        self.bytes.extend_from_slice(&value);
    }

    #[cold]
    fn write_run(&mut self) {
        for _ in 0..self.first_rows {
            self.bytes.extend_from_slice(&self.first);
        }
    }
}

impl<const WIDTH: usize> Column for Fixed<WIDTH> {
    fn reserve(&mut self, shelf: Shelf, rows: usize) {
        self.bytes = Buffer::take(shelf, rows * WIDTH);
    }

    fn is_default(&self) -> bool {
        self.bytes.is_empty() && (self.first_rows == 0 || self.first == [0; WIDTH])
    }

    fn encode(&mut self, out: &mut Vec<Bytes>) {
        if self.bytes.is_empty() {
            repeat(&self.first, self.first_rows, out);
        } else {
            out.push(self.bytes.send());
        }
        self.first_rows = 0;
    }
}

/// Strings: a length as a variable-length integer, then the bytes.
#[derive(Debug, Default)]
pub struct Text {
    /// Empty rows at the beginning, of which nothing is written yet. Comparing longer texts would cost more than it saves.
    empty_rows: usize,
    bytes: Buffer,
}

impl Text {
    /// Appends one value.
    #[inline]
    pub fn push(&mut self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        match u8::try_from(value.len()) {
            Ok(0) if self.bytes.is_empty() => self.empty_rows += 1,
            // Nearly all values: one byte of length, and room is looked for once.
            Ok(length @ 0..0x80) if !self.bytes.is_empty() => {
                self.bytes.reserve(value.len() + 1);
                self.bytes.push(length);
                self.bytes.extend_from_slice(value);
            }
            _ => self.push_rare(value),
        }
    }

    /// A long text, or the first that is not empty.
    #[cold]
    fn push_rare(&mut self, value: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.resize(self.empty_rows, 0);
        }
        push_varint(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(value);
    }

    /// Appends the value, or the empty string where there is none.
    #[inline]
    pub fn push_or_empty(&mut self, value: Option<&str>) {
        self.push(value.unwrap_or_default());
    }
}

impl Column for Text {
    fn reserve(&mut self, shelf: Shelf, rows: usize) {
        self.bytes = Buffer::take(shelf, rows * TEXT_BYTES_USUAL);
    }

    fn is_default(&self) -> bool {
        self.bytes.is_empty()
    }

    fn encode(&mut self, out: &mut Vec<Bytes>) {
        if self.bytes.is_empty() {
            repeat(&[0], self.empty_rows, out);
        } else {
            out.push(self.bytes.send());
        }
        self.empty_rows = 0;
    }
}

/// Arrays: the running ends first, then all items as one column.
#[derive(Debug, Default)]
pub struct List<Items> {
    ends: Fixed<{ size_of::<u64>() }>,
    count: u64,
    /// The items of the row that is being written.
    pub items: Items,
}

impl<Items> List<Items> {
    /// Ends the row, to which `added` items were appended.
    #[inline]
    pub fn end_row(&mut self, added: usize) {
        self.count += u64::try_from(added).unwrap_or(u64::MAX);
        self.ends.push(self.count.to_le_bytes());
    }
}

impl<Items: Column> Column for List<Items> {
    /// Most lists are empty: no room is made for items.
    fn reserve(&mut self, (name, part): Shelf, rows: usize) {
        self.ends.reserve((name, part), rows);
        self.items.reserve((name, part + 1), 0);
    }

    fn is_default(&self) -> bool {
        self.ends.is_default()
    }

    fn encode(&mut self, out: &mut Vec<Bytes>) {
        self.count = 0;
        self.ends.encode(out);
        self.items.encode(out);
    }
}

/// Keys and values of a map column, or any two columns that travel together.
#[derive(Debug, Default)]
pub struct Pair<First, Second>(pub First, pub Second);

impl<First: Column, Second: Column> Column for Pair<First, Second> {
    fn reserve(&mut self, (name, part): Shelf, rows: usize) {
        self.0.reserve((name, part), rows);
        self.1.reserve((name, part + 1), rows);
    }

    fn is_default(&self) -> bool {
        self.0.is_default() && self.1.is_default()
    }

    fn encode(&mut self, out: &mut Vec<Bytes>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

/// A column that is sent also where it is empty throughout: the table's default for it is another value.
#[derive(Debug, Default)]
pub struct Stated<Of>(pub Of);

impl<Of: Column> Column for Stated<Of> {
    fn reserve(&mut self, shelf: Shelf, rows: usize) {
        self.0.reserve(shelf, rows);
    }

    fn is_default(&self) -> bool {
        false
    }

    fn encode(&mut self, out: &mut Vec<Bytes>) {
        self.0.encode(out);
    }
}

/// Values that may be null: a mask first, then the values.
#[derive(Debug, Default)]
pub struct Nullable<const WIDTH: usize> {
    mask: Buffer,
    values: Fixed<WIDTH>,
}

impl<const WIDTH: usize> Nullable<WIDTH> {
    /// Appends one value.
    pub fn push(&mut self, value: Option<[u8; WIDTH]>) {
        self.mask.push(u8::from(value.is_none()));
        self.values.push(value.unwrap_or([0; WIDTH]));
    }
}

impl<const WIDTH: usize> Column for Nullable<WIDTH> {
    fn reserve(&mut self, (name, part): Shelf, rows: usize) {
        self.mask = Buffer::take((name, part), rows);
        self.values.reserve((name, part + 1), rows);
    }

    /// A column without nulls is not the default, and one of nulls alone is rare.
    fn is_default(&self) -> bool {
        false
    }

    fn encode(&mut self, out: &mut Vec<Bytes>) {
        out.push(self.mask.send());
        self.values.encode(out);
    }
}

/// One block being put together: the header, then column after column.
#[derive(Debug)]
pub struct BlockWriter {
    columns: usize,
    rows: usize,
    chunks: Vec<Bytes>,
}

impl BlockWriter {
    /// Begins a block of that many rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        // The header comes first, and is known last.
        Self { columns: 0, rows, chunks: vec![Bytes::new()] }
    }

    /// Adds a column, which is left empty. A column of nothing but defaults is not sent: the store fills it in, and
    /// has none to parse.
    pub fn column(&mut self, name: &str, kind: &str, column: &mut dyn Column) {
        if column.is_default() {
            column.encode(&mut Vec::new());
            return;
        }
        self.head(name, kind);
        column.encode(&mut self.chunks);
    }

    /// Adds a column that has the same value in every row.
    pub fn constant(&mut self, name: &str, kind: &str, value: &[u8]) {
        self.head(name, kind);
        repeat(value, self.rows, &mut self.chunks);
    }

    /// Adds so many columns that are encoded already, each with its head.
    pub fn encoded(&mut self, columns: usize, bytes: Bytes) {
        self.columns += columns;
        self.chunks.push(bytes);
    }

    /// The finished block, in pieces to be sent one after another.
    #[must_use]
    pub fn finish(mut self) -> Vec<Bytes> {
        let mut header = Vec::with_capacity(16);
        push_varint(&mut header, self.columns);
        push_varint(&mut header, self.rows);
        self.chunks[0] = Bytes::from(header);
        self.chunks
    }

    fn head(&mut self, name: &str, kind: &str) {
        self.columns += 1;
        let mut head = Vec::with_capacity(name.len() + kind.len() + 2);
        push_varint(&mut head, name.len());
        head.extend_from_slice(name.as_bytes());
        push_varint(&mut head, kind.len());
        head.extend_from_slice(kind.as_bytes());
        self.chunks.push(Bytes::from(head));
    }
}

/// Declares the columns of a table: their names, their types in the block, and their buffers. `write_before`, the
/// lease, is the same in every row and known only when the block is sent.
macro_rules! table {
    ($(#[$meta:meta])* $type:ident = $table:literal { $($name:ident : $column:ty = $kind:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $type {
            rows: usize,
            $(pub(crate) $name: $column),+
        }

        impl crate::columns::Table for $type {
            const NAME: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($name)),+];

            fn with_capacity(rows: usize) -> Self {
                use crate::columns::Column as _;
                let mut table = Self::default();
                $(table.$name.reserve((stringify!($name), 0), rows);)+
                table
            }

            fn rows(&self) -> usize {
                self.rows
            }

            fn take_block(&mut self, write_before: ledger::event::Millis) -> Vec<bytes::Bytes> {
                let mut block = crate::columns::BlockWriter::new(self.rows);
                $(block.column(stringify!($name), $kind, &mut self.$name);)+
                block.constant("write_before", "DateTime64(3, 'UTC')", &write_before.0.to_le_bytes());
                self.rows = 0;
                block.finish()
            }
        }
    };
}
pub(crate) use table;

/// The buffered rows of one table.
pub trait Table: Default + Send {
    /// The table's name in the store.
    const NAME: &'static str;
    /// The names of its columns, without `write_before`.
    const COLUMNS: &'static [&'static str];

    /// A table with room for that many rows.
    #[must_use]
    fn with_capacity(rows: usize) -> Self;

    /// How many rows are buffered.
    fn rows(&self) -> usize;

    /// The buffered rows as one block under that lease; leaves the buffers empty.
    fn take_block(&mut self, write_before: ledger::event::Millis) -> Vec<Bytes>;
}

/// Appends a value that many times, in pieces that share their memory.
fn repeat(value: &[u8], times: usize, out: &mut Vec<Bytes>) {
    let piece_times = (REPEATED_BYTES / value.len().max(1)).clamp(1, times.max(1));
    let piece = Bytes::from(value.repeat(piece_times));
    out.extend(std::iter::repeat_n(piece.clone(), times / piece_times));
    out.push(piece.slice(..times % piece_times * value.len()));
}

fn push_varint(out: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_defaults_alone_is_not_sent_unless_the_table_has_another_default() {
        let (mut zeros, mut empty, mut lists) =
            (Fixed::<2>::default(), Text::default(), List::<Text>::default());
        let mut stated = Stated(Text::default());
        for _ in 0..2 {
            zeros.push([0; 2]);
            empty.push("");
            lists.end_row(0);
            stated.0.push("");
        }
        let mut block = BlockWriter::new(2);
        block.column("z", "UInt16", &mut zeros);
        block.column("e", "String", &mut empty);
        block.column("l", "Array(String)", &mut lists);
        block.column("s", "String", &mut stated);
        let mut expected = vec![1, 2, 1, b's', 6];
        expected.extend_from_slice(b"String");
        expected.extend_from_slice(&[0, 0]);
        assert_eq!(block.finish().concat(), expected);
        assert!(zeros.is_default(), "it is empty again");
        zeros.push([1, 0]);
        assert!(!zeros.is_default());
    }

    proptest::proptest! {
        /// Whatever comes first, and however often, the bytes are those of one value after another.
        #[test]
        fn columns_hold_one_value_after_another(
            numbers in proptest::collection::vec(0_u8..3, 1..40),
            texts in proptest::collection::vec("[ab]{0,2}|c{130}", 1..40),
            times in 1_usize..40_000,
        ) {
            let mut fixed = Fixed::<2>::default();
            numbers.iter().for_each(|number| fixed.push([*number, 9]));
            let expected: Vec<u8> = numbers.iter().flat_map(|number| [*number, 9]).collect();
            proptest::prop_assert_eq!(bytes(&mut fixed), expected);

            let mut column = Text::default();
            texts.iter().for_each(|text| column.push(text));
            let mut expected = Vec::new();
            for text in &texts {
                push_varint(&mut expected, text.len());
                expected.extend_from_slice(text.as_bytes());
            }
            proptest::prop_assert_eq!(bytes(&mut column), expected);

            let mut same = Fixed::<16>::default();
            (0..times).for_each(|_| same.push([7; 16]));
            proptest::prop_assert_eq!(bytes(&mut same), vec![7; 16 * times]);
        }
    }

    fn bytes(column: &mut dyn Column) -> Vec<u8> {
        let mut chunks = Vec::new();
        column.encode(&mut chunks);
        chunks.concat()
    }

    #[test]
    fn a_block_is_the_header_and_then_each_column_with_name_and_type() {
        let mut names = Text::default();
        names.push("a");
        names.push("x".repeat(200));
        let mut lists: List<Fixed<1>> = List::default();
        lists.items.push([7]);
        lists.end_row(1);
        lists.end_row(0);
        let mut block = BlockWriter::new(2);
        block.column("n", "String", &mut names);
        block.column("l", "Array(UInt8)", &mut lists);
        block.constant("c", "UInt8", &[9]);
        let bytes = block.finish().concat();

        let mut expected = vec![3, 2, 1, b'n', 6];
        expected.extend_from_slice(b"String");
        expected.extend_from_slice(&[1, b'a', 0xc8, 0x01]);
        expected.extend_from_slice("x".repeat(200).as_bytes());
        expected.extend_from_slice(&[1, b'l', 12]);
        expected.extend_from_slice(b"Array(UInt8)");
        expected.extend_from_slice(&1_u64.to_le_bytes());
        expected.extend_from_slice(&1_u64.to_le_bytes());
        expected.push(7);
        expected.extend_from_slice(&[1, b'c', 5]);
        expected.extend_from_slice(b"UInt8");
        expected.extend_from_slice(&[9, 9]);
        assert_eq!(bytes, expected);
    }
}
