//! One attempt at a model request: what happened, without any format.

use ledger::event::{AttemptKind, Credential, GatewayCache, Outcome};
use uuid::{Builder, Uuid};

use crate::counts::Counts;
use crate::offers::{OFFERS, Offer, Shape, Tier};
use crate::random::{Random, Shares, index};
use crate::world::{WORKFLOWS, World};

/// Labels that an event may bear; two to four that follow each other.
pub(crate) const TAGS: [(&str, &str); 12] = [
    ("feature", "answers"),
    ("plan", "gold"),
    ("cost_center", "cc-4120"),
    ("release", "2026.11"),
    ("feature", "drafts"),
    ("locale", "de-DE"),
    ("plan", "trial"),
    ("experiment", "b"),
    ("feature", "triage"),
    ("cost_center", "cc-2207"),
    ("locale", "en-US"),
    ("release", "2026.10"),
];
/// How applications name what they ask for, where they do not name the model.
const ALIASES: [&str; 8] =
    ["chat-default", "fast", "smart", "coder", "cheap", "long-context", "vision", "agent"];
/// Attempts at one request at the most.
const ATTEMPTS_MAX: u32 = 3;
/// Of the attempts after a failed one, how many in a thousand fail too.
const AGAIN_PER_MILLE: u32 = 250;

/// Why an attempt costs what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Billing {
    /// It is paid for.
    Owed,
    /// It failed, or is not charged.
    NotOwed,
    /// The gateway's cache answered.
    Avoided,
    /// It is paid for, but the stream broke off before the usage came.
    Missing,
}

/// What happened, and everything that an event tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) event_id: Uuid,
    pub(crate) request_id: Uuid,
    /// Milliseconds since 1970.
    pub(crate) occurred_at: i64,
    pub(crate) ordinal: u32,
    pub(crate) kind: AttemptKind,
    pub(crate) fallback_from: Option<&'static str>,
    pub(crate) key: usize,
    /// Position in `OFFERS`.
    pub(crate) offer: usize,
    pub(crate) tier: Tier,
    pub(crate) alias: Option<&'static str>,
    pub(crate) credential: Option<Credential>,
    pub(crate) names_tier: bool,
    pub(crate) status: u32,
    pub(crate) error_class: Option<&'static str>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) stream: bool,
    pub(crate) latency_ms: u64,
    pub(crate) ttft_ms: Option<u64>,
    pub(crate) gateway_cache: Option<GatewayCache>,
    pub(crate) end_user: Option<u64>,
    pub(crate) workflow: Option<&'static str>,
    /// First tag and number of tags.
    pub(crate) tags: (usize, usize),
    pub(crate) gateway_seq: u64,
    pub(crate) counts: Counts,
    pub(crate) billing: Billing,
}

impl Attempt {
    pub(crate) fn offer(&self) -> &'static Offer {
        &OFFERS[self.offer]
    }

    /// Whether it carries the provider's usage object.
    pub(crate) fn has_usage(&self) -> bool {
        self.counts != Counts::default()
    }
}

/// Makes attempts.
#[derive(Debug)]
pub(crate) struct Attempts {
    offers: Shares,
    errors_per_mille: u32,
}

impl Attempts {
    pub(crate) fn new(errors_per_mille: u32) -> Self {
        let weights = OFFERS.each_ref().map(|offer| offer.weight);
        Self { offers: Shares::by_weight(&weights), errors_per_mille }
    }

    /// The first attempt at a new request.
    pub(crate) fn first(&self, occurred_at: i64, world: &World, random: &mut Random) -> Attempt {
        let offer = self.offers.pick(random);
        let tier = tier(&OFFERS[offer], random);
        let attempt = Attempt {
            event_id: event_id(occurred_at, random),
            request_id: Builder::from_random_bytes(random.bytes()).into_uuid(),
            occurred_at,
            ordinal: 1,
            kind: AttemptKind::Primary,
            fallback_from: None,
            key: world.pick_key(random),
            offer,
            tier,
            alias: random.chance(300).then(|| *random.pick(&ALIASES)),
            credential: random.chance(200).then_some(Credential::Gateway),
            names_tier: random.chance(400),
            status: 200,
            error_class: None,
            outcome: random.chance(200).then_some(Outcome::Billed),
            stream: streams(&OFFERS[offer], tier, random),
            latency_ms: random.size(1_400),
            ttft_ms: None,
            gateway_cache: None,
            end_user: random.chance(300).then(|| random.below(50_000)),
            workflow: random.chance(150).then(|| *random.pick(&WORKFLOWS)),
            tags: (index(random.below(12)), *random.pick(&[2, 2, 2, 3, 3, 4])),
            gateway_seq: 0,
            counts: Counts::default(),
            billing: Billing::NotOwed,
        };
        if random.chance(self.errors_per_mille) { attempt.failed(random) } else { attempt.answered(random) }
    }

    /// The attempt after a failed one; `None` where there is none, because that one did not fail or because the
    /// application was told.
    pub(crate) fn next(&self, failed: &Attempt, random: &mut Random) -> Option<Attempt> {
        if failed.status < 429 || failed.ordinal >= ATTEMPTS_MAX || random.chance(150) {
            return None;
        }
        let wait = i64::try_from(failed.latency_ms).unwrap_or_default() + 50;
        let occurred_at = failed.occurred_at + wait;
        let mut attempt = Attempt {
            event_id: event_id(occurred_at, random),
            occurred_at,
            ordinal: failed.ordinal + 1,
            kind: AttemptKind::Retry,
            fallback_from: None,
            latency_ms: random.size(1_400),
            error_class: None,
            outcome: None,
            status: 200,
            ..*failed
        };
        if random.chance(500) {
            attempt.kind = AttemptKind::Fallback;
            attempt.fallback_from = Some(failed.offer().model);
            attempt.offer = self.stand_in(failed.offer(), random);
            attempt.tier = tier(attempt.offer(), random);
            attempt.stream = streams(attempt.offer(), attempt.tier, random);
        }
        Some(if random.chance(AGAIN_PER_MILLE) { attempt.failed(random) } else { attempt.answered(random) })
    }

    /// An offer that can answer in the place of another.
    fn stand_in(&self, failed: &Offer, random: &mut Random) -> usize {
        let serves = |offer: &Offer| {
            if failed.is_chat() { offer.is_chat() && !offer.is_batch() } else { offer.shape == failed.shape }
        };
        loop {
            let offer = self.offers.pick(random);
            if serves(&OFFERS[offer]) {
                return offer;
            }
        }
    }
}

impl Attempt {
    /// The same attempt, refused by the provider.
    fn failed(self, random: &mut Random) -> Self {
        let (status, error_class) = *random.pick(&[
            (429, "rate_limit"),
            (429, "rate_limit"),
            (429, "quota"),
            (500, "provider_error"),
            (503, "model_unavailable"),
            (529, "model_unavailable"),
            (504, "timeout"),
        ]);
        let outcome = random.chance(300).then_some(Outcome::NotBilled);
        let (counts, billing) = (Counts::default(), Billing::NotOwed);
        Self { status, error_class: Some(error_class), outcome, ttft_ms: None, counts, billing, ..self }
    }

    /// The same attempt with an answer, or what came of it.
    fn answered(self, random: &mut Random) -> Self {
        let offer = self.offer();
        let counts = Counts::choose(offer, self.tier, random);
        let ttft_ms = self.stream.then(|| self.latency_ms / random.between(2, 9));
        let answered = Self { counts, ttft_ms, billing: Billing::Owed, ..self };
        match random.below(1000) {
            // Only the first attempt asks the gateway's cache.
            0..30 if self.ordinal == 1 && self.tier != Tier::Batch => Self {
                gateway_cache: Some(GatewayCache::Hit),
                latency_ms: random.between(2, 30),
                ttft_ms: None,
                outcome: None,
                billing: Billing::Avoided,
                ..answered
            },
            30..150 => Self { gateway_cache: Some(GatewayCache::Miss), ..answered },
            150..153 if self.stream => {
                Self { error_class: Some("client_disconnect"), outcome: Some(Outcome::Partial), ..answered }
            }
            153 if self.stream => Self {
                error_class: Some("client_disconnect"),
                outcome: Some(Outcome::Unknown),
                counts: Counts::default(),
                billing: Billing::Missing,
                ..answered
            },
            154 if offer.shape == Shape::Chat => Self {
                status: 400,
                error_class: Some("content_filter"),
                outcome: Some(Outcome::NotBilled),
                billing: Billing::NotOwed,
                ..answered
            },
            _ => answered,
        }
    }
}

/// The tier in which a call of the offer is served.
fn tier(offer: &Offer, random: &mut Random) -> Tier {
    if offer.is_batch() {
        Tier::Batch
    } else if !offer.tiers.is_empty() && random.chance(100) {
        *random.pick(offer.tiers)
    } else {
        Tier::Standard
    }
}

/// Whether the answer comes piece by piece.
fn streams(offer: &Offer, tier: Tier, random: &mut Random) -> bool {
    offer.is_chat() && tier != Tier::Batch && random.chance(550)
}

/// An id that begins with the time, as ids of version 7 do.
fn event_id(occurred_at: i64, random: &mut Random) -> Uuid {
    let [_, _, _, _, _, _, bytes @ ..] = random.bytes();
    Builder::from_unix_timestamp_millis(u64::try_from(occurred_at).unwrap_or_default(), &bytes).into_uuid()
}
