//! Markups: how a charge is made of a cost or a list cost where no price of the customer's own holds.
//!
//! Of all markups in effect the most specific holds: the scope decides first (customer, team, plan, everybody), then
//! the model and the provider that it is limited to. Two that could claim the same usage are refused when they are
//! set, so that there is never a choice left.

use std::collections::HashMap;

use crate::event::{Millis, names};
use crate::money::{self, Amount, Decimal, mark_up};
use crate::price::{Basis, Line};
use crate::prices::{canonical_provider, is_provider};
use crate::timeline::{Timeline, Version};
use crate::unit::{Unit, UnitSet};

/// Code points of an id, a scope's name and the like.
pub const NAME_CHARS_MAX: usize = 128;

/// The currency that amounts and rates of a markup are in where it does not say.
pub const CURRENCY_USUAL: &str = "USD";

/// Whose usage a markup is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everybody's.
    Everybody,
    /// That of the customers of one plan.
    Plan(String),
    /// That of one team.
    Team(String),
    /// That of one customer.
    Customer(String),
}

/// Which usage a markup is for. Never changes from version to version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose usage.
    pub scope: Scope,
    /// The provider it is limited to.
    pub provider: Option<String>,
    /// The model it is limited to, or the beginning of one and `*`.
    pub model: Option<String>,
}

names! {
    /// What a markup is put upon.
    Base {
        /// What is owed to the provider.
        Cost = "cost",
        /// The provider's list price.
        ListCost = "list_cost",
    }
}

/// How a charge is made. Its own amounts are in the currency in which it charges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markup {
    /// What it is put upon.
    pub base: Base,
    /// Per cent added to each line; below zero it is a discount.
    pub percent: Decimal,
    /// Money added for each of a unit.
    pub per_unit: Vec<Addition>,
    /// Money added for each request.
    pub per_request: Option<Decimal>,
    /// The least that a request is charged.
    pub minimum: Option<Decimal>,
    /// ISO 4217 code of the base. Usage in another currency has no charge where the markup adds amounts or converts.
    pub currency: String,
    /// Makes the charge another currency.
    pub fx: Option<Fx>,
    /// What a reader should know.
    pub notes: Option<String>,
}

/// Money for each of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addition {
    /// Of what.
    pub unit: Unit,
    /// Money for `per` of the unit.
    pub amount: Decimal,
    /// For how many of the unit the amount is; at least 1.
    pub per: u64,
}

/// A rate that was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fx {
    /// ISO 4217 code of the charge.
    pub currency: String,
    /// How much of it one of the base's currency is.
    pub rate: Decimal,
}

/// A line of a charge that a markup made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarkedLine {
    /// What is charged.
    pub unit: Unit,
    /// How much of it.
    pub quantity: Decimal,
    /// What the line is for.
    pub part: Part,
    /// The amount that it is put upon.
    pub base: Amount,
    /// What one of the unit is charged, where that times the quantity is the amount exactly.
    pub unit_price: Option<Decimal>,
    /// The charge.
    pub amount: Amount,
    /// Whether it is owed and nobody knows how much.
    pub is_unpriced: bool,
}

names! {
    /// What a line of a charge is for.
    Part {
        /// A line of the base, marked up.
        Usage = "usage",
        /// The amount for each request.
        PerRequest = "per_request",
        /// What was missing to the least that a request is charged.
        Minimum = "minimum",
    }
}

/// The markup that holds for some usage.
#[derive(Clone, Copy, Debug)]
pub struct InEffect<'b> {
    /// Its id.
    pub id: &'b str,
    /// Which version of it.
    pub version: u32,
    /// What it does.
    pub markup: &'b Markup,
}

/// Why a markup cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field breaks a rule.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Which rule, and what to do.
        detail: String,
    },
    /// The id is for other usage.
    #[error(
        "markup {id:?} is for {before}, and what a markup is for never changes; end it and set another id for {after}"
    )]
    Retargeted {
        /// The id.
        id: String,
        /// What it is for.
        before: String,
        /// What it was to be for.
        after: String,
    },
    /// Another markup could claim the same usage at the same time, and neither is the more specific.
    #[error(
        "markups {first:?} (for {first_target}) and {second:?} (for {second_target}) would both hold for the same \
         usage at the same time; end one of them, or limit both to provider and model"
    )]
    Ambiguous {
        /// One id.
        first: String,
        /// What it is for.
        first_target: String,
        /// The other id.
        second: String,
        /// What that one is for.
        second_target: String,
    },
}

impl Markup {
    /// Whether it can be.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |field, detail: &str| Err(Error::Invalid { field, detail: detail.to_owned() });
        if self.factor().is_none_or(Decimal::is_negative) {
            return invalid("percent", "is -100 or more, with few enough digits to multiply by");
        }
        for (position, addition) in self.per_unit.iter().enumerate() {
            if addition.per == 0 || addition.amount.is_negative() {
                return invalid("per_unit", "`amount` is zero or more, and `per` at least 1");
            }
            if addition.unit == Unit::Requests {
                return invalid("per_unit", "an amount for each request is `per_request`");
            }
            if self.per_unit[..position].iter().any(|before| before.unit == addition.unit) {
                return invalid("per_unit", "names each unit once");
            }
        }
        for (field, amount) in [("per_request", self.per_request), ("minimum", self.minimum)] {
            if amount.is_some_and(|amount| Amount::try_from(amount).is_err() || amount.is_negative()) {
                return invalid(field, "is zero or more, with at most 18 decimals");
            }
        }
        if !is_currency(&self.currency) {
            return invalid("currency", "is an ISO 4217 code of three capitals, such as `USD`");
        }
        if let Some(fx) = &self.fx {
            if !is_currency(&fx.currency) {
                return invalid("fx", "`currency` is an ISO 4217 code of three capitals, such as `EUR`");
            }
            if fx.rate.is_negative() || fx.rate.is_zero() {
                return invalid("fx", "`rate` is above zero");
            }
        }
        Ok(())
    }

    /// ISO 4217 code of the charge of usage whose base is in that currency.
    #[must_use]
    pub fn currency_of<'x>(&'x self, base: &'x str) -> &'x str {
        self.fx.as_ref().map_or(base, |fx| &fx.currency)
    }

    /// What the base is multiplied by: (100 + percent) / 100 × rate; `None` where it has too many digits.
    #[must_use]
    pub fn factor(&self) -> Option<Decimal> {
        let hundredth = Decimal::new(1, 2).ok()?;
        let percent = Decimal::from(100).checked_add(self.percent).ok()?.checked_mul(hundredth).ok()?;
        match &self.fx {
            Some(fx) => percent.checked_mul(fx.rate).ok(),
            None => Some(percent),
        }
    }

    /// The money that is added for each of a unit.
    #[must_use]
    pub fn addition(&self, unit: Unit) -> Option<&Addition> {
        self.per_unit.iter().find(|addition| addition.unit == unit)
    }

    /// Whether usage of that currency can be charged.
    #[must_use]
    pub fn takes(&self, currency: &str) -> bool {
        let has_amounts = !self.per_unit.is_empty() || self.per_request.is_some() || self.minimum.is_some();
        !(has_amounts || self.fx.is_some()) || currency == self.currency
    }

    /// Adds the lines of a charge to `out`; answers their sum and the units that are owed and have no price.
    ///
    /// # Errors
    /// [`money::Error::Overflow`] where an amount does not fit.
    pub fn charge(
        &self,
        lines: &[Line],
        currency: &str,
        is_request: bool,
        out: &mut Vec<MarkedLine>,
    ) -> Result<(Amount, UnitSet), money::Error> {
        let factor = self.factor().ok_or(money::Error::Overflow)?;
        let is_taken = self.takes(currency);
        let mut unpriced = UnitSet::EMPTY;
        let mut sum = Amount::ZERO;
        for line in lines {
            let line = if is_taken && !matches!(line.basis, Basis::Unpriced(_)) {
                self.marked(line, factor)?
            } else {
                unpriced.insert(line.unit);
                MarkedLine { is_unpriced: true, ..part(Part::Usage, line.unit, line.quantity, line.amount) }
            };
            sum = sum.checked_add(line.amount).ok_or(money::Error::Overflow)?;
            out.push(line);
        }
        if !is_request {
            return Ok((sum, unpriced));
        }
        let amounts = [(Part::PerRequest, self.per_request), (Part::Minimum, self.minimum)];
        for (what, amount) in amounts.into_iter().filter_map(|(what, amount)| Some((what, amount?))) {
            if !is_taken {
                unpriced.insert(Unit::Requests);
                continue;
            }
            let amount = Amount::try_from(amount)?;
            let amount = match what {
                Part::Minimum if sum >= amount => continue,
                Part::Minimum => amount.checked_add(sum.neg()).ok_or(money::Error::Overflow)?,
                Part::Usage | Part::PerRequest => amount,
            };
            sum = sum.checked_add(amount).ok_or(money::Error::Overflow)?;
            let line = part(what, Unit::Requests, Decimal::ONE, Amount::ZERO);
            out.push(MarkedLine { unit_price: Some(amount.to_decimal()), amount, ..line });
        }
        Ok((sum, unpriced))
    }

    /// One line of the base, marked up: its amount × factor + quantity × addition, rounded once.
    fn marked(&self, line: &Line, factor: Decimal) -> Result<MarkedLine, money::Error> {
        let addition = self.addition(line.unit);
        let (added, per) = addition.map_or((Decimal::ZERO, 1), |addition| (addition.amount, addition.per));
        let amount = mark_up(line.amount, factor, line.quantity, added, per)?;
        let unit_price = line.unit_price().and_then(|price| {
            let price = price.checked_mul(factor).ok()?.checked_add(added.div_exact(per)?).ok()?;
            let product = Amount::try_from(price.checked_mul(line.quantity).ok()?).ok()?;
            (price.to_raw18().is_some() && product == amount).then_some(price)
        });
        Ok(MarkedLine { unit_price, amount, ..part(Part::Usage, line.unit, line.quantity, line.amount) })
    }
}

const fn part(part: Part, unit: Unit, quantity: Decimal, base: Amount) -> MarkedLine {
    MarkedLine { unit, quantity, part, base, unit_price: None, amount: Amount::ZERO, is_unpriced: false }
}

impl Target {
    /// Whether it can be.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |field, detail: &str| Err(Error::Invalid { field, detail: detail.to_owned() });
        let is_name = |name: &str| !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX;
        let name = match &self.scope {
            Scope::Everybody => None,
            Scope::Plan(name) | Scope::Team(name) | Scope::Customer(name) => Some(name),
        };
        if name.is_some_and(|name| !is_name(name)) {
            return invalid("scope", "names a plan, a team or a customer with 1 to 128 characters");
        }
        if self.provider.as_deref().is_some_and(|provider| !is_name(provider)) {
            return invalid("provider", "has 1 to 128 characters; leave it out for any");
        }
        if let Some(model) = &self.model {
            let stem = model.strip_suffix('*').unwrap_or(model);
            if !is_name(stem) || stem.contains('*') {
                return invalid(
                    "model",
                    "is a model, or the beginning of one and `*`, such as `gpt-*`; leave it out for any",
                );
            }
        }
        Ok(())
    }

    /// Whether it is for that model of that provider.
    fn holds(&self, provider: &str, model: &str) -> bool {
        let names = |pattern: &String| match pattern.strip_suffix('*') {
            Some(stem) => model.starts_with(stem),
            None => model == pattern,
        };
        self.model.as_ref().is_none_or(names)
            && self.provider.as_ref().is_none_or(|own| is_provider(own, provider))
    }

    /// How specific it is within its scope: a model before a pattern, the longer pattern first, then the provider.
    fn rank(&self) -> (bool, usize, bool) {
        let is_whole = self.model.as_ref().is_some_and(|model| !model.ends_with('*'));
        (is_whole, self.model.as_ref().map_or(0, String::len), self.provider.is_some())
    }

    /// Whether some usage could be claimed by both with neither being the more specific.
    fn is_ambiguous_with(&self, other: &Self) -> bool {
        if self.scope != other.scope {
            return false;
        }
        // A pattern is a beginning, so of two that meet one is within the other.
        let models = (self.model.as_deref().unwrap_or("*"), other.model.as_deref().unwrap_or("*"));
        let within = |one: &str, two: &str| match two.strip_suffix('*') {
            Some(stem) => one.strip_suffix('*').unwrap_or(one).starts_with(stem),
            None => one == two,
        };
        let models = (within(models.0, models.1), within(models.1, models.0));
        let providers = match (&self.provider, &other.provider) {
            (None, None) => (true, true),
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(one), Some(two)) => {
                let is_same = canonical_provider(one) == canonical_provider(two);
                (is_same, is_same)
            }
        };
        if !(models.0 || models.1) || !(providers.0 || providers.1) {
            return false;
        }
        let is_narrower = models.0 && providers.0;
        let is_wider = models.1 && providers.1;
        is_narrower == is_wider
    }
}

/// Such as `customer "acme", provider "openai", model "gpt-*"`.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.scope {
            Scope::Everybody => f.write_str("everybody")?,
            Scope::Plan(name) => write!(f, "plan {name:?}")?,
            Scope::Team(name) => write!(f, "team {name:?}")?,
            Scope::Customer(name) => write!(f, "customer {name:?}")?,
        }
        for (what, name) in [("provider", &self.provider), ("model", &self.model)] {
            if let Some(name) = name {
                write!(f, ", {what} {name:?}")?;
            }
        }
        Ok(())
    }
}

/// Every version of one markup.
#[derive(Clone, Debug)]
struct Named {
    id: String,
    target: Target,
    timeline: Timeline<Markup>,
}

/// All markups by version.
#[derive(Clone, Debug, Default)]
pub struct Markups {
    all: Vec<Named>,
    /// Positions in `all` by scope: narrow ones by name.
    everybody: Vec<usize>,
    plans: HashMap<String, Vec<usize>>,
    teams: HashMap<String, Vec<usize>>,
    customers: HashMap<String, Vec<usize>>,
}

/// Who pays for some usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payer<'e> {
    /// The customer.
    pub customer: Option<&'e str>,
    /// The team.
    pub team: Option<&'e str>,
    /// The plan of the customer's account then.
    pub plan: Option<&'e str>,
}

impl Markups {
    /// Adds a version of a markup.
    ///
    /// # Errors
    /// [`Error`] where a field breaks a rule, the id is for other usage, or it would be ambiguous; then nothing is
    /// added.
    pub fn insert(&mut self, id: &str, target: Target, version: Version<Markup>) -> Result<(), Error> {
        target.check()?;
        if id.is_empty() || id.chars().count() > NAME_CHARS_MAX || id.contains('@') {
            let detail = "has 1 to 128 characters, none of them `@`".to_owned();
            return Err(Error::Invalid { field: "id", detail });
        }
        version.value.as_ref().map_or(Ok(()), Markup::check)?;
        let position = self.all.iter().position(|named| named.id == id);
        let mut named = match position.and_then(|position| self.all.get(position)) {
            Some(named) if named.target != target => {
                let (before, after) = (named.target.to_string(), target.to_string());
                return Err(Error::Retargeted { id: id.to_owned(), before, after });
            }
            Some(named) => named.clone(),
            None => Named { id: id.to_owned(), target, timeline: Timeline::default() },
        };
        named.timeline.insert(version);
        if let Some(other) = self.rival(&named) {
            return Err(Error::Ambiguous {
                first: other.id.clone(),
                first_target: other.target.to_string(),
                second: named.id,
                second_target: named.target.to_string(),
            });
        }
        match position.and_then(|position| self.all.get_mut(position)) {
            Some(place) => *place = named,
            None => {
                let position = self.all.len();
                match &named.target.scope {
                    Scope::Everybody => self.everybody.push(position),
                    Scope::Plan(name) => self.plans.entry(name.clone()).or_default().push(position),
                    Scope::Team(name) => self.teams.entry(name.clone()).or_default().push(position),
                    Scope::Customer(name) => self.customers.entry(name.clone()).or_default().push(position),
                }
                self.all.push(named);
            }
        }
        Ok(())
    }

    /// Another markup that could claim the same usage at the same time.
    fn rival(&self, named: &Named) -> Option<&Named> {
        self.all.iter().find(|other| {
            other.id != named.id
                && other.target.is_ambiguous_with(&named.target)
                && other.timeline.overlaps(&named.timeline)
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All versions of a markup; `None` where there is none of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<(&Target, &Timeline<Markup>)> {
        self.all.iter().find(|named| named.id == id).map(|named| (&named.target, &named.timeline))
    }

    /// The most specific markup that is in effect.
    #[must_use]
    pub fn find(&self, payer: Payer<'_>, provider: &str, model: &str, at: Millis) -> Option<InEffect<'_>> {
        let named = |names: &HashMap<String, Vec<usize>>, name: Option<&str>| {
            self.best(names.get(name?)?, provider, model, at)
        };
        named(&self.customers, payer.customer)
            .or_else(|| named(&self.teams, payer.team))
            .or_else(|| named(&self.plans, payer.plan))
            .or_else(|| self.best(&self.everybody, provider, model, at))
    }

    /// The most specific markup of one scope.
    fn best(&self, positions: &[usize], provider: &str, model: &str, at: Millis) -> Option<InEffect<'_>> {
        let holding = positions.iter().filter_map(|position| self.all.get(*position));
        let in_effect = holding.filter(|named| named.target.holds(provider, model)).filter_map(|named| {
            let (version, markup) = named.timeline.at(at)?;
            Some((named.target.rank(), InEffect { id: &named.id, version, markup }))
        });
        in_effect.max_by_key(|(rank, _)| *rank).map(|(_, markup)| markup)
    }
}

/// Whether a text has the form of an ISO 4217 code.
pub(crate) fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
