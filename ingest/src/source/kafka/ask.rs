//! What any client may ask a cluster, a member of the group or not.

use std::time::{Duration, Instant};

use ledger::event::Millis;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use schemas::log::{CONTENT_TYPE_HEADER, REDACTED_HEADER, TRUNCATED_HEADER};

use super::super::{Bounds, Committed, Error, Partition, Record, Records, Truncated};
use super::{BROKER_TIMEOUT, Config};

pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &Partition,
) -> Result<Option<Committed>, Error> {
    let list = list(partition, Offset::Invalid)?;
    let list =
        consumer.committed_offsets(list, BROKER_TIMEOUT).map_err(failed("reading the committed offset"))?;
    let elements = list.elements();
    let Some(element) = elements.first() else { return Ok(None) };
    // An error of the one partition is not "nothing is committed".
    element.error().map_err(failed("reading the committed offset"))?;
    Ok(match element.offset() {
        Offset::Offset(offset) => {
            u64::try_from(offset).ok().map(|offset| Committed { offset, metadata: metadata_of(element) })
        }
        _ => None,
    })
}

pub(super) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &Partition,
) -> Result<Bounds, Error> {
    let (low, end) = consumer
        .fetch_watermarks(&partition.topic, number(partition)?, BROKER_TIMEOUT)
        .map_err(failed("asking for the offsets of the log"))?;
    Ok(Bounds { low: u64::try_from(low).unwrap_or(0), end: u64::try_from(end).unwrap_or(0) })
}

/// How many partitions the topic has; 0 where there is no such topic.
pub(super) fn partitions<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str) -> Result<u32, Error> {
    let metadata = consumer
        .fetch_metadata(Some(topic), BROKER_TIMEOUT)
        .map_err(failed("asking for the topic's partitions"))?;
    let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Reads the records from `first` up to and including `last`, or to the end, beside whatever else reads.
pub(super) fn read(config: &Config, partition: &Partition, first: u64, last: u64) -> Result<Records, Error> {
    let mut config = config.consumer();
    config.set("enable.partition.eof", "true").remove("group.instance.id");
    let reader: BaseConsumer = config.create().map_err(failed("opening a reader"))?;
    let target = Offset::Offset(i64::try_from(first).unwrap_or(i64::MAX));
    reader.assign(&list(partition, target)?).map_err(failed("assigning a reader"))?;
    let mut records = Records::default();
    let deadline = Instant::now() + BROKER_TIMEOUT * 6;
    while Instant::now() < deadline {
        let message = match reader.poll(Duration::from_millis(200)) {
            None => continue,
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(records),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                return Err(out_of_range(partition, first, bounds(&reader, partition)?));
            }
            Some(Err(error)) => {
                tracing::warn!(error = %error, "Reading {partition} again meets an error");
                continue;
            }
        };
        let offset = u64::try_from(message.offset()).unwrap_or(0);
        if offset > last {
            return Ok(records);
        }
        push(&mut records, &message, offset);
        if offset == last {
            return Ok(records);
        }
    }
    Err(Error::Failed {
        what: format!("reading {partition} from {first} to {last} again"),
        detail: format!("no end after {:?}", BROKER_TIMEOUT * 6),
    })
}

/// Why an offset cannot be read of a log with those bounds.
pub(super) fn out_of_range(partition: &Partition, from: u64, Bounds { low, end }: Bounds) -> Error {
    if low > from {
        return Error::Overtaken { partition: partition.clone(), from, low };
    }
    let detail = if end < from {
        format!("the log ends at {end}: the topic was recreated or has lost records")
    } else {
        "the offset was out of range, or the log was cut off, and is in range again".to_owned()
    };
    Error::Failed { what: format!("reading {partition} from offset {from}"), detail }
}

pub(super) fn push(records: &mut Records, message: &BorrowedMessage<'_>, offset: u64) {
    let headers = message.headers();
    let header = |name: &str| {
        let header = headers?.iter().find(|header| header.key.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value.unwrap_or_default()).ok()
    };
    records.push(Record {
        offset,
        log_time: Millis(message.timestamp().to_millis().unwrap_or(0)),
        value: message.payload(),
        content_type: header(CONTENT_TYPE_HEADER),
        redacted: header(REDACTED_HEADER).is_some(),
        truncated: header(TRUNCATED_HEADER).and_then(Truncated::parse),
    });
}

/// The metadata beside an offset. The client library panics on text that is not UTF-8, which only something
/// foreign can have written.
fn metadata_of(element: &TopicPartitionListElem<'_>) -> String {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| element.metadata().to_owned()))
        .unwrap_or_else(|_| "(bytes that are not text)".to_owned())
}

pub(super) fn list(partition: &Partition, offset: Offset) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, number(partition)?, offset)
        .map_err(failed("naming a partition"))?;
    Ok(list)
}

pub(super) fn number(partition: &Partition) -> Result<i32, Error> {
    i32::try_from(partition.number).map_err(|_| Error::Failed {
        what: format!("naming {partition}"),
        detail: "Kafka numbers partitions up to 2147483647".into(),
    })
}

pub(super) fn failed(what: &str) -> impl Fn(KafkaError) -> Error {
    move |error| Error::Failed { what: what.to_owned(), detail: error.to_string() }
}
