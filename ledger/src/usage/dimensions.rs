//! What a price may depend on besides the unit: tier, processing, speed, place, size and the like.

use crate::event::UsageEvent;

/// The tier, processing and speed of an attempt that nobody says anything special about.
pub const STANDARD: &str = "standard";
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
            region: event.region,
            ..Self::default()
        };
        dimensions.set_tier(event.service_tier);
        dimensions
    }

    /// Takes over a tier under the name that the provider gives it.
    pub(super) fn set_tier(&mut self, name: Option<&'a str>) {
        let Some(name) = name else { return };
        if name == BATCH {
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

/// The one name under which a tier is priced.
#[must_use]
pub fn tier(name: &str) -> &str {
    match name {
        "" | "default" | "auto" | "standard_only" | "on_demand" | "ON_DEMAND" => STANDARD,
        "fast" | "ON_DEMAND_PRIORITY" => "priority",
        "ON_DEMAND_FLEX" => "flex",
        "ON_DEMAND_OFFPEAK" => "off_peak",
        "PROVISIONED_THROUGHPUT" | "provisioned_throughput" => "provisioned",
        other => other,
    }
}
