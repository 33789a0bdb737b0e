//! Goal: a bound token shows its own customers and teams and nothing of any other. Method: every text of a customer's
//! rows carries the customer's own mark; tokens of all kinds ask every reading call with parameters drawn at random,
//! also other customers' names and other tokens' cursors, and no byte of any answer may carry a mark that is not the
//! token's own. The seed is fixed; a failure prints the call.

use anyhow::{Result, ensure};
use axum::http::{Method, Request, StatusCode};
use ledger::invoice::Month;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::World;

const SEED: u64 = 20_261_125;
const CALLS: usize = 800;
/// A machine under load may make the store late; what is unavailable is asked again.
const ASKED_MAX: usize = 5;
/// The marks; each is a customer with a team of its own.
const MARKS: [&str; 4] = ["qzalpha", "qzbeta", "qzgamma", "qzdelta"];
const BYTES_MAX: usize = 1 << 24;

struct Tenant {
    token: String,
    /// Marks that its answers may carry.
    own: Vec<&'static str>,
}

struct Draw(Pcg64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % u64::try_from(end).unwrap_or(1)).unwrap_or(0)
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Three entries of a customer, the last of them unpriced.
fn entries(mark: &str) -> Vec<Value> {
    let text = |name: &str| format!("{mark}-{name}");
    (0..3)
        .map(|number| {
            json!({
                "event_id": format!("{mark}-e{number}"), "request_id": format!("{mark}-r{number}"),
                "customer": mark, "team": text("team"), "key": text("key"), "app": text("app"),
                "environment": text("environment"), "project": text("project"), "end_user": text("user"),
                "workflow": text("workflow"), "tags": {(text("tag")): text("value"), "feature": text("feature")},
                "provider_account": text("account"), "alias": text("alias"), "route": text("route"),
                "region": text("region"), "gateway": text("gateway"), "fallback_from": text("before"),
                "error_class": text("error"), "usage": format!("{{\"note\":\"{mark}-usage\"}}"),
                "context": format!("{{\"note\":\"{mark}-context\"}}"),
                "unpriced": i8::from(number == 2),
                "unpriced_units": if number == 2 { vec!["output_images"] } else { vec![] },
            })
        })
        .collect()
}

fn quarantined(offset: usize, mark: &str) -> Value {
    json!({
        "topic": "usage.events", "partition": 0, "offset": 100 + offset, "ordinal": 0,
        "log_time": "2026-11-10 12:00:00.000", "recorded_at": "2026-11-10 12:00:00.000", "reason": "invalid_field",
        "detail": format!("{mark}-detail"), "event_id": format!("{mark}-bad"), "customer": mark,
        "team": format!("{mark}-team"), "content_type": "application/json", "raw": format!("{mark}-raw"),
        "raw_length": 10,
    })
}

/// An account, an owner and a markup of each customer, set as anybody sets them.
async fn registries(world: &World) -> Result<()> {
    let each = |row: fn(&str) -> Value| json!({"rows": MARKS.map(row)});
    let price = |mark: &str| {
        json!({"id": format!("{mark}-row"), "provider": "openai", "model": "gpt-5", "currency": "USD",
               "scope": {"customer": mark}, "prices": [{"unit": "output_text_tokens", "amount": "1"}]})
    };
    let contract = |mark: &str| {
        json!({"id": format!("{mark}-contract"), "provider": "openai", "model": "gpt-5", "currency": "USD",
               "scope": {"provider_account": format!("{mark}-account")},
               "prices": [{"unit": "output_text_tokens", "amount": "1"}]})
    };
    let account = |mark: &str| json!({"id": mark, "kind": "customer", "name": format!("{mark} Inc."), "currency": "USD"});
    let team = |mark: &str| json!({"id": format!("{mark}-team"), "kind": "team", "currency": "USD"});
    let owner = |mark: &str| {
        json!({"key": format!("{mark}-key"), "customer": mark, "team": format!("{mark}-team"),
               "cost_center": format!("{mark}-center")})
    };
    let markup = |mark: &str| json!({"id": format!("{mark}-markup"), "scope": {"customer": mark}, "percent": "5", "notes": format!("{mark}-note")});
    for (path, body) in [
        ("/v1/models", each(price)),
        ("/v1/models", each(contract)),
        ("/v1/accounts", each(account)),
        ("/v1/accounts", each(team)),
        ("/v1/owners", each(owner)),
        ("/v1/markups", each(markup)),
    ] {
        let (status, answer) = world.call(Method::POST, path, &world.admin, Some(body)).await?;
        ensure!(status == StatusCode::OK, "{path}: {status} {answer}");
    }
    // What is in closed batches is on invoices.
    world
        .insert(
            "batches",
            &[json!({"topic": "usage.events", "partition": 0, "first": 0, "next": 1_000, "received": 12, "posted": 12,
                     "entries": 12})],
        )
        .await
}

async fn tenants(world: &World) -> Result<Vec<Tenant>> {
    let [alpha, beta, gamma, _] = MARKS;
    let mut tenants = Vec::new();
    for (id, customers, teams, own) in [
        ("a", vec![alpha], vec![], vec![alpha]),
        ("b", vec![beta, gamma], vec![], vec![beta, gamma]),
        ("c", vec![], vec!["qzgamma-team"], vec![gamma]),
        ("d", vec![alpha], vec!["qzalpha-team"], vec![alpha]),
        // Of a customer and of another customer's team: there is nothing of both.
        ("e", vec![alpha], vec!["qzbeta-team"], vec![]),
        ("f", vec!["nobody"], vec![], vec![]),
    ] {
        tenants.push(Tenant { token: world.token(id, &["read"], &customers, &teams).await?, own });
    }
    Ok(tenants)
}

/// The path of a call with parameters that may be right or wrong.
fn path(draw: &mut Draw, cursors: &[String]) -> String {
    let mark = draw.of(&MARKS);
    let base = match draw.below(10) {
        0 => return format!("/v1/requests/{mark}-r{}", draw.below(4)),
        7 => {
            let path = draw.of(&["/v1/accounts", "/v1/owners", "/v1/markups"]);
            return (*draw.of(&[path, &format!("{path}?at=2026-11-10"), &format!("{path}?limit=1")]))
                .to_owned();
        }
        8 => {
            let account = draw.of(&["", "-team"]);
            if draw.below(2) == 0 {
                return invoice_path(draw, &format!("{mark}{account}"));
            }
            let filter = draw.of(&["", "&kind=customer", "&kind=team", "&state=open", "&state=closed"]);
            return format!("/v1/invoices?period=2026-11&account={mark}{account}{filter}");
        }
        9 => {
            let id = format!("usage.events%2F0%2F{}", 100 + draw.below(5));
            return match draw.below(4) {
                0 => format!("/v1/quarantine/{id}/raw"),
                1 => "/v1/quarantine?summary=true".to_owned(),
                2 => "/v1/invoices?period=2026-11".to_owned(),
                _ => format!("/v1/quarantine/{id}"),
            };
        }
        1 | 2 => "/v1/entries",
        3 => "/v1/quarantine",
        4 if draw.below(2) == 0 => return "/v1/models?limit=100".to_owned(),
        _ => "/v1/spend",
    };
    let mut parameters: Vec<String> = Vec::new();
    if draw.below(3) > 0 {
        parameters.push("from=2026-11-01&to=2026-12-01".to_owned());
    }
    for _ in 0..draw.below(4) {
        let dimension = draw.of(&[
            "customer",
            "team",
            "key",
            "app",
            "environment",
            "project",
            "end_user",
            "workflow",
            "tag:feature",
            "model",
            "alias",
            "provider_account",
            "route",
            "region",
            "gateway",
            "unit",
            "outcome",
            "currency",
            "invoice",
        ]);
        let not = draw.of(&["", "", "!"]);
        let value = match draw.below(5) {
            0 => "*".to_owned(),
            1 => format!("{mark}*"),
            2 => format!("{mark}-team"),
            3 => draw
                .of(&["')%20OR%201=1%20--", "%27", "%5C", "a%20UNION%20ALL%20SELECT%201", "{v0:String}"])
                .to_owned(),
            _ => (*mark).to_owned(),
        };
        parameters.push(format!("{dimension}{not}={value}"));
    }
    if base == "/v1/spend" {
        for _ in 0..draw.below(4) {
            let grouping = draw.of(&[
                "group_by=customer",
                "group_by=team,key",
                "group_by=tag:feature",
                "group_by=end_user,workflow",
                "group_by=unit",
                "group_by=project",
                "interval=day",
                "interval=month",
                "top=1",
                "compare=previous",
                "format=csv",
                "measure=cost",
                "quantities=false",
                "group_by=status_class",
                "tz=Asia/Kolkata",
            ]);
            parameters.push((*grouping).to_owned());
        }
    } else if base == "/v1/entries" && draw.below(2) == 0 {
        parameters
            .push((*draw.of(&["format=ndjson", "format=csv", "format=json", "format=parquet"])).to_owned());
    }
    if draw.below(3) == 0 {
        parameters.push(format!("limit={}", 1 + draw.below(3)));
    }
    if draw.below(4) == 0 && !cursors.is_empty() {
        parameters.push(format!("cursor={}", cursors[draw.below(cursors.len())]));
    }
    format!("{base}?{}", parameters.join("&"))
}

/// One invoice of an account, and what can be had of it.
fn invoice_path(draw: &mut Draw, account: &str) -> String {
    let kind = draw.of(&["customer", "team"]);
    let currency = draw.of(&["USD", "EUR"]);
    let id = |month| schemas::invoices::id(kind, account, month, currency);
    let id = Month::new(2026, 11).map_or_else(String::new, id);
    let what = draw.of(&[
        "",
        "/export",
        "/export?format=csv",
        "/export?format=parquet",
        "/export?format=focus",
        "/export?format=focus&issuer=x",
        "/export?format=xlsx",
        "/export?format=pdf",
        "/export?format=csv&manifest=true",
        "/entries",
        "/lines/1/entries",
        "/lines/1/entries?format=ndjson",
        "/lines/1/entries?format=csv",
    ]);
    format!("/v1/invoices/{id}{what}")
}

/// Status and body of a call.
async fn ask(world: &World, path: &str, token: &str) -> Result<(StatusCode, String)> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .body(axum::body::Body::empty())?;
    let response = world.router.clone().oneshot(request).await?;
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), BYTES_MAX).await?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

async fn ask_patiently(world: &World, path: &str, token: &str) -> Result<(StatusCode, String)> {
    let mut answer = ask(world, path, token).await?;
    for _ in 1..ASKED_MAX {
        if answer.0 != StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        answer = ask(world, path, token).await?;
    }
    Ok(answer)
}

#[tokio::test]
async fn no_byte_of_any_answer_to_a_bound_token_is_of_another_customer() -> Result<()> {
    let world = World::new().await?;
    let rows: Vec<Value> = MARKS.iter().flat_map(|mark| entries(mark)).collect();
    world.post(&rows).await?;
    let bad: Vec<Value> = MARKS.iter().enumerate().map(|(offset, mark)| quarantined(offset, mark)).collect();
    world.insert("quarantine", &bad).await?;
    registries(&world).await?;
    let tenants = tenants(&world).await?;
    let mut draw = Draw(Pcg64::seed_from_u64(SEED));
    let mut cursors: Vec<String> = Vec::new();
    let mut seen = [0; 6];
    for _ in 0..CALLS {
        let number = draw.below(tenants.len());
        let tenant = &tenants[number];
        let path = path(&mut draw, &cursors);
        let (status, body) = ask_patiently(&world, &path, &tenant.token).await?;
        ensure!(!status.is_server_error(), "{path}: {status} {body}");
        if status.is_success() {
            for mark in MARKS.iter().filter(|mark| !tenant.own.contains(mark)) {
                ensure!(!body.contains(*mark), "{path} shows {mark} to {:?}: {body}", tenant.own);
            }
            seen[number] += usize::from(tenant.own.iter().any(|mark| body.contains(mark)));
        } else {
            // An error may repeat what was asked, and nothing else.
            for mark in MARKS.iter().filter(|mark| !path.contains(**mark) && !tenant.own.contains(mark)) {
                ensure!(!body.contains(*mark), "{path}: {status} {body}");
            }
        }
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        cursors.extend(answer["next_cursor"].as_str().map(str::to_owned));
    }
    // The test looks where there is something to see.
    ensure!(seen[..4].iter().all(|seen| *seen > 10) && seen[4..] == [0, 0], "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn anothers_request_is_answered_like_one_that_does_not_exist() -> Result<()> {
    let world = World::new().await?;
    world.post(&entries(MARKS[0])).await?;
    let token = world.token("b", &["read"], &[MARKS[1]], &[]).await?;
    let (status, anothers) = ask(&world, "/v1/requests/qzalpha-r0", &token).await?;
    let (missing_status, missing) = ask(&world, "/v1/requests/qzalpha-r9", &token).await?;
    assert_eq!((status, missing_status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(anothers, missing);
    Ok(())
}
