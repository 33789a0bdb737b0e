//! The API beside its own description: schemathesis makes requests that the OpenAPI document allows, and ones that it
//! does not, and compares every answer with what the document says of it.

use std::time::Duration;

use tests::folder;
use tests::process::Recipe;

use crate::embedded::Embedded;

/// Generated requests for each call and each kind of generation.
const EXAMPLES: &str = "25";
/// What is compared. A server error never is an answer, whatever was asked.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,ignored_auth";

#[test]
fn every_answer_is_as_the_description_says_and_none_is_a_server_error() {
    let embedded = Embedded::start();
    embedded.publish_prices();
    let checker = folder::fetched().join("checkers/venv/bin/schemathesis");
    assert!(checker.exists(), "{} is missing; run `make setup`", checker.display());
    // A revoked token would end the run, so the one that is used is not the one that can be guessed at.
    let finished = Recipe::new("schemathesis", checker)
        .argument("run")
        .argument(embedded.url("/openapi.json"))
        .arguments(["--header", &format!("Authorization: Bearer {}", embedded.token())])
        .arguments(["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", "20261125", "--no-color"])
        .arguments(["--continue-on-failure", "--suppress-health-check", "all"])
        .run(Duration::from_secs(180))
        .unwrap();
    finished.success().unwrap();
}
