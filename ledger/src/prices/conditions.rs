//! When a price or a multiplier holds: the dimensions that it demands.

use crate::event::Millis;
use crate::usage::Dimensions;

/// What must be so for a price to hold. An absent condition demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// The tier that served it.
    pub service_tier: Option<Box<str>>,
    /// `interactive` or `batch`.
    pub processing: Option<Box<str>>,
    /// `standard` or `fast`.
    pub speed: Option<Box<str>>,
    /// Where the provider says that inference ran.
    pub inference_geo: Option<Box<str>>,
    /// Where the gateway says that inference ran.
    pub region: Option<Region>,
    /// Size of the whole prompt.
    pub prompt_tokens_total: Option<Bound>,
    /// Width and height.
    pub size: Option<Box<str>>,
    /// Quality of an image.
    pub quality: Option<Box<str>>,
    /// Resolution of an image or a video.
    pub resolution: Option<Box<str>>,
    /// `on` or `off`.
    pub audio: Option<Box<str>>,
    /// `low`, `medium` or `high`.
    pub search_context_size: Option<Box<str>>,
    /// Hours of the week, UTC; one of them must hold. Empty demands nothing.
    pub windows: Vec<Window>,
}

/// A lower bound of the prompt's size in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// More than that many.
    Gt(u64),
    /// That many or more.
    Gte(u64),
}

impl Bound {
    /// The smallest prompt that the bound lets through.
    #[must_use]
    pub const fn floor(self) -> u64 {
        match self {
            Self::Gt(tokens) => tokens.saturating_add(1),
            Self::Gte(tokens) => tokens,
        }
    }
}

/// A demand on the region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Region {
    /// This one.
    Is(Box<str>),
    /// Any that is known, but not this one.
    Not(Box<str>),
}

/// Hours of some days of the week, UTC, half-open: `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    weekdays: u8,
    from: u16,
    to: u16,
}

const MINUTES_A_DAY: u16 = 24 * 60;
const MILLIS_A_MINUTE: i64 = 60_000;
const MILLIS_A_DAY: i64 = 86_400_000;
/// The first day of Unix time was a Thursday; weekdays count from Monday.
const EPOCH_WEEKDAY: i64 = 3;

impl Window {
    /// Minutes of the day, from 0 to 1440, on weekdays from 1 (Monday) to 7. A window whose end is not after
    /// its start reaches into the next day; one that ends where it starts is the whole day.
    #[must_use]
    pub fn new(weekdays: &[u8], from: u16, to: u16) -> Option<Self> {
        let is_day = |day: &u8| (1..=7).contains(day);
        if weekdays.is_empty() || !weekdays.iter().all(is_day) || from >= MINUTES_A_DAY || to > MINUTES_A_DAY
        {
            return None;
        }
        let mask = weekdays.iter().fold(0, |mask, day| mask | 1 << (day - 1));
        Some(Self { weekdays: mask, from, to })
    }

    /// The weekdays, from 1 (Monday) to 7.
    pub fn weekdays(self) -> impl Iterator<Item = u8> {
        (1..=7).filter(move |day| self.weekdays & 1 << (day - 1) != 0)
    }

    /// Start and end in minutes of the day.
    #[must_use]
    pub const fn minutes(self) -> (u16, u16) {
        (self.from, self.to)
    }

    /// Whether the instant lies in the window.
    #[must_use]
    pub fn contains(self, at: Millis) -> bool {
        let day = (at.0.div_euclid(MILLIS_A_DAY) + EPOCH_WEEKDAY).rem_euclid(7);
        let minute = at.0.rem_euclid(MILLIS_A_DAY) / MILLIS_A_MINUTE;
        let (Ok(day), Ok(minute)) = (u8::try_from(day), u16::try_from(minute)) else { return false };
        self.holds(day, minute)
    }

    fn holds(self, day: u8, minute: u16) -> bool {
        let on = |day: u8| self.weekdays & 1 << day != 0;
        if self.from < self.to {
            return on(day) && (self.from..self.to).contains(&minute);
        }
        let yesterday = (day + 6) % 7;
        (on(day) && minute >= self.from) || (on(yesterday) && minute < self.to)
    }

    fn overlaps(self, other: Self) -> bool {
        let starts =
            |one: Self, two: Self| (0..7).any(|day| one.on_at_start(day) && two.holds(day, one.from));
        starts(self, other) || starts(other, self)
    }

    fn on_at_start(self, day: u8) -> bool {
        self.weekdays & 1 << day != 0
    }
}

impl Conditions {
    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            service_tier,
            processing,
            speed,
            inference_geo,
            region,
            prompt_tokens_total,
            size,
            quality,
            resolution,
            audio,
            search_context_size,
            windows,
        } = self;
        let texts = [
            service_tier,
            processing,
            speed,
            inference_geo,
            size,
            quality,
            resolution,
            audio,
            search_context_size,
        ];
        texts.into_iter().all(Option::is_none)
            && region.is_none()
            && prompt_tokens_total.is_none()
            && windows.is_empty()
    }

    /// How many dimensions are demanded.
    #[must_use]
    pub fn count(&self) -> usize {
        let texts = self.texts().iter().filter(|(demanded, _)| demanded.is_some()).count();
        let others = [self.region.is_some(), self.prompt_tokens_total.is_some(), !self.windows.is_empty()];
        texts + others.into_iter().filter(|demanded| *demanded).count()
    }

    /// Whether the dimensions and the instant are as demanded, tier, processing and prompt size aside.
    #[must_use]
    pub(crate) fn hold_besides_tier(&self, dimensions: &Dimensions<'_>, at: Option<Millis>) -> bool {
        let is = |demanded: &Option<Box<str>>, value: Option<&str>| {
            demanded.as_deref().is_none_or(|demanded| value == Some(demanded))
        };
        // Vendors write `2K` and `2k`.
        let is_spelled = |demanded: &Option<Box<str>>, value: Option<&str>| {
            let fits = |demanded: &str| value.is_some_and(|value| value.eq_ignore_ascii_case(demanded));
            demanded.as_deref().is_none_or(fits)
        };
        is(&self.speed, Some(dimensions.speed))
            && is(&self.inference_geo, dimensions.inference_geo)
            && self.region.as_ref().is_none_or(|demanded| demanded.holds(dimensions.region))
            && is_spelled(&self.size, dimensions.size)
            && is_spelled(&self.quality, dimensions.quality)
            && is_spelled(&self.resolution, dimensions.resolution)
            && is(&self.audio, dimensions.audio)
            && is(&self.search_context_size, dimensions.search_context_size)
            && (self.windows.is_empty()
                || at.is_some_and(|at| self.windows.iter().any(|window| window.contains(at))))
    }

    /// Whether tier, processing and prompt size are as demanded.
    #[must_use]
    pub(crate) fn tier_holds(&self, dimensions: &Dimensions<'_>) -> bool {
        self.service_tier.as_deref().is_none_or(|tier| tier == dimensions.service_tier)
            && self.processing.as_deref().is_none_or(|processing| processing == dimensions.processing)
            && self.prompt_tokens_total.is_none_or(|bound| bound.floor() <= dimensions.prompt_tokens_total)
    }

    /// Whether one event can fulfill both.
    #[must_use]
    pub(crate) fn overlap(&self, other: &Self) -> bool {
        let texts = self.texts().into_iter().zip(other.texts());
        let contradicts = |((one, _), (two, _)): ((Option<&str>, _), (Option<&str>, _))| {
            one.zip(two).is_some_and(|(one, two)| one != two)
        };
        let regions = match (&self.region, &other.region) {
            (Some(Region::Is(one)), Some(Region::Is(two))) => one == two,
            (Some(Region::Is(one)), Some(Region::Not(two)))
            | (Some(Region::Not(two)), Some(Region::Is(one))) => one != two,
            _ => true,
        };
        let windows = self.windows.is_empty()
            || other.windows.is_empty()
            || self.windows.iter().any(|one| other.windows.iter().any(|two| one.overlaps(*two)));
        !texts.into_iter().any(contradicts) && regions && windows
    }

    /// The demands on text dimensions, with the names of the dimensions.
    #[must_use]
    pub fn texts(&self) -> [(Option<&str>, &'static str); 9] {
        [
            (self.service_tier.as_deref(), "service_tier"),
            (self.processing.as_deref(), "processing"),
            (self.speed.as_deref(), "speed"),
            (self.inference_geo.as_deref(), "inference_geo"),
            (self.size.as_deref(), "size"),
            (self.quality.as_deref(), "quality"),
            (self.resolution.as_deref(), "resolution"),
            (self.audio.as_deref(), "audio"),
            (self.search_context_size.as_deref(), "search_context_size"),
        ]
    }
}

impl Region {
    fn holds(&self, region: Option<&str>) -> bool {
        match self {
            Self::Is(demanded) => region == Some(demanded),
            Self::Not(excluded) => region.is_some_and(|region| region != &**excluded),
        }
    }
}

/// What is demanded, in words: `service_tier=flex prompt_tokens_total>272000`; empty where nothing is.
impl std::fmt::Display for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        let mut part = |text: std::fmt::Arguments<'_>| {
            write!(f, "{separator}{text}")?;
            separator = " ";
            Ok(())
        };
        for (demanded, name) in self.texts() {
            if let Some(demanded) = demanded {
                part(format_args!("{name}={demanded}"))?;
            }
        }
        match &self.region {
            Some(Region::Is(region)) => part(format_args!("region={region}"))?,
            Some(Region::Not(region)) => part(format_args!("region!={region}"))?,
            None => {}
        }
        match self.prompt_tokens_total {
            Some(Bound::Gt(tokens)) => part(format_args!("prompt_tokens_total>{tokens}"))?,
            Some(Bound::Gte(tokens)) => part(format_args!("prompt_tokens_total>={tokens}"))?,
            None => {}
        }
        for window in &self.windows {
            let (from, to) = window.minutes();
            let (hours, rest) = ((from / 60, to / 60), (from % 60, to % 60));
            let days: String = window.weekdays().map(|day| char::from(b'0' + day)).collect();
            part(format_args!("utc={:02}:{:02}-{:02}:{:02}/{days}", hours.0, rest.0, hours.1, rest.1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-02 was a Monday.
    const MONDAY: i64 = 1_793_577_600_000;

    fn at(day: i64, hour: i64, minute: i64) -> Millis {
        Millis(MONDAY + ((day * 24 + hour) * 60 + minute) * 60_000)
    }

    #[test]
    fn a_window_is_half_open() {
        let window = Window::new(&[1, 2, 3, 4, 5], 4 * 60, 6 * 60).unwrap();
        assert!(window.contains(at(0, 4, 0)));
        assert!(window.contains(at(4, 5, 59)));
        assert!(!window.contains(at(0, 6, 0)));
        assert!(!window.contains(at(0, 3, 59)));
        assert!(!window.contains(at(5, 5, 0)), "Saturday");
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_on_which_it_starts() {
        let window = Window::new(&[5], 22 * 60, 2 * 60).unwrap();
        assert!(window.contains(at(4, 23, 0)) && window.contains(at(5, 1, 59)));
        assert!(!window.contains(at(5, 2, 0)) && !window.contains(at(4, 1, 0)));
        let until_midnight = Window::new(&[1], 10 * 60, 0).unwrap();
        assert!(until_midnight.contains(at(0, 23, 59)) && !until_midnight.contains(at(1, 0, 0)));
        let all_day = Window::new(&[6, 7], 0, 0).unwrap();
        assert!(
            all_day.contains(at(5, 0, 0))
                && all_day.contains(at(6, 23, 59))
                && !all_day.contains(at(0, 0, 0))
        );
    }

    #[test]
    fn windows_overlap_where_one_starts_within_the_other() {
        let window = |days: &[u8], from, to| Window::new(days, from, to).unwrap();
        assert!(window(&[1], 0, 600).overlaps(window(&[1], 599, 700)));
        assert!(!window(&[1], 0, 600).overlaps(window(&[1], 600, 700)));
        assert!(!window(&[1], 0, 600).overlaps(window(&[2], 0, 600)));
        assert!(window(&[7], 1380, 60).overlaps(window(&[1], 0, 10)));
        assert_eq!(Window::new(&[8], 0, 1), None);
    }
}
