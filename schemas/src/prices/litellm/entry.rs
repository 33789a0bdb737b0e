//! One entry of LiteLLM's map: every price it has becomes a price of ours, or a refusal with its reason.

use std::collections::BTreeMap;

use ledger::money::Decimal;
use ledger::prices::{Conditions, FreeQuota, Multiplier, Price, Region};
use ledger::unit::Unit;
use serde_json::value::RawValue;

use super::key::{EntryName, PriceName, entry_name, price_name};
use super::special;
use crate::prices::import::{Reason, Refusal, by_one, not_negative};
use crate::prices::number;

/// A price of an image below this is what a token costs, in the wrong field.
const IMAGE_PRICE_LEAST: &str = "0.0005";

/// Fields of one entry.
pub(super) type Fields<'t> = BTreeMap<String, &'t RawValue>;

/// What an entry says, on its way to a row.
pub(super) struct Draft<'t> {
    pub(super) key: &'t str,
    pub(super) name: EntryName<'t>,
    pub(super) litellm_provider: &'t str,
    pub(super) mode: &'t str,
    pub(super) prices: Vec<Price>,
    pub(super) multipliers: Vec<Multiplier>,
    pub(super) free_quotas: Vec<FreeQuota>,
    pub(super) notes: Vec<String>,
    /// Price keys that were used.
    pub(super) used: Vec<String>,
    pub(super) refused: Vec<Refusal>,
}

/// Reads an entry.
pub(super) fn read<'t>(key: &'t str, fields: &Fields<'t>) -> Draft<'t> {
    let text = |name: &str| fields.get(name).and_then(|raw| serde_json::from_str::<&str>(raw.get()).ok());
    let litellm_provider = text("litellm_provider").unwrap_or_default();
    let mut draft = Draft {
        key,
        name: entry_name(key, litellm_provider),
        litellm_provider,
        mode: text("mode").unwrap_or_default(),
        prices: Vec::new(),
        multipliers: Vec::new(),
        free_quotas: Vec::new(),
        notes: Vec::new(),
        used: Vec::new(),
        refused: Vec::new(),
    };
    let is_commitment = fields.contains_key("cost_per_second");
    for (name, raw) in fields.iter().filter(|(name, _)| is_price_key(name)) {
        let before = (draft.prices.len(), draft.multipliers.len());
        let outcome = if is_commitment {
            Err("provisioned throughput is a commitment by the second, not the price of a request".into())
        } else {
            draft.read_price(name, raw, fields)
        };
        match outcome {
            Ok(()) => draft.used.push(name.clone()),
            // What is refused leaves nothing behind.
            Err(reason) => {
                draft.prices.truncate(before.0);
                draft.multipliers.truncate(before.1);
                draft.refuse(name, reason);
            }
        }
    }
    draft.set_image_conditions();
    draft
}

/// Whether a field is about money.
pub(super) fn is_price_key(name: &str) -> bool {
    name.contains("cost")
        || name.contains("pricing")
        || name.contains("uplift_multiplier")
        || matches!(name, "search_free_requests" | "provider_specific_entry")
}

impl Draft<'_> {
    pub(super) fn refuse(&mut self, price_key: &str, reason: Reason) {
        self.refused.push(Refusal { key: self.key.to_owned(), price_key: price_key.to_owned(), reason });
    }

    fn read_price(&mut self, name: &str, raw: &RawValue, fields: &Fields<'_>) -> Result<(), Reason> {
        match name {
            "tiered_pricing" => special::context_steps(self, raw),
            "off_peak_pricing" => special::off_peak(self, raw),
            "search_context_cost_per_query" => special::search_fee(self, raw, fields),
            "search_free_requests" => special::free_searches(self, raw, fields),
            "provider_specific_entry" => special::provider_multipliers(self, raw),
            "regional_processing_uplift_multiplier_eu" => self.multiply(raw, region(Region::Is("eu".into()))),
            "regional_processing_uplift_multiplier_us" => self.multiply(raw, region(Region::Is("us".into()))),
            "regional_endpoint_uplift_multiplier" => self.multiply(raw, region(Region::Not("global".into()))),
            "input_cost_per_pixel" | "output_cost_per_pixel" => special::pixels(self, name, raw, fields),
            "input_cost_per_token_cache_hit" => self.read_cache_hit(raw, fields),
            "input_cost_per_second" | "output_cost_per_second" if self.mode == "audio_transcription" => {
                special::seconds_of_recording(self, name, raw, fields)
            }
            _ => match price_name(name, self.name.provider) {
                Some(price) => {
                    self.check_step(name, amount(raw)?, fields)?;
                    self.read_rate(&price, raw, fields)
                }
                None => Err(special::why_not(name).into()),
            },
        }
    }

    /// A plain rate, money for one.
    fn read_rate(&mut self, name: &PriceName, raw: &RawValue, fields: &Fields<'_>) -> Result<(), Reason> {
        let amount = amount(raw)?;
        let units = match name.base {
            "input_cost_per_second" => self.seconds_in()?,
            "output_cost_per_second" => self.seconds_out(),
            "output_cost_per_image" => self.check_image_price(amount)?,
            "input_cost_per_image" if self.names_its_output_input(amount, fields)? => &[Unit::OutputImages],
            _ => name.units,
        };
        for unit in units {
            self.add(*unit, amount, name.conditions.clone())?;
        }
        Ok(())
    }

    /// Adds the price of one.
    pub(super) fn add(&mut self, unit: Unit, amount: Decimal, conditions: Conditions) -> Result<(), Reason> {
        self.prices.push(by_one(unit, amount, conditions)?);
        Ok(())
    }

    pub(super) fn multiply(&mut self, raw: &RawValue, conditions: Conditions) -> Result<(), Reason> {
        self.multipliers.push(Multiplier { factor: amount(raw)?, conditions });
        Ok(())
    }

    /// Another name of the cache read price.
    fn read_cache_hit(&mut self, raw: &RawValue, fields: &Fields<'_>) -> Result<(), Reason> {
        let hit = amount(raw)?;
        match fields.get("cache_read_input_token_cost") {
            Some(read) if amount(read)? == hit => Ok(()),
            Some(read) => Err(format!("contradicts cache_read_input_token_cost, which is {}", read.get())),
            None => self.add(Unit::InputCacheReadTokens, hit, Conditions::default()),
        }
    }

    fn seconds_in(&self) -> Result<&'static [Unit], Reason> {
        match self.mode {
            "realtime" => Ok(&[Unit::SessionAudioSeconds]),
            mode => Err(format!("seconds of what is not said in mode {mode:?}")),
        }
    }

    fn seconds_out(&self) -> &'static [Unit] {
        if self.mode == "video_generation" {
            &[Unit::OutputVideoSeconds]
        } else {
            &[Unit::OutputAudioSeconds]
        }
    }

    fn check_image_price(&self, amount: Decimal) -> Result<&'static [Unit], Reason> {
        let least = Decimal::parse(IMAGE_PRICE_LEAST).map_err(|error| error.to_string())?;
        if self.mode == "audio_speech" {
            return Err("a piece of music is no image, and pieces have no unit".into());
        }
        if !amount.is_zero() && amount < least && self.mode == "chat" {
            return Err("looks like the price of a token, not of an image".into());
        }
        Ok(&[Unit::OutputImages])
    }

    /// An image model whose only price of images is the "input" one means the images that it makes. Where both
    /// sides have the same price, it is one price written twice.
    fn names_its_output_input(&self, amount_in: Decimal, fields: &Fields<'_>) -> Result<bool, Reason> {
        if self.mode != "image_generation" {
            return Ok(false);
        }
        let Some(out) = fields.get("output_cost_per_image") else {
            return Ok(!fields.contains_key("output_cost_per_image_token"));
        };
        if !amount_in.is_zero() && amount(out)? == amount_in {
            return Err("the same price as output_cost_per_image: it would be paid twice".into());
        }
        Ok(false)
    }

    /// A longer prompt that costs less than a short one is a mistake of the map.
    fn check_step(&self, name: &str, amount_long: Decimal, fields: &Fields<'_>) -> Result<(), Reason> {
        let short = name.find("_above_").zip(name.find("k_tokens")).filter(|(from, to)| from < to);
        let short = short.map(|(from, to)| format!("{}{}", &name[..from], &name[to + "k_tokens".len()..]));
        match short.and_then(|short| fields.get(&short)) {
            Some(raw) if amount_long < amount(raw)? => {
                Err("costs less in a long prompt than in a short one".into())
            }
            _ => Ok(()),
        }
    }

    /// Size and quality in the entry's name are conditions of its image prices.
    fn set_image_conditions(&mut self) {
        let (size, quality) = (self.name.size.as_deref(), self.name.quality);
        let images = |price: &&mut Price| matches!(price.unit, Unit::OutputImages | Unit::InputImages);
        for price in self.prices.iter_mut().filter(images) {
            price.conditions.size = size.map(Into::into);
            price.conditions.quality = quality.map(Into::into);
        }
    }
}

fn region(region: Region) -> Conditions {
    Conditions { region: Some(region), ..Conditions::default() }
}

/// Money, not below zero.
pub(super) fn amount(raw: &RawValue) -> Result<Decimal, Reason> {
    not_negative(number::parse(raw)?)
}
