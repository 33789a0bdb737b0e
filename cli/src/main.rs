//! The tollbook command line.
fn main() {}
