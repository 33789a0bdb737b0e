//! A topic and the offsets of a group, seen and set by a client that is no member of the group.

use std::sync::Arc;

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::groups::GroupInfo;

use super::super::{Bounds, Committed, Error, Outside, Partition, Records};
use super::{BROKER_TIMEOUT, Config, ask};

/// A group's view of one topic, from outside.
pub struct Bystander {
    config: Config,
    topic: Arc<str>,
    consumer: BaseConsumer,
}

impl Bystander {
    /// Looks at that topic by the offsets of the configured group.
    ///
    /// # Errors
    /// Where a setting is wrong.
    pub fn new(config: &Config, topic: &str) -> Result<Self, Error> {
        let mut client = config.consumer();
        // What makes a member of a group is of no use to one who does not join.
        client.remove("group.instance.id").remove("group.protocol");
        let consumer = client.create().map_err(ask::failed("looking at the group"))?;
        Ok(Self { config: config.clone(), topic: topic.into(), consumer })
    }
}

impl Outside for Bystander {
    fn readers(&self) -> Result<Vec<String>, Error> {
        let group = self.config.group.as_str();
        let groups = self
            .consumer
            .fetch_group_list(Some(group), BROKER_TIMEOUT)
            .map_err(ask::failed("asking who is in the group"))?;
        let members = groups.groups().iter().filter(|known| known.name() == group);
        Ok(members
            .flat_map(GroupInfo::members)
            .map(|member| format!("{} at {}", member.client_id(), member.client_host()))
            .collect())
    }

    fn partitions(&self) -> Result<u32, Error> {
        ask::partitions(&self.consumer, &self.topic)
    }

    fn committed(&self, partition: &Partition) -> Result<Option<Committed>, Error> {
        ask::committed(&self.consumer, partition)
    }

    fn bounds(&self, partition: &Partition) -> Result<Bounds, Error> {
        ask::bounds(&self.consumer, partition)
    }

    fn read(&self, partition: &Partition, first: u64, last: u64) -> Result<Records, Error> {
        ask::read(&self.config, partition, first, last)
    }

    fn commit(&self, partition: &Partition, offset: u64, metadata: &str) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&partition.topic, ask::number(partition)?);
        let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        element.set_offset(offset).map_err(ask::failed("naming an offset"))?;
        element.set_metadata(metadata);
        self.consumer.commit(&list, CommitMode::Sync).map_err(|error| {
            let is_joined = matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::UnknownMemberId
                        | RDKafkaErrorCode::IllegalGeneration
                        | RDKafkaErrorCode::RebalanceInProgress
                )
            );
            let why = if is_joined { "; the group has a member: stop the workers first" } else { "" };
            Error::Failed {
                what: format!("setting group {} to another offset of {partition}", self.config.group),
                detail: format!("{error}{why}"),
            }
        })
    }

    fn may_have_zombies(&self) -> bool {
        true
    }
}
