//! A real HTTP server that remembers what reached it, and a client that counts every byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};

use super::*;

const SOON: Duration = Duration::from_secs(10);

type Seen = Arc<Mutex<Vec<String>>>;

/// Answers each request with its own body, and remembers target and body.
struct Echo {
    address: SocketAddr,
    seen: Seen,
    _runtime: tokio::runtime::Runtime,
}

impl Echo {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seen = Seen::default();
        let router = Router::new().fallback(echo).with_state(Arc::clone(&seen));
        let (listener, address) = runtime.block_on(listen()).unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, seen, _runtime: runtime }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn echo(State(seen): State<Seen>, request: Request) -> Vec<u8> {
    let target = request.uri().to_string();
    let Ok(body) = axum::body::to_bytes(request.into_body(), usize::MAX).await else { return Vec::new() };
    seen.lock().unwrap().push(format!("{target} {}", String::from_utf8_lossy(&body)));
    body.to_vec()
}

/// A connection that is kept for several requests.
struct Connection(TcpStream);

impl Connection {
    fn to(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self(stream)
    }

    fn send(&mut self, target: &str, body: &str) {
        let length = body.len();
        write!(self.0, "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
    }

    fn send_chunked(&mut self, target: &str, chunks: &[&str]) {
        write!(self.0, "POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for chunk in chunks {
            write!(self.0, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
        }
        write!(self.0, "0\r\n\r\n").unwrap();
    }

    /// The body of the next answer; `None` when the connection is closed in place of one.
    fn answer(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            if let Some((head, message::Framing::Length(body))) = message::answer_head(&bytes, true).unwrap()
            {
                let end = head + usize::try_from(body).unwrap();
                if bytes.len() >= end {
                    assert_eq!(bytes.len(), end, "bytes after the answer");
                    return Some(String::from_utf8(bytes.split_off(head)).unwrap());
                }
            }
            let mut piece = [0; 8192];
            let length = match self.0.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                read => read.unwrap(),
            };
            if length == 0 {
                return None;
            }
            bytes.extend_from_slice(&piece[..length]);
        }
    }
}

fn set_up() -> (Echo, Proxy) {
    let server = Echo::start();
    let proxy = Proxy::start(server.address).unwrap();
    (server, proxy)
}

#[test]
fn requests_pass_one_after_another_on_one_connection_whatever_delimits_them() {
    let (server, proxy) = set_up();
    let mut client = Connection::to(&proxy);
    client.send("/one", "first");
    assert_eq!(client.answer().as_deref(), Some("first"));
    client.send_chunked("/two", &["sec", "ond\r\n0\r\n\r\n"]);
    assert_eq!(client.answer().as_deref(), Some("second\r\n0\r\n\r\n"));
    let large = "x".repeat(3_000_000);
    client.send("/three", &large);
    assert_eq!(client.answer().as_deref(), Some(&*large));
    assert_eq!(server.seen()[..2], ["/one first", "/two second\r\n0\r\n\r\n"]);
}

#[test]
fn a_held_request_reaches_the_server_only_when_released_even_if_its_client_is_gone() {
    let (server, proxy) = set_up();
    let trap = proxy.once("INSERT INTO entries", Action::Hold);
    let mut client = Connection::to(&proxy);
    client.send_chunked("/?query=INSERT+INTO%20entries", &["row 1", "row 2"]);
    trap.wait(SOON).unwrap();
    drop(client);

    let mut other = Connection::to(&proxy);
    other.send("/?query=INSERT+INTO%20entries", "row 3");
    assert_eq!(other.answer().as_deref(), Some("row 3"), "a trap set once takes one request");
    assert_eq!(server.seen(), ["/?query=INSERT+INTO%20entries row 3"]);

    trap.release();
    crate::wait::until("the late request", SOON, || Ok((server.seen().len() == 2).then_some(()))).unwrap();
    assert_eq!(server.seen()[1], "/?query=INSERT+INTO%20entries row 1row 2");
}

#[test]
fn a_held_request_that_is_released_is_answered() {
    let (_server, proxy) = set_up();
    let trap = proxy.once("held", Action::Hold);
    let mut client = Connection::to(&proxy);
    client.send("/held", "body");
    trap.wait(SOON).unwrap();
    trap.release();
    assert_eq!(client.answer().as_deref(), Some("body"));
}

#[test]
fn a_held_request_that_is_discarded_never_reaches_the_server() {
    let (server, proxy) = set_up();
    let trap = proxy.once("held", Action::Hold);
    let mut client = Connection::to(&proxy);
    client.send("/held", "body");
    trap.wait(SOON).unwrap();
    drop(trap);
    assert_eq!(client.answer(), None);
    assert!(server.seen().is_empty());
}

#[test]
fn a_lost_answer_leaves_the_request_with_the_server() {
    let (server, proxy) = set_up();
    let trap = proxy.once("lost", Action::LoseAnswer);
    let mut client = Connection::to(&proxy);
    client.send("/lost", "row");
    assert_eq!(client.answer(), None);
    trap.wait(SOON).unwrap();
    assert_eq!(server.seen(), ["/lost row"]);
}

#[test]
fn an_abandoned_request_is_worked_on_and_one_that_is_answered_in_its_place_never_arrives() {
    let (server, proxy) = set_up();
    let abandoned = proxy.once("/abandoned", Action::Abandon);
    let mut client = Connection::to(&proxy);
    client.send("/abandoned", "row");
    assert_eq!(client.answer(), None);
    abandoned.wait(SOON).unwrap();
    crate::wait::until("the request", SOON, || Ok((server.seen().len() == 1).then_some(()))).unwrap();

    let _forged = proxy.once("/forged", Action::Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"));
    let mut client = Connection::to(&proxy);
    client.send("/forged", "row");
    assert_eq!(client.answer().as_deref(), Some("no"));
    assert_eq!(server.seen(), ["/abandoned row"]);
}

#[test]
fn a_request_that_is_cut_in_half_is_no_whole_one_to_the_server() {
    let (server, proxy) = set_up();
    let cut = proxy.once("/cut", Action::CutInHalf);
    let mut client = Connection::to(&proxy);
    client.send("/cut", "a body of some length");
    assert_eq!(client.answer(), None);
    cut.wait(SOON).unwrap();
    let mut client = Connection::to(&proxy);
    client.send("/next", "row");
    assert_eq!(client.answer().as_deref(), Some("row"));
    assert_eq!(server.seen(), ["/next row"]);
}

#[test]
fn a_held_answer_is_passed_on_when_released() {
    let (server, proxy) = set_up();
    let trap = proxy.once("slow", Action::HoldAnswer);
    let mut client = Connection::to(&proxy);
    client.send("/slow", "row");
    trap.wait(SOON).unwrap();
    assert_eq!(server.seen(), ["/slow row"]);
    trap.release();
    assert_eq!(client.answer().as_deref(), Some("row"));
}

#[test]
fn a_needle_is_found_in_the_first_bytes_of_the_body() {
    let (server, proxy) = set_up();
    let trap = proxy.once("SELECT count() FROM entries", Action::Refuse);
    let mut client = Connection::to(&proxy);
    client.send("/", "SELECT 1");
    assert_eq!(client.answer().as_deref(), Some("SELECT 1"));
    client.send_chunked("/", &["SELECT ", "count() "]);
    assert_eq!(client.answer().as_deref(), Some("SELECT count() "));
    client.send("/", "SELECT count() FROM entries");
    assert_eq!(client.answer(), None);
    assert_eq!((trap.caught(), server.seen().len()), (1, 2));
}

#[test]
fn an_empty_needle_refuses_everything_until_the_trap_is_dropped() {
    let (server, proxy) = set_up();
    let trap = proxy.always("", Action::Refuse);
    for _ in 0..3 {
        let mut client = Connection::to(&proxy);
        client.send("/", "no");
        assert_eq!(client.answer(), None);
    }
    assert_eq!((trap.caught(), server.seen().len()), (3, 0));
    drop(trap);
    let mut client = Connection::to(&proxy);
    client.send("/", "yes");
    assert_eq!(client.answer().as_deref(), Some("yes"));
}

#[test]
fn a_delayed_request_passes_late() {
    let (_server, proxy) = set_up();
    let late = Duration::from_millis(200);
    let _trap = proxy.once("late", Action::Delay(late));
    let started = Instant::now();
    let mut client = Connection::to(&proxy);
    client.send("/late", "row");
    assert_eq!(client.answer().as_deref(), Some("row"));
    assert!(started.elapsed() >= late);
}

#[test]
fn a_client_that_goes_away_takes_the_connection_to_the_server_with_it() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
    let mut client = Connection::to(&proxy);
    client.send("/", "row");
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(SOON)).unwrap();
    drop(client);
    let mut request = String::new();
    server.read_to_string(&mut request).unwrap();
    assert!(request.ends_with("row"), "{request}");
}

#[test]
fn a_trap_that_catches_nothing_says_what_it_waited_for() {
    let (_server, proxy) = set_up();
    let trap = proxy.once("INSERT INTO entries", Action::Hold);
    let error = trap.wait(Duration::from_millis(50)).unwrap_err().to_string();
    assert!(error.contains("INSERT INTO entries"), "{error}");
}
