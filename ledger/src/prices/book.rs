//! The price book: finds the model row that held for a provider's model at an instant.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::{Error, ModelRow, Rates, Scope};
use crate::event::{Millis, names};

/// All model rows, arranged for lookup. Immutable.
#[derive(Debug, Default)]
pub struct PriceBook {
    rows: Vec<(ModelRow, Rates)>,
    ids: HashMap<String, usize>,
    names: Vec<Name>,
    /// Whether any row is for some account, plan, team or customer alone.
    has_scoped: bool,
    /// Positions in `names` by hash of kind, scope, provider and name.
    hashes: HashMap<u64, Vec<usize>, BuildHasherDefault<Identity>>,
}

/// A name under which rows are found.
#[derive(Debug)]
struct Name {
    kind: Kind,
    scope: Scope,
    provider: Option<String>,
    text: String,
    /// Positions in `rows`, by `effective_from`.
    versions: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Model = 1,
    Alias = 2,
}

/// For whom a row is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Anybody: the public list.
    Public,
    /// One account at the provider.
    ProviderAccount(&'a str),
    /// The customers of one plan.
    Plan(&'a str),
    /// One team.
    Team(&'a str),
    /// One customer.
    Customer(&'a str),
}

names! {
    /// Why a row matched.
    MatchedBy {
        /// The event names the row's model.
        Exact = "exact",
        /// The event uses one of the row's other names.
        Alias = "alias",
        /// The event names a dated snapshot, and there is no row of that snapshot.
        DatedSuffix = "dated_suffix",
    }
}

/// The row that held.
#[derive(Clone, Copy, Debug)]
pub struct Match<'b> {
    /// The row.
    pub row: &'b ModelRow,
    /// Why it matched.
    pub matched_by: MatchedBy,
    /// When the next version begins; `None` while there is none.
    pub effective_to: Option<Millis>,
    pub(crate) rates: &'b Rates,
}

impl PriceBook {
    /// Arranges the rows, in whatever order they come.
    ///
    /// # Errors
    /// [`Error`] where a row breaks a rule, is ambiguous, or overlaps with another.
    pub fn new(rows: Vec<ModelRow>) -> Result<Self, Error> {
        let mut book = Self::default();
        let replaced: HashSet<String> = rows.iter().filter_map(|row| row.supersedes.clone()).collect();
        let mut positions: HashMap<(Kind, Scope, Option<String>, String), usize> = HashMap::new();
        for row in rows {
            check(&row)?;
            let rates = Rates::of(&row)?;
            let position = book.rows.len();
            if book.ids.insert(row.id.clone(), position).is_some() {
                return Err(Error::DuplicateId { row: row.id });
            }
            book.has_scoped |= row.scope != Scope::Public;
            if !replaced.contains(&row.id) {
                let provider = row.provider.as_deref().map(canonical_provider);
                let aliases = row.aliases.iter().map(|alias| (Kind::Alias, alias));
                for (kind, text) in std::iter::once((Kind::Model, &row.model)).chain(aliases) {
                    let key = (kind, row.scope.clone(), provider.clone(), text.clone());
                    let name = *positions.entry(key).or_insert(book.names.len());
                    if name == book.names.len() {
                        let (scope, provider, text) = (row.scope.clone(), provider.clone(), text.clone());
                        book.names.push(Name { kind, scope, provider, text, versions: vec![] });
                    }
                    book.names[name].versions.push(position);
                }
            }
            book.rows.push((row, rates));
        }
        book.arrange()?;
        Ok(book)
    }

    /// The public row that holds for a model of a provider at an instant: by its name, else an alias, else as a dated
    /// snapshot of it; a provider's own row before one for any provider.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, at: Millis) -> Option<Match<'_>> {
        self.find_for(Whose::Public, provider, model, at)
    }

    /// The row that holds for somebody, found in the same way among the rows of that scope alone.
    #[must_use]
    pub fn find_for(&self, whose: Whose<'_>, provider: &str, model: &str, at: Millis) -> Option<Match<'_>> {
        let provider = if provider == "vertex" { "vertex_ai" } else { provider };
        [Some(provider), None].into_iter().find_map(|provider| {
            let look = |kind, name, matched_by| self.look_up(kind, (whose, provider), name, at, matched_by);
            look(Kind::Model, model, MatchedBy::Exact)
                .or_else(|| look(Kind::Alias, model, MatchedBy::Alias))
                .or_else(|| {
                    let stem = without_date(model)?;
                    look(Kind::Model, stem, MatchedBy::DatedSuffix)
                        .or_else(|| look(Kind::Alias, stem, MatchedBy::DatedSuffix))
                })
        })
    }

    /// The row of an id, whether or not it still holds.
    #[must_use]
    pub fn row(&self, id: &str) -> Option<&ModelRow> {
        self.ids.get(id).map(|position| &self.rows[*position].0)
    }

    /// All rows, in the order in which they were given.
    pub fn rows(&self) -> impl Iterator<Item = &ModelRow> {
        self.rows.iter().map(|(row, _)| row)
    }

    /// Whether any row is not public: for an account at a provider, a plan, a team or a customer.
    #[must_use]
    pub const fn has_scoped(&self) -> bool {
        self.has_scoped
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn arrange(&mut self) -> Result<(), Error> {
        for (position, name) in self.names.iter_mut().enumerate() {
            let from = |version: &usize| self.rows[*version].0.effective_from;
            name.versions.sort_by_key(from);
            if let Some(pair) = name.versions.windows(2).find(|pair| from(&pair[0]) == from(&pair[1])) {
                return Err(Error::Overlap {
                    first: self.rows[pair[0]].0.id.clone(),
                    second: self.rows[pair[1]].0.id.clone(),
                    name: name.text.clone(),
                });
            }
            let hash = hash(name.kind, Whose::of(&name.scope), name.provider.as_deref(), &name.text);
            self.hashes.entry(hash).or_default().push(position);
        }
        Ok(())
    }

    fn look_up(
        &self,
        kind: Kind,
        (whose, provider): (Whose<'_>, Option<&str>),
        text: &str,
        at: Millis,
        matched_by: MatchedBy,
    ) -> Option<Match<'_>> {
        let candidates = self.hashes.get(&hash(kind, whose, provider, text))?;
        let name = candidates.iter().map(|position| &self.names[*position]).find(|name| {
            name.kind == kind
                && name.text == text
                && Whose::of(&name.scope) == whose
                && same_provider(&name.provider, provider)
        })?;
        let begun = |version: &usize| self.rows[*version].0.effective_from.is_none_or(|from| from <= at);
        let next = name.versions.partition_point(begun);
        let (row, rates) = &self.rows[*name.versions.get(next.checked_sub(1)?)?];
        let effective_to = name.versions.get(next).and_then(|version| self.rows[*version].0.effective_from);
        Some(Match { row, matched_by, effective_to, rates })
    }
}

impl<'a> Whose<'a> {
    const fn of(scope: &'a Scope) -> Self {
        match scope {
            Scope::Public => Self::Public,
            Scope::ProviderAccount(account) => Self::ProviderAccount(account.as_str()),
            Scope::Plan(plan) => Self::Plan(plan.as_str()),
            Scope::Team(team) => Self::Team(team.as_str()),
            Scope::Customer(customer) => Self::Customer(customer.as_str()),
        }
    }

    /// A number for the scope, and whose it is.
    const fn parts(self) -> (u8, &'a str) {
        match self {
            Self::Public => (0, ""),
            Self::ProviderAccount(account) => (1, account),
            Self::Plan(plan) => (2, plan),
            Self::Team(team) => (3, team),
            Self::Customer(customer) => (4, customer),
        }
    }
}

fn check(row: &ModelRow) -> Result<(), Error> {
    let invalid = |detail: &str| Err(Error::InvalidRow { row: row.id.clone(), detail: detail.into() });
    let priced = |unit| row.prices.iter().any(|price| price.unit == unit && !price.amount.is_zero());
    if row.id.is_empty() || row.model.is_empty() {
        return invalid("`id` and `model` must not be empty");
    }
    if row.currency.len() != 3 || !row.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return invalid("`currency` is an ISO 4217 code of three capitals, such as `USD`");
    }
    if priced(crate::unit::Unit::WebSearchCalls) && priced(crate::unit::Unit::GroundedPrompts) {
        return invalid(
            "price `web_search_calls` or `grounded_prompts`, not both: one search would be paid twice",
        );
    }
    if row.multipliers.iter().any(|multiplier| multiplier.factor.is_negative() || multiplier.factor.is_zero())
    {
        return invalid("a multiplier's `factor` must be above zero");
    }
    let repeated = |position: usize| {
        let conditions = &row.multipliers[position].conditions;
        row.multipliers[..position].iter().any(|multiplier| multiplier.conditions == *conditions)
    };
    if (0..row.multipliers.len()).any(repeated) {
        return invalid("two multipliers have the same conditions");
    }
    if row.minimums.iter().any(|minimum| minimum.quantity.is_negative()) {
        return invalid("a minimum `quantity` must not be below zero");
    }
    if row.increments.iter().any(|step| step.quantity.is_negative() || step.quantity.is_zero()) {
        return invalid("an increment's `quantity` must be above zero");
    }
    if row.free_quotas.iter().any(|quota| quota.quantity.is_negative() || quota.quantity.is_zero()) {
        return invalid("a free quota's `quantity` must be above zero");
    }
    Ok(())
}

/// A provider's name in the form under which it is kept.
pub(crate) fn canonical_provider(name: &str) -> String {
    if name == "vertex" { "vertex_ai".to_owned() } else { name.replace('-', "_") }
}

/// `-` and `_` in a provider's name are one.
const fn provider_byte(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

/// Whether a provider's name, as somebody wrote it, is that of an event's provider.
pub(crate) fn is_provider(written: &str, asked: &str) -> bool {
    let alone = |name| if name == "vertex" { "vertex_ai" } else { name };
    let bytes = |name| str::bytes(alone(name)).map(provider_byte);
    bytes(written).eq(bytes(asked))
}

fn same_provider(kept: &Option<String>, asked: Option<&str>) -> bool {
    match (kept, asked) {
        (None, None) => true,
        (Some(kept), Some(asked)) => {
            kept.len() == asked.len()
                && kept.bytes().zip(asked.bytes().map(provider_byte)).all(|(one, two)| one == two)
        }
        _ => false,
    }
}

/// FNV-1a, which needs no buffer to fold the provider's name.
fn hash(kind: Kind, whose: Whose<'_>, provider: Option<&str>, text: &str) -> u64 {
    let provider = provider.unwrap_or_default().bytes().map(provider_byte);
    let (scope, name) = whose.parts();
    let scoped = [kind as u8 | (scope << 4)].into_iter().chain(name.bytes());
    let bytes = scoped.chain(provider).chain([0]).chain(text.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The model of a dated snapshot: `-2026-08-01`, `-20260801`, and behind `@` a date, `default` or `latest`.
fn without_date(model: &str) -> Option<&str> {
    if let Some((stem, version)) = model.rsplit_once('@') {
        let is_version = is_date(version) || matches!(version, "default" | "latest");
        return (is_version && !stem.is_empty()).then_some(stem);
    }
    [11, 9].into_iter().find_map(|length| {
        let (stem, suffix) = model.split_at_checked(model.len().checked_sub(length)?)?;
        (is_date(suffix.strip_prefix('-')?) && !stem.is_empty()).then_some(stem)
    })
}

/// Whether the text is `YYYYMMDD` or `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    match bytes.len() {
        8 => digits(0..8),
        10 => digits(0..4) && bytes[4] == b'-' && digits(5..7) && bytes[7] == b'-' && digits(8..10),
        _ => false,
    }
}

/// Passes a hash through.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is called for keys of this map; fold whatever else comes.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
