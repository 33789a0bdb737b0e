//! Which rows a caller may see, and the conditions of a query over them. Conditions can be made from bounds only,
//! and the store runs a query over customers' rows only with conditions: a handler cannot forget a token's limits.

use ledger::account::Kind;
use schemas::caller::Caller;
use serde::Serialize;

/// The customers and teams whose rows a caller sees; all, where the token is not bound.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    customers: Vec<String>,
    teams: Vec<String>,
}

impl Bounds {
    /// The bounds of a token. One that is bound to customers and to teams sees what is of both.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self { customers: caller.customers.clone(), teams: caller.teams.clone() }
    }

    /// The bounds of what the service does on its own account and shows to nobody: none.
    pub(crate) fn of_service() -> Self {
        Self { customers: Vec::new(), teams: Vec::new() }
    }
}

impl Bounds {
    /// No bounds: for questions of the service itself.
    pub(crate) const fn none() -> Self {
        Self { customers: Vec::new(), teams: Vec::new() }
    }

    /// The customers and the teams that a bound token sees whole: a token that is bound to customers and to teams sees
    /// what is of both, and so none of either.
    pub(crate) fn whole(&self) -> (&[String], &[String]) {
        if self.customers.is_empty() || self.teams.is_empty() {
            (&self.customers, &self.teams)
        } else {
            (&[], &[])
        }
    }

    const fn is_bound(&self) -> bool {
        !self.customers.is_empty() || !self.teams.is_empty()
    }

    /// Whether an account's invoices are the token's to see. An invoice is of the whole customer or team.
    pub(crate) fn sees_account(&self, kind: Kind, id: &str) -> bool {
        let (customers, teams) = self.whole();
        let names = match kind {
            Kind::Customer => customers,
            Kind::Team => teams,
        };
        !self.is_bound() || names.iter().any(|name| name == id)
    }
}

/// A bound value of a query.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Text(String),
    Texts(Vec<String>),
    Int(i64),
    Ints(Vec<i64>),
    Unsigneds(Vec<u64>),
    Unsigned(u64),
}

/// Bound values of a query by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<(String, Value)>);

impl Values {
    /// Adds a value under a name that the query's text has.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    /// Adds a value under a new name and answers the text that stands for it in the query.
    pub(crate) fn bind(&mut self, kind: &str, value: Value) -> String {
        let name = format!("v{}", self.0.len());
        let place = format!("{{{name}:{kind}}}");
        self.0.push((name, value));
        place
    }

    pub(crate) fn bind_text(&mut self, text: &str) -> String {
        self.bind("String", Value::Text(text.to_owned()))
    }

    pub(crate) fn bind_texts(&mut self, texts: &[String]) -> String {
        self.bind("Array(String)", Value::Texts(texts.to_vec()))
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, Value)> {
        self.0
    }
}

/// The conditions of a query over customers' rows, the caller's bounds among them, with their bound values.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    terms: Vec<String>,
    pub(crate) values: Values,
}

impl Conditions {
    /// The conditions of these bounds alone.
    pub(crate) fn of(bounds: &Bounds) -> Self {
        let mut values = Values::default();
        let mut terms = Vec::new();
        for (column, names) in [("customer", &bounds.customers), ("team", &bounds.teams)] {
            if !names.is_empty() {
                terms.push(format!("{column} IN {}", values.bind_texts(names)));
            }
        }
        Self { terms, values }
    }

    /// The conditions of these bounds over a table of accounts, which has the columns `kind` and `account`.
    pub(crate) fn of_accounts(bounds: &Bounds) -> Self {
        let mut values = Values::default();
        let mut terms = Vec::new();
        if bounds.is_bound() {
            let (customers, teams) = bounds.whole();
            let (customers, teams) = (values.bind_texts(customers), values.bind_texts(teams));
            terms.push(format!(
                "((kind = 'customer' AND account IN {customers}) OR (kind = 'team' AND account IN {teams}))"
            ));
        }
        Self { terms, values }
    }

    /// Adds a condition; its text may name places of [`Values::bind`] only, never a caller's text.
    pub(crate) fn and(&mut self, term: String) {
        self.terms.push(term);
    }

    /// The conditions as SQL.
    pub(crate) fn sql(&self) -> String {
        if self.terms.is_empty() { "true".to_owned() } else { self.terms.join(" AND ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_of_a_bound_token_name_its_customers_and_teams() {
        let caller = Caller {
            token_id: "t".to_owned(),
            scopes: Vec::new(),
            customers: vec!["acme".to_owned()],
            teams: vec!["search".to_owned()],
        };
        let conditions = Conditions::of(&Bounds::of(&caller));
        assert_eq!(conditions.sql(), "customer IN {v0:Array(String)} AND team IN {v1:Array(String)}");
    }

    #[test]
    fn a_token_that_is_not_bound_has_no_conditions() {
        let caller =
            Caller { token_id: "t".to_owned(), scopes: Vec::new(), customers: Vec::new(), teams: Vec::new() };
        assert_eq!(Conditions::of(&Bounds::of(&caller)).sql(), "true");
    }
}
