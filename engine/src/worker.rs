//! Runs one statement in the engine, on a thread that may block, and sends what comes of it to the answer.

use crate::{
    exception::{Exception, code},
    format::{self, Pieces},
    library::{Connection, Counts, Output},
    registry::{Registry, Running, mark},
    session::{Connector, Lease},
    sql::{self, Kill, Manner},
};
use bytes::Bytes;
use std::time::Duration;
use tokio::{runtime::Handle, sync::mpsc};

/// A result in one document is at most this large in the engine, before it is formatted.
const WHOLE_RESULT_BYTES_MAX: u64 = 256 << 20;
/// A client that reads nothing for so long has given up.
const STALLED_READER_MAX: Duration = Duration::from_secs(300);
const FRAMING_SETTINGS: [&str; 2] =
    ["output_format_json_array_of_rows", "output_format_binary_encode_types_in_binary_format"];
/// How long a `KILL QUERY … SYNC` waits.
const KILL_WAIT_MAX: Duration = Duration::from_secs(30);

/// One statement with all that it needs.
pub(crate) struct Job {
    pub(crate) action: Action,
    /// Where the statement is in the registry; leaves it when the job is dropped.
    pub(crate) running: Running,
    pub(crate) lease: Option<Lease>,
    pub(crate) database: Option<String>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) parameters: Vec<(String, String)>,
    /// The format where the statement names none.
    pub(crate) default_format: String,
    /// Answer only when the statement has ended.
    pub(crate) whole: bool,
    pub(crate) events: mpsc::Sender<Event>,
}

/// What a statement is to the worker.
pub(crate) enum Action {
    /// An INSERT with data from the request's body.
    Insert {
        /// Up to FORMAT or VALUES.
        statement: Bytes,
        format: String,
        /// The whole text, where it must be checked that nothing else is in it.
        checked: Option<Bytes>,
        data: mpsc::Receiver<Data>,
    },
    /// Any other statement.
    Statement(Bytes),
}

/// A part of an INSERT's data. A channel that closes without an end gives the insert up.
#[derive(Debug)]
pub(crate) enum Data {
    Piece(Bytes),
    End,
    Broken(Exception),
}

/// What comes of a statement, in this order: `Begin`, pieces, and at the end `End` or `Failed`.
#[derive(Debug)]
pub(crate) enum Event {
    /// Nothing failed so far; what it counted, where it has ended already.
    Begin(Option<Counts>),
    Piece(Bytes),
    Failed(Exception),
    End,
}

impl Job {
    /// Runs the statement to its end. The last event is sent when nothing of it is left: a client that
    /// has its whole answer finds its session free and its statement gone.
    pub(crate) fn run(mut self, connector: &Connector) {
        let result = match self.lease.take() {
            Some(mut lease) => self.run_in_session(&mut lease, connector),
            None => connect(connector).and_then(|connection| self.run_on(&connection)),
        };
        let Self { events, running, .. } = self;
        drop(running);
        let last = result.map_or_else(Event::Failed, |()| Event::End);
        // Neither this thread nor the limit waits for a slow reader's last event; one that has gone needs none.
        Handle::current().spawn(async move {
            let _ = tokio::time::timeout(STALLED_READER_MAX, events.send(last)).await;
        });
    }

    fn run_in_session(&mut self, lease: &mut Lease, connector: &Connector) -> Result<(), Exception> {
        let kept = lease.take();
        let connection = kept.map_or_else(|| connect(connector), Ok)?;
        let result = self.run_on(&connection);
        match self.reset(&connection) {
            Ok(()) => lease.keep(connection),
            Err(exception) => {
                tracing::warn!("A session starts anew, its settings cannot be reset: {exception}");
            }
        }
        result
    }

    fn run_on(&mut self, connection: &Connection) -> Result<(), Exception> {
        let limits = self.limits();
        self.settings.extend(limits);
        self.prepare(connection)?;
        if self.running.entry.cancelled.is_cancelled() {
            return Err(Exception::cancelled());
        }
        match &mut self.action {
            Action::Insert { statement, format, checked, data } => {
                if let Some(text) = checked {
                    check(connection, text)?;
                }
                let marked = [mark(self.running.entry.number).as_bytes(), statement].concat();
                let counts = insert(connection, &marked, format, &self.parameters, data)?;
                self.answer(counts, None);
                Ok(())
            }
            Action::Statement(text) => {
                let text = text.clone();
                check(connection, &text)?;
                match sql::kill(&text) {
                    Some(kill) => self.kill(connection, &kill),
                    None => self.statement(connection, &text),
                }
            }
        }
    }

    /// Sets what the request asks for on the connection.
    fn prepare(&self, connection: &Connection) -> Result<(), Exception> {
        if let Some(database) = &self.database {
            run_quietly(connection, format!("USE {}", sql::quote_name(database)).as_bytes())?;
        }
        if self.settings.is_empty() {
            return Ok(());
        }
        let settings: Vec<Vec<u8>> = self
            .settings
            .iter()
            .map(|(name, value)| [name.as_bytes(), b" = ", &sql::quote(value.as_bytes())].concat())
            .collect();
        run_quietly(connection, &[b"SET ", &settings.join(&b", "[..])[..]].concat())
    }

    /// Takes the request's settings off a session's connection: they were for one statement.
    fn reset(&self, connection: &Connection) -> Result<(), Exception> {
        if self.settings.is_empty() {
            return Ok(());
        }
        let settings: Vec<String> =
            self.settings.iter().map(|(name, _)| format!("{name} = DEFAULT")).collect();
        run_quietly(connection, format!("SET {}", settings.join(", ")).as_bytes())
    }

    /// The settings that bound a result which must come in one piece.
    fn limits(&self) -> Vec<(String, String)> {
        let Action::Statement(text) = &self.action else { return Vec::new() };
        if self.pieces(text) != Pieces::Whole {
            return Vec::new();
        }
        let asked = self.settings.iter().rev().find(|(name, _)| name == "max_result_bytes");
        let asked = asked.and_then(|(_, value)| value.parse().ok()).filter(|bytes| *bytes > 0);
        let bytes_max = asked.map_or(WHOLE_RESULT_BYTES_MAX, |bytes: u64| bytes.min(WHOLE_RESULT_BYTES_MAX));
        vec![
            ("max_result_bytes".into(), bytes_max.to_string()),
            ("result_overflow_mode".into(), "throw".into()),
        ]
    }

    fn pieces(&self, text: &[u8]) -> Pieces {
        match self.whole || self.changes_pieces(text) || !sql::streams(text) {
            true => Pieces::Whole,
            false => format::pieces(sql::output_format(text).as_deref().unwrap_or(&self.default_format)),
        }
    }

    fn statement(&self, connection: &Connection, text: &Bytes) -> Result<(), Exception> {
        let pieces = self.pieces(text);
        let text = sql::replace_processes(text, || self.running.registry().processes());
        let marked = [mark(self.running.entry.number).as_bytes(), &text].concat();
        match pieces {
            Pieces::Whole => {
                let output = connection.query(&marked, &self.default_format, &self.parameters)?;
                self.answer(output.counts(), Some(output));
                Ok(())
            }
            Pieces::Plain => self.stream(connection, &marked, None),
            Pieces::Header(header) => self.stream(connection, &marked, Some(header)),
        }
    }

    /// Whether a setting, of the request or in the text, gives a format a frame that cannot be joined.
    fn changes_pieces(&self, text: &[u8]) -> bool {
        FRAMING_SETTINGS.iter().any(|setting| {
            self.settings.iter().any(|(name, _)| name == setting)
                || text.windows(setting.len()).any(|window| window == setting.as_bytes())
        })
    }

    fn stream(
        &self,
        connection: &Connection,
        text: &[u8],
        header: Option<format::Header>,
    ) -> Result<(), Exception> {
        let mut select = connection.stream(text, &self.default_format, &self.parameters)?;
        let mut next = select.next()?;
        self.send(Event::Begin(None))?;
        let mut first = true;
        while let Some(output) = next {
            let mut piece = Bytes::from_owner(output);
            if let Some(length) = header.filter(|_| !first).and_then(|header| header.length(&piece)) {
                piece = piece.slice(length..);
            }
            first = false;
            self.send(Event::Piece(piece))?;
            next = select.next()?;
        }
        Ok(())
    }

    /// Answers a KILL QUERY from the registry: the engine evaluates the condition over its rows.
    fn kill(&self, connection: &Connection, kill: &Kill<'_>) -> Result<(), Exception> {
        let registry = self.running.registry();
        let select = [
            b"SELECT number FROM ",
            &registry.processes_with_number(self.running.entry.number)[..],
            b" WHERE ",
            kill.condition,
        ]
        .concat();
        let found = connection.query(&select, "TSV", &self.parameters)?;
        let numbers = String::from_utf8_lossy(found.as_ref());
        let mut rows = Vec::new();
        for number in numbers.lines().filter_map(|line| line.parse().ok()) {
            let Some((query_id, ended)) = self.kill_one(registry, number, kill.manner) else { continue };
            rows.extend_from_slice(if ended { b", ('finished', " } else { b", ('waiting', " });
            rows.extend(sql::quote(query_id.as_bytes()));
            rows.extend_from_slice(b", 'default')");
        }
        let format = kill.format.as_deref().unwrap_or(&self.default_format);
        let columns = "'kill_status String, query_id String, user String'";
        let answer = match rows.is_empty() {
            true => format!("SELECT * FROM values({columns}, ('', '', '')) WHERE 0").into_bytes(),
            false => [b"SELECT * FROM values(", columns.as_bytes(), &rows, b")"].concat(),
        };
        let output = connection.query(&answer, format, &[])?;
        self.answer(output.counts(), Some(output));
        Ok(())
    }

    fn kill_one(&self, registry: &Registry, number: u64, manner: Manner) -> Option<(String, bool)> {
        if manner == Manner::Test {
            return registry.entry(number).map(|entry| (entry.query_id.clone(), false));
        }
        let entry = registry.cancel(number)?;
        let ended = manner == Manner::Sync
            && Handle::current().block_on(registry.wait(|registry| !registry.runs(number), KILL_WAIT_MAX));
        Some((entry.query_id.clone(), ended))
    }

    /// Answers with what a finished statement left. It has happened: no cancellation can come between,
    /// and the channel, empty so far, has room for both events.
    fn answer(&self, counts: Counts, output: Option<Output>) {
        let piece = output.filter(|output| !output.as_ref().is_empty()).map(Bytes::from_owner);
        for event in [Some(Event::Begin(Some(counts))), piece.map(Event::Piece)].into_iter().flatten() {
            if self.events.try_send(event).is_err() {
                tracing::debug!(query_id = self.running.entry.query_id, "Nobody waits for the answer");
                return;
            }
        }
    }

    /// Hands an event to the answer; waits while the client reads slowly, but not for ever.
    fn send(&self, event: Event) -> Result<(), Exception> {
        Handle::current().block_on(async {
            tokio::select! {
                sent = tokio::time::timeout(STALLED_READER_MAX, self.events.send(event)) => match sent {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(Exception::cancelled()),
                    Err(_) => Err(Exception::new(
                        code::SOCKET_TIMEOUT,
                        "SOCKET_TIMEOUT",
                        format_args!("The client read nothing for {} seconds", STALLED_READER_MAX.as_secs()),
                    )),
                },
                () = self.running.entry.cancelled.cancelled() => Err(Exception::cancelled()),
            }
        })
    }
}

/// Refuses what the engine would run though a server must not: several statements, files of this machine.
fn check(connection: &Connection, text: &[u8]) -> Result<(), Exception> {
    let classified = connection.classify(text);
    match classified.statements {
        1 => {}
        // The engine says what it cannot parse, and runs nothing: this way takes an INSERT only.
        0 => {
            return match connection.insert(text, "", &[]) {
                Err(failure) => Err(failure.into()),
                Ok(_) => Ok(()),
            };
        }
        _ => {
            let text = "Syntax error (Multi-statements are not allowed): send one statement a request";
            return Err(Exception::new(code::SYNTAX_ERROR, "SYNTAX_ERROR", text));
        }
    }
    let outfile = || text.windows(7).any(|window| window.eq_ignore_ascii_case(b"outfile"));
    if sql::names_file(text) || (classified.controls && outfile()) {
        let text = "INTO OUTFILE and FROM INFILE are not allowed";
        return Err(Exception::new(code::INTO_OUTFILE_NOT_ALLOWED, "INTO_OUTFILE_NOT_ALLOWED", text));
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    statement: &[u8],
    format: &str,
    parameters: &[(String, String)],
    data: &mut mpsc::Receiver<Data>,
) -> Result<Counts, Exception> {
    let insert = connection.insert(statement, format, parameters)?;
    loop {
        match data.blocking_recv() {
            // A failed insert takes no more; finishing it says why.
            Some(Data::Piece(piece)) => {
                if !insert.append(&piece) {
                    break;
                }
            }
            Some(Data::End) => break,
            Some(Data::Broken(exception)) => return Err(exception),
            None => return Err(Exception::new(code::ABORTED, "ABORTED", "The insert was given up")),
        }
    }
    Ok(insert.finish()?)
}

fn connect(connector: &Connector) -> Result<Connection, Exception> {
    connector.connect().map_err(|error| Exception::new(code::LOGICAL_ERROR, "LOGICAL_ERROR", error))
}

fn run_quietly(connection: &Connection, statement: &[u8]) -> Result<(), Exception> {
    connection.query(statement, "Null", &[])?;
    Ok(())
}
