//! All that an entry depends on besides its event: prices, markups, accounts and owners as of one position of the
//! command log.

use crate::account::Accounts;
use crate::event::UsageEvent;
use crate::markup::{Markups, Payer};
use crate::owners::{Owned, Owners};
use crate::prices::PriceBook;

/// Everything that commands have set. Immutable once made.
#[derive(Debug, Default)]
pub struct Book {
    /// What models cost.
    pub prices: PriceBook,
    /// How charges are made where no price of the customer's own holds.
    pub markups: Markups,
    /// Who is invoiced.
    pub accounts: Accounts,
    /// Whose keys are.
    pub owners: Owners,
}

/// What of a book an entry looks at. Registries without a line are left out here, once, so that nothing asks them
/// for each event.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'b> {
    pub(crate) prices: &'b PriceBook,
    pub(crate) markups: Option<&'b Markups>,
    accounts: Option<&'b Accounts>,
    owners: Option<&'b Owners>,
    /// Whether any price or markup is for somebody alone, or for everybody on top of the public prices.
    pub(crate) has_planes: bool,
}

impl<'b> From<&'b Book> for InForce<'b> {
    fn from(book: &'b Book) -> Self {
        let Book { prices, markups, accounts, owners } = book;
        Self {
            prices,
            markups: (!markups.is_empty()).then_some(markups),
            accounts: (!accounts.is_empty()).then_some(accounts),
            owners: (!owners.is_empty()).then_some(owners),
            has_planes: prices.has_scoped() || !markups.is_empty(),
        }
    }
}

/// Prices alone.
impl<'b> From<&'b PriceBook> for InForce<'b> {
    fn from(prices: &'b PriceBook) -> Self {
        Self { prices, markups: None, accounts: None, owners: None, has_planes: prices.has_scoped() }
    }
}

impl<'b> InForce<'b> {
    /// The same, which leaves the owners of an event as it says them.
    pub(crate) const fn with_owners_as_said(self) -> Self {
        Self { owners: None, ..self }
    }

    /// The owners of an event: its own, and for what it leaves out those of its key.
    pub(crate) fn owned<'e>(&self, event: &'e UsageEvent<'_>) -> Owned<'e>
    where
        'b: 'e,
    {
        match self.owners {
            Some(owners) => owners.fill(event),
            None => Owned { owners: event.owners, cost_center: None },
        }
    }

    /// Who pays for the event.
    pub(crate) fn payer<'e>(&self, event: &UsageEvent<'_>, owned: &Owned<'e>) -> Payer<'e>
    where
        'b: 'e,
    {
        let customer = owned.owners.customer;
        let plan =
            self.accounts.zip(customer).and_then(|(accounts, id)| accounts.plan(id, event.occurred_at));
        Payer { customer, team: owned.owners.team, plan }
    }
}
