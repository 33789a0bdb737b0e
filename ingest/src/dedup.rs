//! The ids of a partition's last W records, so that a repeat is recognized. W is counted in offsets, never in
//! memory or time, so a batch that is run again decides the same. About 42 bytes an id.

use std::collections::VecDeque;

use hashbrown::HashTable;

/// Default of W, in offsets.
pub const WINDOW_DEFAULT: u64 = 500_000;

/// What an id is to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No entry of the window has the id.
    New,
    /// An entry has the id and the same content.
    Duplicate {
        /// Offset of the entry.
        of: u64,
    },
    /// An entry has the id and other content.
    Conflict {
        /// Offset of the entry.
        with: u64,
    },
}

/// The window of one partition.
#[derive(Debug)]
pub struct Window {
    offsets: u64,
    slots: VecDeque<Slot>,
    /// How many slots have left the front; the index holds positions counted from the very first slot.
    gone: u64,
    index: HashTable<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    id: u128,
    content: u64,
    offset: u64,
}

impl Window {
    /// An empty window over that many offsets.
    #[must_use]
    pub fn new(offsets: u64) -> Self {
        Self { offsets, slots: VecDeque::new(), gone: 0, index: HashTable::new() }
    }

    /// What the id would be at that offset. Offsets must not go back.
    pub fn look(&mut self, offset: u64, id: u128, content: u64) -> Verdict {
        self.forget_before(offset.saturating_sub(self.offsets));
        let Self { slots, gone, index, .. } = self;
        let found = index
            .find(bucket(id), |position| slot(slots, *gone, *position).is_some_and(|slot| slot.id == id));
        match found.and_then(|position| slot(slots, *gone, *position)) {
            None => Verdict::New,
            Some(slot) if slot.content == content => Verdict::Duplicate { of: slot.offset },
            Some(slot) => Verdict::Conflict { with: slot.offset },
        }
    }

    /// Remembers an id that was posted. Offsets must not go back.
    pub fn remember(&mut self, offset: u64, id: u128, content: u64) {
        let position = self.gone + u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        self.slots.push_back(Slot { id, content, offset });
        let Self { slots, gone, index, .. } = self;
        index.insert_unique(bucket(id), position, |position| {
            slot(slots, *gone, *position).map_or(0, |slot| bucket(slot.id))
        });
    }

    fn forget_before(&mut self, offset: u64) {
        while let Some(front) = self.slots.front().copied().filter(|slot| slot.offset < offset) {
            let gone = self.gone;
            if let Ok(entry) = self.index.find_entry(bucket(front.id), |position| *position == gone) {
                entry.remove();
            }
            self.slots.pop_front();
            self.gone += 1;
        }
    }
}

fn slot(slots: &VecDeque<Slot>, gone: u64, position: u64) -> Option<&Slot> {
    slots.get(usize::try_from(position.checked_sub(gone)?).ok()?)
}

/// The id is a hash already: its low half serves.
fn bucket(id: u128) -> u64 {
    let bytes = id.to_le_bytes();
    let mut low = [0; 8];
    low.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(low)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repeat_exactly_w_records_later_is_hot_and_one_more_is_cold() {
        let mut window = Window::new(3);
        window.remember(10, 7, 1);
        assert_eq!(window.look(13, 7, 1), Verdict::Duplicate { of: 10 });
        assert_eq!(window.look(13, 7, 2), Verdict::Conflict { with: 10 });
        assert_eq!(window.look(14, 7, 1), Verdict::New);
    }

    proptest! {
        /// The model keeps every entry for ever and looks through those within the window.
        #[test]
        fn the_window_decides_as_a_list_of_all_entries_would(
            records in proptest::collection::vec((0_u128..12, 0_u64..2, 1_u64..4), 1..200),
            size in 1_u64..20,
        ) {
            let mut window = Window::new(size);
            let mut model: BTreeMap<u64, (u128, u64)> = BTreeMap::new();
            let mut offset = 0;
            for (id, content, step) in records {
                offset += step;
                let hot = model.range(offset.saturating_sub(size)..offset).find(|(_, (known, _))| *known == id);
                let expected = match hot {
                    None => Verdict::New,
                    Some((of, (_, same))) if *same == content => Verdict::Duplicate { of: *of },
                    Some((with, _)) => Verdict::Conflict { with: *with },
                };
                prop_assert_eq!(window.look(offset, id, content), expected);
                if expected == Verdict::New {
                    model.insert(offset, (id, content));
                    window.remember(offset, id, content);
                }
            }
        }
    }
}
