//! Options of `tollbook emit`, and what traffic and which target they come to.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use ingest::source::kafka;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ledger::event::Millis;
use ledger::money::Decimal;
use traffic::Config;

use crate::options::{KafkaOptions, duration};
use crate::service::ServiceOptions;

/// Broken events of a thousand, unless told otherwise.
const JUNK_PER_MILLE: u32 = 1;

/// Options of `tollbook emit`. Without --file and --kafka the events go to the HTTP API.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events to send, repeats and broken ones included
    #[arg(long, env = "TOLLBOOK_COUNT", default_value_t = 1_000, value_name = "EVENTS")]
    count: u64,
    /// Events a second; 0 sends as fast as they are taken
    #[arg(long, env = "TOLLBOOK_RATE", default_value_t = 0, value_name = "EVENTS")]
    pub(super) rate: u64,
    /// Chooses one of many possible traffics; the same seed, count, start and shares give the same events
    #[arg(long, env = "TOLLBOOK_SEED", default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// When the first attempt starts: a date or an RFC 3339 instant; by default --spread ago
    #[arg(long, env = "TOLLBOOK_START", value_parser = instant, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Time over which the attempts start
    #[arg(long, env = "TOLLBOOK_SPREAD", default_value = "24h", value_parser = duration, value_name = "DURATION")]
    spread: Duration,
    /// Share of requests whose first attempt fails, such as 2% or 0.02; most are retried or fall back
    #[arg(long, env = "TOLLBOOK_ERRORS", default_value = "2%", value_parser = per_mille, value_name = "SHARE")]
    errors: u32,
    /// Share of events that are sent a second time
    #[arg(long, env = "TOLLBOOK_DUPLICATES", default_value = "0.5%", value_parser = per_mille, value_name = "SHARE")]
    duplicates: u32,
    /// Share of events that are sent again with the same id and other content
    #[arg(long, env = "TOLLBOOK_CONFLICTS", default_value = "0", value_parser = per_mille, value_name = "SHARE")]
    conflicts: u32,
    /// Share of events that break a rule and must end in quarantine; by default 0.1%, in an Avro file none
    #[arg(long, env = "TOLLBOOK_JUNK", value_parser = per_mille, value_name = "SHARE")]
    junk: Option<u32>,
    /// Encoding; broken events are JSON always, and the HTTP API takes batches in JSON only
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "json", value_name = "FORMAT")]
    pub(super) format: Format,
    /// Write the events into that file: one JSON a line, or an Avro object container
    #[arg(long, env = "TOLLBOOK_FILE", value_name = "FILE")]
    file: Option<PathBuf>,
    /// HTTP requests under way at once; all attempts of one request go one after the other
    #[arg(long, env = "TOLLBOOK_IN_FLIGHT", default_value_t = 4, value_name = "REQUESTS")]
    pub(super) in_flight: u16,
    /// Write what a ledger must find in the traffic into that file, as JSON with exact decimals
    #[arg(long, env = "TOLLBOOK_TRUTH", value_name = "FILE")]
    pub(super) truth: Option<PathBuf>,
    /// Ask the API afterwards, and fail where its counts or totals differ from the truth by anything
    #[arg(long, env = "TOLLBOOK_VERIFY")]
    pub(super) verify: bool,
    /// How long --verify waits for a ledger that gets no further
    #[arg(long, env = "TOLLBOOK_VERIFY_PATIENCE", default_value = "60s", value_parser = duration, value_name = "DURATION")]
    pub(super) verify_patience: Duration,
    /// Send nothing: write the price rows of the traffic's models into that file, for `tollbook prices publish`
    #[arg(long, env = "TOLLBOOK_PRICES_FILE", value_name = "FILE")]
    pub(super) prices_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) kafka: KafkaOptions,
    #[command(flatten)]
    pub(super) service: ServiceOptions,
}

/// How an event is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// JSON
    Json,
    /// Avro: single-object encoding in Kafka
    Avro,
}

/// Where the events go.
pub(super) enum Target {
    /// Into a file.
    File(PathBuf),
    /// To a Kafka cluster.
    Kafka(kafka::Config),
    /// To the HTTP API.
    Http,
}

impl Options {
    /// The traffic to make.
    ///
    /// # Errors
    /// Where there is no such time.
    pub(super) fn traffic(&self) -> anyhow::Result<Config> {
        ensure!(self.count > 0, "--count must be at least 1");
        let start = match self.start {
            Some(start) => start,
            None => Timestamp::now().checked_sub(self.spread).context("--spread reaches back too far")?,
        };
        let container = self.file.is_some() && self.format == Format::Avro;
        Ok(Config {
            seed: self.seed,
            count: self.count,
            start: Millis(start.as_millisecond()),
            spread: self.spread.max(Duration::from_millis(1)),
            errors_per_mille: self.errors,
            duplicates_per_mille: self.duplicates,
            conflicts_per_mille: self.conflicts,
            rejects_per_mille: self.junk.unwrap_or(if container { 0 } else { JUNK_PER_MILLE }),
            // Of the targets only Kafka carries records without a value.
            tombstones: self.file.is_none() && self.kafka.kafka.is_some(),
            ..Config::default()
        })
    }

    /// Where the events go.
    ///
    /// # Errors
    /// Where the options do not fit together.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        if let Some(path) = &self.file {
            ensure!(!self.verify, "--verify needs a ledger that gets the events: leave out --file");
            return Ok(Target::File(path.clone()));
        }
        if let Some(config) = self.kafka.config()? {
            return Ok(Target::Kafka(config));
        }
        if self.format == Format::Avro {
            bail!(
                "the HTTP API takes one Avro event a request, which is no way to send many: use --kafka or --file"
            );
        }
        ensure!(self.in_flight > 0, "--in-flight must be at least 1");
        Ok(Target::Http)
    }
}

/// A share in thousandths, from `2%`, `0.5%` or `0.02`.
fn per_mille(text: &str) -> Result<u32, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1_000), |number| (number, 10));
    Decimal::parse(number)
        .and_then(|share| share.checked_mul(Decimal::from(scale)))
        .ok()
        .and_then(Decimal::to_i64)
        .and_then(|share| u32::try_from(share).ok())
        .filter(|share| *share <= 1_000)
        .ok_or_else(|| {
            format!("`{text}` is no share from 0 to 100% in steps of 0.1%; write 2%, 0.5% or 0.02")
        })
}

/// An instant, or the start of a day in UTC.
fn instant(text: &str) -> Result<Timestamp, String> {
    let day = |date: Date| date.to_zoned_datetime(TimeZone::UTC).map(|start| start.timestamp());
    text.parse::<Timestamp>().or_else(|_| text.parse::<Date>().and_then(day)).map_err(|_| {
        format!("`{text}` is neither a date such as 2026-11-01 nor an instant such as 2026-11-01T08:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_fraction_in_whole_thousandths() {
        for (text, expected) in
            [("2%", 20), ("0.5%", 5), ("0.02", 20), ("0", 0), ("100%", 1_000), ("1", 1_000)]
        {
            assert_eq!(per_mille(text), Ok(expected), "{text}");
        }
        for text in ["0.05%", "101%", "-1%", "2", "", "%", "a"] {
            assert!(per_mille(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_start_is_a_date_in_utc_or_an_instant() {
        assert_eq!(instant("2026-11-01").unwrap().to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(instant("2026-11-01T02:00:00+02:00").unwrap().to_string(), "2026-11-01T00:00:00Z");
        assert!(instant("yesterday").is_err());
    }
}
