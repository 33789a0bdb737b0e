//! `GET /v1/requests/{request_id}`: the proof. Every attempt of one request, from what the provider reported to
//! the amount of each line, the price row that it was priced by and the record in the log that it came from.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use clickhouse::Row;
use jiff::Timestamp;
use ledger::event::Millis;
use ledger::money::Decimal;
use schemas::invoices::InvoiceText;
use schemas::queries;
use schemas::registries::{Change, MarkupText};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::auth::Authenticated;
use crate::bounds::{Bounds, Value, Values};
use crate::completeness;
use crate::entries::Selection;
use crate::entries::row::{Entry, EntryRow, Line, Origin, Plane, ReportedCost, add, sums};
use crate::error::Problem;
use crate::invoices::books::Books;
use crate::invoices::{closed_by_id, numbers};
use crate::parameters::Parameters;
use crate::period::rfc3339;
use crate::router::Service;
use crate::spend::Unpriced;
use crate::store::{Statement, Store};

/// Entries of one request that are shown.
const ENTRIES_MAX: u64 = 1_000;
/// The kind of an entry that a usage event made; all others correct one.
const USAGE: &str = "usage";

/// The proof of one request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// The request.
    pub request_id: String,
    /// Who it is billed to.
    pub owner: Owner,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// What the attempts and corrections come to, one for each currency of the cost and of the charge.
    pub totals: Vec<Total>,
    /// Entries that put recorded facts right.
    pub corrections: Vec<Entry>,
    /// The invoice that bills it, or the period that is still open.
    pub invoice: String,
    /// Everything that was logged before this instant is in the ledger; null where a partition is unread.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub complete_through: Option<String>,
    /// What of the request has no price; absent where everything has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<Unpriced>,
}

/// Owners of a request, as of its first attempt.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names are the meaning")]
pub struct Owner {
    pub key: Option<String>,
    pub team: Option<String>,
    pub app: Option<String>,
    pub environment: Option<String>,
    pub customer: Option<String>,
    pub project: Option<String>,
    pub cost_center: Option<String>,
    pub end_user: Option<String>,
    pub workflow: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// Where an attempt went.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields are those of the usage event")]
pub struct Route {
    pub endpoint_family: Option<String>,
    pub provider: Option<String>,
    pub provider_account: Option<String>,
    pub model: Option<String>,
    pub alias: Option<String>,
    pub credential: Option<String>,
    pub route: Option<String>,
    pub region: Option<String>,
    pub service_tier: Option<String>,
    pub processing: Option<String>,
    pub speed: Option<String>,
}

/// The price row of an attempt, and why it was that one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Matched {
    /// Id of the row.
    pub id: String,
    /// Where the row was taken from.
    pub source: Option<String>,
    /// The version of the source.
    pub version: Option<String>,
    /// Why no second source confirms the row's prices; null where one does.
    pub unconfirmed: Option<String>,
    /// Sources that have the same standard prices.
    #[serde(default)]
    pub confirmed_by: Vec<String>,
    /// From when the row holds; null from the beginning of time.
    #[schema(format = DateTime)]
    pub effective_from: Option<String>,
    /// How the model's name led to the row.
    pub matched_by: Option<String>,
    /// The conditions of the event that chose among the row's prices.
    pub conditions: Option<String>,
}

/// One attempt at the request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Ordinal within the request.
    pub attempt: u32,
    /// Why it was made.
    pub attempt_kind: Option<String>,
    /// What failed before it.
    pub fallback_from: Option<String>,
    /// The event that reported it.
    pub event_id: String,
    /// When it started.
    #[schema(format = DateTime)]
    pub occurred_at: String,
    /// When it was posted.
    #[schema(format = DateTime)]
    pub recorded_at: String,
    /// Where it went.
    pub route: Route,
    /// HTTP status at the provider.
    pub status: Option<u16>,
    /// Class of the error, where there was one.
    pub error_class: Option<String>,
    /// What the provider charges for.
    pub outcome: Option<String>,
    /// Whether the response was streamed.
    pub stream: bool,
    /// Milliseconds to the last byte.
    pub latency_ms: Option<u64>,
    /// Milliseconds to the first token.
    pub ttft_ms: Option<u64>,
    /// What the gateway's cache did.
    pub gateway_cache: Option<String>,
    /// The provider's usage object, verbatim; null where there was none or it has expired.
    #[schema(value_type = Option<Object>)]
    pub usage: Option<Box<RawValue>>,
    /// What usage lacks but billing needs.
    #[schema(value_type = Option<Object>)]
    pub context: Option<Box<RawValue>>,
    /// Disjoint quantities of all entries by unit.
    pub quantities: BTreeMap<String, String>,
    /// What a gateway cache hit would have used.
    pub quantities_avoided: BTreeMap<String, String>,
    /// The price row of the first entry; null where none matched.
    pub model_row: Option<Matched>,
    /// Disjoint quantities of the first entry by unit.
    pub units: BTreeMap<String, String>,
    /// Lines of the first entry.
    pub lines: Vec<Line>,
    /// Each entry that the event made; more than one where the response billed several models.
    pub entries: Vec<AttemptEntry>,
    /// The provider's list price, of all entries.
    pub list_cost: String,
    /// What is owed to the provider, of all entries.
    pub cost: String,
    /// What is billed to the customer, of all entries.
    pub charge: String,
    /// What a gateway cache hit saved, of all entries.
    pub cost_avoided: String,
    /// ISO 4217 code of the amounts but the charge; null where no price matched.
    pub currency: Option<String>,
    /// ISO 4217 code of the charge.
    pub charge_currency: Option<String>,
    /// Whether an entry has no price, or lacks one for a unit.
    pub unpriced: bool,
    /// Units without a price.
    pub unpriced_units: Vec<String>,
    /// What is noteworthy about how the quantities or the price were come by.
    pub flags: Vec<String>,
    /// Money that the provider or gateway reported.
    pub reported_cost: Option<ReportedCost>,
    /// The record in the log.
    pub origin: Origin,
    /// The first of the entries that took this attempt back; null where it counts. All of them are `corrections`.
    pub reversed: Option<Reversal>,
    /// The invoice that bills the attempt, or the period that is still open.
    pub invoice: String,
    /// The lines of that invoice that it is on; none while the period is open.
    #[serde(default)]
    pub invoice_lines: Vec<u32>,
}

/// What took an attempt back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Reversal {
    /// `duplicate` where an attempt with the same id and content was posted before, `conflict` where its content was
    /// another.
    pub reason: Option<String>,
    /// The command in the log.
    pub origin: Origin,
    /// When it was posted.
    #[schema(format = DateTime)]
    pub recorded_at: String,
}

/// One entry of an attempt.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields are those of the attempt")]
pub struct AttemptEntry {
    pub model: Option<String>,
    pub model_row: Option<Matched>,
    pub units: BTreeMap<String, String>,
    pub lines: Vec<Line>,
    pub list_cost: String,
    pub cost: String,
    pub charge: String,
    pub currency: Option<String>,
    pub charge_currency: Option<String>,
    /// How the list cost was made; null where it is the cost.
    pub list: Option<PlaneProof>,
    /// How the charge was made; null where it is the cost.
    pub charging: Option<PlaneProof>,
    /// Position of the command log whose prices and registries made the entry.
    pub book: u64,
}

/// A plane of money whose lines are not those of the cost.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PlaneProof {
    /// The price row that made it; null where a markup did.
    pub model_row: Option<Matched>,
    /// The markup that made it; null where a price row did.
    pub markup: Option<MarkupProof>,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A markup, with all that is needed to do its sums again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MarkupProof {
    /// Its id.
    pub id: String,
    /// Which version of it.
    pub version: u32,
    /// From when this version holds; null from the beginning of time.
    #[schema(format = DateTime)]
    pub effective_from: Option<String>,
    /// What each line of the base was multiplied by: (100 + percent) / 100 × rate of exchange.
    pub factor: Option<String>,
    /// The markup as it was set, every digit kept.
    #[schema(value_type = Option<Object>)]
    pub terms: Option<Box<RawValue>>,
}

/// Totals in one currency.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields are those of the attempt")]
pub struct Total {
    pub currency: Option<String>,
    pub charge_currency: Option<String>,
    pub list_cost: String,
    pub cost: String,
    pub charge: String,
}

#[derive(Row, Deserialize)]
struct Published {
    row_id: String,
    source_name: String,
    source_version_name: String,
    unconfirmed: String,
    confirmed_by: Vec<String>,
    effective_ms: i64,
}

/// The proof of one request: every attempt, quantity, price and amount.
#[utoipa::path(
    get, path = "/v1/requests/{request_id}", tag = "reading",
    params(("request_id" = String, Path, description = "The request, as the gateway named it")),
    responses((status = 200, body = Proof), (status = 404, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn request(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(request_id): Path<String>,
) -> Result<Json<Proof>, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let selection = Selection::of_request(&caller, &request_id);
    let snapshot = service.store.snapshot().await?;
    let (rows, complete_through) = futures::try_join!(
        selection.read_whole(&snapshot, ENTRIES_MAX),
        completeness::complete_through(&service.store)
    )?;
    let entries = rows
        .into_iter()
        .map(|row| {
            let (usage, context) = row.raw();
            let raw = (json(usage), json(context));
            EntryRow::shown(row).map(|entry| (entry, raw))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let known =
        Known::read(&service.store, &Bounds::of(&caller), entries.iter().map(|(entry, _)| entry)).await?;
    let complete_through = complete_through.map(rfc3339);
    Ok(Json(Proof { complete_through, ..proof(request_id, entries, &known)? }))
}

/// Usage and context as they were sent.
type Raw = (Option<Box<RawValue>>, Option<Box<RawValue>>);
/// Attempts in order: ordinal and time, then topic, partition and offset of the record.
type Record = (u32, String, String, u32, u64);

fn proof(request_id: String, entries: Vec<(Entry, Raw)>, known: &Known) -> Result<Proof, Problem> {
    let totals = totals(entries.iter().map(|(entry, _)| entry))?;
    let reversed: Vec<Origin> = entries.iter().filter_map(|(entry, _)| entry.reverses.clone()).collect();
    // A repeat is taken back under the name of its record, whatever stands for it since.
    let is_taken_back = |origin: &Origin| {
        let takes_back = |entry: &Entry| entry.reverses.as_ref() == Some(origin) && entry.operation.is_none();
        entries.iter().any(|(entry, _)| takes_back(entry))
    };
    let counts = |entry: &&Entry| {
        entry.reverses.is_none()
            && !reversed.contains(&entry.origin)
            && !entry.replaces.as_ref().is_some_and(is_taken_back)
    };
    let unpriced = unpriced(entries.iter().map(|(entry, _)| entry).filter(counts));
    let (usage, corrections): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(entry, _)| entry.kind == USAGE);
    let mut by_record: BTreeMap<Record, Vec<(Entry, Raw)>> = BTreeMap::new();
    for (entry, raw) in usage {
        let record = (
            entry.attempt,
            entry.occurred_at.clone(),
            entry.origin.topic.clone(),
            entry.origin.partition,
            entry.origin.offset,
        );
        by_record.entry(record).or_default().push((entry, raw));
    }
    let mut groups = by_record.into_values();
    let Some(first) = groups.next() else { return Err(Problem::not_found("request of that id")) };
    let owner = first.first().map(|(entry, _)| owner(entry)).ok_or_else(Problem::internal)?;
    let attempts = std::iter::once(first)
        .chain(groups)
        .map(|group| attempt(group, &corrections, known))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Proof {
        request_id,
        owner,
        invoice: attempts.first().map(|attempt| attempt.invoice.clone()).unwrap_or_default(),
        attempts,
        totals,
        corrections: corrections.into_iter().map(|(entry, _)| entry).collect(),
        complete_through: None,
        unpriced,
    })
}

fn attempt(
    mut group: Vec<(Entry, Raw)>,
    corrections: &[(Entry, Raw)],
    known: &Known,
) -> Result<Attempt, Problem> {
    group.sort_by_key(|(entry, _)| entry.origin.ordinal);
    let all: Vec<Entry> = group.iter().map(|(entry, _)| entry.clone()).collect();
    let entries = all.iter().map(|entry| attempt_entry(entry, known)).collect();
    let quantities = sums(all.iter().flat_map(|entry| &entry.quantities).map(texts))?;
    let quantities_avoided = sums(all.iter().flat_map(|entry| &entry.quantities_avoided).map(texts))?;
    let total = |amount: fn(&Entry) -> &str| {
        all.iter().try_fold(Decimal::ZERO, |sum, entry| add(sum, amount(entry))).map(|sum| sum.to_string())
    };
    let (list_cost, cost, charge, cost_avoided) = (
        total(|entry| &entry.list_cost)?,
        total(|entry| &entry.cost)?,
        total(|entry| &entry.charge)?,
        total(|entry| &entry.cost_avoided)?,
    );
    let distinct = |names: fn(&Entry) -> &Vec<String>| {
        let mut names: Vec<String> = all.iter().flat_map(names).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let (unpriced_units, flags) = (distinct(|entry| &entry.unpriced_units), distinct(|entry| &entry.flags));
    let unpriced = all.iter().any(|entry| entry.unpriced);
    let (first, (usage, context)) = group.into_iter().next().ok_or_else(Problem::internal)?;
    Ok(Attempt {
        model_row: known.cost_row(&first),
        invoice: known.invoice(&first),
        invoice_lines: known.invoice_lines(&all),
        attempt: first.attempt,
        attempt_kind: first.attempt_kind,
        fallback_from: first.fallback_from,
        event_id: first.event_id,
        occurred_at: first.occurred_at,
        recorded_at: first.recorded_at,
        route: Route {
            endpoint_family: first.endpoint_family,
            provider: first.provider,
            provider_account: first.provider_account,
            model: first.model,
            alias: first.alias,
            credential: first.credential,
            route: first.route,
            region: first.region,
            service_tier: first.service_tier,
            processing: first.processing,
            speed: first.speed,
        },
        status: first.status,
        error_class: first.error_class,
        outcome: first.outcome,
        stream: first.stream,
        latency_ms: first.latency_ms,
        ttft_ms: first.ttft_ms,
        gateway_cache: first.gateway_cache,
        usage,
        context,
        quantities,
        quantities_avoided,
        units: first.quantities,
        lines: first.lines,
        entries,
        list_cost,
        cost,
        charge,
        cost_avoided,
        currency: first.currency,
        charge_currency: first.charge_currency,
        unpriced,
        unpriced_units,
        flags,
        reported_cost: first.reported_cost,
        reversed: reversal(&first.origin, corrections),
        origin: first.origin,
    })
}

/// What took back the entry of that origin.
fn reversal(origin: &Origin, corrections: &[(Entry, Raw)]) -> Option<Reversal> {
    let (entry, _) = corrections.iter().find(|(entry, _)| entry.reverses.as_ref() == Some(origin))?;
    Some(Reversal {
        reason: entry.reason.clone(),
        origin: entry.origin.clone(),
        recorded_at: entry.recorded_at.clone(),
    })
}

fn attempt_entry(entry: &Entry, known: &Known) -> AttemptEntry {
    AttemptEntry {
        model: entry.model.clone(),
        model_row: known.cost_row(entry),
        units: entry.quantities.clone(),
        lines: entry.lines.clone(),
        list_cost: entry.list_cost.clone(),
        cost: entry.cost.clone(),
        charge: entry.charge.clone(),
        currency: entry.currency.clone(),
        charge_currency: entry.charge_currency.clone(),
        list: entry.list.as_ref().map(|plane| known.plane(plane)),
        charging: entry.charging.as_ref().map(|plane| known.plane(plane)),
        book: entry.book,
    }
}

fn unpriced<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<Unpriced> {
    let mut unpriced = Unpriced { entries: 0, units: BTreeMap::new() };
    for entry in entries.filter(|entry| entry.unpriced) {
        unpriced.entries += 1;
        for unit in &entry.unpriced_units {
            *unpriced.units.entry(unit.clone()).or_insert(0) += 1;
        }
    }
    Some(unpriced).filter(|unpriced| unpriced.entries > 0)
}

fn owner(entry: &Entry) -> Owner {
    Owner {
        key: entry.key.clone(),
        team: entry.team.clone(),
        app: entry.app.clone(),
        environment: entry.environment.clone(),
        customer: entry.customer.clone(),
        project: entry.project.clone(),
        cost_center: entry.cost_center.clone(),
        end_user: entry.end_user.clone(),
        workflow: entry.workflow.clone(),
        tags: entry.tags.clone(),
    }
}

fn totals<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<Vec<Total>, Problem> {
    let mut sums: BTreeMap<(Option<String>, Option<String>), [Decimal; 3]> = BTreeMap::new();
    for entry in entries {
        let currencies = (entry.currency.clone(), entry.charge_currency.clone());
        let [list_cost, cost, charge] = sums.entry(currencies).or_insert([Decimal::ZERO; 3]);
        *list_cost = add(*list_cost, &entry.list_cost)?;
        *cost = add(*cost, &entry.cost)?;
        *charge = add(*charge, &entry.charge)?;
    }
    let total = |((currency, charge_currency), sums): (_, [Decimal; 3])| {
        let [list_cost, cost, charge] = sums.map(|sum| sum.to_string());
        Total { currency, charge_currency, list_cost, cost, charge }
    };
    Ok(sums.into_iter().map(total).collect())
}

/// The price rows and markups that entries name.
struct Known {
    rows: BTreeMap<String, Published>,
    markups: BTreeMap<String, Version>,
    books: Books,
    /// The closed invoices that entries are on, where the token sees them.
    invoices: BTreeMap<String, InvoiceText>,
}

/// A version of a markup.
#[derive(Row, Deserialize)]
struct Version {
    id: String,
    version: u32,
    effective_ms: i64,
    body: String,
}

impl Known {
    async fn read<'a>(
        store: &Store,
        bounds: &Bounds,
        entries: impl Iterator<Item = &'a Entry> + Clone,
    ) -> Result<Self, Problem> {
        let (mut rows, mut markups) = (BTreeSet::new(), BTreeSet::new());
        for entry in entries.clone() {
            rows.extend(entry.model_row.clone());
            for plane in [&entry.list, &entry.charging].into_iter().flatten() {
                rows.extend(plane.model_row.clone());
                markups.extend(plane.markup_version());
            }
        }
        let books = Books::read(store).await?;
        let (rows_by_id, versions) = (BTreeMap::new(), BTreeMap::new());
        let mut known = Self { rows: rows_by_id, markups: versions, books, invoices: BTreeMap::new() };
        let billing = entries.map(|entry| known.invoice(entry)).collect();
        known.invoices = closed_by_id(store, bounds, billing).await?;
        if !rows.is_empty() {
            let values = Values::default().with("row_ids", Value::Texts(rows.into_iter().collect()));
            let rows: Vec<Published> = store.open(queries::MODEL_ROW_SOURCES, values).await?;
            known.rows = rows.into_iter().map(|row| (row.row_id.clone(), row)).collect();
        }
        if !markups.is_empty() {
            let values = Values::default().with("versions", Value::Texts(markups.into_iter().collect()));
            let table = |statement: Statement| statement.slot("table", MarkupText::TABLE);
            let versions: Vec<Version> = store.open_with(queries::REGISTRY_VERSIONS, values, table).await?;
            known.markups = versions
                .into_iter()
                .map(|version| (format!("{}@{}", version.id, version.version), version))
                .collect();
        }
        Ok(known)
    }

    /// The row that priced the cost of an entry.
    fn cost_row(&self, entry: &Entry) -> Option<Matched> {
        let id = entry.model_row.as_ref()?;
        Some(self.matched(id, entry.matched_by.as_ref(), entry.conditions.as_ref()))
    }

    fn matched(&self, id: &str, matched_by: Option<&String>, conditions: Option<&String>) -> Matched {
        let row = self.rows.get(id);
        let named = |name: fn(&Published) -> &String| row.map(name).filter(|name| !name.is_empty()).cloned();
        Matched {
            id: id.to_owned(),
            source: named(|row| &row.source_name),
            version: named(|row| &row.source_version_name),
            unconfirmed: named(|row| &row.unconfirmed),
            confirmed_by: row.map(|row| row.confirmed_by.clone()).unwrap_or_default(),
            effective_from: row.and_then(|row| instant(row.effective_ms)),
            matched_by: matched_by.cloned(),
            conditions: conditions.cloned(),
        }
    }

    /// The invoice that bills an entry, or the period that is open. What names no customer is on no invoice.
    fn invoice(&self, entry: &Entry) -> String {
        let at = occurred(entry);
        let Origin { topic, partition, offset, .. } = &entry.origin;
        let currency = entry.charge_currency.as_deref().or(entry.currency.as_deref()).unwrap_or_default();
        let customer = entry.customer.as_deref().unwrap_or_default();
        self.books.billed_on(customer, at, (topic, *partition, *offset), currency)
    }

    /// The lines of the invoice that bill some entries, each once.
    fn invoice_lines(&self, entries: &[Entry]) -> Vec<u32> {
        let lines = entries.iter().filter_map(|entry| {
            let invoice = self.invoices.get(&self.invoice(entry))?;
            let month =
                self.books.month_of(entry.customer.as_deref().unwrap_or_default(), occurred(entry))?;
            Some(numbers(entry, month, invoice))
        });
        let mut lines: Vec<u32> = lines.flatten().collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    fn plane(&self, plane: &Plane) -> PlaneProof {
        let row = plane.model_row.as_ref();
        PlaneProof {
            model_row: row.map(|id| self.matched(id, plane.matched_by.as_ref(), None)),
            markup: plane.markup.as_ref().map(|id| self.markup(id, plane)),
            lines: plane.lines.clone(),
        }
    }

    fn markup(&self, id: &str, plane: &Plane) -> MarkupProof {
        let version = plane.markup_version().and_then(|name| self.markups.get(&name));
        let terms = version.and_then(|version| serde_json::from_str::<MarkupText>(&version.body).ok());
        let markup = terms.as_ref().and_then(|terms| terms.markup().ok());
        MarkupProof {
            id: id.to_owned(),
            version: plane.markup_version.unwrap_or_default(),
            effective_from: version.and_then(|version| instant(version.effective_ms)),
            factor: markup.and_then(|markup| markup.factor()).map(|factor| factor.to_string()),
            terms: version.and_then(|version| json(&version.body)),
        }
    }
}

fn occurred(entry: &Entry) -> Millis {
    entry.occurred_at.parse::<Timestamp>().map_or(Millis(0), |at| Millis(at.as_millisecond()))
}

/// An instant; `None` for the beginning of time.
fn instant(millis: i64) -> Option<String> {
    Some(millis).filter(|millis| *millis != i64::MIN).map(rfc3339)
}

fn texts<'a>((unit, quantity): (&'a String, &'a String)) -> (&'a str, &'a str) {
    (unit, quantity)
}

fn json(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_shown_byte_for_byte_and_an_expired_one_is_null() {
        let text = r#"{"prompt_tokens":  1.0e2}"#;
        assert_eq!(json(text).unwrap().get(), text);
        assert!(json("").is_none());
    }
}
