//! Whatever a gateway sends, decoding, normalizing and pricing it ends in entries or in one reject: nothing panics, no
//! quantity and no amount is below zero, and what adds up to what is kept. Cases are built from random bytes, so that a
//! failing one shrinks. `TOLLBOOK_FUZZ_CASES` says how many of each kind are tried; `make fuzz` tries many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a long run tells what it tried")]

mod build;
mod check;

use std::cell::Cell;

use build::{Case, Choices, corpus, mutated, shaped, wild};
use check::{Checked, Subject};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

const CASES_BY_DEFAULT: u32 = 300;

/// Tries as many cases as are asked for, and tells how many of them became entries.
fn run(name: &str, bytes_max: usize, build: impl Fn(&mut Choices<'_>) -> Case) {
    let cases = std::env::var("TOLLBOOK_FUZZ_CASES").map_or(CASES_BY_DEFAULT, |cases| cases.parse().unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let subject = Subject::new();
    let (tried, posted) = (Cell::new(0_u64), Cell::new(0_u64));
    let result = TestRunner::new(config).run(&vec(any::<u8>(), 0..bytes_max), |bytes| {
        let checked = subject.check(&build(&mut Choices::new(&bytes)));
        tried.set(tried.get() + 1);
        posted.set(posted.get() + u64::from(checked == Checked::Posted));
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, bytes)) => {
            let record = build(&mut Choices::new(&bytes)).record;
            panic!("{reason}\nthe simplest record found: {}", String::from_utf8_lossy(&record));
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    println!("{name}: {} cases, {} became entries", tried.get(), posted.get());
    assert!(posted.get() > 0, "every case was refused, so nothing was tried");
}

#[test]
fn objects_of_any_known_and_unknown_fields_never_break_anything() {
    run("objects", 400, wild);
}

#[test]
fn counters_that_contradict_each_other_keep_the_totals_of_their_shape() {
    run("counters", 120, shaped);
}

#[test]
fn records_with_changed_bytes_never_break_anything() {
    let corpus = corpus();
    run("bytes", 60, move |choices| mutated(&corpus, choices));
}
