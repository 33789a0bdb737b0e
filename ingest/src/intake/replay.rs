//! The intake as a judge of events that are sent again: what is rejected is not logged a second time.

use futures::future::BoxFuture;
use schemas::caller::Caller;
use schemas::event::Record;
use schemas::judge::{Accepted, Judge, Rejected, Sent, Unavailable, Verdicts};

use super::answer::FORBIDDEN;
use super::judge::Judged;
use super::{Intake, Line};

impl Judge for Intake {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn judge<'a>(
        &'a self,
        caller: &'a Caller,
        events: Vec<Sent>,
    ) -> BoxFuture<'a, Result<Verdicts, Unavailable>> {
        Box::pin(async move {
            let count = events.len();
            let lines = events
                .into_iter()
                .map(|event| Line {
                    value: event.value.into(),
                    content_type: event.content_type.map(Into::into),
                })
                .collect();
            let judged =
                self.judge_lines(Some(caller), lines).await.map_err(|problem| Unavailable(problem.detail))?;
            Ok(self.verdicts(judged, count))
        })
    }
}

impl Intake {
    /// One verdict for each event. The records of a request are in its order, without those that the caller may not
    /// send.
    fn verdicts(&self, judged: Judged, count: usize) -> Verdicts {
        let decoder = self.schemas.decoder();
        let mut records = judged.records.into_iter();
        let mut rejected = judged.answer.rejected.into_iter().peekable();
        (0..count)
            .filter_map(|index| {
                if let Some(reject) = rejected.next_if(|reject| reject.index == index) {
                    if reject.reason != FORBIDDEN {
                        records.next();
                    }
                    return Some(Err(Rejected { reason: reject.reason, detail: reject.detail }));
                }
                let record = records.next()?;
                let peeked = decoder.peek(&Record {
                    value: record.value.as_deref(),
                    content_type: content_type(&record),
                    log_time: (self.clock)(),
                });
                Some(Ok(Accepted { event_id: peeked.event_id.unwrap_or_default(), record }))
            })
            .collect()
    }
}

fn content_type(record: &schemas::log::NewRecord) -> Option<&str> {
    let (_, value) = record.headers.iter().find(|(name, _)| name == schemas::log::CONTENT_TYPE_HEADER)?;
    std::str::from_utf8(value).ok()
}
