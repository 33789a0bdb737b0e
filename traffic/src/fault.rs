//! Events that a ledger must not accept: one way to break an event for each reason.

use ledger::reject::Reason;

use crate::random::Random;

/// Reasons for which an event can be broken, in the order in which they are picked. A conflict is not one of them: it
/// takes two events.
const REASONS: [Reason; 10] = [
    Reason::Decode,
    Reason::MissingField,
    Reason::InvalidField,
    Reason::InvalidTime,
    Reason::UsageAndUnits,
    Reason::MalformedUsage,
    Reason::UnknownFamily,
    Reason::Secret,
    Reason::Unpostable,
    Reason::Tombstone,
];
/// Of the broken events, how many in a thousand are larger than an event may be: they are heavy.
const TOO_LARGE_PER_MILLE: u32 = 20;

/// Bytes that make an event too large, whatever else is in it.
pub(crate) const PADDING: usize = 256 * 1024;

/// Picks a reason; without `tombstones`, for sources that cannot carry a record without a value.
pub(crate) fn pick(tombstones: bool, random: &mut Random) -> Reason {
    if random.chance(TOO_LARGE_PER_MILLE) {
        return Reason::TooLarge;
    }
    let last = if tombstones { REASONS.len() } else { REASONS.len() - 1 };
    *random.pick(&REASONS[..last])
}
