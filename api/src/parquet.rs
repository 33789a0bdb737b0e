//! Parquet as tables are written here: flat columns, row groups of bounded size, exact decimals of 38 digits with 18 of
//! them after the point. Bytes are taken out after each row group, so a table of any length takes constant memory.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::Type;
use bytes::Bytes;

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.apache.parquet";

const DIGITS: i32 = 38;
const DECIMALS: i32 = 18;
const DECIMAL_BYTES: i32 = 16;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Whole numbers of 10^-18.
    Decimal,
    Integer,
    /// Milliseconds since 1970, UTC.
    Instant,
    Flag,
}

/// One value of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Decimal(i128),
    Integer(i64),
    Instant(i64),
    Flag(bool),
}

impl<'a> Cell<'a> {
    /// A text that may be absent.
    pub(crate) fn text(value: Option<&'a str>) -> Self {
        value.map_or(Self::Null, Self::Text)
    }
}

/// A table that is being written.
pub(crate) struct Table {
    writer: SerializedFileWriter<Sink>,
    sink: Sink,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// A table with these columns, each of which may be null.
    pub(crate) fn new(columns: &[(&str, Kind)]) -> Result<Self> {
        let fields = columns.iter().map(|(name, kind)| field(name, *kind).map(Arc::new));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let schema = Type::group_type_builder("tollbook").with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("tollbook".to_owned())
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let sink = Sink::default();
        let writer = SerializedFileWriter::new(sink.clone(), Arc::new(schema), Arc::new(properties))?;
        let columns = columns.iter().map(|(_, kind)| Column::new(*kind)).collect();
        Ok(Self { writer, sink, columns, rows: 0 })
    }

    /// Appends a row, which has a cell for each column and of its kind.
    pub(crate) fn push<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) -> Result<()> {
        let mut columns = self.columns.iter_mut();
        for cell in cells {
            let column = columns.next().ok_or_else(|| misfit("a row has more cells than columns"))?;
            column.push(cell)?;
        }
        if columns.next().is_some() {
            return Err(misfit("a row has fewer cells than columns"));
        }
        self.rows += 1;
        Ok(())
    }

    /// Rows that are not in a row group yet.
    pub(crate) const fn waiting(&self) -> usize {
        self.rows
    }

    /// Ends a row group, and takes out what is written so far.
    pub(crate) fn end_group(&mut self) -> Result<Bytes> {
        if self.rows > 0 {
            let mut group = self.writer.next_row_group()?;
            for column in &mut self.columns {
                let mut writer = group.next_column()?.ok_or_else(|| misfit("a column has no writer"))?;
                column.write(&mut writer)?;
                writer.close()?;
            }
            group.close()?;
            self.rows = 0;
        }
        Ok(self.sink.take())
    }

    /// Ends the file, and takes out the rest.
    pub(crate) fn finish(mut self) -> Result<Bytes> {
        let mut rest = self.end_group()?.to_vec();
        self.writer.finish()?;
        rest.extend_from_slice(&self.sink.take());
        Ok(rest.into())
    }
}

fn misfit(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

fn field(name: &str, kind: Kind) -> Result<Type> {
    let (physical, logical) = match kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Decimal => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(DECIMALS, DIGITS))),
        Kind::Integer => (Physical::INT64, None),
        Kind::Instant => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        Kind::Flag => (Physical::BOOLEAN, None),
    };
    let builder = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical);
    match kind {
        Kind::Decimal => {
            builder.with_length(DECIMAL_BYTES).with_precision(DIGITS).with_scale(DECIMALS).build()
        }
        _ => builder.build(),
    }
}

/// The values of one column of the row group that is being filled. Texts lie in one buffer, and are shared from there.
struct Column {
    kind: Kind,
    present: Vec<i16>,
    text: Vec<u8>,
    ends: Vec<usize>,
    numbers: Vec<i64>,
    decimals: Vec<i128>,
    flags: Vec<bool>,
}

impl Column {
    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            present: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
            numbers: Vec::new(),
            decimals: Vec::new(),
            flags: Vec::new(),
        }
    }

    fn push(&mut self, cell: Cell<'_>) -> Result<()> {
        match (self.kind, cell) {
            (_, Cell::Null) => {
                self.present.push(0);
                return Ok(());
            }
            (Kind::Text, Cell::Text(text)) => {
                self.text.extend_from_slice(text.as_bytes());
                self.ends.push(self.text.len());
            }
            (Kind::Decimal, Cell::Decimal(raw)) => self.decimals.push(raw),
            (Kind::Integer, Cell::Integer(number)) | (Kind::Instant, Cell::Instant(number)) => {
                self.numbers.push(number);
            }
            (Kind::Flag, Cell::Flag(flag)) => self.flags.push(flag),
            (kind, cell) => return Err(misfit(&format!("{cell:?} is no {kind:?}"))),
        }
        self.present.push(1);
        Ok(())
    }

    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let present = mem::take(&mut self.present);
        let levels = Some(present.as_slice());
        match self.kind {
            Kind::Text => {
                let texts = self.take_texts();
                writer.typed::<ByteArrayType>().write_batch(&texts, levels, None)?;
            }
            Kind::Decimal => {
                let decimals = mem::take(&mut self.decimals);
                let decimals: Vec<FixedLenByteArray> = decimals
                    .into_iter()
                    .map(|raw| FixedLenByteArray::from(raw.to_be_bytes().to_vec()))
                    .collect();
                writer.typed::<FixedLenByteArrayType>().write_batch(&decimals, levels, None)?;
            }
            Kind::Integer | Kind::Instant => {
                let numbers = mem::take(&mut self.numbers);
                writer.typed::<Int64Type>().write_batch(&numbers, levels, None)?;
            }
            Kind::Flag => {
                let flags = mem::take(&mut self.flags);
                writer.typed::<BoolType>().write_batch(&flags, levels, None)?;
            }
        }
        Ok(())
    }

    fn take_texts(&mut self) -> Vec<ByteArray> {
        let text = Bytes::from(mem::take(&mut self.text));
        let mut start = 0;
        let texts = mem::take(&mut self.ends).into_iter().map(|end| {
            let slice = text.slice(start..end);
            start = end;
            ByteArray::from(slice)
        });
        texts.collect()
    }
}

/// Bytes that are written and not taken out yet.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Bytes {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn a_table_of_two_row_groups_is_read_back_with_its_nulls() {
        let mut table =
            Table::new(&[("name", Kind::Text), ("amount", Kind::Decimal), ("n", Kind::Integer)]).unwrap();
        table.push([Cell::Text("a"), Cell::Decimal(-1), Cell::Integer(7)]).unwrap();
        let mut bytes = table.end_group().unwrap().to_vec();
        table.push([Cell::Null, Cell::Decimal(10_i128.pow(37)), Cell::Null]).unwrap();
        assert_eq!(table.waiting(), 1);
        bytes.extend_from_slice(&table.finish().unwrap());
        let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(std::result::Result::unwrap).collect();
        assert_eq!(rows[0].get_string(0).unwrap(), "a");
        assert_eq!(rows[0].get_long(2).unwrap(), 7);
        assert!(rows[1].get_string(0).is_err(), "null");
        let raw = |row: usize| rows[row].get_decimal(1).unwrap().data().to_vec();
        assert_eq!(raw(0), (-1_i128).to_be_bytes());
        assert_eq!(raw(1), 10_i128.pow(37).to_be_bytes());
    }

    #[test]
    fn a_row_that_does_not_fit_its_columns_is_refused() {
        let mut table = Table::new(&[("n", Kind::Integer)]).unwrap();
        assert!(table.push([Cell::Text("1")]).is_err());
        assert!(Table::new(&[("n", Kind::Integer)]).unwrap().push([]).is_err());
        assert!(Table::new(&[("n", Kind::Integer)]).unwrap().push([Cell::Null, Cell::Null]).is_err());
    }
}
