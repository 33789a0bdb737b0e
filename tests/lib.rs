//! What the scenario tests stand on: real processes, a real Kafka broker, the real engine, and a proxy that breaks things
//! between them; and the rules of others that exports keep to. Knows nothing of entries or prices.

mod support;

pub use support::{broker, disk, engine, failures, focus, folder, ports, process, proxy, wait};
