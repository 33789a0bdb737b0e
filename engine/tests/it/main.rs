//! The engine as its clients see it: a real child process on a folder of its own for each test.

mod cancel;
mod clients;
mod crate_client;
mod interface;
mod life;
mod limits;
mod support;
