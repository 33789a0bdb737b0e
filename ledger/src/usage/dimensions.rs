//! What a price may depend on besides the unit: tier, processing, speed, place, size and the like.

use crate::event::UsageEvent;

/// The tier, processing and speed of an attempt that nobody says anything special about.
pub const STANDARD: &str = "standard";
/// Speed that costs more.
pub const FAST: &str = "fast";
/// Processing while the caller waits.
pub const INTERACTIVE: &str = "interactive";
/// Processing in a batch job.
pub const BATCH: &str = "batch";

/// The price dimensions of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions<'a> {
    /// The tier that served it; `standard` where nothing else is said.
    pub service_tier: &'a str,
    /// `interactive` or `batch`.
    pub processing: &'a str,
    /// `standard` or `fast`.
    pub speed: &'a str,
    /// Where the provider says that inference ran.
    pub inference_geo: Option<&'a str>,
    /// Where the gateway says that inference ran.
    pub region: Option<&'a str>,
    /// Width and height of an image or a video, such as `1024x1024`.
    pub size: Option<&'a str>,
    /// Quality of an image.
    pub quality: Option<&'a str>,
    /// Resolution of an image or a video, such as `720p`.
    pub resolution: Option<&'a str>,
    /// `on` or `off`: whether a video has sound.
    pub audio: Option<&'a str>,
    /// How much a search may read: `low`, `medium` or `high`.
    pub search_context_size: Option<&'a str>,
    /// Size of the whole prompt in tokens: uncached, read and written, without what tools added.
    pub prompt_tokens_total: u64,
}

impl Default for Dimensions<'_> {
    fn default() -> Self {
        Self {
            service_tier: STANDARD,
            processing: INTERACTIVE,
            speed: STANDARD,
            inference_geo: None,
            region: None,
            size: None,
            quality: None,
            resolution: None,
            audio: None,
            search_context_size: None,
            prompt_tokens_total: 0,
        }
    }
}

impl<'a> Dimensions<'a> {
    /// What the event itself says.
    #[must_use]
    pub fn of(event: &UsageEvent<'a>) -> Self {
        let mut dimensions = Self {
            processing: event.processing.unwrap_or(INTERACTIVE),
            speed: event.speed.unwrap_or(STANDARD),
            region: event.region.or_else(|| inference_profile(event)),
            ..Self::default()
        };
        dimensions.set_tier(event.service_tier);
        dimensions
    }

    /// Takes over a tier under the name that the provider gives it.
    pub(super) fn set_tier(&mut self, name: Option<&'a str>) {
        let Some(name) = name.filter(|name| !is_unstated(name)) else { return };
        if name.eq_ignore_ascii_case(BATCH) {
            self.service_tier = STANDARD;
            self.processing = BATCH;
        } else {
            self.service_tier = tier(name);
        }
    }

    /// Names and values of the text dimensions that are known, in a fixed order.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        [
            ("service_tier", Some(self.service_tier)),
            ("processing", Some(self.processing)),
            ("speed", Some(self.speed)),
            ("inference_geo", self.inference_geo),
            ("region", self.region),
            ("size", self.size),
            ("quality", self.quality),
            ("resolution", self.resolution),
            ("audio", self.audio),
            ("search_context_size", self.search_context_size),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The one name under which a tier is priced. Providers spell the names in capitals or not.
#[must_use]
pub fn tier(name: &str) -> &str {
    let known = TIERS.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    known.map_or(name, |(_, tier)| tier)
}

/// Names of tiers, and the one under which each is priced.
const TIERS: &[(&str, &str)] = &[
    ("", STANDARD),
    (STANDARD, STANDARD),
    ("default", STANDARD),
    ("auto", STANDARD),
    ("standard_only", STANDARD),
    ("on_demand", STANDARD),
    ("flex", "flex"),
    ("on_demand_flex", "flex"),
    ("priority", "priority"),
    ("fast", "priority"),
    ("on_demand_priority", "priority"),
    ("on_demand_offpeak", "off_peak"),
    ("provisioned_throughput", "provisioned"),
];

/// Whether a provider says that it does not say: what the event says then stays.
fn is_unstated(name: &str) -> bool {
    name.eq_ignore_ascii_case("unspecified") || name.eq_ignore_ascii_case("traffic_type_unspecified")
}

/// Where Bedrock may run a model, by the prefix of its inference profile (`us.anthropic.…`): its prices differ.
fn inference_profile<'a>(event: &UsageEvent<'a>) -> Option<&'a str> {
    const PROFILES: &[&str] = &["global", "us", "us-gov", "eu", "apac", "jp", "au", "ca"];
    let is_bedrock = event.endpoint_family == "bedrock" || event.provider.starts_with("bedrock");
    let (_, name) = event.model.rsplit_once('/').unwrap_or(("", event.model));
    let (prefix, _) = name.split_once('.').filter(|_| is_bedrock)?;
    PROFILES.contains(&prefix).then_some(prefix)
}
