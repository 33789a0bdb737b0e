//! The bounded queue between those who append or commit and the one thread that writes. A full queue makes
//! them wait; it never drops.

use std::collections::VecDeque;
use std::time::Instant;

use event_listener::{Event, Listener};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Error;
use crate::block::Encoded;
use crate::handle::{Appended, Cursor};

/// Requests wait outside while this many bytes are in the queue.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Requests wait outside while this many are in the queue.
const QUEUE_REQUESTS_MAX: usize = 16_384;
/// What a request counts for beside the bytes it carries.
const REQUEST_BYTES: usize = 64;

/// Where the outcome of a request goes. Nobody may be listening any more.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What the writer thread can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// Store the records at the end of the partition at this place.
    Append { place: usize, records: Encoded, answer: Answer<Appended> },
    /// Move a group's cursors, given with the place of each partition.
    Commit { group: String, cursors: Vec<(usize, Cursor)>, answer: Answer<()> },
    /// Drop what retention allows, now. Answers how many blocks went.
    Trim { answer: Answer<u64> },
}

impl Request {
    pub(crate) fn bytes(&self) -> usize {
        REQUEST_BYTES
            + match self {
                Request::Append { records, .. } => records.len(),
                Request::Commit { cursors, .. } => {
                    cursors.iter().map(|(_, cursor)| REQUEST_BYTES + cursor.metadata.len()).sum()
                }
                Request::Trim { .. } => 0,
            }
    }
}

/// What the writer got from the queue.
#[derive(Debug)]
pub(crate) enum Popped {
    Request(Request),
    /// Nothing came before the deadline.
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Event,
    room: Event,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    bytes: usize,
    closed: bool,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.bytes < QUEUE_BYTES_MAX && self.requests.len() < QUEUE_REQUESTS_MAX
    }
}

impl Queue {
    /// Hands a request to the writer, waiting for room. Gives it back where the queue is closed.
    pub(crate) fn push(&self, mut request: Request) -> Result<(), Request> {
        loop {
            let room = self.room.listen();
            match self.try_push(request) {
                Pushed::Done => return Ok(()),
                Pushed::Closed(request) => return Err(request),
                Pushed::Full(back) => request = back,
            }
            room.wait();
        }
    }

    /// As [`Queue::push`], for tasks.
    pub(crate) async fn push_async(&self, mut request: Request) -> Result<(), Request> {
        loop {
            let room = self.room.listen();
            match self.try_push(request) {
                Pushed::Done => return Ok(()),
                Pushed::Closed(request) => return Err(request),
                Pushed::Full(back) => request = back,
            }
            room.await;
        }
    }

    fn try_push(&self, request: Request) -> Pushed {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Pushed::Closed(request);
        }
        if !waiting.has_room() {
            return Pushed::Full(request);
        }
        waiting.bytes += request.bytes();
        waiting.requests.push_back(request);
        drop(waiting);
        self.arrived.notify(1);
        Pushed::Done
    }

    /// The next request, as soon as there is one.
    pub(crate) fn pop(&self, deadline: Instant) -> Popped {
        loop {
            let arrived = self.arrived.listen();
            let mut waiting = self.waiting.lock();
            if let Some(request) = waiting.requests.pop_front() {
                waiting.bytes -= request.bytes();
                let has_room = waiting.has_room();
                drop(waiting);
                if has_room {
                    self.room.notify_additional(1);
                }
                return Popped::Request(request);
            }
            if waiting.closed {
                return Popped::Closed;
            }
            drop(waiting);
            if arrived.wait_deadline(deadline).is_none() {
                return Popped::Nothing;
            }
        }
    }

    /// Takes no more requests. Those inside are still popped.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify(usize::MAX);
        self.room.notify(usize::MAX);
    }

    /// Takes no more requests and drops those inside, which answers them that the journal is closed.
    pub(crate) fn abandon(&self) {
        self.close();
        self.waiting.lock().requests.clear();
    }
}

enum Pushed {
    Done,
    Full(Request),
    Closed(Request),
}
