//! The usage event: who used which model, when, with which usage. One per attempt at a model request.

use crate::usage::Node;

/// Milliseconds since 1970-01-01T00:00:00Z; the precision to which the ledger keeps event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// A usage event whose fields have passed every rule of the event schema. All text borrows from the record
/// or from the decoder's arena.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageEvent<'a> {
    /// Minted by the gateway, unique per attempt: the idempotency key. 1 to 128 code points.
    pub event_id: &'a str,
    /// Shared by all attempts of one request. 1 to 128 code points.
    pub request_id: &'a str,
    /// When the attempt started; decides the price row and the period.
    pub occurred_at: Millis,
    /// Ordinal of the attempt within its request, from 1.
    pub attempt: u32,
    /// Why the attempt was made.
    pub attempt_kind: AttemptKind,
    /// The alias, model or provider that failed before this attempt.
    pub fallback_from: Option<&'a str>,
    /// Label or id of the gateway key; never the secret itself.
    pub key: &'a str,
    /// Owners as the gateway knows them.
    pub owners: Owners<'a>,
    /// Free labels, sorted by name; at most 16.
    pub tags: &'a [(&'a str, &'a str)],
    /// The endpoint family that produced the usage object.
    pub endpoint_family: &'a str,
    /// Who served the attempt.
    pub provider: &'a str,
    /// The model that served the attempt, as the provider names it.
    pub model: &'a str,
    /// The model name that the application asked for.
    pub alias: Option<&'a str>,
    /// Organization, project or deployment at the provider.
    pub provider_account: Option<&'a str>,
    /// Whose provider credential was used.
    pub credential: Option<Credential>,
    /// Gateway route or channel.
    pub route: Option<&'a str>,
    /// Inference region or geography.
    pub region: Option<&'a str>,
    /// Tier that served the attempt, as the provider's response named it.
    pub service_tier: Option<&'a str>,
    /// `interactive` or `batch`.
    pub processing: Option<&'a str>,
    /// `standard` or `fast`.
    pub speed: Option<&'a str>,
    /// HTTP status at the provider.
    pub status: Option<u16>,
    /// Class of the error, where there was one.
    pub error_class: Option<&'a str>,
    /// What the gateway believes the provider charges for; `None` where it did not say.
    pub outcome: Option<Outcome>,
    /// Whether the response was streamed.
    pub stream: Option<bool>,
    /// Milliseconds from request to last byte.
    pub latency_ms: Option<u64>,
    /// Milliseconds from request to first token.
    pub ttft_ms: Option<u64>,
    /// What the gateway's own response cache did.
    pub gateway_cache: Option<GatewayCache>,
    /// The provider's usage object.
    pub usage: Option<Json<'a>>,
    /// What usage lacks but billing needs.
    pub context: Option<Json<'a>>,
    /// Quantities that are already disjoint, name and decimal text; used instead of `usage`.
    pub units: Option<&'a [(&'a str, &'a str)]>,
    /// Money that the provider or gateway reported.
    pub reported_cost: Option<ReportedCost<'a>>,
    /// The sender.
    pub gateway: Option<&'a str>,
    /// The sender's own running number.
    pub gateway_seq: Option<u64>,
}

/// A JSON value both as it was written and as a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Json<'a> {
    /// The text, byte for byte as received.
    pub text: &'a str,
    /// The same value, parsed.
    pub node: Node<'a>,
}

/// Owners of an attempt as the gateway knows them; what is absent may be filled from the owners table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the meaning")]
pub struct Owners<'a> {
    pub team: Option<&'a str>,
    pub app: Option<&'a str>,
    pub environment: Option<&'a str>,
    pub customer: Option<&'a str>,
    pub project: Option<&'a str>,
    pub end_user: Option<&'a str>,
    pub workflow: Option<&'a str>,
}

/// Money that the provider or gateway reported: evidence, and the price where the model row says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedCost<'a> {
    /// A decimal, as text.
    pub amount: &'a str,
    /// ISO 4217 code.
    pub currency: &'a str,
    /// Who reported it.
    pub source: Option<&'a str>,
}

/// Declares a closed set of names that cross the boundary as text.
macro_rules! names {
    ($(#[$meta:meta])* $type:ident { $($(#[$variant_meta:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$variant_meta])* $variant),+ }

        impl $type {
            /// All values, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name on the wire and in the store.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The value of that name; `None` for any other text.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

pub(crate) use names;

names! {
    /// Why an attempt was made.
    AttemptKind {
        /// The first try.
        Primary = "primary",
        /// The same model again.
        Retry = "retry",
        /// Another model or provider.
        Fallback = "fallback",
    }
}

names! {
    /// What the provider charges for.
    Outcome {
        /// The attempt is charged for.
        Billed = "billed",
        /// What was generated before it broke off is charged for.
        Partial = "partial",
        /// Nothing is charged.
        NotBilled = "not_billed",
        /// Nobody knows yet.
        Unknown = "unknown",
    }
}

names! {
    /// Whose provider credential was used.
    Credential {
        /// The caller's own.
        Direct = "direct",
        /// The gateway's.
        Gateway = "gateway",
        /// One that is managed for the caller.
        Managed = "managed",
    }
}

names! {
    /// What the gateway's own response cache did.
    GatewayCache {
        /// Answered from the cache: costs nothing, and records the cost avoided.
        Hit = "hit",
        /// Not in the cache.
        Miss = "miss",
    }
}
