//! The domain as its users see it: events and rows in, entries out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod entries;
mod genai_prices;
mod known_defects;
mod normalize_properties;
mod normalize_truth;
mod planes;
mod planes_properties;
mod price_book;
mod price_edges;
mod price_rules;
mod usage_cases;
