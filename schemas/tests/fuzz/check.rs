//! What must hold of every record, whatever it says.

use crate::build::Case;
use ledger::entry::{Entry, Scratch, entries_for};
use ledger::event::{Millis, UsageEvent};
use ledger::money::{Amount, Decimal};
use ledger::price::Line;
use ledger::prices::PriceBook;
use ledger::unit::{Unit, UnitSet};
use ledger::usage::{self, Normalized};
use schemas::entries::{Entries, Posting};
use schemas::event::{Arena, Decoder, Error, Record};
use schemas::tables::Origin;

/// Rows with every kind of price: tiers, steps, hours, sizes, fractions that do not end, factors, minimums, steps.
const ROWS: &str = include_str!("rows.json");

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It became entries.
    Posted,
    /// It was refused, with a reason.
    Refused,
}

/// What is tried: a decoder and a book.
pub(crate) struct Subject {
    decoder: Decoder,
    book: PriceBook,
}

impl Subject {
    pub(crate) fn new() -> Self {
        let rows = schemas::prices::list_from_json(ROWS).unwrap();
        Self { decoder: Decoder::new().unwrap(), book: PriceBook::new(rows).unwrap() }
    }

    /// Checks everything that must hold of a case.
    pub(crate) fn check(&self, case: &Case) -> Checked {
        let arena = Arena::new();
        let Some(event) = self.decode(&case.record, &arena) else {
            assert!(case.totals.is_none(), "a well-formed record is an event");
            return Checked::Refused;
        };
        let checked = self.check_event(&event);
        if let Some((input, output)) = case.totals {
            let mut normalized = Normalized::default();
            usage::normalize(&event, &mut normalized).unwrap();
            assert_eq!(normalized.main.quantities.input_tokens(), input, "Σ input");
            assert_eq!(normalized.main.quantities.output_tokens(), output, "Σ output");
            assert_eq!(checked, Checked::Posted, "well-formed counters are posted");
        }
        checked
    }

    fn decode<'a>(&self, value: &'a [u8], arena: &'a Arena) -> Option<UsageEvent<'a>> {
        let record = Record { value: Some(value), content_type: None, log_time: Millis(1_793_707_200_000) };
        match self.decoder.decode(record, arena) {
            Ok(event) => Some(event),
            Err(Error::Reject(reject)) => {
                assert!(!reject.detail.is_empty());
                None
            }
            Err(Error::UnknownSchema(id)) => panic!("without a registry schema {id} is the built-in one"),
        }
    }

    fn check_event(&self, event: &UsageEvent<'_>) -> Checked {
        let mut columns = Entries::default();
        let (mut entries, mut attempts) = (0_u32, 0);
        let posted = entries_for(event, &self.book, &mut Scratch::default(), |entry| {
            check_entry(entry);
            attempts += entry.attempts;
            entries += 1;
            columns.push(entry, &posting());
        });
        if let Err(reject) = posted {
            assert!(!reject.detail.is_empty());
            assert_eq!(entries, 0, "an event ends as entries or as one reject");
            return Checked::Refused;
        }
        assert!(entries > 0 && attempts == 1);
        check_normalized(event);
        Checked::Posted
    }
}

fn posting() -> Posting<'static> {
    Posting {
        origin: Origin { topic: "usage.events", partition: 0, offset: 0, ordinal: 0 },
        log_time: Millis(0),
        recorded_at: Millis(0),
        event_hash: 0,
        content_hash: 0,
        book: 0,
        batch_first: 0,
    }
}

/// The prompt by which steps go is what the input units add up to, tools aside.
fn check_normalized(event: &UsageEvent<'_>) {
    let mut normalized = Normalized::default();
    usage::normalize(event, &mut normalized).unwrap();
    for record in std::iter::once(&normalized.main).chain(&normalized.further) {
        assert_eq!(
            record.dimensions.prompt_tokens_total,
            record.quantities.prompt_tokens(),
            "size of the prompt"
        );
    }
    if !normalized.is_reported {
        assert!(normalized.main.quantities.is_empty(), "nothing was reported, so nothing was used");
    }
    let mut again = Normalized::default();
    usage::normalize(event, &mut again).unwrap();
    assert_eq!(normalized, again, "the same event gives the same quantities");
}

fn check_entry(entry: &Entry<'_, '_>) {
    let sum = |lines: &[Line]| lines.iter().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount));
    assert_eq!(sum(entry.lines), Some(entry.cost), "the lines add up to the cost");
    assert_eq!(sum(entry.avoided), Some(entry.cost_avoided), "the avoided lines add up to what was avoided");
    let mut seen = UnitSet::EMPTY;
    for line in entry.lines.iter().chain(entry.avoided) {
        // A reported amount may stand in a line of requests beside those that were counted.
        assert!(!seen.contains(line.unit) || line.unit == Unit::Requests, "{} has two lines", line.unit);
        seen.insert(line.unit);
        check_line(line);
    }
    for unit in entry.unpriced.iter() {
        assert!(seen.contains(unit), "{unit} is owed without a line");
    }
}

fn check_line(line: &Line) {
    let zero = Decimal::ZERO;
    assert!(line.quantity > zero, "{} of {}", line.unit, line.quantity);
    assert!(!line.unit.is_whole() || line.quantity.is_whole(), "{} of {}", line.unit, line.quantity);
    assert!(line.charged() >= line.quantity, "less is charged than was used");
    assert!(line.amount >= Amount::ZERO, "{} costs {}", line.unit, line.amount);
    if let Some(unit_price) = line.unit_price() {
        let product = unit_price.checked_mul(line.quantity).and_then(Amount::try_from);
        assert_eq!(product, Ok(line.amount), "quantity × unit price");
    }
}
