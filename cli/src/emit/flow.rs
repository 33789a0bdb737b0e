//! The events as they are handed out: at the wanted rate, counted into the truth, and shown on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use traffic::{Config, Event, Prices, Traffic, Truth};

/// Events that come early by less than this are not held back: a pause is never shorter on most systems.
const EARLY_MAX: Duration = Duration::from_millis(1);
/// The bar moves after so many events at the most: to move it takes longer than to make an event.
const SHOWN_EVERY_MAX: u64 = 1_000;

/// Hands out the traffic.
pub(super) struct Flow {
    traffic: Traffic,
    truth: Truth,
    rate: u64,
    begun: Instant,
    shown_every: u64,
    bar: ProgressBar,
}

impl Flow {
    /// The traffic of a configuration at a rate of events a second; 0 holds nothing back.
    pub(super) fn new(config: Config, prices: Prices, rate: u64) -> Self {
        let bar = ProgressBar::new(config.count).with_style(style());
        let shown_every = if rate == 0 { SHOWN_EVERY_MAX } else { (rate / 10).clamp(1, SHOWN_EVERY_MAX) };
        let truth = Truth::new(prices);
        Self { traffic: Traffic::new(config), truth, rate, begun: Instant::now(), shown_every, bar }
    }

    /// The truth of everything that was handed out.
    pub(super) fn finish(self) -> Truth {
        self.bar.finish_and_clear();
        self.truth
    }

    /// Waits until the next event is due.
    fn pace(&self) {
        if self.rate == 0 {
            return;
        }
        let due_micros = u128::from(self.truth.received) * 1_000_000 / u128::from(self.rate);
        let due = Duration::from_micros(u64::try_from(due_micros).unwrap_or(u64::MAX));
        let early = due.saturating_sub(self.begun.elapsed());
        if early >= EARLY_MAX {
            std::thread::sleep(early);
        }
    }
}

impl Iterator for Flow {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = self.traffic.next()?;
        self.pace();
        self.truth.add(&event);
        if self.truth.received.is_multiple_of(self.shown_every) {
            self.bar.set_position(self.truth.received);
        }
        Some(event)
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} events, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
