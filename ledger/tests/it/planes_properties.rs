//! Any book of public, contract and customers' rows and markups, and any event: the planes are those of a slow and
//! obvious model, which looks at every row and markup and does sums as fractions.

use ledger::entry::{Scratch, entries_for};
use ledger::event::Millis;
use ledger::in_force::Book;
use ledger::markup::{Addition, Base, Fx, Markup, Scope as MarkupScope, Target};
use ledger::prices::{ModelRow, PriceBook, Scope};
use ledger::unit::Unit;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use crate::planes::{number, percent, version};
use crate::support::{event, row};

const ATTO: i128 = 1_000_000_000_000_000_000;

/// A row of model `m`: for whom, from when, and what a token in and out costs; a missing price is no price.
#[derive(Clone, Debug)]
struct Row {
    scope: u8,
    from: i64,
    prices: [Option<u8>; 2],
}

/// A markup of the customer or of everybody.
#[derive(Clone, Debug)]
struct Marking {
    of_customer: bool,
    from: i64,
    upon_list: bool,
    percent: i8,
    addition: Option<u8>,
    per_request: Option<u8>,
    minimum: Option<u16>,
    rate: Option<u8>,
}

#[derive(Clone, Debug)]
struct Usage {
    at: i64,
    quantities: [u8; 2],
    by_contract: bool,
    of_customer: bool,
    is_billed: bool,
    attempt: u8,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0_u8..4, 0_i64..5, [option::weighted(0.9, 0_u8..20), option::weighted(0.9, 0_u8..20)])
        .prop_map(|(scope, from, prices)| Row { scope, from, prices });
    vec(row, 0..8).prop_map(|mut rows| {
        rows.sort_by_key(|row| (row.scope, row.from));
        rows.dedup_by_key(|row| (row.scope, row.from));
        rows
    })
}

fn markings() -> impl Strategy<Value = Vec<Marking>> {
    let amounts = (option::of(0_u8..9), option::of(0_u8..9), option::of(0_u16..500), option::of(1_u8..30));
    let marking = (any::<bool>(), 0_i64..5, any::<bool>(), -100_i8..=100, amounts).prop_map(
        |(of_customer, from, upon_list, percent, (addition, per_request, minimum, rate))| Marking {
            of_customer,
            from,
            upon_list,
            percent,
            addition,
            per_request,
            minimum,
            rate,
        },
    );
    vec(marking, 0..4).prop_map(|mut markings| {
        markings.sort_by_key(|marking| (marking.of_customer, marking.from));
        markings.dedup_by_key(|marking| (marking.of_customer, marking.from));
        markings
    })
}

fn usages() -> impl Strategy<Value = Usage> {
    (-1_i64..6, [0_u8..50, 0_u8..50], any::<bool>(), any::<bool>(), prop::bool::weighted(0.9), 1_u8..3)
        .prop_map(|(at, quantities, by_contract, of_customer, is_billed, attempt)| Usage {
            at,
            quantities,
            by_contract,
            of_customer,
            is_billed,
            attempt,
        })
}

fn book(rows: &[Row], markings: &[Marking]) -> Book {
    let rows = rows.iter().map(|one| {
        let price = |unit: &str, price: Option<u8>| price.map(|price| format!("{unit} = {price}"));
        let lines =
            [price("input_uncached_tokens", one.prices[0]), price("output_text_tokens", one.prices[1])];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let scope = match one.scope {
            0 => Scope::Public,
            1 => Scope::ProviderAccount("org".into()),
            2 => Scope::Team("search".into()),
            _ => Scope::Customer("acme".into()),
        };
        let id = format!("{} {}", one.scope, one.from);
        ModelRow { id, scope, effective_from: Some(Millis(one.from)), ..row("m", &lines) }
    });
    let mut book = Book { prices: PriceBook::new(rows.collect()).unwrap(), ..Book::default() };
    for (position, marking) in (1..).zip(markings) {
        let scope =
            if marking.of_customer { MarkupScope::Customer("acme".into()) } else { MarkupScope::Everybody };
        let id = if marking.of_customer { "acme" } else { "all" };
        let addition =
            |amount: &str| Addition { unit: Unit::OutputTextTokens, amount: number(amount), per: 3 };
        let markup = Markup {
            base: if marking.upon_list { Base::ListCost } else { Base::Cost },
            per_unit: marking.addition.iter().map(|amount| addition(&amount.to_string())).collect(),
            per_request: marking.per_request.map(|amount| number(&amount.to_string())),
            minimum: marking.minimum.map(|amount| number(&amount.to_string())),
            fx: marking.rate.map(|tenths| Fx {
                currency: "EUR".into(),
                rate: number(&format!("{}.{}", tenths / 10, tenths % 10)),
            }),
            ..percent(&marking.percent.to_string())
        };
        let target = Target { scope, provider: None, model: None };
        book.markups.insert(id, target, version(position, Some(marking.from), Some(markup))).unwrap();
    }
    book
}

/// The row of a scope that began last.
fn holding(rows: &[Row], scope: u8, at: i64) -> Option<&Row> {
    rows.iter().filter(|row| row.scope == scope && row.from <= at).max_by_key(|row| row.from)
}

/// Amounts of the two units in 10^-18 by a row, and whether any is missing.
fn priced(row: Option<&Row>, usage: &Usage) -> ([Option<i128>; 2], bool) {
    let amount = |unit: usize| {
        let price = row.and_then(|row| row.prices[unit])?;
        Some(i128::from(price) * i128::from(usage.quantities[unit]) * ATTO)
    };
    let amounts = [amount(0), amount(1)];
    let is_missing = (0..2).any(|unit| usage.quantities[unit] > 0 && amounts[unit].is_none());
    (amounts, is_missing)
}

fn sum(amounts: [Option<i128>; 2]) -> i128 {
    amounts.into_iter().flatten().sum()
}

/// The nearest whole number to a fraction, a half to the even one; neither is below zero.
fn nearest(number: i128, divisor: i128) -> i128 {
    let (down, rest) = (number / divisor, number % divisor);
    match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => down,
        std::cmp::Ordering::Greater => down + 1,
        std::cmp::Ordering::Equal => down + down % 2,
    }
}

/// List cost, cost and charge in 10^-18, the currency of the charge, and whether the entry is unpriced.
type Planes = (i128, i128, i128, &'static str, bool);

fn model(rows: &[Row], markings: &[Marking], usage: &Usage) -> Planes {
    let public = holding(rows, 0, usage.at);
    let contract = holding(rows, 1, usage.at).filter(|_| usage.by_contract);
    let (cost, cost_missing) = priced(contract.or(public), usage);
    let (list, list_missing) = if public.is_some() { priced(public, usage) } else { (cost, cost_missing) };
    let own = holding(rows, 3, usage.at).filter(|_| usage.of_customer).or_else(|| holding(rows, 2, usage.at));
    let of = |of_customer: bool| {
        let begun = |marking: &&Marking| marking.of_customer == of_customer && marking.from <= usage.at;
        markings.iter().filter(begun).max_by_key(|marking| marking.from)
    };
    let marking = of(true).filter(|_| usage.of_customer).or_else(|| of(false)).filter(|_| own.is_none());
    let currency = if marking.is_some_and(|marking| marking.rate.is_some()) { "EUR" } else { "USD" };
    if !usage.is_billed {
        return (0, 0, 0, currency, false);
    }
    let (charge, charge_missing) = match (own, marking) {
        (Some(own), _) => {
            let (charge, is_missing) = priced(Some(own), usage);
            (sum(charge), is_missing)
        }
        (None, None) => (sum(cost), cost_missing),
        (None, Some(marking)) => {
            let (base, is_missing) =
                if marking.upon_list { (list, list_missing) } else { (cost, cost_missing) };
            (marked(marking, base, usage), is_missing)
        }
    };
    (sum(list), sum(cost), charge, currency, cost_missing || charge_missing)
}

fn marked(marking: &Marking, base: [Option<i128>; 2], usage: &Usage) -> i128 {
    let rate_tenths = i128::from(marking.rate.unwrap_or(10));
    let percent = 100 + i128::from(marking.percent);
    let line = |unit: usize| -> i128 {
        let Some(base) = base[unit].filter(|_| usage.quantities[unit] > 0) else { return 0 };
        let added = if unit == 1 { i128::from(marking.addition.unwrap_or(0)) } else { 0 };
        // base × percent / 100 × tenths / 10 + quantity × added / 3, over 3,000.
        let number =
            base * percent * rate_tenths * 3 + i128::from(usage.quantities[unit]) * added * ATTO * 1000;
        nearest(number, 3000)
    };
    let usage_lines = line(0) + line(1);
    if usage.attempt != 1 {
        return usage_lines;
    }
    let with_request = usage_lines + i128::from(marking.per_request.unwrap_or(0)) * ATTO;
    with_request.max(i128::from(marking.minimum.unwrap_or(0)) * ATTO)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_planes_are_those_of_the_slow_and_obvious_model(
        rows in rows(), markings in markings(), usage in usages()
    ) {
        let book = book(&rows, &markings);
        let mut value = json!({
            "model": "m", "occurred_at": usage.at, "attempt": usage.attempt, "team": "search",
            "units": {"input_uncached_tokens": usage.quantities[0], "output_text_tokens": usage.quantities[1]},
            "outcome": if usage.is_billed { "billed" } else { "not_billed" },
        });
        if usage.by_contract {
            value["provider_account"] = json!("org");
        }
        if usage.of_customer {
            value["customer"] = json!("acme");
        }
        let mut found = None;
        entries_for(&event(&value), &book, &mut Scratch::default(), |entry| {
            let currency = if entry.charge_currency == "EUR" { "EUR" } else { "USD" };
            found = Some((entry.list_cost.raw(), entry.cost.raw(), entry.charge.raw(), currency, entry.is_unpriced()));
        })
        .unwrap();
        prop_assert_eq!(found, Some(model(&rows, &markings, &usage)));
    }
}
