//! The planes of money: list, cost and charge, by public rows, contracts, customers' own rows and markups. Prices are
//! per one, so that each sum can be done in the head.

use ledger::account::{Account, Kind};
use ledger::entry::{Entry, Scratch, entries_for};
use ledger::event::Millis;
use ledger::in_force::Book;
use ledger::markup::{Addition, Base, Error, Fx, Markup, Scope as MarkupScope, Target};
use ledger::money::Decimal;
use ledger::owners::Owner;
use ledger::planes::Charging;
use ledger::prices::{ModelRow, PriceBook, Scope};
use ledger::timeline::Version;
use ledger::unit::Unit;
use serde_json::{Value, json};

use crate::support::{event, row};

/// When the events of these tests occur.
const NOON: i64 = 1_793_707_200_000;

pub(crate) fn number(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

/// A row for somebody, under an id of its own.
fn scoped(id: &str, scope: Scope, prices: &[&str]) -> ModelRow {
    ModelRow { id: id.into(), scope, ..row("gpt-6-sol", prices) }
}

fn contract(prices: &[&str]) -> ModelRow {
    scoped("contract", Scope::ProviderAccount("org-1".into()), prices)
}

fn from(row: ModelRow, at: i64) -> ModelRow {
    ModelRow { effective_from: Some(Millis(at)), ..row }
}

pub(crate) fn percent(percent: &str) -> Markup {
    Markup {
        base: Base::Cost,
        percent: number(percent),
        per_unit: vec![],
        per_request: None,
        minimum: None,
        currency: "USD".into(),
        fx: None,
        notes: None,
    }
}

pub(crate) fn version<T>(number: u32, from: Option<i64>, value: Option<T>) -> Version<T> {
    Version { number, effective_from: from.map(Millis), value }
}

fn target(scope: MarkupScope) -> Target {
    Target { scope, provider: None, model: None }
}

fn acme() -> MarkupScope {
    MarkupScope::Customer("acme".into())
}

fn book(rows: Vec<ModelRow>) -> Book {
    Book { prices: PriceBook::new(rows).unwrap(), ..Book::default() }
}

fn with_markup(rows: Vec<ModelRow>, scope: MarkupScope, markup: Markup) -> Book {
    let mut book = book(rows);
    book.markups.insert("markup", target(scope), version(1, None, Some(markup))).unwrap();
    book
}

/// An entry as a person would write it down.
fn describe(entry: &Entry<'_, '_>) -> Vec<String> {
    let mut text = vec![format!(
        "list {} cost {} {} charge {} {}",
        entry.list_cost, entry.cost, entry.currency, entry.charge, entry.charge_currency
    )];
    text.push(match &entry.charging {
        Charging::AsCost => "as cost".into(),
        Charging::Row(plane) => format!("row {}", plane.row.unwrap().row.id),
        Charging::Markup(marked) => format!("markup {}@{}", marked.by.id, marked.by.version),
    });
    if entry.is_unpriced() {
        let units: Vec<_> = entry.unpriced.iter().map(Unit::name).collect();
        text.push(format!("unpriced {}", units.join(" ")));
    }
    text
}

fn posted(book: &Book, value: &Value) -> Vec<String> {
    let mut text = Vec::new();
    entries_for(&event(value), book, &mut Scratch::default(), |entry| text.extend(describe(entry))).unwrap();
    text
}

/// Ten tokens in and one out, of customer acme through org-1.
fn usage() -> Value {
    json!({"units": {"input_uncached_tokens": 10, "output_text_tokens": 1}, "customer": "acme",
        "team": "search", "provider_account": "org-1"})
}

fn but(name: &str, value: Value) -> Value {
    let mut event = usage();
    event[name] = value;
    event
}

const PUBLIC: &[&str] = &["input_uncached_tokens = 2", "output_text_tokens = 10"];
const CHEAPER: &[&str] = &["input_uncached_tokens = 1", "output_text_tokens = 5"];

#[test]
fn a_contract_prices_the_cost_of_its_account_and_the_public_row_the_list() {
    let book = book(vec![row("gpt-6-sol", PUBLIC), contract(CHEAPER)]);
    // List 10 × 2 + 10, cost 10 × 1 + 5.
    assert_eq!(posted(&book, &usage()), ["list 30 cost 15 USD charge 15 USD", "as cost"]);
    let elsewhere = but("provider_account", json!("org-2"));
    assert_eq!(posted(&book, &elsewhere), ["list 30 cost 30 USD charge 30 USD", "as cost"]);
}

#[test]
fn a_contract_holds_from_its_instant_on() {
    let book = book(vec![row("gpt-6-sol", PUBLIC), from(contract(CHEAPER), NOON)]);
    let cost = |at: i64| posted(&book, &but("occurred_at", json!(at)))[0].clone();
    assert_eq!(cost(NOON - 1), "list 30 cost 30 USD charge 30 USD");
    assert_eq!(cost(NOON), "list 30 cost 15 USD charge 15 USD");
    assert_eq!(cost(NOON + 1), "list 30 cost 15 USD charge 15 USD");
}

#[test]
fn without_a_public_row_the_list_cost_is_the_cost() {
    assert_eq!(
        posted(&book(vec![contract(CHEAPER)]), &usage()),
        ["list 15 cost 15 USD charge 15 USD", "as cost"]
    );
    let yuan = ModelRow { currency: "CNY".into(), ..contract(CHEAPER) };
    let book = book(vec![row("gpt-6-sol", PUBLIC), yuan]);
    assert_eq!(
        posted(&book, &usage())[0],
        "list 15 cost 15 CNY charge 15 CNY",
        "another currency tells nothing"
    );
}

#[test]
fn a_row_for_somebody_is_whole_and_nothing_falls_through_to_the_public_one() {
    let book = book(vec![row("gpt-6-sol", PUBLIC), contract(&["input_uncached_tokens = 1"])]);
    assert_eq!(
        posted(&book, &usage()),
        ["list 30 cost 10 USD charge 10 USD", "as cost", "unpriced output_text_tokens"]
    );
}

#[test]
fn the_narrowest_row_prices_the_charge() {
    let mut book = book(vec![
        row("gpt-6-sol", PUBLIC),
        contract(CHEAPER),
        scoped("plan", Scope::Plan("gold".into()), &["input_uncached_tokens = 4", "output_text_tokens = 0"]),
        scoped(
            "team",
            Scope::Team("search".into()),
            &["input_uncached_tokens = 5", "output_text_tokens = 0"],
        ),
        scoped(
            "customer",
            Scope::Customer("acme".into()),
            &["input_uncached_tokens = 6", "output_text_tokens = 0"],
        ),
    ]);
    book.accounts.insert(
        Kind::Customer,
        "globex".into(),
        version(1, None, Some(account("globex", Some("gold")))),
    );
    let charge = |customer: &str, team: &str| {
        let mut event = but("customer", json!(customer));
        event["team"] = json!(team);
        posted(&book, &event)
    };
    assert_eq!(charge("acme", "search"), ["list 30 cost 15 USD charge 60 USD", "row customer"]);
    assert_eq!(charge("globex", "search"), ["list 30 cost 15 USD charge 50 USD", "row team"]);
    assert_eq!(charge("globex", "ads"), ["list 30 cost 15 USD charge 40 USD", "row plan"]);
    assert_eq!(charge("initech", "ads"), ["list 30 cost 15 USD charge 15 USD", "as cost"]);
}

fn account(id: &str, plan: Option<&str>) -> Account {
    Account {
        kind: Kind::Customer,
        id: id.into(),
        name: id.into(),
        currency: "USD".into(),
        time_zone: "UTC".into(),
        grace_hours: 24,
        plan: plan.map(Into::into),
        address: None,
        tax_id: None,
        terms: ledger::account::MonthlyTerms::default(),
    }
}

#[test]
fn the_plan_is_that_of_the_account_as_of_the_event() {
    let mut book = book(vec![
        row("gpt-6-sol", PUBLIC),
        scoped("gold", Scope::Plan("gold".into()), &["input_uncached_tokens = 4", "output_text_tokens = 0"]),
    ]);
    for (number, from, plan) in
        [(1, None, None), (2, Some(NOON), Some("gold")), (3, Some(NOON + 5), Some("lead"))]
    {
        book.accounts.insert(
            Kind::Customer,
            "acme".into(),
            version(number, from, Some(account("acme", plan))),
        );
    }
    let charge = |at: i64| posted(&book, &but("occurred_at", json!(at)))[1].clone();
    assert_eq!(
        [NOON - 1, NOON, NOON + 4, NOON + 5].map(charge),
        ["as cost", "row gold", "row gold", "as cost"]
    );
}

#[test]
fn a_row_for_somebody_is_found_by_alias_and_for_dated_snapshots_like_any_other() {
    let mut own = scoped("own", Scope::Customer("acme".into()), CHEAPER);
    own.aliases = vec!["sol".into()];
    let book = book(vec![row("gpt-6-sol", PUBLIC), row("sol", PUBLIC), own]);
    for model in ["gpt-6-sol", "sol", "gpt-6-sol-2026-08-01"] {
        assert_eq!(posted(&book, &but("model", json!(model)))[1], "row own", "{model}");
    }
}

#[test]
fn a_percentage_is_put_upon_each_line() {
    let book = with_markup(vec![row("gpt-6-sol", PUBLIC), contract(CHEAPER)], acme(), percent("20"));
    assert_eq!(posted(&book, &usage()), ["list 30 cost 15 USD charge 18 USD", "markup markup@1"]);
    let discount = with_markup(vec![row("gpt-6-sol", PUBLIC)], acme(), percent("-12.5"));
    assert_eq!(posted(&discount, &usage())[0], "list 30 cost 30 USD charge 26.25 USD");
}

#[test]
fn a_markup_upon_list_cost_does_not_see_the_contract() {
    let upon_list = Markup { base: Base::ListCost, ..percent("-10") };
    let book = with_markup(vec![row("gpt-6-sol", PUBLIC), contract(CHEAPER)], acme(), upon_list);
    assert_eq!(posted(&book, &usage())[0], "list 30 cost 15 USD charge 27 USD");
}

/// Upon the cost: 20 % and an agreed rate of 0.5; one for each three tokens in; 2 for the request; at least 15.
fn everything() -> Markup {
    Markup {
        per_unit: vec![Addition { unit: Unit::InputUncachedTokens, amount: number("1"), per: 3 }],
        per_request: Some(number("2")),
        minimum: Some(number("15")),
        fx: Some(Fx { currency: "EUR".into(), rate: number("0.5") }),
        ..percent("20")
    }
}

#[test]
fn amounts_for_units_requests_and_the_minimum_are_in_the_currency_of_the_charge() {
    let book = with_markup(vec![row("gpt-6-sol", PUBLIC), contract(CHEAPER)], acme(), everything());
    // In: 10 × 0.6 + 10 × 1 / 3; out: 5 × 0.6; the request 2; that is 14.33…, so 0.66… is missing to 15.
    let mut lines = Vec::new();
    entries_for(&event(&usage()), &book, &mut Scratch::default(), |entry| {
        let Charging::Markup(marked) = &entry.charging else { panic!("{:?}", entry.charging) };
        for line in marked.lines {
            let price = line.unit_price.map(|price| price.to_string());
            lines.push(format!("{} {} {} {price:?}", line.part.name(), line.unit, line.amount));
        }
    })
    .unwrap();
    assert_eq!(
        lines,
        [
            "usage input_uncached_tokens 9.333333333333333333 None",
            "usage output_text_tokens 3 Some(\"3\")",
            "per_request requests 2 Some(\"2\")",
            "minimum requests 0.666666666666666667 Some(\"0.666666666666666667\")",
        ]
    );
    assert_eq!(posted(&book, &usage())[0], "list 30 cost 15 USD charge 15 EUR");
}

#[test]
fn only_the_entry_that_counts_as_the_request_is_charged_for_it() {
    let book = with_markup(
        vec![row("gpt-6-sol", PUBLIC)],
        acme(),
        Markup { minimum: None, per_unit: vec![], ..everything() },
    );
    assert_eq!(posted(&book, &usage())[0], "list 30 cost 30 USD charge 20 EUR"); // 30 × 0.6 + 2
    assert_eq!(posted(&book, &but("attempt", json!(2)))[0], "list 30 cost 30 USD charge 18 EUR");
    let usage = json!({"input_tokens": 3, "output_tokens": 1, "iterations": [
        {"type": "message", "input_tokens": 3, "output_tokens": 1},
        {"type": "advisor_message", "model": "advisor", "input_tokens": 5, "output_tokens": 2}]});
    let advised = json!({"endpoint_family": "anthropic", "usage": usage, "customer": "acme"});
    let rows = vec![row("gpt-6-sol", PUBLIC), row("advisor", PUBLIC)];
    let book = with_markup(rows, acme(), Markup { per_request: Some(number("2")), ..percent("0") });
    let posted = posted(&book, &advised);
    assert_eq!(
        (posted[0].as_str(), posted[2].as_str()),
        ("list 16 cost 16 USD charge 18 USD", "list 30 cost 30 USD charge 30 USD")
    );
}

#[test]
fn what_is_not_owed_is_nothing_on_every_plane_in_the_currency_of_its_charge() {
    let book = with_markup(vec![row("gpt-6-sol", PUBLIC), contract(CHEAPER)], acme(), everything());
    let nothing = ["list 0 cost 0 USD charge 0 EUR", "as cost"];
    assert_eq!(posted(&book, &but("outcome", json!("not_billed"))), nothing);
    assert_eq!(posted(&book, &but("gateway_cache", json!("hit"))), nothing);
}

#[test]
fn an_entry_is_unpriced_where_cost_or_charge_lacks_a_price_and_not_where_the_list_does() {
    let only_in: &[&str] = &["input_uncached_tokens = 1"];
    let own = scoped("own", Scope::Customer("acme".into()), only_in);
    let unpriced = |rows| posted(&book(rows), &usage()).get(2).cloned();
    assert_eq!(
        unpriced(vec![row("gpt-6-sol", PUBLIC), own.clone()]).as_deref(),
        Some("unpriced output_text_tokens")
    );
    assert_eq!(
        unpriced(vec![row("gpt-6-sol", only_in), scoped("own", Scope::Customer("acme".into()), PUBLIC)])
            .as_deref(),
        Some("unpriced output_text_tokens")
    );
    assert_eq!(unpriced(vec![row("gpt-6-sol", only_in), contract(CHEAPER)]), None);
    assert_eq!(unpriced(vec![own]).as_deref(), Some("unpriced input_uncached_tokens output_text_tokens"));
}

#[test]
fn a_markup_with_amounts_leaves_usage_of_another_currency_unpriced() {
    let yuan = || vec![ModelRow { currency: "CNY".into(), ..row("gpt-6-sol", PUBLIC) }];
    let posted = |markup| posted(&with_markup(yuan(), acme(), markup), &usage());
    assert_eq!(
        posted(everything()),
        [
            "list 30 cost 30 CNY charge 0 EUR",
            "markup markup@1",
            "unpriced input_uncached_tokens output_text_tokens requests"
        ]
    );
    assert_eq!(posted(percent("10"))[0], "list 30 cost 30 CNY charge 33 CNY", "a percentage alone fits any");
}

#[test]
fn missing_usage_is_unpriced_and_its_request_is_charged_all_the_same() {
    let book = with_markup(
        vec![row("gpt-6-sol", PUBLIC)],
        acme(),
        Markup { per_request: Some(number("2")), ..percent("20") },
    );
    let silent = json!({"outcome": "billed", "customer": "acme"});
    assert_eq!(posted(&book, &silent), ["list 0 cost 0 USD charge 2 USD", "markup markup@1", "unpriced "]);
}

#[test]
fn the_most_specific_markup_holds() {
    let mut book = book(vec![
        row("gpt-6-sol", PUBLIC),
        ModelRow { provider: Some("azure".into()), ..scoped("a", Scope::Public, PUBLIC) },
    ]);
    book.accounts.insert(
        Kind::Customer,
        "acme".into(),
        version(1, None, Some(account("acme", Some("gold")))),
    );
    let mut set = |id: &str, scope, provider: Option<&str>, model: Option<&str>| {
        let target = Target { scope, provider: provider.map(Into::into), model: model.map(Into::into) };
        book.markups.insert(id, target, version(1, None, Some(percent("1")))).unwrap();
    };
    set("all", MarkupScope::Everybody, None, None);
    set("gold", MarkupScope::Plan("gold".into()), None, None);
    set("search", MarkupScope::Team("search".into()), None, Some("gpt-*"));
    set("acme gpt", acme(), None, Some("gpt-*"));
    set("acme sol", acme(), None, Some("gpt-6-sol"));
    set("acme azure", acme(), Some("azure"), Some("gpt-6-sol"));
    let by = |provider: &str, model: &str, customer: &str, team: &str| {
        let mut event = but("provider", json!(provider));
        event["model"] = json!(model);
        event["customer"] = json!(customer);
        event["team"] = json!(team);
        posted(&book, &event)[1].clone()
    };
    assert_eq!(by("azure", "gpt-6-sol", "acme", "search"), "markup acme azure@1");
    assert_eq!(by("openai", "gpt-6-sol", "acme", "search"), "markup acme sol@1");
    assert_eq!(by("openai", "gpt-5", "acme", "search"), "markup acme gpt@1");
    assert_eq!(by("openai", "gpt-5", "globex", "search"), "markup search@1");
    assert_eq!(by("openai", "o9", "acme", "search"), "markup gold@1");
    assert_eq!(by("openai", "o9", "globex", "search"), "markup all@1");
}

#[test]
fn two_markups_that_could_claim_the_same_usage_are_refused() {
    let mut book = book(vec![]);
    let limited = |provider: Option<&str>, model: Option<&str>| Target {
        scope: acme(),
        provider: provider.map(Into::into),
        model: model.map(Into::into),
    };
    let markups = &mut book.markups;
    let one = version(1, Some(10), Some(percent("1")));
    markups.insert("model", limited(None, Some("gpt-*")), one.clone()).unwrap();
    let refused = markups.insert("provider", limited(Some("openai"), None), one.clone()).unwrap_err();
    assert!(matches!(refused, Error::Ambiguous { .. }), "{refused}");
    assert!(refused.to_string().contains("limit both to provider and model"), "{refused}");
    assert!(markups.insert("again", limited(None, Some("gpt-*")), one.clone()).is_err(), "the same target");
    markups.insert("both", limited(Some("openai"), Some("gpt-*")), one.clone()).unwrap();
    markups.insert("other", limited(Some("openai"), Some("o*")), one.clone()).unwrap();
    // Once the first one has ended, another may take its place from that instant on.
    markups.insert("model", limited(None, Some("gpt-*")), version(2, Some(20), None)).unwrap();
    assert!(
        markups
            .insert("again", limited(None, Some("gpt-*")), version(1, Some(19), Some(percent("2"))))
            .is_err()
    );
    markups.insert("again", limited(None, Some("gpt-*")), version(1, Some(20), Some(percent("2")))).unwrap();
    let retargeted = markups.insert("again", limited(None, None), version(2, None, None)).unwrap_err();
    assert!(matches!(retargeted, Error::Retargeted { .. }), "{retargeted}");
}

#[test]
fn what_a_markup_cannot_be_is_refused_by_field() {
    let field = |markup: Markup| match markup.check() {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let addition = |unit, amount: &str, per| Addition { unit, amount: number(amount), per };
    let with = |per_unit| Markup { per_unit, ..percent("0") };
    assert_eq!(field(percent("-100.1")), "percent");
    assert_eq!(field(with(vec![addition(Unit::OutputImages, "1", 0)])), "per_unit");
    assert_eq!(field(with(vec![addition(Unit::OutputImages, "-1", 1)])), "per_unit");
    assert_eq!(field(with(vec![addition(Unit::Requests, "1", 1)])), "per_unit");
    assert_eq!(field(with(vec![addition(Unit::OutputImages, "1", 1); 2])), "per_unit");
    assert_eq!(field(Markup { per_request: Some(number("-1")), ..percent("0") }), "per_request");
    assert_eq!(field(Markup { minimum: Some(number("1e-19")), ..percent("0") }), "minimum");
    assert_eq!(field(Markup { currency: "usd".into(), ..percent("0") }), "currency");
    let fx = |currency: &str, rate| Some(Fx { currency: currency.into(), rate: number(rate) });
    assert_eq!(field(Markup { fx: fx("euro", "1"), ..percent("0") }), "fx");
    assert_eq!(field(Markup { fx: fx("EUR", "0"), ..percent("0") }), "fx");
    percent("-100").check().unwrap();
}

#[test]
fn owners_that_an_event_leaves_out_are_those_of_its_key_then() {
    let mut book = book(vec![row("gpt-6-sol", PUBLIC)]);
    let owner = |customer: &str| Owner {
        team: Some("search".into()),
        customer: Some(customer.into()),
        cost_center: Some("cc-7".into()),
        ..Owner::default()
    };
    // The key of these events is `checkout`.
    book.owners.insert("checkout".into(), version(1, None, Some(owner("acme"))));
    book.owners.insert("checkout".into(), version(2, Some(NOON), Some(owner("globex"))));
    book.owners.insert("checkout".into(), version(3, Some(NOON + 5), None));
    let filled = |value: &Value| {
        let mut text = String::new();
        entries_for(&event(value), &book, &mut Scratch::default(), |entry| {
            let owners = entry.owners;
            text = format!("{:?} {:?} {:?}", owners.customer, owners.team, entry.cost_center);
            assert_eq!(entry.event.owners.team, value["team"].as_str(), "the event stays as it was sent");
        })
        .unwrap();
        text
    };
    let at = |at: i64| json!({"units": {}, "occurred_at": at});
    assert_eq!(filled(&at(NOON - 1)), r#"Some("acme") Some("search") Some("cc-7")"#);
    assert_eq!(filled(&at(NOON)), r#"Some("globex") Some("search") Some("cc-7")"#);
    assert_eq!(filled(&at(NOON + 5)), "None None None");
    let said = json!({"units": {}, "occurred_at": NOON, "team": "ads"});
    assert_eq!(filled(&said), r#"Some("globex") Some("ads") Some("cc-7")"#, "what the event says goes first");
}

#[test]
fn a_filled_owner_decides_who_pays() {
    let mut book = with_markup(vec![row("gpt-6-sol", PUBLIC)], acme(), percent("20"));
    let owner = Owner { customer: Some("acme".into()), ..Owner::default() };
    book.owners.insert("checkout".into(), version(1, None, Some(owner)));
    let mut event = usage();
    event.as_object_mut().unwrap().remove("customer");
    assert_eq!(posted(&book, &event), ["list 30 cost 30 USD charge 36 USD", "markup markup@1"]);
}
