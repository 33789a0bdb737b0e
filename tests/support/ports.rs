//! Free ports on loopback that are still free after a server on them was killed.
//!
//! They lie below the range from which the kernel picks ports of outgoing connections, so that nothing takes one between
//! a kill and a restart.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How far this process has come in the range.
static TAKEN: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on, never given twice to one process. Fails when the whole range is in use.
pub fn free() -> Result<u16> {
    for _ in 0..COUNT {
        let port = FIRST + (start() + TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {FIRST} to {}", FIRST + COUNT - 1)
}

/// Test processes that run side by side start at different places.
fn start() -> u16 {
    let place = process::id().wrapping_mul(97) % u32::from(COUNT);
    u16::try_from(place).unwrap_or(0)
}
