//! A model of the exactly-once protocol, small enough that millions of its steps run in seconds, and a scheduler that
//! lets everything happen in any order: workers die, stop and go on, commits land late, inserts become visible in
//! parts, answers are lost, the store forgets its tokens. The same seed always makes the same run.
//!
//! What is modeled is what `ARCHITECTURE.md` calls exactly once, with the steps that `ingest` takes: choose, announce,
//! insert, close, and recover. What is not: threads within a worker, the contents of records, time that runs
//! differently in different places (leases and waits are counted by the store's clock alone). Records of a round are
//! committed partition by partition.
//!
//! After every step: no record has two rows; a row of `batches` only comes where every record of its range has its row,
//! where it continues the batch before it, and where the committed intent says the same; no worker refuses to go on. At
//! the end, when no more faults happen: everything gets posted. Where one of these fails, the steps that led there are
//! cut down to those without which it does not happen, and [`Finding`] prints them, one a line.
//!
//! [`Way`] lists what one might leave out. The tests show that the model finds what then goes wrong, which says that it
//! would also find a fault of the protocol itself.
//!
//! Assumed: the coordinator refuses commits of an old generation; a commit is sent once; an error that the broker answers
//! says that the commit either has been applied or never will be; what the store has acknowledged stays; its clock does
//! not go back. Ways show what the second and the fourth of these are worth.
//!
//! ```
//! let outcome = simulation::run(None, None, 7, 10_000);
//! assert!(outcome.finding.is_none());
//! ```

mod check;
mod explore;
mod group;
mod owner;
mod run;
mod shrink;
mod step;
mod store;
mod trace;
mod way;
mod world;

pub use check::{Kind, Violation};
pub use explore::{Bounds, Explored, explore};
pub use run::{Outcome, run};
pub use shrink::Finding;
pub use way::Way;
