//! The domain of Tollbook: a usage event becomes disjoint quantities, priced lines and ledger entries.
//! Pure: no IO, no clock, no randomness, no SQL, no wire formats, no floats.

pub mod event;

pub mod money;
pub mod unit;

pub mod usage;

pub mod prices;

pub mod price;

pub mod account;
pub mod allowance;
pub mod in_force;
pub mod markup;
pub mod owners;
pub mod timeline;

pub mod entry;
pub mod planes;
pub mod reject;

pub mod invoice;

pub mod rollup;
