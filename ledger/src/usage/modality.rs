//! Splits token counters by modality, so that what is taken out of one total always adds up to it again.

/// Positions of the modalities, in the order in which unexplained cached tokens are taken from them.
pub(super) const TEXT: usize = 0;
pub(super) const DOCUMENT: usize = 1;
pub(super) const IMAGE: usize = 2;
pub(super) const VIDEO: usize = 3;
pub(super) const AUDIO: usize = 4;

/// Token counts by modality.
pub(super) type ByModality = [u64; 5];

/// The position of a modality under a provider's name for it; text for a name that is not known.
pub(super) fn position(name: &str) -> usize {
    let is = |modality: &str| name.eq_ignore_ascii_case(modality);
    if is("audio") {
        AUDIO
    } else if is("image") {
        IMAGE
    } else if is("video") {
        VIDEO
    } else if is("document") {
        DOCUMENT
    } else {
        TEXT
    }
}

/// Divides a total: the other modalities as reported, as far as the total reaches, and the rest to `main`.
pub(super) fn divide(total: u64, reported: ByModality, main: usize) -> ByModality {
    // What a report that knows of `main` leaves unexplained is something else.
    let main = if reported[main] > 0 { TEXT } else { main };
    let (mut parts, mut left) = ([0; 5], total);
    for (position, part) in reported.into_iter().enumerate().filter(|(position, _)| *position != main) {
        parts[position] = part.min(left);
        left -= parts[position];
    }
    parts[main] = left;
    parts
}

/// All modalities together.
pub(super) fn sum(parts: ByModality) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}

/// Part of a divided total.
pub(super) struct Taken {
    /// What was taken from each modality.
    pub(super) parts: ByModality,
    /// The report did not say from which modality, and it could have been another one.
    pub(super) is_estimated: bool,
    /// The report claims more of a modality than there is.
    pub(super) is_inconsistent: bool,
}

/// Takes `amount`, which must not exceed the sum of `from`, out of `from`: first as `reported`, the rest from
/// text, then document, image, video and audio.
pub(super) fn take(from: &mut ByModality, amount: u64, reported: ByModality) -> Taken {
    let mut taken = Taken { parts: [0; 5], is_estimated: false, is_inconsistent: false };
    let mut left = amount;
    for ((from, part), reported) in from.iter_mut().zip(&mut taken.parts).zip(reported) {
        *part = reported.min(*from).min(left);
        taken.is_inconsistent |= *part < reported;
        *from -= *part;
        left -= *part;
    }
    let places = from.iter().filter(|part| **part > 0).count();
    taken.is_estimated = left > 0 && places > 1 && left < from.iter().sum();
    for (from, part) in from.iter_mut().zip(&mut taken.parts) {
        let more = left.min(*from);
        *part += more;
        *from -= more;
        left -= more;
    }
    taken
}
