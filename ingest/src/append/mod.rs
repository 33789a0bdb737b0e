//! The log as it is written: a Kafka cluster or the embedded journal, both behind [`schemas::log::Log`]. An append
//! is answered once it is durable; what the records mean is not known here.

mod embedded;
mod explain;
mod kafka;
mod topics;

pub use embedded::JournalLog;
pub use kafka::KafkaLog;
pub use topics::{Error as TopicError, ensure_topics};
