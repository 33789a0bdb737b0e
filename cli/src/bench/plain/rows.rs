//! The rows of the plain consumer. What it does not compute it leaves empty; every column of the table is written.

use clickhouse::Row;
use ingest::source::{Partition, Record};
use serde::Serialize;

use super::event::{Event, Tokens};
use super::prices::{Priced, Prices};

/// What a row is made of.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    event: &'a Event,
    partition: &'a Partition,
    record: &'a Record<'a>,
    millis: i64,
    tokens: Tokens,
    priced: Priced<'a>,
    write_before: i64,
}

impl<'a> Common<'a> {
    /// Reads the tokens and prices them; `None` where the event has no time.
    pub(super) fn new(
        event: &'a Event,
        partition: &'a Partition,
        record: &'a Record<'a>,
        prices: &'a Prices,
        write_before: i64,
    ) -> Option<Self> {
        let tokens = event.tokens();
        let priced = prices.price(event, tokens);
        Some(Self { event, partition, record, millis: event.millis()?, tokens, priced, write_before })
    }
}

/// A row of `entries`.
#[derive(Default, Row, Serialize)]
pub(super) struct Entry<'a> {
    event_id: &'a str,
    event_hash: u128,
    content_hash: u64,
    request_id: &'a str,
    occurred_at: i64,
    recorded_at: i64,
    log_time: i64,
    topic: &'a str,
    partition: u32,
    offset: u64,
    ordinal: u32,
    kind: &'a str,
    operation: u64,
    key: &'a str,
    team: &'a str,
    app: &'a str,
    environment: &'a str,
    customer: &'a str,
    project: &'a str,
    end_user: &'a str,
    workflow: &'a str,
    tags: Vec<(&'a str, &'a str)>,
    endpoint_family: &'a str,
    provider: &'a str,
    provider_account: &'a str,
    model: &'a str,
    alias: &'a str,
    credential: &'a str,
    route: &'a str,
    region: &'a str,
    service_tier: &'a str,
    processing: &'a str,
    speed: &'a str,
    attempt: u32,
    attempt_kind: &'a str,
    fallback_from: &'a str,
    status: u16,
    error_class: &'a str,
    outcome: &'a str,
    stream: u8,
    latency_ms: u64,
    ttft_ms: u64,
    gateway_cache: &'a str,
    gateway: &'a str,
    gateway_seq: u64,
    attempts: i8,
    requests: i8,
    unpriced: i8,
    unpriced_units: Vec<&'a str>,
    flags: Vec<&'a str>,
    model_row: &'a str,
    matched_by: &'a str,
    conditions: &'a str,
    dimensions: &'a str,
    currency: &'a str,
    input_uncached_tokens: i64,
    input_cache_read_tokens: i64,
    input_cache_write_tokens: i64,
    input_cache_write_5m_tokens: i64,
    input_cache_write_1h_tokens: i64,
    output_text_tokens: i64,
    output_reasoning_tokens: i64,
    input_uncached_price: i128,
    input_cache_read_price: i128,
    input_cache_write_price: i128,
    input_cache_write_5m_price: i128,
    input_cache_write_1h_price: i128,
    output_text_price: i128,
    output_reasoning_price: i128,
    line_units: Vec<&'a str>,
    line_quantities: Vec<i128>,
    line_prices: Vec<&'a str>,
    line_amounts: Vec<i128>,
    basis_units: Vec<&'a str>,
    bases: Vec<&'a str>,
    avoided_units: Vec<&'a str>,
    avoided_quantities: Vec<i128>,
    cost_avoided: i128,
    list_cost: i128,
    cost: i128,
    charge: i128,
    reported_amount: &'a str,
    reported_currency: &'a str,
    reported_source: &'a str,
    usage: String,
    context: String,
    write_before: i64,
}

impl<'a> Entry<'a> {
    pub(super) fn new(common: Common<'a>) -> Self {
        let Common { event, partition, record, millis, tokens, priced, write_before } = common;
        Self {
            event_id: &event.event_id,
            request_id: &event.request_id,
            occurred_at: millis,
            recorded_at: millis,
            log_time: record.log_time.0,
            topic: &partition.topic,
            partition: partition.number,
            offset: record.offset,
            kind: "usage",
            key: &event.key,
            team: text(event.team.as_ref()),
            app: text(event.app.as_ref()),
            environment: text(event.environment.as_ref()),
            customer: text(event.customer.as_ref()),
            project: text(event.project.as_ref()),
            end_user: text(event.end_user.as_ref()),
            workflow: text(event.workflow.as_ref()),
            tags: event.tags.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            endpoint_family: &event.endpoint_family,
            provider: &event.provider,
            provider_account: text(event.provider_account.as_ref()),
            model: &event.model,
            alias: text(event.alias.as_ref()),
            credential: text(event.credential.as_ref()),
            route: text(event.route.as_ref()),
            region: text(event.region.as_ref()),
            service_tier: text(event.service_tier.as_ref()),
            processing: text(event.processing.as_ref()),
            speed: text(event.speed.as_ref()),
            attempt: event.attempt.unwrap_or(1),
            attempt_kind: text(event.attempt_kind.as_ref()),
            fallback_from: text(event.fallback_from.as_ref()),
            status: event.status.unwrap_or(0),
            error_class: text(event.error_class.as_ref()),
            outcome: text(event.outcome.as_ref()),
            stream: u8::from(event.stream.unwrap_or(false)),
            latency_ms: event.latency_ms.unwrap_or(0),
            ttft_ms: event.ttft_ms.unwrap_or(0),
            gateway_cache: text(event.gateway_cache.as_ref()),
            gateway: text(event.gateway.as_ref()),
            gateway_seq: event.gateway_seq.unwrap_or(0),
            attempts: 1,
            requests: i8::from(event.attempt.unwrap_or(1) == 1),
            model_row: priced.row,
            currency: "USD",
            input_uncached_tokens: tokens.uncached,
            input_cache_read_tokens: tokens.cached,
            input_cache_write_tokens: tokens.written,
            output_text_tokens: tokens.output,
            input_uncached_price: priced.uncached,
            input_cache_read_price: priced.cached,
            input_cache_write_price: priced.written,
            output_text_price: priced.output,
            list_cost: priced.cost,
            cost: priced.cost,
            charge: priced.cost,
            usage: event.usage_text(),
            context: event.context_text(),
            write_before,
            ..Self::default()
        }
    }
}

/// A row of `small`.
#[derive(Row, Serialize)]
pub(super) struct Small<'a> {
    event_id: &'a str,
    request_id: &'a str,
    occurred_at: i64,
    partition: u32,
    offset: u64,
    key: &'a str,
    team: &'a str,
    app: &'a str,
    environment: &'a str,
    customer: &'a str,
    project: &'a str,
    end_user: &'a str,
    workflow: &'a str,
    endpoint_family: &'a str,
    provider: &'a str,
    model: &'a str,
    status: u16,
    stream: u8,
    latency_ms: u64,
    input_uncached_tokens: i64,
    input_cache_read_tokens: i64,
    output_text_tokens: i64,
    cost: i128,
    usage: String,
}

impl<'a> Small<'a> {
    pub(super) fn new(common: Common<'a>) -> Self {
        let Common { event, partition, record, millis, tokens, priced, .. } = common;
        Self {
            event_id: &event.event_id,
            request_id: &event.request_id,
            occurred_at: millis,
            partition: partition.number,
            offset: record.offset,
            key: &event.key,
            team: text(event.team.as_ref()),
            app: text(event.app.as_ref()),
            environment: text(event.environment.as_ref()),
            customer: text(event.customer.as_ref()),
            project: text(event.project.as_ref()),
            end_user: text(event.end_user.as_ref()),
            workflow: text(event.workflow.as_ref()),
            endpoint_family: &event.endpoint_family,
            provider: &event.provider,
            model: &event.model,
            status: event.status.unwrap_or(0),
            stream: u8::from(event.stream.unwrap_or(false)),
            latency_ms: event.latency_ms.unwrap_or(0),
            input_uncached_tokens: tokens.uncached,
            input_cache_read_tokens: tokens.cached,
            output_text_tokens: tokens.output,
            cost: priced.cost,
            usage: event.usage_text(),
        }
    }
}

fn text(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}
