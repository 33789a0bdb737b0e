//! Whole rows of `entries`: what an operation reads, and the successors of it that it writes. A row is kept as the
//! store has it, so that nothing of it changes but what an operation means to change.

use crate::columns::{Fixed, List, Pair, Text, table};
use crate::digest::DigestedEntry;
use crate::entries::PlaneLines;
use crate::stored::StoredEntry;
use ledger::event::Millis;

/// A line of a plane beside the cost: unit, quantity, price, amount, basis, condition; numbers are times 10^18.
pub type PlaneLine = (String, i128, String, i128, String, String);

/// Takes one value of a row.
trait Put<Value: ?Sized> {
    fn put(&mut self, value: &Value);
}

/// Declares the columns once: as a row that the store answers, and as the table that is written.
macro_rules! rows {
    ($($name:ident : $value:ty => $column:ty = $kind:literal),+ $(,)?) => {
        table! {
            /// Rows of `entries` that operations make.
            PostedRows = "entries" { $($name: $column = $kind),+ }
        }

        /// A row of `entries`. Numbers of lines, prices and amounts are times 10^18, times are milliseconds since 1970.
        #[derive(Clone, Debug, Default, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
        #[expect(missing_docs, reason = "fields are the columns, which 0001_entries.sql explains")]
        pub struct PostedRow { $(pub $name: $value),+ }

        impl PostedRows {
            /// Appends a row.
            pub fn push(&mut self, row: &PostedRow) {
                self.rows += 1;
                $(self.$name.put(&row.$name);)+
            }
        }
    };
}

rows! {
        event_id: String => Text = "String",
        event_hash: u128 => Fixed<16> = "UInt128",
        content_hash: u64 => Fixed<8> = "UInt64",
        request_id: String => Text = "String",
        occurred_at: i64 => Fixed<8> = "DateTime64(3, 'UTC')",
        recorded_at: i64 => Fixed<8> = "DateTime64(3, 'UTC')",
        log_time: i64 => Fixed<8> = "DateTime64(3, 'UTC')",
        topic: String => Text = "String",
        partition: u32 => Fixed<4> = "UInt32",
        offset: u64 => Fixed<8> = "UInt64",
        ordinal: u32 => Fixed<4> = "UInt32",
        batch_first: u64 => Fixed<8> = "UInt64",
        kind: String => Text = "String",
        operation: u64 => Fixed<8> = "UInt64",
        reverses_topic: String => Text = "String",
        reverses_partition: u32 => Fixed<4> = "UInt32",
        reverses_offset: u64 => Fixed<8> = "UInt64",
        reverses_ordinal: u32 => Fixed<4> = "UInt32",
        reason: String => Text = "String",
        book: u64 => Fixed<8> = "UInt64",
        key: String => Text = "String",
        team: String => Text = "String",
        app: String => Text = "String",
        environment: String => Text = "String",
        customer: String => Text = "String",
        project: String => Text = "String",
        cost_center: String => Text = "String",
        end_user: String => Text = "String",
        workflow: String => Text = "String",
        tags: Vec<(String, String)> => List<Pair<Text, Text>> = "Map(String, String)",
        endpoint_family: String => Text = "String",
        provider: String => Text = "String",
        provider_account: String => Text = "String",
        model: String => Text = "String",
        alias: String => Text = "String",
        credential: String => Text = "String",
        route: String => Text = "String",
        region: String => Text = "String",
        service_tier: String => Text = "String",
        processing: String => Text = "String",
        speed: String => Text = "String",
        attempt: u32 => Fixed<4> = "UInt32",
        attempt_kind: String => Text = "String",
        fallback_from: String => Text = "String",
        status: u16 => Fixed<2> = "UInt16",
        error_class: String => Text = "String",
        outcome: String => Text = "String",
        stream: u8 => Fixed<1> = "UInt8",
        latency_ms: u64 => Fixed<8> = "UInt64",
        ttft_ms: u64 => Fixed<8> = "UInt64",
        gateway_cache: String => Text = "String",
        gateway: String => Text = "String",
        gateway_seq: u64 => Fixed<8> = "UInt64",
        attempts: i8 => Fixed<1> = "Int8",
        requests: i8 => Fixed<1> = "Int8",
        unpriced: i8 => Fixed<1> = "Int8",
        unpriced_units: Vec<String> => List<Text> = "Array(String)",
        flags: Vec<String> => List<Text> = "Array(String)",
        model_row: String => Text = "String",
        matched_by: String => Text = "String",
        conditions: String => Text = "String",
        dimensions: String => Text = "String",
        currency: String => Text = "String",
        charge_currency: String => Text = "String",
        list_row: String => Text = "String",
        list_matched_by: String => Text = "String",
        charge_row: String => Text = "String",
        charge_matched_by: String => Text = "String",
        markup: String => Text = "String",
        input_uncached_tokens: i64 => Fixed<8> = "Int64",
        input_cache_read_tokens: i64 => Fixed<8> = "Int64",
        input_cache_write_tokens: i64 => Fixed<8> = "Int64",
        input_cache_write_5m_tokens: i64 => Fixed<8> = "Int64",
        input_cache_write_1h_tokens: i64 => Fixed<8> = "Int64",
        output_text_tokens: i64 => Fixed<8> = "Int64",
        output_reasoning_tokens: i64 => Fixed<8> = "Int64",
        input_uncached_price: i128 => Fixed<16> = "Decimal(38, 18)",
        input_cache_read_price: i128 => Fixed<16> = "Decimal(38, 18)",
        input_cache_write_price: i128 => Fixed<16> = "Decimal(38, 18)",
        input_cache_write_5m_price: i128 => Fixed<16> = "Decimal(38, 18)",
        input_cache_write_1h_price: i128 => Fixed<16> = "Decimal(38, 18)",
        output_text_price: i128 => Fixed<16> = "Decimal(38, 18)",
        output_reasoning_price: i128 => Fixed<16> = "Decimal(38, 18)",
        line_units: Vec<String> => List<Text> = "Array(String)",
        line_quantities: Vec<i128> => List<Fixed<16>> = "Array(Decimal(38, 18))",
        line_prices: Vec<String> => List<Text> = "Array(String)",
        line_amounts: Vec<i128> => List<Fixed<16>> = "Array(Decimal(38, 18))",
        basis_units: Vec<String> => List<Text> = "Array(String)",
        bases: Vec<String> => List<Text> = "Array(String)",
        list_lines: Vec<PlaneLine> => PlaneLines = "Array(Tuple(unit String, quantity Decimal(38, 18), price String, amount Decimal(38, 18), basis String, condition String))",
        charge_lines: Vec<PlaneLine> => PlaneLines = "Array(Tuple(unit String, quantity Decimal(38, 18), price String, amount Decimal(38, 18), basis String, condition String))",
        avoided_units: Vec<String> => List<Text> = "Array(String)",
        avoided_quantities: Vec<i128> => List<Fixed<16>> = "Array(Decimal(38, 18))",
        cost_avoided: i128 => Fixed<16> = "Decimal(38, 18)",
        list_cost: i128 => Fixed<16> = "Decimal(38, 18)",
        cost: i128 => Fixed<16> = "Decimal(38, 18)",
        charge: i128 => Fixed<16> = "Decimal(38, 18)",
        reported_amount: String => Text = "String",
        reported_currency: String => Text = "String",
        reported_source: String => Text = "String",
        usage: String => Text = "String",
        context: String => Text = "String",
}

/// The place of a row that an operation adds.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Topic of the command log.
    pub topic: &'a str,
    /// Its partition.
    pub partition: u32,
    /// The step's offset.
    pub offset: u64,
    /// The first offset of its batch.
    pub batch_first: u64,
    /// The log's time of the step.
    pub log_time: Millis,
    /// When the step was chosen.
    pub recorded_at: Millis,
    /// The operation.
    pub operation: u64,
    /// Why the operation was asked for.
    pub reason: &'a str,
}

impl PostedRow {
    /// Where the entry comes from that this is a version of: the record of its event, through any number of operations.
    #[must_use]
    pub fn root(&self) -> (&str, u32, u64, u32) {
        if self.kind == "usage" {
            (&self.topic, self.partition, self.offset, self.ordinal)
        } else {
            (&self.reverses_topic, self.reverses_partition, self.reverses_offset, self.reverses_ordinal)
        }
    }

    /// The row that takes this one back: all that is summed negated.
    #[must_use]
    pub fn reversal(&self, step: &Step<'_>, ordinal: u32) -> Self {
        let mut row = self.clone();
        row.placed(step, ordinal, "reversal");
        row.reverses_topic.clone_from(&self.topic);
        row.reverses_partition = self.partition;
        row.reverses_offset = self.offset;
        row.reverses_ordinal = self.ordinal;
        row.negate();
        row.usage.clear();
        row.context.clear();
        row
    }

    /// The row that stands in the place of this one, as it is.
    #[must_use]
    pub fn successor(&self, step: &Step<'_>, ordinal: u32) -> Self {
        let (topic, partition, offset, of) = self.root();
        let mut row = self.clone();
        row.reverses_topic = topic.to_owned();
        (row.reverses_partition, row.reverses_offset, row.reverses_ordinal) = (partition, offset, of);
        row.placed(step, ordinal, "rerate");
        row
    }

    fn placed(&mut self, step: &Step<'_>, ordinal: u32, kind: &str) {
        step.topic.clone_into(&mut self.topic);
        self.partition = step.partition;
        self.offset = step.offset;
        self.ordinal = ordinal;
        self.batch_first = step.batch_first;
        self.log_time = step.log_time.0;
        self.recorded_at = step.recorded_at.0;
        self.operation = step.operation;
        step.reason.clone_into(&mut self.reason);
        kind.clone_into(&mut self.kind);
    }

    fn negate(&mut self) {
        for delta in [&mut self.attempts, &mut self.requests, &mut self.unpriced] {
            *delta = delta.wrapping_neg();
        }
        for quantity in [
            &mut self.input_uncached_tokens,
            &mut self.input_cache_read_tokens,
            &mut self.input_cache_write_tokens,
            &mut self.input_cache_write_5m_tokens,
            &mut self.input_cache_write_1h_tokens,
            &mut self.output_text_tokens,
            &mut self.output_reasoning_tokens,
        ] {
            *quantity = quantity.wrapping_neg();
        }
        for line in self.list_lines.iter_mut().chain(&mut self.charge_lines) {
            (line.1, line.3) = (line.1.wrapping_neg(), line.3.wrapping_neg());
        }
        let listed = self.line_quantities.iter_mut().chain(&mut self.line_amounts);
        let totals = [&mut self.cost_avoided, &mut self.list_cost, &mut self.cost, &mut self.charge];
        for number in listed.chain(&mut self.avoided_quantities).chain(totals) {
            *number = number.wrapping_neg();
        }
    }

    /// Quantities of the fixed units, by [`ledger::unit::Unit::FIXED`].
    #[must_use]
    pub const fn fixed_quantities(&self) -> [i64; 7] {
        [
            self.input_uncached_tokens,
            self.input_cache_read_tokens,
            self.input_cache_write_tokens,
            self.input_cache_write_5m_tokens,
            self.input_cache_write_1h_tokens,
            self.output_text_tokens,
            self.output_reasoning_tokens,
        ]
    }

    pub(crate) const fn set_fixed(&mut self, quantities: [i64; 7], prices: [i128; 7]) {
        [
            self.input_uncached_tokens,
            self.input_cache_read_tokens,
            self.input_cache_write_tokens,
            self.input_cache_write_5m_tokens,
            self.input_cache_write_1h_tokens,
            self.output_text_tokens,
            self.output_reasoning_tokens,
        ] = quantities;
        [
            self.input_uncached_price,
            self.input_cache_read_price,
            self.input_cache_write_price,
            self.input_cache_write_5m_price,
            self.input_cache_write_1h_price,
            self.output_text_price,
            self.output_reasoning_price,
        ] = prices;
    }

    /// What the audit's digest covers of the row.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let digested = DigestedEntry {
            offset: self.offset,
            ordinal: self.ordinal,
            event_hash: self.event_hash,
            content_hash: self.content_hash,
            occurred_at: Millis(self.occurred_at),
            attempts: self.attempts,
            requests: self.requests,
            unpriced: self.unpriced,
            quantities: self.fixed_quantities(),
            list_cost: self.list_cost,
            cost: self.cost,
            charge: self.charge,
            cost_avoided: self.cost_avoided,
        };
        digested.digest()
    }

    /// The part of the row that its price is derived from.
    pub(crate) fn stored(&self) -> StoredEntry {
        StoredEntry {
            record_topic: self.topic.clone(),
            record_partition: self.partition,
            record_offset: self.offset,
            record_ordinal: self.ordinal,
            occurred_ms: self.occurred_at,
            provider_name: self.provider.clone(),
            model_name: self.model.clone(),
            region_name: self.region.clone(),
            service_tier_name: self.service_tier.clone(),
            processing_name: self.processing.clone(),
            speed_name: self.speed.clone(),
            outcome_name: self.outcome.clone(),
            gateway_cache_name: self.gateway_cache.clone(),
            unpriced_unit_names: self.unpriced_units.clone(),
            flag_names: self.flags.clone(),
            model_row_id: self.model_row.clone(),
            dimensions_text: self.dimensions.clone(),
            fixed_quantities: self.fixed_quantities().to_vec(),
            fixed_prices: vec![
                self.input_uncached_price,
                self.input_cache_read_price,
                self.input_cache_write_price,
                self.input_cache_write_5m_price,
                self.input_cache_write_1h_price,
                self.output_text_price,
                self.output_reasoning_price,
            ],
            line_unit_names: self.line_units.clone(),
            line_quantities_raw: self.line_quantities.clone(),
            line_amounts_raw: self.line_amounts.clone(),
            basis_unit_names: self.basis_units.clone(),
            basis_names: self.bases.clone(),
            avoided_unit_names: self.avoided_units.clone(),
            avoided_quantities_raw: self.avoided_quantities.clone(),
            cost_avoided_raw: self.cost_avoided,
            cost_raw: self.cost,
            reported_amount: self.reported_amount.clone(),
        }
    }
}

macro_rules! put_numbers {
    ($($number:ty => $width:literal),+) => {
        $(impl Put<$number> for Fixed<$width> {
            fn put(&mut self, value: &$number) {
                self.push(value.to_le_bytes());
            }
        })+
    };
}

put_numbers!(u8 => 1, i8 => 1, u16 => 2, u32 => 4, u64 => 8, i64 => 8, u128 => 16, i128 => 16);

impl Put<String> for Text {
    fn put(&mut self, value: &String) {
        self.push(value);
    }
}

impl<Value, Items: Put<Value>> Put<Vec<Value>> for List<Items> {
    fn put(&mut self, values: &Vec<Value>) {
        values.iter().for_each(|value| self.items.put(value));
        self.end_row(values.len());
    }
}

impl Put<(String, String)> for Pair<Text, Text> {
    fn put(&mut self, (first, second): &(String, String)) {
        self.0.put(first);
        self.1.put(second);
    }
}

impl Put<PlaneLine> for Pair<Text, Pair<Fixed<16>, Pair<Text, Pair<Fixed<16>, Pair<Text, Text>>>>> {
    fn put(&mut self, (unit, quantity, price, amount, basis, condition): &PlaneLine) {
        let Self(units, Pair(quantities, Pair(prices, Pair(amounts, Pair(bases, conditions))))) = self;
        units.put(unit);
        quantities.put(quantity);
        prices.put(price);
        amounts.put(amount);
        bases.put(basis);
        conditions.put(condition);
    }
}
