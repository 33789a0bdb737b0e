//! The traffic: attempts in their order, with what goes wrong on the way, and what is sent twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use ledger::event::{AttemptKind, Millis};
use ledger::reject::Reason;

use crate::attempt::{Attempt, Attempts, Billing};
use crate::event::{Event, Fate};
use crate::fault;
use crate::random::Random;
use crate::world::{GATEWAYS, World};

/// An attempt after a failed one is sent within so many events.
const FOLLOWS_WITHIN: u64 = 50;

/// What traffic to make. The same configuration always makes the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Chooses one of many possible traffics.
    pub seed: u64,
    /// How many records there are, everything included.
    pub count: u64,
    /// No attempt starts earlier.
    pub start: Millis,
    /// Attempts start within this span, evenly; none at its end.
    pub spread: Duration,
    /// Of a thousand requests, how many fail at first. Most are then tried again.
    pub errors_per_mille: u32,
    /// Of a thousand events, how many are sent again later, byte for byte.
    pub duplicates_per_mille: u32,
    /// Of a thousand events, how many are followed by another with the same id and other content.
    pub conflicts_per_mille: u32,
    /// Of a thousand events, how many break a rule; every reason comes up.
    pub rejects_per_mille: u32,
    /// Whether records without a value are among them. Only a log that compacts can carry those.
    pub tombstones: bool,
    /// What is sent twice is sent again within so many events; at least 1.
    pub repeated_within: u64,
}

/// A thousand events of 2026-11-01, two in a hundred of them failed at first, and nothing that a ledger must refuse.
impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            count: 1_000,
            start: Millis(1_793_491_200_000),
            spread: Duration::from_secs(24 * 60 * 60),
            errors_per_mille: 20,
            duplicates_per_mille: 0,
            conflicts_per_mille: 0,
            rejects_per_mille: 0,
            tombstones: false,
            repeated_within: 1_000,
        }
    }
}

/// Makes the events one by one.
#[derive(Debug)]
pub struct Traffic {
    config: Config,
    random: Random,
    world: Arc<World>,
    attempts: Attempts,
    sent: u64,
    /// What is still to be sent, the earliest first.
    due: BinaryHeap<Reverse<Due>>,
    tickets: u64,
    gateway_seqs: [u64; GATEWAYS.len()],
}

/// An event that is sent once so many others were.
#[derive(Debug)]
struct Due {
    at: u64,
    /// Keeps events that are due together in the order in which they were put in.
    ticket: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.ticket).cmp(&(other.at, other.ticket))
    }
}

impl Traffic {
    /// The traffic of a configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            random: Random::new(config.seed),
            world: Arc::new(World::new()),
            attempts: Attempts::new(config.errors_per_mille),
            sent: 0,
            due: BinaryHeap::new(),
            tickets: 0,
            gateway_seqs: [0; GATEWAYS.len()],
            config,
        }
    }

    /// The next event that nothing before it led to.
    fn fresh(&mut self) -> Event {
        let occurred_at = self.occurred_at();
        let attempt = self.attempts.first(occurred_at, &self.world, &mut self.random);
        let is_broken = self.random.chance(self.config.rejects_per_mille);
        let fate = if is_broken {
            Fate::Rejected(fault::pick(self.config.tombstones, &mut self.random))
        } else {
            Fate::Accepted
        };
        self.event(attempt, fate)
    }

    /// The time that belongs to the position in the traffic.
    fn occurred_at(&self) -> i64 {
        let passed =
            self.config.spread.as_millis() * u128::from(self.sent) / u128::from(self.config.count.max(1));
        self.config.start.0.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// The last instant of the span.
    fn last_at(&self) -> i64 {
        let spread = i64::try_from(self.config.spread.as_millis()).unwrap_or(i64::MAX);
        self.config.start.0.saturating_add(spread.saturating_sub(1).max(0))
    }

    fn event(&self, attempt: Attempt, fate: Fate) -> Event {
        let occurred_at = attempt.occurred_at.min(self.last_at());
        Event { attempt: Attempt { occurred_at, ..attempt }, fate, world: Arc::clone(&self.world) }
    }

    /// Gives an event that is sent for the first time its gateway's next number.
    fn number(&mut self, event: &mut Event) {
        if matches!(event.fate, Fate::Duplicate | Fate::Rejected(Reason::Conflict)) {
            return;
        }
        let gateway_seq = &mut self.gateway_seqs[self.world.keys[event.attempt.key].gateway];
        *gateway_seq += 1;
        event.attempt.gateway_seq = *gateway_seq;
    }

    /// Puts in what an event leads to.
    fn follow(&mut self, event: &Event) {
        if event.fate != Fate::Accepted {
            return;
        }
        if let Some(attempt) = self.attempts.next(&event.attempt, &mut self.random) {
            let next = self.event(attempt, Fate::Accepted);
            self.send_within(FOLLOWS_WITHIN, next);
        }
        if self.random.chance(self.config.duplicates_per_mille) {
            self.send_within(self.config.repeated_within, Event { fate: Fate::Duplicate, ..event.clone() });
        }
        if self.random.chance(self.config.conflicts_per_mille) {
            self.send_within(self.config.repeated_within, event.contradicted());
        }
    }

    fn send_within(&mut self, within: u64, event: Event) {
        let at = self.sent + self.random.below(within);
        self.tickets += 1;
        self.due.push(Reverse(Due { at, ticket: self.tickets, event }));
    }
}

impl Iterator for Traffic {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.sent >= self.config.count {
            return None;
        }
        let is_due = self.due.peek().is_some_and(|Reverse(due)| due.at <= self.sent);
        let due = if is_due { self.due.pop() } else { None };
        let mut event = match due {
            Some(Reverse(due)) => due.event,
            None => self.fresh(),
        };
        self.number(&mut event);
        self.sent += 1;
        self.follow(&event);
        Some(event)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.config.count - self.sent);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

impl Event {
    /// An event with the same id that tells another story.
    fn contradicted(&self) -> Self {
        let attempt = Attempt {
            kind: AttemptKind::Primary,
            latency_ms: self.attempt.latency_ms + 1,
            billing: Billing::NotOwed,
            ..self.attempt
        };
        Self { attempt, fate: Fate::Rejected(Reason::Conflict), world: Arc::clone(&self.world) }
    }
}
