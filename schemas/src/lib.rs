//! Everything of Tollbook that crosses a boundary: the event on the wire, commands, the ClickHouse schema and
//! its columns, price files. Conversion to and from the domain is by hand and checked in both directions.

pub mod caller;
pub mod columns;
pub mod command;
pub mod digest;
pub mod entries;
pub mod event;
pub mod invoices;
pub mod judge;
pub mod log;
pub mod migrate;
pub mod operations;
pub mod posted;
pub mod prices;
pub mod queries;
pub mod registries;
pub mod rerate;
pub mod resolutions;
pub mod stored;
pub mod tables;
