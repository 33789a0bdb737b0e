//! Fields become an event: every rule that looks at one field or at two, whatever the encoding was.

use bumpalo::collections::Vec as ArenaVec;
use ledger::event::{
    AttemptKind, Credential, GatewayCache, Json, Millis, Outcome, Owners, ReportedCost, UsageEvent,
};
use ledger::reject::{Reason, Reject};
use ledger::usage::Node;

use super::number::{Integer, integer, is_decimal};
use super::time::parse_rfc3339;
use super::{Arena, reject};

/// Most labels on one event.
const TAGS_MAX: usize = 16;
/// Most code points in an id or an owner.
const ID_CODE_POINTS_MAX: usize = 128;
/// 2015-01-01T00:00:00Z: nothing was billed by these providers before.
const OCCURRED_AT_MIN: i64 = 1_420_070_400_000;
/// An integer below this is taken for seconds and refused.
const MILLIS_MIN: i64 = 100_000_000_000;
/// How far an event may lie ahead of the log's own time.
const AHEAD_MAX_MS: i64 = 24 * 3600 * 1000;
/// What the integer fields of the Avro schema hold.
const ATTEMPT_MAX: i64 = 2_147_483_647;

/// One field as it was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// The contract field of that name; `None` for an unknown one.
    pub(super) known: Option<Name>,
    pub(super) name: &'a str,
    pub(super) node: Node<'a>,
    /// The JSON text of the value; empty where the record has none.
    pub(super) raw: &'a str,
    /// A string in the value has a tab or a line break.
    pub(super) line_break: bool,
}

/// Declares the contract's fields, in its order.
macro_rules! fields {
    ($($variant:ident = $name:literal $presence:ident),+ $(,)?) => {
        /// A field of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Name { $($variant),+ }

        impl Name {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Whether an event without it is refused.
            pub(super) const fn is_required(self) -> bool {
                match self { $(Self::$variant => fields!(@$presence)),+ }
            }

            /// The field of that name: one look into a table without collisions, one comparison.
            pub(super) fn parse(name: &str) -> Option<Self> {
                let (found, text) = SLOTS.get(slot(name.as_bytes())).copied().flatten()?;
                (text == name).then_some(found)
            }
        }
    };
    (@required) => { true };
    (@optional) => { false };
}

fields! {
    EventId = "event_id" required,
    RequestId = "request_id" required,
    OccurredAt = "occurred_at" required,
    Attempt = "attempt" optional,
    AttemptKind = "attempt_kind" optional,
    FallbackFrom = "fallback_from" optional,
    Key = "key" required,
    Team = "team" optional,
    App = "app" optional,
    Environment = "environment" optional,
    Customer = "customer" optional,
    Project = "project" optional,
    EndUser = "end_user" optional,
    Workflow = "workflow" optional,
    Tags = "tags" optional,
    EndpointFamily = "endpoint_family" required,
    Provider = "provider" required,
    Model = "model" required,
    Alias = "alias" optional,
    ProviderAccount = "provider_account" optional,
    Credential = "credential" optional,
    Route = "route" optional,
    Region = "region" optional,
    ServiceTier = "service_tier" optional,
    Processing = "processing" optional,
    Speed = "speed" optional,
    Status = "status" optional,
    ErrorClass = "error_class" optional,
    Outcome = "outcome" optional,
    Stream = "stream" optional,
    LatencyMs = "latency_ms" optional,
    TtftMs = "ttft_ms" optional,
    GatewayCache = "gateway_cache" optional,
    Usage = "usage" optional,
    Context = "context" optional,
    Units = "units" optional,
    ReportedCost = "reported_cost" optional,
    Gateway = "gateway" optional,
    GatewaySeq = "gateway_seq" optional,
}

const SLOT_COUNT: usize = 128;

/// Where a name stands in the table. The factors were searched for: no two names of the contract share a slot.
const fn slot(name: &[u8]) -> usize {
    match name {
        [] => 0,
        [first, .., last] => {
            (name.len() * 54 + *first as usize * 6 + *last as usize * 28 + name[name.len() / 2] as usize)
                % SLOT_COUNT
        }
        [only] => *only as usize % SLOT_COUNT,
    }
}

/// The fields by slot. A name that is added where another stands fails to compile: search for new factors.
static SLOTS: [Option<(Name, &str)>; SLOT_COUNT] = {
    let mut slots = [None; SLOT_COUNT];
    let mut at = 0;
    while at < Name::ALL.len() {
        let name = Name::ALL[at];
        let slot = slot(name.name().as_bytes());
        assert!(slots[slot].is_none(), "two names share a slot");
        slots[slot] = Some((name, name.name()));
        at += 1;
    }
    slots
};

/// Builds the event of these fields.
///
/// # Errors
/// The first rule that is broken; the detail names the field.
pub(super) fn event<'a>(
    fields: &[Field<'a>],
    log_time: Millis,
    arena: &'a Arena,
) -> Result<UsageEvent<'a>, Reject> {
    let fields = Fields::by_name(fields)?;
    let usage = fields.json(Name::Usage)?;
    let units = fields.units(arena)?;
    let (usage, units) = one_of(usage, units)?;
    Ok(UsageEvent {
        event_id: fields.required(Name::EventId)?,
        request_id: fields.required(Name::RequestId)?,
        occurred_at: fields.occurred_at(log_time)?,
        attempt: fields.attempt()?,
        attempt_kind: fields.choice(Name::AttemptKind, AttemptKind::parse)?.unwrap_or(AttemptKind::Primary),
        fallback_from: fields.text(Name::FallbackFrom)?,
        key: fields.required(Name::Key)?,
        owners: Owners {
            team: fields.owner(Name::Team)?,
            app: fields.owner(Name::App)?,
            environment: fields.owner(Name::Environment)?,
            customer: fields.owner(Name::Customer)?,
            project: fields.owner(Name::Project)?,
            end_user: fields.owner(Name::EndUser)?,
            workflow: fields.owner(Name::Workflow)?,
        },
        tags: fields.tags(arena)?,
        endpoint_family: fields.required(Name::EndpointFamily)?,
        provider: fields.required(Name::Provider)?,
        model: fields.required(Name::Model)?,
        alias: fields.text(Name::Alias)?,
        provider_account: fields.text(Name::ProviderAccount)?,
        credential: fields.choice(Name::Credential, Credential::parse)?,
        route: fields.text(Name::Route)?,
        region: fields.text(Name::Region)?,
        service_tier: fields.text(Name::ServiceTier)?,
        processing: fields.text(Name::Processing)?,
        speed: fields.text(Name::Speed)?,
        status: fields.status()?,
        error_class: fields.text(Name::ErrorClass)?,
        outcome: fields.choice(Name::Outcome, Outcome::parse)?,
        stream: fields.flag(Name::Stream)?,
        latency_ms: fields.count(Name::LatencyMs)?,
        ttft_ms: fields.count(Name::TtftMs)?,
        gateway_cache: fields.choice(Name::GatewayCache, GatewayCache::parse)?,
        usage,
        context: fields.json(Name::Context)?,
        units,
        reported_cost: fields.reported_cost()?,
        gateway: fields.text(Name::Gateway)?,
        gateway_seq: fields.count(Name::GatewaySeq)?,
    })
}

type Units<'a> = &'a [(&'a str, &'a str)];

/// At most one of the two: an empty object beside a filled one counts as absent.
fn one_of<'a>(
    usage: Option<Json<'a>>,
    units: Option<Units<'a>>,
) -> Result<(Option<Json<'a>>, Option<Units<'a>>), Reject> {
    let (Some(json), Some(quantities)) = (usage, units) else { return Ok((usage, units)) };
    match (json.node.fields().is_empty(), quantities.is_empty()) {
        (true, false) => Ok((None, units)),
        (_, true) => Ok((usage, None)),
        (false, false) => {
            Err(reject(Reason::UsageAndUnits, "both `usage` and `units` are given: send exactly one of them"))
        }
    }
}

fn invalid(name: Name, problem: &str) -> Reject {
    reject(Reason::InvalidField, format!("`{}` {problem}", name.name()))
}

fn invalid_time(problem: &str) -> Reject {
    reject(Reason::InvalidTime, format!("`occurred_at` {problem}"))
}

/// A text clipped for an error message.
fn shown(text: &str) -> String {
    text.chars().take(64).collect::<String>().escape_debug().to_string()
}

/// The values by contract field; `null` is absent, unknown fields are gone.
struct Fields<'a> {
    values: [Option<(Node<'a>, &'a str)>; Name::ALL.len()],
}

impl<'a> Fields<'a> {
    fn by_name(fields: &[Field<'a>]) -> Result<Self, Reject> {
        let mut values = [None; Name::ALL.len()];
        for field in fields {
            let Some(name) = field.known else { continue };
            if field.line_break {
                return Err(reject(Reason::Decode, format!("control character in `{}`", name.name())));
            }
            if let Some(slot) = values.get_mut(name as usize)
                && !field.node.is_null()
            {
                *slot = Some((field.node, field.raw));
            }
        }
        let fields = Self { values };
        for name in Name::ALL.iter().copied().filter(|name| name.is_required()) {
            if fields.get(name).is_none() {
                return Err(reject(Reason::MissingField, format!("`{}` is required", name.name())));
            }
        }
        Ok(fields)
    }

    fn value(&self, name: Name) -> Option<(Node<'a>, &'a str)> {
        self.values.get(name as usize).copied().flatten()
    }

    fn get(&self, name: Name) -> Option<Node<'a>> {
        self.value(name).map(|(node, _)| node)
    }

    /// An optional string; empty means absent.
    fn text(&self, name: Name) -> Result<Option<&'a str>, Reject> {
        match self.get(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    fn owner(&self, name: Name) -> Result<Option<&'a str>, Reject> {
        let text = self.text(name)?;
        text.map(|text| within_bound(name, text)).transpose()
    }

    fn required(&self, name: Name) -> Result<&'a str, Reject> {
        let text = self.text(name)?.ok_or_else(|| invalid(name, "must not be empty"))?;
        match name {
            Name::EventId | Name::RequestId | Name::Key => within_bound(name, text),
            _ => Ok(text),
        }
    }

    fn choice<T>(&self, name: Name, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Reject> {
        match self.get(name) {
            None => Ok(None),
            Some(Node::Text(text)) => match parse(text) {
                Some(choice) => Ok(Some(choice)),
                None => Err(invalid(name, &format!("has the unknown value `{}`", shown(text)))),
            },
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    fn flag(&self, name: Name) -> Result<Option<bool>, Reject> {
        match self.get(name) {
            None => Ok(None),
            Some(Node::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(invalid(name, "must be true or false")),
        }
    }

    fn integer(&self, name: Name, min: i64, max: i64) -> Result<Option<i64>, Reject> {
        match self.get(name) {
            None => Ok(None),
            Some(Node::Number(text)) => match integer(text) {
                Integer::Whole(value) if (min..=max).contains(&value) => Ok(Some(value)),
                Integer::Fraction => Err(invalid(name, "must be a whole number")),
                _ => Err(invalid(name, &format!("must lie between {min} and {max}"))),
            },
            Some(_) => Err(invalid(name, "must be a whole number")),
        }
    }

    fn count(&self, name: Name) -> Result<Option<u64>, Reject> {
        Ok(self.integer(name, 0, i64::MAX)?.and_then(|value| u64::try_from(value).ok()))
    }

    fn attempt(&self) -> Result<u32, Reject> {
        Ok(self
            .integer(Name::Attempt, 1, ATTEMPT_MAX)?
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(1))
    }

    fn status(&self) -> Result<Option<u16>, Reject> {
        Ok(self.integer(Name::Status, 0, 999)?.and_then(|value| u16::try_from(value).ok()))
    }

    fn occurred_at(&self, log_time: Millis) -> Result<Millis, Reject> {
        let millis = match self.get(Name::OccurredAt) {
            Some(Node::Text("")) => return Err(invalid(Name::OccurredAt, "must not be empty")),
            Some(Node::Text(text)) => parse_rfc3339(text).map_err(invalid_time)?,
            Some(Node::Number(text)) => match integer(text) {
                Integer::Whole(value) if value >= MILLIS_MIN => value,
                Integer::Whole(_) => {
                    return Err(invalid_time(
                        "is an integer below 10^11: it counts milliseconds since 1970, not seconds",
                    ));
                }
                Integer::Beyond => return Err(invalid_time("is out of range")),
                Integer::Fraction => {
                    return Err(invalid(Name::OccurredAt, "must be a whole number of milliseconds"));
                }
            },
            _ => {
                return Err(invalid(
                    Name::OccurredAt,
                    "must be RFC 3339 text or whole milliseconds since 1970",
                ));
            }
        };
        if millis < OCCURRED_AT_MIN {
            return Err(invalid_time("lies before 2015-01-01"));
        }
        if millis > log_time.0.saturating_add(AHEAD_MAX_MS) {
            return Err(invalid_time("lies more than 24 hours after the log's time of the record"));
        }
        Ok(Millis(millis))
    }

    fn tags(&self, arena: &'a Arena) -> Result<&'a [(&'a str, &'a str)], Reject> {
        let fields = match self.get(Name::Tags) {
            None => return Ok(&[]),
            Some(Node::Object(fields)) => fields,
            Some(_) => return Err(invalid(Name::Tags, "must be an object")),
        };
        if fields.len() > TAGS_MAX {
            return Err(invalid(
                Name::Tags,
                &format!("has {} entries, at most {TAGS_MAX} are allowed", fields.len()),
            ));
        }
        let mut tags = ArenaVec::with_capacity_in(fields.len(), arena);
        for (tag, value) in fields {
            let Node::Text(value) = value else {
                return Err(invalid(Name::Tags, &format!("must hold strings, and `{}` is none", shown(tag))));
            };
            tags.push((*tag, *value));
        }
        tags.sort_unstable();
        Ok(tags.into_bump_slice())
    }

    fn units(&self, arena: &'a Arena) -> Result<Option<Units<'a>>, Reject> {
        let fields = match self.get(Name::Units) {
            None => return Ok(None),
            Some(Node::Object(fields)) => fields,
            Some(_) => return Err(invalid(Name::Units, "must be an object")),
        };
        let mut units = ArenaVec::with_capacity_in(fields.len(), arena);
        for (unit, value) in fields {
            match value {
                Node::Number(text) => units.push((*unit, *text)),
                Node::Text(text) if is_decimal(text) => units.push((*unit, *text)),
                Node::Text(text) => {
                    return Err(reject(
                        Reason::MalformedUsage,
                        format!("`units.{}` is no decimal: `{}`", shown(unit), shown(text)),
                    ));
                }
                _ => {
                    return Err(invalid(
                        Name::Units,
                        &format!("must hold numbers or decimal strings, and `{}` is neither", shown(unit)),
                    ));
                }
            }
        }
        units.sort_unstable();
        Ok(Some(units.into_bump_slice()))
    }

    fn json(&self, name: Name) -> Result<Option<Json<'a>>, Reject> {
        match self.value(name) {
            None => Ok(None),
            Some((node @ Node::Object(_), text)) => Ok(Some(Json { text, node })),
            Some(_) => Err(invalid(name, "must be an object")),
        }
    }

    fn reported_cost(&self) -> Result<Option<ReportedCost<'a>>, Reject> {
        let node = match self.get(Name::ReportedCost) {
            None => return Ok(None),
            Some(node @ Node::Object(_)) => node,
            Some(_) => return Err(invalid(Name::ReportedCost, "must be an object")),
        };
        let amount = match node.get("amount").ok_or_else(|| missing_in_cost("amount"))? {
            Node::Number(text) => text,
            Node::Text(text) if is_decimal(text) => text,
            _ => return Err(invalid_in_cost("amount", "must be a number or a decimal string")),
        };
        let currency = match node.get("currency").ok_or_else(|| missing_in_cost("currency"))? {
            Node::Text(text) if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) => text,
            _ => return Err(invalid_in_cost("currency", "must be an ISO 4217 code such as USD")),
        };
        let source = match node.get("source") {
            None => None,
            Some(Node::Text(text)) => Some(text).filter(|text| !text.is_empty()),
            Some(_) => return Err(invalid_in_cost("source", "must be a string")),
        };
        Ok(Some(ReportedCost { amount, currency, source }))
    }
}

fn within_bound(name: Name, text: &str) -> Result<&str, Reject> {
    if text.len() > ID_CODE_POINTS_MAX && text.chars().count() > ID_CODE_POINTS_MAX {
        return Err(invalid(name, &format!("is longer than {ID_CODE_POINTS_MAX} code points")));
    }
    Ok(text)
}

fn missing_in_cost(field: &str) -> Reject {
    reject(Reason::MissingField, format!("`reported_cost.{field}` is required"))
}

fn invalid_in_cost(field: &str, problem: &str) -> Reject {
    reject(Reason::InvalidField, format!("`reported_cost.{field}` {problem}"))
}
