//! The topics of a Kafka cluster before they are used: creates those that are missing, and refuses those whose
//! settings would lose records or give them no order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::log::COMMANDS_TOPIC;

use super::explain::explain;
use crate::source::kafka::Config;

/// How long the cluster may take for each answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a topic that was just created may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Leaves a number to the cluster.
const DEFAULT_OF_CLUSTER: i32 = -1;

const CLEANUP: &str = "cleanup.policy";
const TIMESTAMP: &str = "message.timestamp.type";
const LOG_APPEND_TIME: &str = "LogAppendTime";

/// Why a topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster did not answer, or refused the question.
    #[error("{detail}")]
    Cluster {
        /// What was asked, what came of it, and what to do.
        detail: String,
    },
    /// The topic is missing and this client may not create it.
    #[error(
        "topic {topic} does not exist and cannot be created: {detail}; create it with {settings}, or grant this client's principal Create"
    )]
    Create {
        /// The topic.
        topic: String,
        /// What the cluster said.
        detail: String,
        /// How it must be created.
        settings: String,
    },
    /// The topic forgets records of the same key.
    #[error(
        "topic {topic} has `cleanup.policy={policy}`, which removes records that were not posted yet; set it to `delete`"
    )]
    Compacted {
        /// The topic.
        topic: String,
        /// The policy.
        policy: String,
    },
    /// Commands would have no total order.
    #[error(
        "topic {topic} has {partitions} partitions, but commands need one order; delete it and create it with 1"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        partitions: usize,
    },
}

/// Sees to it that the topics can be used. A missing one is created with that number of partitions, or as many as
/// the cluster gives by default; the topic of commands always has one. Of a topic that is there already, partitions
/// are left alone.
///
/// # Errors
/// See [`enum@Error`]; each names the topic and the remedy.
pub async fn ensure_topics(config: &Config, topics: &[(&str, Option<u32>)]) -> Result<(), Error> {
    ensure(&Cluster::of(config, ANSWER_TIMEOUT)?, topics).await
}

async fn ensure(cluster: &Cluster, topics: &[(&str, Option<u32>)]) -> Result<(), Error> {
    let present = cluster.partitions().await?;
    for (topic, partitions) in topics {
        if !present.contains_key(*topic) {
            cluster.create(topic, *partitions).await?;
        }
    }
    let present = cluster.wait_for(topics).await?;
    for (topic, _) in topics {
        let partitions = present.get(*topic).copied().unwrap_or_default();
        let Some(settings) = cluster.settings(topic).await? else {
            tracing::warn!(
                "Topic {topic}: this client may not read its settings, so they were not checked; grant its principal DescribeConfigs"
            );
            judge(topic, partitions, "", LOG_APPEND_TIME)?;
            continue;
        };
        let setting = |name: &str| settings.get(name).map(String::as_str).unwrap_or_default();
        judge(topic, partitions, setting(CLEANUP), setting(TIMESTAMP))?;
    }
    Ok(())
}

/// Whether a topic as it is can be used.
fn judge(topic: &str, partitions: usize, policy: &str, timestamp: &str) -> Result<(), Error> {
    if policy.split(',').any(|policy| policy.trim() == "compact") {
        return Err(Error::Compacted { topic: topic.to_owned(), policy: policy.to_owned() });
    }
    if topic == COMMANDS_TOPIC && partitions != 1 {
        return Err(Error::Partitions { topic: topic.to_owned(), partitions });
    }
    if timestamp != LOG_APPEND_TIME {
        tracing::warn!(
            "Topic {topic} has `{TIMESTAMP}={timestamp}`: log times are the producers' clocks, and so is the \
             completeness that answers state; set it to `{LOG_APPEND_TIME}`"
        );
    }
    Ok(())
}

struct Cluster {
    admin: Arc<AdminClient<DefaultClientContext>>,
    brokers: String,
    answer_timeout: Duration,
}

impl Cluster {
    fn of(config: &Config, answer_timeout: Duration) -> Result<Self, Error> {
        let admin = AdminClient::<DefaultClientContext>::from_config(&config.client())
            .map_err(|error| Error::Cluster { detail: format!("the Kafka settings are wrong: {error}") })?;
        Ok(Self { admin: Arc::new(admin), brokers: config.brokers.clone(), answer_timeout })
    }

    /// The topics that this client may see, with their numbers of partitions. Asks for all of them: a question for
    /// one would create it on clusters that create topics by themselves.
    async fn partitions(&self) -> Result<HashMap<String, usize>, Error> {
        let (admin, timeout) = (self.admin.clone(), self.answer_timeout);
        let asking = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, timeout));
        let failed = |error: String| Error::Cluster {
            detail: format!(
                "the cluster at {} does not answer which topics it has: {error}; check the addresses, the network and the TLS settings",
                self.brokers
            ),
        };
        let metadata = asking
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    }

    /// Creates a topic; one that was created meanwhile is as good.
    async fn create(&self, topic: &str, partitions: Option<u32>) -> Result<(), Error> {
        let partitions = if topic == COMMANDS_TOPIC { Some(1) } else { partitions };
        let count = partitions.and_then(|count| i32::try_from(count).ok()).unwrap_or(DEFAULT_OF_CLUSTER);
        let new = NewTopic::new(topic, count, TopicReplication::Fixed(DEFAULT_OF_CLUSTER))
            .set(CLEANUP, "delete")
            .set(TIMESTAMP, LOG_APPEND_TIME);
        let failed = |detail: String| Error::Create {
            topic: topic.to_owned(),
            detail,
            settings: match partitions {
                Some(count) => {
                    format!("{count} partition(s), `{CLEANUP}=delete` and `{TIMESTAMP}={LOG_APPEND_TIME}`")
                }
                None => format!("`{CLEANUP}=delete` and `{TIMESTAMP}={LOG_APPEND_TIME}`"),
            },
        };
        let results = self
            .admin
            .create_topics([&new], &self.options())
            .await
            .map_err(|error| failed(error.to_string()))?;
        for result in results {
            match result {
                Ok(_) => tracing::info!("Created topic {topic}"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(failed(code.to_string())),
            }
        }
        Ok(())
    }

    /// The topics' partitions, once the cluster shows every topic.
    async fn wait_for(&self, topics: &[(&str, Option<u32>)]) -> Result<HashMap<String, usize>, Error> {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            let present = self.partitions().await?;
            let Some((missing, _)) = topics.iter().find(|(topic, _)| !present.contains_key(*topic)) else {
                return Ok(present);
            };
            if Instant::now() > deadline {
                let detail = format!(
                    "topic {missing} was created but the cluster does not show it after {SEEN_WITHIN:?}; \
                     grant this client's principal Describe on it, or try again"
                );
                return Err(Error::Cluster { detail });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The settings of a topic; `None` where this client may not read them.
    async fn settings(&self, topic: &str) -> Result<Option<HashMap<String, String>>, Error> {
        let failed =
            |error: KafkaError| Error::Cluster { detail: explain(topic, &self.brokers, None, &error) };
        let resource = ResourceSpecifier::Topic(topic);
        let described = self.admin.describe_configs([&resource], &self.options()).await.map_err(failed)?;
        let mut settings = HashMap::new();
        for resource in described {
            match resource {
                Ok(resource) => settings.extend(
                    resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))),
                ),
                Err(
                    RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed,
                ) => {
                    return Ok(None);
                }
                Err(code) => return Err(failed(KafkaError::AdminOp(code))),
            }
        }
        Ok(Some(settings))
    }

    fn options(&self) -> AdminOptions {
        let timeout = Some(self.answer_timeout);
        AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compacted_topic_is_refused_by_name_whatever_stands_beside_the_policy() {
        for policy in ["compact", "compact,delete", "delete, compact"] {
            let error = judge("usage.events", 3, policy, LOG_APPEND_TIME).unwrap_err().to_string();
            assert!(error.contains("topic usage.events") && error.contains("`delete`"), "{error}");
        }
        judge("usage.events", 3, "delete", LOG_APPEND_TIME).unwrap();
    }

    #[test]
    fn commands_in_two_partitions_are_refused_and_usage_in_two_is_not() {
        let error = judge(COMMANDS_TOPIC, 2, "delete", LOG_APPEND_TIME).unwrap_err().to_string();
        assert!(error.contains(COMMANDS_TOPIC) && error.contains("has 2 partitions"), "{error}");
        judge(COMMANDS_TOPIC, 1, "delete", LOG_APPEND_TIME).unwrap();
        judge("usage.events", 2, "delete", LOG_APPEND_TIME).unwrap();
    }

    #[test]
    fn producers_clocks_are_tolerated() {
        judge("usage.events", 1, "delete", "CreateTime").unwrap();
    }

    #[tokio::test]
    async fn a_cluster_that_is_not_there_is_named() {
        let config =
            Config { brokers: "127.0.0.1:1".to_owned(), group: "g".to_owned(), options: Default::default() };
        let cluster = Cluster::of(&config, Duration::from_millis(300)).unwrap();
        let error = ensure(&cluster, &[("usage.events", None)]).await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:1"), "{error}");
    }
}
