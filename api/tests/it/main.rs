//! The API over the real engine: every query runs, and every sum is compared with one done by hand. Each test has
//! an engine, a store and a log of its own.

mod audit;
mod changes;
mod engine_process;
mod entries;
mod http;
mod migration;
mod models;
mod quarantine;
mod registries;
mod spend;
mod tenancy;
mod world;
