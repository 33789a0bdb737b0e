//! Versions of one thing by the instant from which each is in effect: what was it then?

use crate::event::Millis;

/// One version of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<T> {
    /// 1 for the first that was set, 2 for the next, whatever their instants.
    pub number: u32,
    /// From when on; `None` from the beginning of time.
    pub effective_from: Option<Millis>,
    /// What it is from then on; `None` where this version ends it.
    pub value: Option<T>,
}

/// All versions of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline<T> {
    /// By `effective_from`, then by number: of two versions from the same instant the later one counts.
    versions: Vec<Version<T>>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self { versions: Vec::new() }
    }
}

impl<T> Timeline<T> {
    /// Adds a version.
    pub fn insert(&mut self, version: Version<T>) {
        let after = |known: &Version<T>| {
            (known.effective_from, known.number) <= (version.effective_from, version.number)
        };
        let position = self.versions.partition_point(after);
        self.versions.insert(position, version);
    }

    /// The version in effect at an instant; `None` before the first and after an end.
    #[must_use]
    pub fn at(&self, at: Millis) -> Option<(u32, &T)> {
        let begun = |version: &Version<T>| version.effective_from.is_none_or(|from| from <= at);
        let next = self.versions.partition_point(begun);
        let version = self.versions.get(next.checked_sub(1)?)?;
        Some((version.number, version.value.as_ref()?))
    }

    /// The number of the version that was set last; 0 where there is none.
    #[must_use]
    pub fn latest(&self) -> u32 {
        self.versions.iter().map(|version| version.number).max().unwrap_or(0)
    }

    /// The value that was set last, whether or not it is in effect yet; `None` where the last version ends it.
    #[must_use]
    pub fn last_set(&self) -> Option<&T> {
        self.versions.iter().max_by_key(|version| version.number)?.value.as_ref()
    }

    /// All versions, by the instant from which they are in effect.
    #[must_use]
    pub fn versions(&self) -> &[Version<T>] {
        &self.versions
    }

    /// Whether both are in effect at some instant.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.spans().any(|one| other.spans().any(|two| one.0 < two.1 && two.0 < one.1))
    }

    /// The spans in which a value is in effect, half-open.
    fn spans(&self) -> impl Iterator<Item = (Millis, Millis)> + '_ {
        let from = |version: &Version<T>| version.effective_from.unwrap_or(Millis(i64::MIN));
        let ends = self.versions.iter().skip(1).map(from).chain([Millis(i64::MAX)]);
        self.versions
            .iter()
            .zip(ends)
            .filter(|(version, _)| version.value.is_some())
            .map(move |(version, end)| (from(version), end))
            .filter(|(from, end)| from < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(versions: &[(Option<i64>, Option<&'static str>)]) -> Timeline<&'static str> {
        let mut timeline = Timeline::default();
        for (number, (from, value)) in (1..).zip(versions) {
            timeline.insert(Version { number, effective_from: from.map(Millis), value: *value });
        }
        timeline
    }

    #[test]
    fn a_version_holds_from_its_instant_until_the_next_one_and_not_after_an_end() {
        let timeline = timeline(&[(None, Some("a")), (Some(20), None), (Some(10), Some("b"))]);
        let at = |millis| timeline.at(Millis(millis));
        assert_eq!(at(i64::MIN), Some((1, &"a")));
        assert_eq!(at(9), Some((1, &"a")));
        assert_eq!(at(10), Some((3, &"b")));
        assert_eq!(at(19), Some((3, &"b")));
        assert_eq!(at(20), None);
        assert_eq!((timeline.latest(), timeline.last_set()), (3, Some(&"b")));
    }

    #[test]
    fn of_two_versions_from_the_same_instant_the_later_one_counts() {
        let timeline = timeline(&[(Some(5), Some("wrong")), (Some(5), Some("right"))]);
        assert_eq!(timeline.at(Millis(5)), Some((2, &"right")));
        assert_eq!(timeline.at(Millis(4)), None);
    }

    #[test]
    fn two_overlap_where_both_hold_at_some_instant() {
        let early = timeline(&[(None, Some("a")), (Some(10), None)]);
        let late = timeline(&[(Some(10), Some("b"))]);
        assert!(!early.overlaps(&late) && !late.overlaps(&early));
        assert!(early.overlaps(&timeline(&[(Some(9), Some("c"))])));
        assert!(!early.overlaps(&timeline(&[(Some(3), Some("c")), (Some(3), None)])));
    }
}
