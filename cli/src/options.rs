//! Options that several commands share.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use ingest::source::kafka;
use ingest::worker;
use secrecy::SecretString;

/// Where the store is.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreOptions {
    /// ClickHouse's HTTP address, such as http://clickhouse:8123 (https:// for TLS)
    #[arg(long, env = "TOLLBOOK_CLICKHOUSE", value_name = "URL")]
    pub(crate) clickhouse: Option<String>,
    /// Database of the ledger; `tollbook migrate` creates it
    #[arg(long, env = "TOLLBOOK_CLICKHOUSE_DATABASE", default_value = "tollbook", value_name = "NAME")]
    pub(crate) clickhouse_database: String,
    /// ClickHouse user
    #[arg(long, env = "TOLLBOOK_CLICKHOUSE_USER", default_value = "default", value_name = "NAME")]
    pub(crate) clickhouse_user: String,
    /// ClickHouse password; better given as TOLLBOOK_CLICKHOUSE_PASSWORD
    #[arg(long, env = "TOLLBOOK_CLICKHOUSE_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) clickhouse_password: Option<SecretString>,
}

/// Where the log is.
#[derive(Clone, Debug, Args)]
pub(crate) struct KafkaOptions {
    /// Kafka brokers, such as broker-1:9092,broker-2:9092
    #[arg(long, env = "TOLLBOOK_KAFKA", value_name = "BROKERS")]
    pub(crate) kafka: Option<String>,
    /// Topic of the usage events
    #[arg(long, env = "TOLLBOOK_TOPIC", default_value = schemas::log::USAGE_TOPIC)]
    pub(crate) topic: String,
    /// Consumer group; the command log is read by the group of this name with `.commands` behind it
    #[arg(long, env = "TOLLBOOK_GROUP", default_value = "tollbook")]
    pub(crate) group: String,
    /// CA certificates (PEM) by which brokers are trusted; sets security.protocol to ssl, or sasl_ssl with --kafka-user
    #[arg(long, env = "TOLLBOOK_KAFKA_CA", value_name = "FILE")]
    kafka_ca: Option<String>,
    /// Client certificate (PEM)
    #[arg(long, env = "TOLLBOOK_KAFKA_CERTIFICATE", value_name = "FILE", requires = "kafka_key")]
    kafka_certificate: Option<String>,
    /// Key of the client certificate (PEM)
    #[arg(long, env = "TOLLBOOK_KAFKA_KEY", value_name = "FILE")]
    kafka_key: Option<String>,
    /// SASL user
    #[arg(long, env = "TOLLBOOK_KAFKA_USER", value_name = "NAME", requires = "kafka_password")]
    kafka_user: Option<String>,
    /// SASL password; better given as TOLLBOOK_KAFKA_PASSWORD
    #[arg(long, env = "TOLLBOOK_KAFKA_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    kafka_password: Option<SecretString>,
    /// SASL mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
    #[arg(long, env = "TOLLBOOK_KAFKA_MECHANISM", default_value = "SCRAM-SHA-512", value_name = "NAME")]
    kafka_mechanism: String,
    /// A librdkafka setting, such as group.protocol=consumer; may be repeated
    #[arg(long, env = "TOLLBOOK_KAFKA_OPTION", value_name = "NAME=VALUE", value_delimiter = ',')]
    kafka_option: Vec<String>,
    /// Schema registry by which Confluent schema ids are resolved; without it every id is read as the built-in schema
    #[arg(long, env = "TOLLBOOK_SCHEMA_REGISTRY", value_name = "URL")]
    pub(crate) schema_registry: Option<String>,
}

impl KafkaOptions {
    /// How the brokers are reached; `None` where none are given.
    ///
    /// # Errors
    /// Where an option is not of the form NAME=VALUE.
    pub(crate) fn config(&self) -> anyhow::Result<Option<kafka::Config>> {
        use secrecy::ExposeSecret;
        let Some(brokers) = self.kafka.clone() else { return Ok(None) };
        let mut options = BTreeMap::new();
        let mut set = |name: &str, value: &str| options.insert(name.to_owned(), value.to_owned());
        let protocol =
            match (self.kafka_ca.is_some() || self.kafka_certificate.is_some(), self.kafka_user.is_some()) {
                (false, false) => None,
                (true, false) => Some("ssl"),
                (false, true) => Some("sasl_plaintext"),
                (true, true) => Some("sasl_ssl"),
            };
        let mechanism = self.kafka_user.is_some().then_some(self.kafka_mechanism.as_str());
        let password = self.kafka_password.as_ref().map(ExposeSecret::expose_secret);
        for (name, value) in [
            ("security.protocol", protocol),
            ("ssl.ca.location", self.kafka_ca.as_deref()),
            ("ssl.certificate.location", self.kafka_certificate.as_deref()),
            ("ssl.key.location", self.kafka_key.as_deref()),
            ("sasl.mechanism", mechanism),
            ("sasl.username", self.kafka_user.as_deref()),
            ("sasl.password", password),
        ] {
            if let Some(value) = value {
                set(name, value);
            }
        }
        for option in &self.kafka_option {
            let (name, value) = option
                .split_once('=')
                .with_context(|| format!("--kafka-option {option:?}: write it as NAME=VALUE"))?;
            set(name, value);
        }
        Ok(Some(kafka::Config { brokers, group: self.group.clone(), options }))
    }
}

/// How a worker works.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkerOptions {
    /// How long the store takes a worker's rows after its last announcement; a new owner waits as long
    #[arg(long, env = "TOLLBOOK_LEASE", default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub(crate) lease: Duration,
    /// Offsets back within which a repeated event id is recognized at once; about 42 bytes each
    #[arg(long, env = "TOLLBOOK_DEDUP_WINDOW", default_value_t = ingest::dedup::WINDOW_DEFAULT, value_name = "OFFSETS")]
    pub(crate) dedup_window: u64,
    /// Records of a round at most, over all partitions
    #[arg(long, env = "TOLLBOOK_ROUND_ROWS_MAX", default_value_t = 100_000, value_name = "ROWS")]
    round_rows_max: usize,
    /// MiB of a round's records at most
    #[arg(long, env = "TOLLBOOK_ROUND_MIB_MAX", default_value_t = 64, value_name = "MIB")]
    round_mib_max: usize,
    /// Age at which a round is closed although it could grow
    #[arg(long, env = "TOLLBOOK_FLUSH_AFTER", default_value = "500ms", value_parser = duration, value_name = "DURATION")]
    flush_after: Duration,
    /// Inserts that one worker has under way at once
    #[arg(long, env = "TOLLBOOK_INSERTS_AT_ONCE", default_value_t = 2, value_name = "COUNT")]
    inserts_at_once: usize,
    /// Name of this process in its consumer groups, which no other process has: started again within the session
    /// timeout, it keeps its partitions without a rebalance. Of two with one name the later shuts the earlier out
    #[arg(long, env = "TOLLBOOK_INSTANCE", value_name = "NAME")]
    instance: Option<String>,
}

impl WorkerOptions {
    /// Gives the consumers of this process their lasting name, where they have one.
    pub(crate) fn name(&self, kafka: &mut kafka::Config) {
        if let Some(instance) = &self.instance {
            kafka.options.insert(kafka::INSTANCE_ID.to_owned(), instance.clone());
        }
    }

    /// The worker's configuration, checked across options.
    ///
    /// # Errors
    /// Where a value cannot work.
    pub(crate) fn config(&self) -> anyhow::Result<worker::Config> {
        ensure!(
            self.lease >= Duration::from_secs(1),
            "--lease {:?} is shorter than a second: an insert needs longer",
            self.lease
        );
        ensure!(self.round_rows_max > 0, "--round-rows-max must be at least 1");
        ensure!(
            self.round_rows_max <= schemas::columns::BLOCK_ROWS_MAX,
            "--round-rows-max must be at most {}, so that one insert stays one block",
            schemas::columns::BLOCK_ROWS_MAX
        );
        ensure!(self.round_mib_max > 0, "--round-mib-max must be at least 1");
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".into());
        Ok(worker::Config {
            lease: self.lease,
            dedup_window: self.dedup_window,
            round_rows_max: self.round_rows_max,
            round_bytes_max: self.round_mib_max << 20,
            flush_after: self.flush_after,
            inserts_at_once: self.inserts_at_once,
            worker: format!("{host}/{}", std::process::id()),
        })
    }
}

/// What the API's process does by itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct AuditOptions {
    /// How often the process audits the ledger and has repeats beyond the window reversed; 0s for never
    #[arg(long, env = "TOLLBOOK_AUDIT_EVERY", default_value = "1h", value_parser = duration, value_name = "DURATION")]
    audit_every: Duration,
    /// Entries that one step of a repricing or a correction looks at; other changes get between two steps
    #[arg(long, env = "TOLLBOOK_STEP_ENTRIES_MAX", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000), value_name = "ENTRIES")]
    pub(crate) step_entries_max: u64,
}

impl AuditOptions {
    /// How often; `None` for never.
    ///
    /// # Errors
    /// Where an audit could hardly end before the next begins.
    pub(crate) fn every(&self) -> anyhow::Result<Option<Duration>> {
        let every = self.audit_every;
        ensure!(
            every.is_zero() || every >= Duration::from_secs(1),
            "--audit-every {every:?} is shorter than a second: choose a longer time, or 0s for never"
        );
        Ok(Some(every).filter(|every| !every.is_zero()))
    }
}

/// An option that this command needs was not given.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) &'static str);

impl std::fmt::Display for Usage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

impl StoreOptions {
    /// The store's address.
    ///
    /// # Errors
    /// [`Usage`] where none was given.
    pub(crate) fn url(&self) -> Result<&str, Usage> {
        let missing = "name the store with --clickhouse URL, such as http://clickhouse:8123";
        self.clickhouse.as_deref().ok_or(Usage(missing))
    }
}

impl KafkaOptions {
    /// How the brokers are reached.
    ///
    /// # Errors
    /// [`Usage`] where no brokers were given; else as [`KafkaOptions::config`].
    pub(crate) fn required(&self) -> anyhow::Result<kafka::Config> {
        Ok(self.config()?.ok_or(Usage("name the brokers with --kafka BROKERS, such as broker-1:9092"))?)
    }
}

/// A duration such as `10s`, `500ms` or `5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is no duration; write 500ms, 10s, 5m or 2h"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        _ => Err(format!("`{text}` needs a unit: ms, s, m or h")),
    }
}
