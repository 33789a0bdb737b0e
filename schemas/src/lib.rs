//! Everything of Tollbook that crosses a boundary: the event on the wire, commands, the ClickHouse schema and
//! its columns, price files. Conversion to and from the domain is by hand and checked in both directions.

pub mod event;
pub mod prices;
pub mod log;
pub mod command;
pub mod caller;
pub mod queries;
pub mod columns;
pub mod entries;
pub mod tables;
pub mod migrate;
