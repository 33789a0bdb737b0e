//! Scenarios over a real Kafka broker and the real engine, with real processes that are killed. What the ledger
//! holds at the end is compared, to the last digit, with what the traffic's own arithmetic says.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod moments;
mod world;

mod answers;
mod audit;
mod campaign;
mod commands;
mod crashes;
mod description;
mod disks;
mod embedded;
mod exports;
mod groups;
mod invoices;
mod offsets;
mod operations;
mod planes;
mod points;
mod poison;
mod posting;
mod prices;
mod quarantine;
mod reads;
mod secrets;
mod storms;
mod zombies;
