//! What the scenario tests stand on: real processes, a real Kafka broker, the real engine, and a proxy that breaks things
//! between them. Knows nothing of entries or prices.

mod support;

pub use support::{broker, disk, engine, failures, folder, ports, process, proxy, wait};
