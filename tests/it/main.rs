//! Scenarios over a real Kafka broker and the real engine, with real processes that are killed. What the ledger
//! holds at the end is compared, to the last digit, with what the traffic's own arithmetic says.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod world;

mod commands;
mod crashes;
mod description;
mod embedded;
mod invoices;
mod posting;
mod storms;
