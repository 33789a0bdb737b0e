//! Entries as rows: a domain entry becomes columns, checked on the way. Nothing is priced or decided here.

use std::fmt::Write;

use ledger::entry::Entry;
use ledger::event::{Credential, GatewayCache, Millis};
use ledger::markup::{MarkedLine, Markup};
use ledger::money::{Amount, Decimal};
use ledger::planes::{Charging, Marked, Plane};
use ledger::price::{Basis, Line};
use ledger::prices::Match;
use ledger::unit::Unit;
use ledger::usage::Dimensions;

use crate::columns::{Fixed, List, Pair, Stated, Text, table};
use crate::digest::DigestedEntry;
use crate::stored;
use crate::tables::Origin;

table! {
    /// Rows of `entries` that usage makes. What only a reversal says is left to the columns' defaults.
    Entries = "entries" {
        event_id: Text = "String",
        event_hash: Fixed<16> = "UInt128",
        content_hash: Fixed<8> = "UInt64",
        request_id: Text = "String",
        occurred_at: Fixed<8> = "DateTime64(3, 'UTC')",
        recorded_at: Fixed<8> = "DateTime64(3, 'UTC')",
        log_time: Fixed<8> = "DateTime64(3, 'UTC')",
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        batch_first: Fixed<8> = "UInt64",
        kind: Text = "String",
        operation: Fixed<8> = "UInt64",
        book: Fixed<8> = "UInt64",
        key: Text = "String",
        team: Text = "String",
        app: Text = "String",
        environment: Text = "String",
        customer: Text = "String",
        project: Text = "String",
        cost_center: Text = "String",
        end_user: Text = "String",
        workflow: Text = "String",
        tags: List<Pair<Text, Text>> = "Map(String, String)",
        endpoint_family: Text = "String",
        provider: Text = "String",
        provider_account: Text = "String",
        model: Text = "String",
        alias: Text = "String",
        credential: Text = "String",
        route: Text = "String",
        region: Text = "String",
        service_tier: Text = "String",
        processing: Text = "String",
        speed: Text = "String",
        attempt: Fixed<4> = "UInt32",
        attempt_kind: Text = "String",
        fallback_from: Text = "String",
        status: Fixed<2> = "UInt16",
        error_class: Text = "String",
        outcome: Text = "String",
        stream: Fixed<1> = "UInt8",
        latency_ms: Fixed<8> = "UInt64",
        ttft_ms: Fixed<8> = "UInt64",
        gateway_cache: Text = "String",
        gateway: Text = "String",
        gateway_seq: Fixed<8> = "UInt64",
        attempts: Fixed<1> = "Int8",
        requests: Fixed<1> = "Int8",
        unpriced: Fixed<1> = "Int8",
        unpriced_units: List<Text> = "Array(String)",
        flags: List<Text> = "Array(String)",
        model_row: Text = "String",
        matched_by: Text = "String",
        conditions: Text = "String",
        dimensions: Text = "String",
        currency: Text = "String",
        charge_currency: Stated<Text> = "String",
        list_row: Text = "String",
        list_matched_by: Text = "String",
        charge_row: Text = "String",
        charge_matched_by: Text = "String",
        markup: Text = "String",
        input_uncached_tokens: Fixed<8> = "Int64",
        input_cache_read_tokens: Fixed<8> = "Int64",
        input_cache_write_tokens: Fixed<8> = "Int64",
        input_cache_write_5m_tokens: Fixed<8> = "Int64",
        input_cache_write_1h_tokens: Fixed<8> = "Int64",
        output_text_tokens: Fixed<8> = "Int64",
        output_reasoning_tokens: Fixed<8> = "Int64",
        input_uncached_price: Fixed<16> = "Decimal(38, 18)",
        input_cache_read_price: Fixed<16> = "Decimal(38, 18)",
        input_cache_write_price: Fixed<16> = "Decimal(38, 18)",
        input_cache_write_5m_price: Fixed<16> = "Decimal(38, 18)",
        input_cache_write_1h_price: Fixed<16> = "Decimal(38, 18)",
        output_text_price: Fixed<16> = "Decimal(38, 18)",
        output_reasoning_price: Fixed<16> = "Decimal(38, 18)",
        line_units: List<Text> = "Array(String)",
        line_quantities: List<Fixed<16>> = "Array(Decimal(38, 18))",
        line_prices: List<Text> = "Array(String)",
        line_amounts: List<Fixed<16>> = "Array(Decimal(38, 18))",
        basis_units: List<Text> = "Array(String)",
        bases: List<Text> = "Array(String)",
        list_lines: PlaneLines = "Array(Tuple(unit String, quantity Decimal(38, 18), price String, amount Decimal(38, 18), basis String, condition String))",
        charge_lines: PlaneLines = "Array(Tuple(unit String, quantity Decimal(38, 18), price String, amount Decimal(38, 18), basis String, condition String))",
        avoided_units: List<Text> = "Array(String)",
        avoided_quantities: List<Fixed<16>> = "Array(Decimal(38, 18))",
        cost_avoided: Fixed<16> = "Decimal(38, 18)",
        list_cost: Fixed<16> = "Decimal(38, 18)",
        cost: Fixed<16> = "Decimal(38, 18)",
        charge: Fixed<16> = "Decimal(38, 18)",
        reported_amount: Text = "String",
        reported_currency: Text = "String",
        reported_source: Text = "String",
        usage: Text = "String",
        context: Text = "String",
    }
}

/// Lines of a plane that are not those of the cost: unit, quantity, price, amount, basis, condition.
pub(crate) type PlaneLines = List<Pair<Text, Pair<Fixed<16>, Pair<Text, Pair<Fixed<16>, Pair<Text, Text>>>>>>;

/// What an entry's row says besides the entry: where it comes from and when.
#[derive(Clone, Copy, Debug)]
pub struct Posting<'a> {
    /// The record, and the entry's ordinal.
    pub origin: Origin<'a>,
    /// The first offset of the batch.
    pub batch_first: u64,
    /// The log's time of the record.
    pub log_time: Millis,
    /// When the batch was chosen.
    pub recorded_at: Millis,
    /// 128-bit hash of the event's id.
    pub event_hash: u128,
    /// 64-bit hash of the event's content.
    pub content_hash: u64,
    /// Commands with a smaller offset were in force.
    pub book: u64,
}

/// The lines of an entry as the columns hold them.
struct Lines {
    quantities: [i64; Unit::FIXED.len()],
    prices: [i128; Unit::FIXED.len()],
}

impl Entries {
    /// Appends one entry of a usage event and answers the digest of its row. Its quantities fit the columns: the
    /// domain has checked that.
    pub fn push(&mut self, entry: &Entry<'_, '_>, posting: &Posting<'_>) -> u64 {
        self.rows += 1;
        self.push_identity(entry, posting);
        self.push_owners(entry);
        self.push_route(entry);
        self.push_price(entry);
        self.push_planes(entry);
        let lines = self.push_lines(entry);
        self.push_fixed(&lines);
        self.push_avoided(entry);
        self.push_amounts(entry);
        digested(entry, posting, &lines).digest()
    }

    fn push_identity(&mut self, entry: &Entry<'_, '_>, posting: &Posting<'_>) {
        self.event_id.push(entry.event.event_id);
        self.event_hash.push(posting.event_hash.to_le_bytes());
        self.content_hash.push(posting.content_hash.to_le_bytes());
        self.request_id.push(entry.event.request_id);
        self.occurred_at.push(entry.event.occurred_at.0.to_le_bytes());
        self.recorded_at.push(posting.recorded_at.0.to_le_bytes());
        self.log_time.push(posting.log_time.0.to_le_bytes());
        self.topic.push(posting.origin.topic);
        self.partition.push(posting.origin.partition.to_le_bytes());
        self.offset.push(posting.origin.offset.to_le_bytes());
        self.ordinal.push(posting.origin.ordinal.to_le_bytes());
        self.batch_first.push(posting.batch_first.to_le_bytes());
        self.kind.push("usage");
        self.operation.push(0_u64.to_le_bytes());
        self.book.push(posting.book.to_le_bytes());
    }

    fn push_owners(&mut self, entry: &Entry<'_, '_>) {
        let event = entry.event;
        let owners = &entry.owners;
        self.key.push(event.key);
        self.team.push_or_empty(owners.team);
        self.app.push_or_empty(owners.app);
        self.environment.push_or_empty(owners.environment);
        self.customer.push_or_empty(owners.customer);
        self.project.push_or_empty(owners.project);
        self.cost_center.push_or_empty(entry.cost_center);
        self.end_user.push_or_empty(owners.end_user);
        self.workflow.push_or_empty(owners.workflow);
        for (name, value) in event.tags {
            self.tags.items.0.push(name);
            self.tags.items.1.push(value);
        }
        self.tags.end_row(event.tags.len());
    }

    fn push_route(&mut self, entry: &Entry<'_, '_>) {
        let event = entry.event;
        self.endpoint_family.push(event.endpoint_family);
        self.provider.push(event.provider);
        self.provider_account.push_or_empty(event.provider_account);
        self.model.push(entry.model);
        self.alias.push_or_empty(event.alias);
        self.credential.push_or_empty(event.credential.map(Credential::name));
        self.route.push_or_empty(event.route);
        self.region.push_or_empty(event.region);
        self.service_tier.push(entry.dimensions.service_tier);
        self.processing.push(entry.dimensions.processing);
        self.speed.push(entry.dimensions.speed);
        self.attempt.push(event.attempt.to_le_bytes());
        self.attempt_kind.push(event.attempt_kind.name());
        self.fallback_from.push_or_empty(event.fallback_from);
        self.status.push(event.status.unwrap_or(0).to_le_bytes());
        self.error_class.push_or_empty(event.error_class);
        self.outcome.push(entry.outcome.name());
        self.stream.push([u8::from(event.stream.unwrap_or(false))]);
        self.latency_ms.push(event.latency_ms.unwrap_or(0).to_le_bytes());
        self.ttft_ms.push(event.ttft_ms.unwrap_or(0).to_le_bytes());
        self.gateway_cache.push_or_empty(event.gateway_cache.map(GatewayCache::name));
        self.gateway.push_or_empty(event.gateway);
        self.gateway_seq.push(event.gateway_seq.unwrap_or(0).to_le_bytes());
        let first = entry.ordinal == 0;
        self.usage.push(event.usage.filter(|_| first).map_or("", |usage| usage.text));
        self.context.push(event.context.filter(|_| first).map_or("", |context| context.text));
    }

    fn push_price(&mut self, entry: &Entry<'_, '_>) {
        self.attempts.push(entry.attempts.to_le_bytes());
        self.requests.push(entry.requests.to_le_bytes());
        self.unpriced.push(i8::from(entry.is_unpriced()).to_le_bytes());
        let mut count = 0;
        for unit in entry.unpriced.iter() {
            self.unpriced_units.items.push(unit.name());
            count += 1;
        }
        self.unpriced_units.end_row(count);
        let mut count = 0;
        for flag in entry.flags.iter() {
            self.flags.items.push(flag.name());
            count += 1;
        }
        self.flags.end_row(count);
        self.model_row.push(entry.row.map_or("", |row| row.row.id.as_str()));
        self.matched_by.push(entry.row.map_or("", |row| row.matched_by.name()));
        self.conditions.push(conditions(entry));
        self.dimensions.push(dimensions(entry));
        self.currency.push(entry.currency);
    }

    /// The planes beside the cost, where they are others.
    fn push_planes(&mut self, entry: &Entry<'_, '_>) {
        self.charge_currency.0.push(entry.charge_currency);
        self.list_row.push(row_id(entry.list.as_ref()));
        self.list_matched_by.push(matched_by(entry.list.as_ref()));
        push_plane(&mut self.list_lines, entry.list.as_ref());
        let plane = match &entry.charging {
            Charging::Row(plane) => Some(plane),
            Charging::AsCost | Charging::Markup(_) => None,
        };
        self.charge_row.push(row_id(plane));
        self.charge_matched_by.push(matched_by(plane));
        if let Charging::Markup(marked) = &entry.charging {
            self.markup.push(format!("{}@{}", marked.by.id, marked.by.version));
            push_marked(&mut self.charge_lines, marked);
        } else {
            self.markup.push("");
            push_plane(&mut self.charge_lines, plane);
        }
    }

    /// Sorts the lines into fixed columns and arrays; answers the fixed ones.
    fn push_lines(&mut self, entry: &Entry<'_, '_>) -> Lines {
        let mut fixed = Lines { quantities: [0; Unit::FIXED.len()], prices: [0; Unit::FIXED.len()] };
        let (mut listed, mut based) = (0, 0);
        for line in entry.lines {
            if line.basis != Basis::Own {
                self.basis_units.items.push(line.unit.name());
                self.bases.items.push(basis_name(line.basis).as_bytes());
                based += 1;
            }
            if let Some((position, quantity, price)) = as_fixed(line) {
                fixed.quantities[position] = quantity;
                fixed.prices[position] = price;
            } else {
                self.line_units.items.push(line.unit.name());
                self.line_quantities.items.push(line.quantity.to_raw18().unwrap_or(0).to_le_bytes());
                self.line_prices.items.push(price_text(line));
                self.line_amounts.items.push(line.amount.raw().to_le_bytes());
                listed += 1;
            }
        }
        self.line_units.end_row(listed);
        self.line_quantities.end_row(listed);
        self.line_prices.end_row(listed);
        self.line_amounts.end_row(listed);
        self.basis_units.end_row(based);
        self.bases.end_row(based);
        fixed
    }

    fn push_fixed(&mut self, lines: &Lines) {
        let [uncached, read, write, write_5m, write_1h, text, reasoning] = lines.quantities;
        self.input_uncached_tokens.push(uncached.to_le_bytes());
        self.input_cache_read_tokens.push(read.to_le_bytes());
        self.input_cache_write_tokens.push(write.to_le_bytes());
        self.input_cache_write_5m_tokens.push(write_5m.to_le_bytes());
        self.input_cache_write_1h_tokens.push(write_1h.to_le_bytes());
        self.output_text_tokens.push(text.to_le_bytes());
        self.output_reasoning_tokens.push(reasoning.to_le_bytes());
        let [uncached, read, write, write_5m, write_1h, text, reasoning] = lines.prices;
        self.input_uncached_price.push(uncached.to_le_bytes());
        self.input_cache_read_price.push(read.to_le_bytes());
        self.input_cache_write_price.push(write.to_le_bytes());
        self.input_cache_write_5m_price.push(write_5m.to_le_bytes());
        self.input_cache_write_1h_price.push(write_1h.to_le_bytes());
        self.output_text_price.push(text.to_le_bytes());
        self.output_reasoning_price.push(reasoning.to_le_bytes());
    }

    fn push_avoided(&mut self, entry: &Entry<'_, '_>) {
        for line in entry.avoided {
            self.avoided_units.items.push(line.unit.name());
            self.avoided_quantities.items.push(line.quantity.to_raw18().unwrap_or(0).to_le_bytes());
        }
        self.avoided_units.end_row(entry.avoided.len());
        self.avoided_quantities.end_row(entry.avoided.len());
        self.cost_avoided.push(entry.cost_avoided.raw().to_le_bytes());
    }

    fn push_amounts(&mut self, entry: &Entry<'_, '_>) {
        let amount = |amount: Amount| amount.raw().to_le_bytes();
        self.list_cost.push(amount(entry.list_cost));
        self.cost.push(amount(entry.cost));
        self.charge.push(amount(entry.charge));
        let reported = entry.reported_cost;
        self.reported_amount.push(reported.map_or(String::new(), |reported| reported.amount.to_string()));
        self.reported_currency.push_or_empty(reported.map(|reported| reported.currency));
        self.reported_source.push_or_empty(reported.map(|reported| reported.source));
    }
}

pub(crate) fn row_id<'b>(plane: Option<&Plane<'_, 'b>>) -> &'b str {
    plane.and_then(|plane| plane.row).map_or("", |row| row.row.id.as_str())
}

pub(crate) fn matched_by(plane: Option<&Plane<'_, '_>>) -> &'static str {
    plane.and_then(|plane| plane.row).map_or("", |row| row.matched_by.name())
}

fn push_plane(column: &mut PlaneLines, plane: Option<&Plane<'_, '_>>) {
    let Some(plane) = plane else { return column.end_row(0) };
    for line in plane.lines {
        let condition = plane.row.map_or_else(String::new, |row| condition(row, line));
        let (price, basis) = (price_text(line), basis_name(line.basis));
        push_line(column, (line.unit, line.quantity, line.amount), (&price, &basis, &condition));
    }
    column.end_row(plane.lines.len());
}

fn push_marked(column: &mut PlaneLines, marked: &Marked<'_, '_>) {
    for line in marked.lines {
        let basis = if line.is_unpriced { "unpriced" } else { line.part.name() };
        let price = marked_price_text(marked.by.markup, line);
        push_line(column, (line.unit, line.quantity, line.amount), (&price, basis, ""));
    }
    column.end_row(marked.lines.len());
}

fn push_line(
    column: &mut PlaneLines,
    (unit, quantity, amount): (Unit, Decimal, Amount),
    (price, basis, condition): (&str, &str, &str),
) {
    let Pair(units, Pair(quantities, Pair(prices, Pair(amounts, Pair(bases, conditions))))) =
        &mut column.items;
    units.push(unit.name());
    quantities.push(quantity.to_raw18().unwrap_or(0).to_le_bytes());
    prices.push(price);
    amounts.push(amount.raw().to_le_bytes());
    bases.push(basis);
    conditions.push(condition);
}

/// The conditions under which the price of a line holds.
pub(crate) fn condition(row: Match<'_>, line: &Line) -> String {
    let position = line.price.as_ref().and_then(|price| price.row_price);
    let price = position.and_then(|position| row.row.prices.get(usize::from(position)));
    price.map_or_else(String::new, |price| price.conditions.to_string())
}

/// What one of the unit is charged; where that is no finite decimal, how the amount was made: `=`, the amount it is
/// put upon × factor, and what is added for the quantity.
pub(crate) fn marked_price_text(markup: &Markup, line: &MarkedLine) -> String {
    if line.is_unpriced {
        return String::new();
    }
    if let Some(exact) = line.unit_price {
        return exact.to_string();
    }
    let mut text = format!("= {}", line.base);
    if let Some(factor) = markup.factor().filter(|factor| *factor != Decimal::ONE) {
        let _ = write!(text, " * {factor}");
    }
    if let Some(addition) = markup.addition(line.unit) {
        let _ = write!(text, " + {} * {}", line.quantity, addition.amount);
        if addition.per != 1 {
            let _ = write!(text, " / {}", addition.per);
        }
    }
    text
}

/// What the digest covers of a usage entry's row.
fn digested(entry: &Entry<'_, '_>, posting: &Posting<'_>, lines: &Lines) -> DigestedEntry {
    DigestedEntry {
        offset: posting.origin.offset,
        ordinal: posting.origin.ordinal,
        event_hash: posting.event_hash,
        content_hash: posting.content_hash,
        occurred_at: entry.event.occurred_at,
        attempts: entry.attempts,
        requests: entry.requests,
        unpriced: i8::from(entry.is_unpriced()),
        quantities: lines.quantities,
        list_cost: entry.list_cost.raw(),
        cost: entry.cost.raw(),
        charge: entry.charge.raw(),
        cost_avoided: entry.cost_avoided.raw(),
    }
}

/// A line that its quantity and unit price tell exactly: position, quantity, unit price.
pub(crate) fn as_fixed(line: &Line) -> Option<(usize, i64, i128)> {
    let position = fixed_position(line.unit)?;
    let quantity = line.quantity.to_i64()?;
    let price = match line.price {
        None if line.amount.is_zero() => 0,
        None => return None,
        Some(_) => line.unit_price().and_then(Decimal::to_raw18)?,
    };
    Some((position, quantity, price))
}

/// The column of a fixed unit's price: the unit's name with `price` for `tokens`.
#[must_use]
pub fn price_column(unit: &str) -> String {
    format!("{}_price", unit.strip_suffix("_tokens").unwrap_or(unit))
}

fn fixed_position(unit: Unit) -> Option<usize> {
    let position = match unit {
        Unit::InputUncachedTokens => 0,
        Unit::InputCacheReadTokens => 1,
        Unit::InputCacheWriteTokens => 2,
        Unit::InputCacheWrite5mTokens => 3,
        Unit::InputCacheWrite1hTokens => 4,
        Unit::OutputTextTokens => 5,
        Unit::OutputReasoningTokens => 6,
        _ => return None,
    };
    Some(position)
}

/// A line's price for one of its unit; where that is no finite decimal, as a person would write it: amount, divisor,
/// factor, and a minimum and an increment that made the charged quantity another one.
pub(crate) fn price_text(line: &Line) -> String {
    let Some(price) = &line.price else { return String::new() };
    if let Some(exact) = line.unit_price() {
        return exact.to_string();
    }
    let mut text = price.amount.to_string();
    if price.per != 1 {
        let _ = write!(text, "/{}", price.per);
    }
    if price.factor != Decimal::ONE {
        let _ = write!(text, "*{}", price.factor);
    }
    if let Some(minimum) = price.minimum {
        let _ = write!(text, " minimum {minimum}");
    }
    if let Some(increment) = price.increment {
        let _ = write!(text, " increment {increment}");
    }
    text
}

pub(crate) fn basis_name(basis: Basis) -> std::borrow::Cow<'static, str> {
    match basis {
        Basis::Own => "own".into(),
        Basis::Derived => "derived".into(),
        Basis::Reported => "reported".into(),
        Basis::NotOwed => "not_owed".into(),
        other => other.to_string().into(),
    }
}

/// The distinct conditions of the prices that held, in the order of the lines; mostly none.
pub(crate) fn conditions(entry: &Entry<'_, '_>) -> String {
    let mut text = String::new();
    let Some(row) = entry.row else { return text };
    let mut seen: [Option<u16>; 8] = [None; 8];
    for line in entry.lines {
        let Some(index) = line.price.as_ref().and_then(|price| price.row_price) else { continue };
        let Some(price) = row.row.prices.get(usize::from(index)) else { continue };
        if price.conditions.is_empty() || seen.contains(&Some(index)) {
            continue;
        }
        if let Some(free) = seen.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(index);
        }
        let one = price.conditions.to_string();
        if !text.split("; ").any(|known| known == one) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&one);
        }
    }
    text
}

/// The price dimensions without a column of their own, so that a reprice needs nothing that expires.
pub(crate) fn dimensions(entry: &Entry<'_, '_>) -> String {
    let lines = if entry.lines.is_empty() { entry.avoided } else { entry.lines };
    let counted = lines
        .iter()
        .filter(|line| line.unit.is_prompt_token())
        .filter_map(|line| u64::try_from(line.quantity.to_i64()?).ok())
        .fold(0, u64::saturating_add);
    // What the event says of its region has a column; what its model's name says has not.
    let region = entry.dimensions.region.filter(|_| entry.event.region.is_none());
    stored::dimensions_text(&Dimensions { region, ..entry.dimensions }, counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_units_price_has_the_units_name() {
        assert_eq!(price_column("input_cache_write_5m_tokens"), "input_cache_write_5m_price");
    }

    #[test]
    fn a_fixed_unit_has_the_place_that_the_domain_gives_it() {
        for unit in Unit::ALL {
            assert_eq!(fixed_position(*unit), Unit::FIXED.iter().position(|fixed| fixed == unit));
        }
    }

    /// Quantities in seconds, their charged quantities in steps of 6 and at least 10.
    #[test]
    fn a_price_whose_quantity_was_changed_says_how() {
        let row = r#"{"id": "r", "model": "m", "currency": "USD",
            "prices": [{"unit": "input_audio_seconds", "amount": "0.111", "per": "3600"}],
            "minimums": [{"unit": "input_audio_seconds", "quantity": "10"}],
            "increments": [{"unit": "input_audio_seconds", "quantity": "6"}]}"#;
        let book = ledger::prices::PriceBook::new(vec![crate::prices::from_json(row).unwrap()]).unwrap();
        let text = |seconds: &str| {
            let record = format!(
                r#"{{"event_id":"e","request_id":"r","occurred_at":1793707200000,"key":"k","provider":"p","model":"m",
                "endpoint_family":"audio-transcription","units":{{"input_audio_seconds":{seconds}}}}}"#
            );
            let arena = crate::event::Arena::new();
            let record = crate::event::Record {
                value: Some(record.as_bytes()),
                content_type: None,
                log_time: Millis(1_793_707_200_000),
            };
            let event = crate::event::Decoder::new().unwrap().decode(record, &arena).unwrap();
            let mut text = String::new();
            ledger::entry::entries_for(&event, &book, &mut ledger::entry::Scratch::default(), |entry| {
                text = price_text(&entry.lines[0]);
            })
            .unwrap();
            text
        };
        assert_eq!(text("3"), "0.111/3600 minimum 10 increment 6"); // 12
        assert_eq!(text("13"), "0.111/3600 increment 6"); // 18
        assert_eq!(text("30"), "0.111/3600");
    }
}
