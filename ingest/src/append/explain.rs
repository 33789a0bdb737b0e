//! What a refusal by a Kafka cluster means to whoever runs it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What a refusal by the cluster means, and what to do about it.
pub(super) fn explain(topic: &str, brokers: &str, report: Option<&str>, error: &KafkaError) -> String {
    use RDKafkaErrorCode as Code;
    let report = report.map(|report| format!(" (last report: {report})")).unwrap_or_default();
    match error.rdkafka_error_code() {
        Some(Code::TopicAuthorizationFailed) => format!(
            "topic {topic}: the cluster does not let this client use it; grant its principal Write and Describe on the topic"
        ),
        Some(Code::ClusterAuthorizationFailed) => format!(
            "topic {topic}: the cluster does not let this client write idempotently; grant its principal IdempotentWrite on the cluster"
        ),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            format!(
                "topic {topic} does not exist at {brokers}; create it, or let `tollbook ingest` create it"
            )
        }
        Some(Code::SaslAuthenticationFailed | Code::Authentication) => {
            format!(
                "the cluster at {brokers} refuses the credentials{report}; check user and password of this client"
            )
        }
        Some(Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend) => {
            format!(
                "topic {topic} has fewer replicas in sync than `min.insync.replicas` asks for; bring brokers back"
            )
        }
        Some(
            Code::MessageTimedOut
            | Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::QueueFull,
        ) => format!(
            "topic {topic}: no broker at {brokers} answered in time{report}; check the addresses, the network and the TLS settings"
        ),
        _ => format!("topic {topic} at {brokers}: {error}{report}"),
    }
}
