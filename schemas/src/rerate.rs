//! Prices posted rows again: by another book, or by the same one after a fact of them was put right. The worker and the
//! dry run of the API both ask here, so that what was shown is what is posted.

use ledger::entry::{Entry, Scratch, entry_again};
use ledger::event::{AttemptKind, GatewayCache, Millis, Outcome, Owners, ReportedCost, UsageEvent};
use ledger::in_force::Book;
use ledger::money::Amount;
use ledger::planes::{Charging, Marked, Plane};
use ledger::price::{Basis, Line};
use ledger::unit::Unit;
use ledger::usage::{Dimensions, Flag, Flags, Normalized, ProviderCost, Quantities, Record, normalize};

use crate::entries::{
    as_fixed, basis_name, condition, conditions, dimensions, marked_price_text, matched_by, price_text,
    row_id,
};
use crate::event::{Arena, json_value};
use crate::operations::Facts;
use crate::posted::{PlaneLine, PostedRow};
use crate::stored::{Parts, dimensions_text};

/// Flags that pricing raises, not the usage.
const OF_PRICING: [Flag; 3] = [Flag::UsageMissing, Flag::SearchContextAssumed, Flag::MultiplierMissing];

/// Why a row stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unpostable {
    /// What does not fit, or cannot be read.
    pub detail: String,
}

impl PostedRow {
    /// The row as that book prices it, with the facts set right that `setting` names; `None` where it stays as it is.
    ///
    /// # Errors
    /// [`Unpostable`] where the row cannot be priced again, or does not fit the ledger then.
    pub fn again(
        &self,
        book: &Book,
        book_position: u64,
        setting: &Facts,
    ) -> Result<Option<Self>, Unpostable> {
        let mut row = self.clone();
        setting.apply(&mut row);
        match &setting.usage {
            Some(usage) if row.root().3 == 0 => row.price_usage(&usage.0, book)?,
            _ => row.price_quantities(book, setting)?,
        }
        if row.is_as(self) {
            return Ok(None);
        }
        row.book = book_position;
        Ok(Some(row))
    }

    /// Prices what the row says was used, or what is put in the place of that.
    fn price_quantities(&mut self, book: &Book, setting: &Facts) -> Result<(), Unpostable> {
        let row = self;
        let stored = row.stored();
        let mut parts = stored.parts().map_err(|error| Unpostable { detail: error.to_string() })?;
        if let Some(units) = setting.quantities_of(row)? {
            // The size of the prompt, which decides the context step, is that of what was used.
            let counted = units.prompt_tokens();
            parts.dimensions.prompt_tokens_total = counted;
            parts.quantities = units;
            parts.lines.clear();
            let region = parts.dimensions.region.filter(|_| row.region.is_empty());
            row.dimensions = dimensions_text(&Dimensions { region, ..parts.dimensions }, counted);
        }
        let owned = row.clone();
        let normalized = owned.normalized(parts, setting)?;
        let outcome = Outcome::parse(&owned.outcome).ok_or_else(|| Unpostable {
            detail: format!("its outcome {:?} cannot be read", owned.outcome),
        })?;
        let event = owned.event();
        let mut scratch = Scratch::default();
        let entry = entry_again(&event, outcome, &normalized, owned.root().3 == 0, book, &mut scratch)
            .map_err(|reject| Unpostable { detail: reject.detail })?;
        row.set_priced(&entry);
        Ok(())
    }

    /// Prices another usage object in the place of the one that the event had.
    fn price_usage(&mut self, usage: &str, book: &Book) -> Result<(), Unpostable> {
        let unreadable =
            |detail: String| Unpostable { detail: format!("the usage cannot be read: {detail}") };
        usage.clone_into(&mut self.usage);
        let owned = self.clone();
        let arena = Arena::new();
        let json = |text| json_value(text, &arena).map_err(|reject| unreadable(reject.detail));
        let context = if owned.context.is_empty() { None } else { Some(json(owned.context.as_str())?) };
        let reported_cost = (!owned.reported_amount.is_empty()).then(|| ReportedCost {
            amount: &owned.reported_amount,
            currency: &owned.reported_currency,
            source: said(&owned.reported_source),
        });
        let event = UsageEvent { usage: Some(json(usage)?), context, reported_cost, ..owned.event() };
        let mut normalized = Normalized::default();
        normalize(&event, &mut normalized).map_err(|error| unreadable(error.to_string()))?;
        if !normalized.further.is_empty() {
            return Err(unreadable("it bills several models; put each right by its units".into()));
        }
        let outcome = event.outcome.unwrap_or(Outcome::Unknown);
        let mut scratch = Scratch::default();
        let entry = entry_again(&event, outcome, &normalized, true, book, &mut scratch)
            .map_err(|reject| Unpostable { detail: reject.detail })?;
        self.set_priced(&entry);
        self.dimensions = dimensions(&entry);
        entry.dimensions.service_tier.clone_into(&mut self.service_tier);
        entry.dimensions.processing.clone_into(&mut self.processing);
        entry.dimensions.speed.clone_into(&mut self.speed);
        Ok(())
    }

    /// Whether nothing but the order of lines tells two rows apart.
    fn is_as(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let (mut one, mut two) = (self.clone(), other.clone());
        one.order_lines();
        two.order_lines();
        one == two
    }

    fn order_lines(&mut self) {
        let mut lines: Vec<_> = (self.line_units.drain(..))
            .zip(self.line_quantities.drain(..))
            .zip(self.line_prices.drain(..))
            .zip(self.line_amounts.drain(..))
            .map(|(((unit, quantity), price), amount)| (unit, quantity, price, amount))
            .collect();
        lines.sort_unstable();
        for (unit, quantity, price, amount) in lines {
            self.line_units.push(unit);
            self.line_quantities.push(quantity);
            self.line_prices.push(price);
            self.line_amounts.push(amount);
        }
        let mut bases: Vec<_> = self.basis_units.drain(..).zip(self.bases.drain(..)).collect();
        bases.sort_unstable();
        (self.basis_units, self.bases) = bases.into_iter().unzip();
        self.list_lines.sort_unstable();
        self.charge_lines.sort_unstable();
        self.flags.sort_unstable();
        self.unpriced_units.sort_unstable();
    }

    /// What was used, as a price is asked for it.
    fn normalized<'a>(&'a self, parts: Parts<'a>, setting: &Facts) -> Result<Normalized<'a>, Unpostable> {
        let is_reported_price = parts.lines.iter().any(|line| line.basis == "reported");
        let mut quantities = parts.quantities;
        let request = parts.lines.iter().find(|line| line.unit == Unit::Requests);
        // A request that only a price implied goes with that price. Where the provider did not say what was used, the event
        // may have counted it itself: it stays, and has no price rather than vanish.
        if !self.usage.is_empty() && request.is_some_and(|line| is_implied(line.basis, line.quantity)) {
            quantities = without_requests(&quantities)?;
        }
        let mut flags = Flags::EMPTY;
        parts.flags.iter().filter(|flag| !OF_PRICING.contains(flag)).for_each(|flag| flags.insert(flag));
        let is_missing = parts.flags.contains(Flag::UsageMissing)
            || ((is_reported_price || setting.outcome.is_some())
                && quantities.is_empty()
                && self.usage.is_empty());
        let reported = parts.reported.or_else(|| is_reported_price.then_some(parts.cost));
        let reported_cost = reported.map(|amount| ProviderCost {
            amount,
            currency: if self.reported_currency.is_empty() {
                &self.currency
            } else {
                &self.reported_currency
            },
            source: &self.reported_source,
        });
        let main = Record { model: &self.model, quantities, flags, dimensions: parts.dimensions };
        Ok(Normalized {
            main,
            further: Vec::new(),
            reported_cost,
            is_reported: !is_missing || setting.units.is_some(),
        })
    }

    /// The event as far as a price depends on it.
    fn event(&self) -> UsageEvent<'_> {
        UsageEvent {
            event_id: &self.event_id,
            request_id: &self.request_id,
            occurred_at: Millis(self.occurred_at),
            attempt: self.attempt,
            attempt_kind: AttemptKind::parse(&self.attempt_kind).unwrap_or(AttemptKind::Primary),
            fallback_from: None,
            key: &self.key,
            owners: Owners {
                team: said(&self.team),
                app: said(&self.app),
                environment: said(&self.environment),
                customer: said(&self.customer),
                project: said(&self.project),
                end_user: said(&self.end_user),
                workflow: said(&self.workflow),
            },
            tags: &[],
            endpoint_family: &self.endpoint_family,
            provider: &self.provider,
            model: &self.model,
            alias: said(&self.alias),
            provider_account: said(&self.provider_account),
            credential: None,
            route: said(&self.route),
            region: said(&self.region),
            service_tier: said(&self.service_tier),
            processing: said(&self.processing),
            speed: said(&self.speed),
            status: None,
            error_class: None,
            outcome: Outcome::parse(&self.outcome),
            stream: None,
            latency_ms: None,
            ttft_ms: None,
            gateway_cache: GatewayCache::parse(&self.gateway_cache),
            usage: None,
            context: None,
            units: None,
            reported_cost: None,
            gateway: None,
            gateway_seq: None,
        }
    }

    /// Takes over what a price decides of an entry.
    fn set_priced(&mut self, entry: &Entry<'_, '_>) {
        self.unpriced = i8::from(entry.is_unpriced());
        self.unpriced_units = entry.unpriced.iter().map(|unit| unit.name().to_owned()).collect();
        self.flags = entry.flags.iter().map(|flag| flag.name().to_owned()).collect();
        entry.row.map_or("", |row| row.row.id.as_str()).clone_into(&mut self.model_row);
        entry.row.map_or("", |row| row.matched_by.name()).clone_into(&mut self.matched_by);
        self.conditions = conditions(entry);
        entry.currency.clone_into(&mut self.currency);
        entry.charge_currency.clone_into(&mut self.charge_currency);
        self.set_planes(entry);
        self.set_lines(entry.lines);
        self.avoided_units = entry.avoided.iter().map(|line| line.unit.name().to_owned()).collect();
        self.avoided_quantities =
            entry.avoided.iter().map(|line| line.quantity.to_raw18().unwrap_or(0)).collect();
        self.cost_avoided = entry.cost_avoided.raw();
        self.list_cost = entry.list_cost.raw();
        self.cost = entry.cost.raw();
        self.charge = entry.charge.raw();
    }

    fn set_planes(&mut self, entry: &Entry<'_, '_>) {
        let plane = match &entry.charging {
            Charging::Row(plane) => Some(plane),
            Charging::AsCost | Charging::Markup(_) => None,
        };
        row_id(entry.list.as_ref()).clone_into(&mut self.list_row);
        matched_by(entry.list.as_ref()).clone_into(&mut self.list_matched_by);
        self.list_lines = plane_lines(entry.list.as_ref());
        row_id(plane).clone_into(&mut self.charge_row);
        matched_by(plane).clone_into(&mut self.charge_matched_by);
        (self.markup, self.charge_lines) = match &entry.charging {
            Charging::Markup(marked) => {
                (format!("{}@{}", marked.by.id, marked.by.version), marked_lines(marked))
            }
            Charging::AsCost | Charging::Row(_) => (String::new(), plane_lines(plane)),
        };
    }

    /// Sorts the lines into fixed columns and arrays.
    fn set_lines(&mut self, lines: &[Line]) {
        let (mut quantities, mut prices) = ([0; Unit::FIXED.len()], [0; Unit::FIXED.len()]);
        self.line_units.clear();
        self.line_quantities.clear();
        self.line_prices.clear();
        self.line_amounts.clear();
        self.basis_units.clear();
        self.bases.clear();
        for line in lines {
            if line.basis != Basis::Own {
                self.basis_units.push(line.unit.name().to_owned());
                self.bases.push(basis_name(line.basis).into_owned());
            }
            if let Some((position, quantity, price)) = as_fixed(line) {
                (quantities[position], prices[position]) = (quantity, price);
            } else {
                self.line_units.push(line.unit.name().to_owned());
                self.line_quantities.push(line.quantity.to_raw18().unwrap_or(0));
                self.line_prices.push(price_text(line));
                self.line_amounts.push(line.amount.raw());
            }
        }
        self.set_fixed(quantities, prices);
    }
}

/// Whether a line of one request may be there only because its price is one for each request.
fn is_implied(basis: &str, quantity: ledger::money::Decimal) -> bool {
    let is_priced = basis != "not_owed" && !basis.starts_with("unpriced");
    is_priced && quantity == ledger::money::Decimal::ONE
}

fn without_requests(quantities: &Quantities) -> Result<Quantities, Unpostable> {
    let mut rest = Quantities::default();
    for (unit, quantity) in quantities.iter().filter(|(unit, _)| *unit != Unit::Requests) {
        rest.add_decimal(unit, quantity).map_err(|error| Unpostable { detail: error.to_string() })?;
    }
    Ok(rest)
}

fn said(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn plane_lines(plane: Option<&Plane<'_, '_>>) -> Vec<PlaneLine> {
    let Some(plane) = plane else { return Vec::new() };
    let line = |line: &Line| {
        let condition = plane.row.map_or_else(String::new, |row| condition(row, line));
        let (unit, quantity) = (line.unit.name().to_owned(), line.quantity.to_raw18().unwrap_or(0));
        (unit, quantity, price_text(line), line.amount.raw(), basis_name(line.basis).into_owned(), condition)
    };
    plane.lines.iter().map(line).collect()
}

fn marked_lines(marked: &Marked<'_, '_>) -> Vec<PlaneLine> {
    let amount = |amount: Amount| amount.raw();
    let line = |line: &ledger::markup::MarkedLine| {
        let basis = if line.is_unpriced { "unpriced" } else { line.part.name() };
        let price = marked_price_text(marked.by.markup, line);
        let (unit, quantity) = (line.unit.name().to_owned(), line.quantity.to_raw18().unwrap_or(0));
        (unit, quantity, price, amount(line.amount), basis.to_owned(), String::new())
    };
    marked.lines.iter().map(line).collect()
}
