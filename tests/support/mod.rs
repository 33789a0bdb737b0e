//! One file for each thing a scenario starts, then the small parts they share.

pub mod broker;
pub mod disk;
pub mod engine;
pub mod failures;
pub mod process;
pub mod proxy;

pub mod focus;

pub mod folder;
pub mod ports;
pub mod wait;
