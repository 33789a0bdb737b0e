//! The domain as its users see it: events and rows in, entries out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod entries;
mod normalize_properties;
mod planes;
mod planes_properties;
mod price_book;
mod price_rules;
mod usage_cases;
