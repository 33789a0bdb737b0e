//! An event as a gateway sends it: the attempt with its owners, in JSON.

use std::sync::Arc;

use jiff::Timestamp;
use ledger::event::{Credential, GatewayCache, Millis, Outcome};
use ledger::reject::Reason;
use serde::{Serialize, Serializer};
use uuid::fmt::Hyphenated;

use crate::attempt::{Attempt, TAGS};
use crate::fault::PADDING;
use crate::offers::{Shape, Tier};
use crate::usage::{Context, Usage};
use crate::world::{GATEWAYS, Key, Style, World};

/// What a ledger must make of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It becomes an entry.
    Accepted,
    /// It was sent before, and changes nothing.
    Duplicate,
    /// It goes to quarantine. A conflict bears the id of an event that was sent before, with other content.
    Rejected(Reason),
}

/// One event of the traffic. A clone has the same bytes.
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) attempt: Attempt,
    pub(crate) fate: Fate,
    pub(crate) world: Arc<World>,
}

impl Event {
    /// What a ledger must make of it, if everything that came before was sent too.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.fate
    }

    /// The idempotency key.
    #[must_use]
    pub fn event_id(&self) -> String {
        self.attempt.event_id.to_string()
    }

    /// The request it belongs to: the key of its record, so that all attempts at a request are in one partition, and
    /// so is what repeats or contradicts them.
    #[must_use]
    pub fn request_id(&self) -> String {
        self.attempt.request_id.to_string()
    }

    /// When the attempt started.
    #[must_use]
    pub const fn occurred_at(&self) -> Millis {
        Millis(self.attempt.occurred_at)
    }

    /// The team whose key was used.
    #[must_use]
    pub fn team(&self) -> &str {
        &self.key().team
    }

    /// The customer for whom that team works; `None` for one that works inside the company.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        self.key().customer.as_deref()
    }

    /// The model that answered.
    #[must_use]
    pub fn model(&self) -> &'static str {
        self.attempt.offer().model
    }

    /// Whether it is a record with a key and no value, which only some logs can carry.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.fate == Fate::Rejected(Reason::Tombstone)
    }

    /// Whether it breaks no rule of the schema. A conflict breaks none: it breaks one of the ledger.
    pub(crate) fn fits_the_schema(&self) -> bool {
        matches!(self.fate, Fate::Accepted | Fate::Duplicate | Fate::Rejected(Reason::Conflict))
    }

    /// Its JSON, on one line; `None` for a tombstone.
    ///
    /// # Errors
    /// Where the serializer fails, which no event of the traffic makes it do.
    pub fn json(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let mut bytes = Vec::with_capacity(1024);
        Ok(self.append_json(&mut bytes)?.then_some(bytes))
    }

    /// Appends its JSON to `bytes`; answers `false`, with nothing appended, for a tombstone.
    ///
    /// # Errors
    /// As [`Event::json`].
    pub fn append_json(&self, bytes: &mut Vec<u8>) -> Result<bool, serde_json::Error> {
        if self.is_tombstone() {
            return Ok(false);
        }
        let start = bytes.len();
        let mut ids = [[0; Hyphenated::LENGTH]; 2];
        let mut wire =
            self.wire(&mut ids, Time::of(self), Usage::of(&self.attempt), Context::of(&self.attempt));
        let secret;
        if let Fate::Rejected(reason) = self.fate {
            secret = self.made_up_secret();
            wire.break_for(reason, self, &secret);
        }
        serde_json::to_writer(&mut *bytes, &wire)?;
        if self.fate == Fate::Rejected(Reason::Decode) {
            // The connection broke off.
            bytes.truncate(start + (bytes.len() - start) / 2);
        }
        Ok(true)
    }

    fn key(&self) -> &Key {
        &self.world.keys[self.attempt.key]
    }

    /// What looks like a provider's key, and is not the same twice.
    fn made_up_secret(&self) -> String {
        format!("sk-{}", self.attempt.event_id.simple())
    }

    /// The event's fields, as far as all encodings agree on them.
    pub(crate) fn wire<'e, T, U, C>(
        &'e self,
        [event_id, request_id]: &'e mut [[u8; Hyphenated::LENGTH]; 2],
        occurred_at: T,
        usage: Option<U>,
        context: Option<C>,
    ) -> Wire<'e, T, U, C> {
        let (attempt, key) = (&self.attempt, self.key());
        let gateway = &GATEWAYS[key.gateway];
        let is_terse = gateway.style == Style::Terse;
        Wire {
            event_id: attempt.event_id.hyphenated().encode_lower(event_id),
            request_id: attempt.request_id.hyphenated().encode_lower(request_id),
            occurred_at,
            attempt: (attempt.ordinal > 1 || gateway.style == Style::Text).then_some(attempt.ordinal),
            attempt_kind: (attempt.ordinal > 1).then_some(attempt.kind.name()),
            fallback_from: attempt.fallback_from,
            key: &key.label,
            team: &key.team,
            app: (!is_terse).then_some(key.app),
            environment: (!is_terse).then_some(key.environment),
            customer: key.customer.as_deref(),
            project: (!is_terse).then_some(&key.project),
            end_user: attempt.end_user.map(EndUser),
            workflow: attempt.workflow,
            tags: (!is_terse).then_some(Tags(attempt.tags)),
            endpoint_family: attempt.offer().family,
            provider: attempt.offer().provider,
            model: Some(attempt.offer().model),
            alias: attempt.alias,
            credential: attempt.credential.map(Credential::name),
            route: (!is_terse).then_some(gateway.route),
            region: (!is_terse).then_some(gateway.region),
            service_tier: service_tier(attempt),
            processing: (attempt.offer().is_batch() && attempt.names_tier).then_some("batch"),
            status: Some(attempt.status),
            error_class: attempt.error_class,
            outcome: attempt.outcome.map(Outcome::name),
            stream: attempt.stream.then_some(true),
            latency_ms: attempt.latency_ms,
            ttft_ms: attempt.ttft_ms,
            gateway_cache: attempt.gateway_cache.map(GatewayCache::name),
            usage,
            context,
            units: None,
            gateway: gateway.name,
            gateway_seq: attempt.gateway_seq,
            padding: None,
        }
    }
}

/// The tier, where it stands beside the usage and not in it.
fn service_tier(attempt: &Attempt) -> Option<&'static str> {
    if !matches!(attempt.offer().shape, Shape::Chat | Shape::Responses) {
        return None;
    }
    match attempt.tier {
        Tier::Standard => attempt.names_tier.then_some("default"),
        Tier::Flex => Some("flex"),
        Tier::Priority => Some("priority"),
        Tier::Batch => None,
    }
}

/// The fields of the contract that this traffic uses, in its order.
#[derive(Serialize)]
pub(crate) struct Wire<'e, T, U, C> {
    event_id: &'e str,
    request_id: &'e str,
    occurred_at: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback_from: Option<&'static str>,
    key: &'e str,
    team: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'e String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<EndUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Tags>,
    endpoint_family: &'static str,
    provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processing: Option<&'static str>,
    status: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    latency_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_cache: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<U>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<C>,
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<Units>,
    gateway: &'static str,
    gateway_seq: u64,
    /// No field of the contract: only an event that is too large has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<String>,
}

impl<'e> Wire<'e, Time, Usage, Context> {
    /// Breaks the rule that the reason is for, and no other.
    fn break_for(&mut self, reason: Reason, event: &Event, secret: &'e str) {
        match reason {
            Reason::MissingField => self.model = None,
            Reason::InvalidField => self.outcome = Some("charged"),
            Reason::InvalidTime => self.occurred_at = Time::Seconds(event.attempt.occurred_at / 1000),
            Reason::UsageAndUnits => {
                self.usage = Some(Usage::broken(90));
                self.units = Some(Units { input_uncached_tokens: 90, output_text_tokens: 17 });
            }
            Reason::MalformedUsage => self.break_usage(-1),
            // A counter of 39 digits.
            Reason::Unpostable => self.break_usage(123_456_789_012_345_678_901_234_567_890_123_456_789),
            Reason::UnknownFamily => {
                self.break_usage(90);
                self.endpoint_family = "completions-legacy";
            }
            Reason::Secret => self.alias = Some(secret),
            Reason::TooLarge => self.padding = Some("x".repeat(PADDING)),
            // These are broken after the event is written, or by what else was sent.
            Reason::Decode | Reason::Tombstone | Reason::Conflict => {}
        }
    }

    fn break_usage(&mut self, prompt_tokens: i128) {
        self.endpoint_family = "openai";
        self.usage = Some(Usage::broken(prompt_tokens));
        self.context = None;
    }
}

/// `occurred_at`, in one of the ways in which gateways write it.
#[derive(Clone, Copy)]
enum Time {
    Millis(i64),
    /// As a gateway writes it that mistakes the unit.
    Seconds(i64),
    Rfc3339(Timestamp),
}

impl Time {
    fn of(event: &Event) -> Self {
        let millis = event.attempt.occurred_at;
        let text = GATEWAYS[event.key().gateway].style == Style::Text;
        let instant = Timestamp::from_millisecond(millis).ok().filter(|_| text);
        instant.map_or(Self::Millis(millis), Self::Rfc3339)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Millis(number) | Self::Seconds(number) => serializer.serialize_i64(*number),
            Self::Rfc3339(instant) => serializer.collect_str(instant),
        }
    }
}

/// A user as the application numbers them.
pub(crate) struct EndUser(u64);

impl Serialize for EndUser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("u-{:05}", self.0))
    }
}

/// Some of the labels: the first, and how many.
pub(crate) struct Tags((usize, usize));

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (first, number) = self.0;
        serializer.collect_map(TAGS.iter().cycle().skip(first).take(number).copied())
    }
}

/// Quantities beside the usage, where there should be one of them.
#[derive(Serialize)]
pub(crate) struct Units {
    input_uncached_tokens: u64,
    output_text_tokens: u64,
}
