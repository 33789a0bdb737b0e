//! Who calls: what an authenticated token may do and whose rows it may see. The API's authentication puts a
//! [`Caller`] into each request; handlers and the intake read it and decide nothing about tokens themselves.

/// What a token is allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Send usage events.
    Ingest,
    /// Read spend, proofs, entries and prices.
    Read,
    /// Publish prices, mint and revoke tokens, audit; includes the other two.
    Admin,
}

impl Scope {
    /// Every scope, in the order of the documentation.
    pub const ALL: &[Self] = &[Self::Ingest, Self::Read, Self::Admin];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The scope of that name; `None` for any other text.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name)
    }
}

/// The token behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Public id of the token.
    pub token_id: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Customers it is bound to; empty where it is not bound to customers.
    pub customers: Vec<String>,
    /// Teams it is bound to; empty where it is not bound to teams.
    pub teams: Vec<String>,
}

impl Caller {
    /// Whether the token may do what needs that scope; `admin` may do everything.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether the token sees the rows of some customers or teams only.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        !self.customers.is_empty() || !self.teams.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_includes_the_other_scopes_and_no_other_scope_includes_admin() {
        let caller = |scope| Caller {
            token_id: "t".to_owned(),
            scopes: vec![scope],
            customers: Vec::new(),
            teams: Vec::new(),
        };
        assert!(Scope::ALL.iter().all(|scope| caller(Scope::Admin).may(*scope)));
        assert!(!caller(Scope::Read).may(Scope::Admin));
        assert!(!caller(Scope::Ingest).may(Scope::Read));
        assert_eq!(Scope::parse("admin"), Some(Scope::Admin));
        assert_eq!(Scope::parse("Admin"), None);
    }
}
