//! Who sends the traffic: keys with their owners. The same for every seed, so that owners, budgets and accounts can be
//! set up once.

use uuid::Uuid;

use crate::random::{Random, Shares, index, wide};

/// How many keys there are.
pub(crate) const KEYS: u64 = 2_000;
/// How many teams share them.
pub(crate) const TEAMS: u64 = 200;
/// How many customers the teams work for; the last twenty teams work for nobody outside.
pub(crate) const CUSTOMERS: u64 = 100;
/// Teams from here on have no customer.
const INTERNAL_TEAMS_FROM: u64 = 180;
/// Projects.
const PROJECTS: u64 = 120;

const AREAS: [&str; 20] = [
    "search",
    "billing",
    "support",
    "growth",
    "risk",
    "claims",
    "catalog",
    "logistics",
    "payments",
    "identity",
    "media",
    "pricing",
    "content",
    "legal",
    "finance",
    "people",
    "research",
    "sales",
    "platform",
    "security",
];
const FUNCTIONS: [&str; 10] =
    ["core", "apps", "data", "ml", "ops", "web", "mobile", "insights", "quality", "labs"];
const NAMES: [&str; 20] = [
    "acme",
    "borealis",
    "cobalt",
    "dunes",
    "ember",
    "fjord",
    "granite",
    "harbor",
    "indigo",
    "juniper",
    "kestrel",
    "lumen",
    "meridian",
    "northwind",
    "orchard",
    "pioneer",
    "quarry",
    "ridge",
    "summit",
    "tideway",
];
const KINDS: [&str; 5] = ["retail", "bank", "health", "media", "energy"];
const APPS: [&str; 24] = [
    "assistant",
    "agent-desk",
    "autocomplete",
    "batch-tagger",
    "briefings",
    "chat",
    "classifier",
    "code-review",
    "contract-reader",
    "copilot",
    "crawler",
    "doc-qa",
    "email-drafts",
    "extractor",
    "forecaster",
    "image-studio",
    "knowledge-base",
    "moderation",
    "onboarding",
    "recommender",
    "report-writer",
    "router",
    "summarizer",
    "translator",
];
pub(crate) const WORKFLOWS: [&str; 12] = [
    "ticket-triage",
    "nightly-digest",
    "invoice-intake",
    "lead-scoring",
    "answer-draft",
    "policy-check",
    "call-summary",
    "code-fix",
    "catalog-sync",
    "kyc-review",
    "translation-pass",
    "eval-run",
];

/// A gateway: what it is called, where it runs, and what it is like.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) name: &'static str,
    pub(crate) region: &'static str,
    pub(crate) route: &'static str,
    pub(crate) style: Style,
}

/// How a gateway writes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Times as text, and all it knows.
    Text,
    /// Times as milliseconds, and all it knows.
    Millis,
    /// Times as milliseconds, and little more than what is required.
    Terse,
}

pub(crate) const GATEWAYS: [Gateway; 6] = [
    gateway("gw-fra-1", "eu-central-1", "eu-primary", Style::Text),
    gateway("gw-fra-2", "eu-central-1", "eu-overflow", Style::Terse),
    gateway("gw-dub-1", "eu-west-1", "eu-primary", Style::Text),
    gateway("gw-iad-1", "us-east-1", "us-primary", Style::Millis),
    gateway("gw-iad-2", "us-east-1", "us-overflow", Style::Terse),
    gateway("gw-sin-1", "ap-southeast-1", "apac", Style::Terse),
];

const fn gateway(name: &'static str, region: &'static str, route: &'static str, style: Style) -> Gateway {
    Gateway { name, region, route, style }
}

/// A gateway key and whose it is.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) label: String,
    pub(crate) team: String,
    pub(crate) customer: Option<String>,
    pub(crate) app: &'static str,
    pub(crate) environment: &'static str,
    pub(crate) project: String,
    pub(crate) gateway: usize,
}

/// All keys, and how much of the traffic each has.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) keys: Vec<Key>,
    shares: Shares,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { keys: (0..KEYS).map(Key::number).collect(), shares: Shares::by_rank(KEYS) }
    }

    /// The position of a key, the busy ones more often.
    pub(crate) fn pick_key(&self, random: &mut Random) -> usize {
        self.shares.pick(random)
    }
}

impl Key {
    /// The key of a number, by steps that have no divisor in common with the counts: nobody is left out.
    fn number(number: u64) -> Self {
        let team_number = number * 67 % TEAMS;
        let team = format!("{}-{}", at(&AREAS, team_number / 10), at(&FUNCTIONS, team_number));
        let environment = match number % 10 {
            0..=6 => "production",
            7 | 8 => "staging",
            _ => "development",
        };
        let label = if number % 8 == 5 {
            // Some gateways name a key by its hash.
            let mut random = Random::new(number);
            let halves = [random.bytes(), random.bytes()].map(Uuid::from_bytes);
            halves.map(|half| half.simple().to_string()).concat()
        } else {
            format!("{team}-{:02}", number / TEAMS)
        };
        let customer = (team_number < INTERNAL_TEAMS_FROM).then_some(team_number % CUSTOMERS);
        Self {
            label,
            customer: customer.map(|number| format!("{}-{}", at(&NAMES, number / 5), at(&KINDS, number))),
            app: at(&APPS, number * 7),
            environment,
            project: format!("proj-{:03}", number * 11 % PROJECTS),
            gateway: index(number * 5 % wide(GATEWAYS.len())),
            team,
        }
    }
}

/// The item at a position, counting on from the start behind the last.
pub(crate) fn at(items: &[&'static str], number: u64) -> &'static str {
    items[index(number % wide(items.len()))]
}
