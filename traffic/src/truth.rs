//! What a ledger must find in the traffic: slow and obvious sums over the numbers that the generator chose.

use std::collections::BTreeMap;

use ledger::money::Amount;
use ledger::reject::Reason;
use ledger::unit::Unit;

use crate::attempt::{Attempt, Billing};
use crate::event::{Event, Fate};
use crate::prices::Prices;
use crate::traffic::{Config, Traffic};

/// The totals of everything that was sent.
#[derive(Clone, Debug)]
pub struct Truth {
    prices: Prices,
    /// Records.
    pub received: u64,
    /// Records that become an entry.
    pub accepted: u64,
    /// Records that were sent before.
    pub duplicates: u64,
    /// Records for the quarantine, by the name of the reason.
    pub quarantined: BTreeMap<&'static str, u64>,
    /// Everything that was accepted.
    pub total: Sum,
    /// The same by model.
    pub by_model: BTreeMap<String, Sum>,
    /// The same by team.
    pub by_team: BTreeMap<String, Sum>,
    /// The same by customer; `None` is the work of teams inside the company.
    pub by_customer: BTreeMap<Option<String>, Sum>,
}

/// Totals of accepted events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Attempts.
    pub attempts: u64,
    /// Requests, counted by their first attempts.
    pub requests: u64,
    /// Attempts whose cost is not fully known.
    pub unpriced: u64,
    /// What is owed, in 10^-18 USD; list price and customer's price are the same.
    pub cost_atto: i128,
    /// What gateway caches spared, in 10^-18 USD.
    pub cost_avoided_atto: i128,
    quantities: [u64; Unit::COUNT],
}

impl Default for Sum {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl Truth {
    /// Nothing was sent yet.
    #[must_use]
    pub const fn new(prices: Prices) -> Self {
        Self {
            prices,
            received: 0,
            accepted: 0,
            duplicates: 0,
            quarantined: BTreeMap::new(),
            total: Sum::NOTHING,
            by_model: BTreeMap::new(),
            by_team: BTreeMap::new(),
            by_customer: BTreeMap::new(),
        }
    }

    /// The truth of all of a traffic.
    #[must_use]
    pub fn of(config: Config, prices: Prices) -> Self {
        let mut truth = Self::new(prices);
        Traffic::new(config).for_each(|event| truth.add(&event));
        truth
    }

    /// Adds an event that was sent.
    pub fn add(&mut self, event: &Event) {
        self.received += 1;
        match event.fate() {
            Fate::Accepted => {
                self.accepted += 1;
                let sum = self.sum_of(&event.attempt);
                self.total.add(&sum);
                self.by_model.entry(event.model().to_owned()).or_default().add(&sum);
                self.by_team.entry(event.team().to_owned()).or_default().add(&sum);
                let customer = event.customer().map(str::to_owned);
                self.by_customer.entry(customer).or_default().add(&sum);
            }
            Fate::Duplicate => self.duplicates += 1,
            Fate::Rejected(reason) => *self.quarantined.entry(reason.name()).or_default() += 1,
        }
    }

    /// Adds the truth of another traffic, which was sent too.
    pub fn absorb(&mut self, other: &Self) {
        self.received += other.received;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        for (reason, count) in &other.quarantined {
            *self.quarantined.entry(reason).or_default() += count;
        }
        self.total.add(&other.total);
        for (model, sum) in &other.by_model {
            self.by_model.entry(model.clone()).or_default().add(sum);
        }
        for (team, sum) in &other.by_team {
            self.by_team.entry(team.clone()).or_default().add(sum);
        }
        for (customer, sum) in &other.by_customer {
            self.by_customer.entry(customer.clone()).or_default().add(sum);
        }
    }

    /// Records that bear the id of an earlier one and tell another story.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.quarantined.get(Reason::Conflict.name()).copied().unwrap_or(0)
    }

    fn sum_of(&self, attempt: &Attempt) -> Sum {
        let mut sum = Sum { attempts: 1, requests: u64::from(attempt.ordinal == 1), ..Sum::default() };
        let (cost, is_priced) = self.prices.cost(attempt.offer, attempt.tier, &attempt.counts);
        match attempt.billing {
            Billing::Owed => {
                sum.cost_atto = cost;
                sum.unpriced = u64::from(!is_priced);
            }
            Billing::Avoided => {
                sum.cost_avoided_atto = cost;
                return sum;
            }
            Billing::Missing => sum.unpriced = 1,
            Billing::NotOwed => {}
        }
        for (unit, count) in attempt.counts.all() {
            sum.quantities[unit.index()] = count;
        }
        sum
    }
}

impl Sum {
    const NOTHING: Self = Self {
        attempts: 0,
        requests: 0,
        unpriced: 0,
        cost_atto: 0,
        cost_avoided_atto: 0,
        quantities: [0; Unit::COUNT],
    };

    /// How much of a unit was used; what a gateway cache spared is not in it.
    #[must_use]
    pub const fn quantity(&self, unit: Unit) -> u64 {
        self.quantities[unit.index()]
    }

    /// The units that were used, and how much of each.
    pub fn quantities(&self) -> impl Iterator<Item = (Unit, u64)> + '_ {
        Unit::ALL.iter().map(|unit| (*unit, self.quantity(*unit))).filter(|(_, quantity)| *quantity > 0)
    }

    /// What is owed; `None` where it has more than 38 digits.
    #[must_use]
    pub const fn cost(&self) -> Option<Amount> {
        Amount::from_raw(self.cost_atto)
    }

    /// What gateway caches spared; `None` where it has more than 38 digits.
    #[must_use]
    pub const fn cost_avoided(&self) -> Option<Amount> {
        Amount::from_raw(self.cost_avoided_atto)
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.requests += other.requests;
        self.unpriced += other.unpriced;
        self.cost_atto += other.cost_atto;
        self.cost_avoided_atto += other.cost_avoided_atto;
        for (sum, quantity) in self.quantities.iter_mut().zip(&other.quantities) {
            *sum += quantity;
        }
    }
}
