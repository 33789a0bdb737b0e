//! Everything that can go wrong with a journal. An error is cloned to every request of the transaction it ended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a journal could not do what it was asked. After any error of an append or a commit nothing was
/// acknowledged; [`Error::Stopped`] and [`Error::Store`] leave open whether it will be found stored later.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the folder open.
    #[error("the journal in {} is in use by {holder}; stop that first, or choose another folder", folder.display())]
    InUse {
        /// The journal's folder.
        folder: PathBuf,
        /// Who holds it: process id and program, as far as they are known.
        holder: String,
    },
    /// A file or folder could not be opened, read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no room left for the journal's file. The journal goes on when there is.
    #[error("no space is left for the journal in {}; nothing of this request was acknowledged: free space and repeat it", folder.display())]
    Full {
        /// The journal's folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The store failed in another way. The journal opens its store anew and goes on if that succeeds.
    #[error("the journal in {} failed to {action}", folder.display())]
    Store {
        /// What was tried.
        action: &'static str,
        /// The journal's folder.
        folder: PathBuf,
        /// What the store said.
        #[source]
        source: Arc<redb::Error>,
    },
    /// A sync failed, so what is on disk is unknown. The journal takes and gives nothing until it is opened again.
    #[error("the journal in {} has stopped because its disk failed to sync; check the disk, then restart", folder.display())]
    Stopped {
        /// The journal's folder.
        folder: PathBuf,
        /// What the system said when it was asked to sync.
        #[source]
        source: Arc<io::Error>,
    },
    /// The journal was closed.
    #[error("the journal in {} is closed", folder.display())]
    Closed {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// The file was written by a version with another layout.
    #[error("the journal in {} has layout {found}, but this version reads layout {known}; use the version that wrote it", folder.display())]
    Layout {
        /// The journal's folder.
        folder: PathBuf,
        /// The layout of the file.
        found: u64,
        /// The layout that is understood.
        known: u64,
    },
    /// A block does not have the content that was written.
    #[error(
        "the block at offset {offset} of {topic}/{partition} is damaged; restore the journal from a copy"
    )]
    Damaged {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: u32,
        /// The first offset of the block.
        offset: u64,
    },
    /// No topic of that name was ever opened in this journal.
    #[error("there is no topic {topic}; name it when the journal is opened")]
    UnknownTopic {
        /// The name asked for.
        topic: String,
    },
    /// The topic has fewer partitions.
    #[error("there is no partition {partition} in topic {topic}, which has {partitions}")]
    UnknownPartition {
        /// The topic's name.
        topic: String,
        /// The number asked for, from 0.
        partition: u32,
        /// How many partitions there are.
        partitions: u32,
    },
    /// A topic cannot lose partitions, since their records would be lost.
    #[error(
        "topic {topic} has {partitions} partitions and cannot shrink to {wanted}; ask for at least {partitions}"
    )]
    FewerPartitions {
        /// The topic's name.
        topic: String,
        /// How many partitions there are.
        partitions: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// The records asked for were dropped by retention.
    #[error("offsets {from} to {} of {topic}/{partition} are no longer kept; the oldest one is {low}", low - 1)]
    BelowLow {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: u32,
        /// The offset asked for: the first that is missing.
        from: u64,
        /// The oldest offset kept.
        low: u64,
    },
    /// The offset does not exist yet, nor does the one before it.
    #[error("offset {offset} of {topic}/{partition} is beyond the end, {end}")]
    BeyondEnd {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: u32,
        /// The offset asked for or committed.
        offset: u64,
        /// The offset that the next record will have.
        end: u64,
    },
    /// An append without records has no offset to answer with.
    #[error("an append needs at least one record")]
    Empty,
    /// A part of the request is larger than the journal takes.
    #[error("{what} is {size}, but at most {size_max} is taken")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        size_max: usize,
    },
}
