//! One client's connection: request after request, each passed to the server or caught by a trap.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Traps;
use super::message::{Body, Framing, RequestHead, answer_head};
use super::trap::{Action, Armed, Verdict};
use crate::support::process::lock;

/// How much of a body a trap sees.
const TEXT_BYTES_MAX: usize = 4096;

/// One direction's source: bytes that came and were not passed on yet, and the socket with the rest.
struct Incoming {
    socket: OwnedReadHalf,
    bytes: Vec<u8>,
}

impl Incoming {
    /// Waits for more bytes; may be given up at any time without losing one. False at the end of the connection.
    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.socket.read_buf(&mut self.bytes).await? > 0)
    }
}

struct Peer {
    incoming: Incoming,
    outgoing: OwnedWriteHalf,
}

impl Peer {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (socket, outgoing) = stream.into_split();
        Ok(Self { incoming: Incoming { socket, bytes: Vec::new() }, outgoing })
    }
}

/// Whether the connections can serve another request.
#[derive(PartialEq, Eq)]
enum After {
    KeepOpen,
    Close,
}

/// Serves the connection until a side closes it or a trap does. Both sides then see their connection closed.
pub(super) async fn serve(client: TcpStream, server: SocketAddr, traps: Traps) {
    let served = async {
        let mut client = Peer::new(client)?;
        let mut upstream = None;
        while one_request(&mut client, &mut upstream, server, &traps).await? == After::KeepOpen {}
        io::Result::Ok(())
    };
    // The client and the server say themselves what a broken connection means to them.
    let _broken = served.await;
}

async fn one_request(
    client: &mut Peer,
    upstream: &mut Option<Peer>,
    server: SocketAddr,
    traps: &Traps,
) -> io::Result<After> {
    let Some(head) = next_head(&mut client.incoming, upstream).await? else { return Ok(After::Close) };
    let caught = catch(&head, &mut client.incoming, traps).await?;
    match caught.as_deref().map(|trap| (trap, trap.action)) {
        Some((trap, Action::Refuse)) => {
            trap.notify();
            return Ok(After::Close);
        }
        Some((trap, Action::Hold)) => return hold(client, &head, server, trap).await,
        Some((trap, Action::Answer(answer))) => return forge(client, &head, answer, trap).await,
        Some((trap, Action::Delay(time))) => {
            trap.notify();
            tokio::time::sleep(time).await;
        }
        Some((_, Action::HoldAnswer | Action::LoseAnswer | Action::Abandon | Action::CutInHalf)) | None => {}
    }

    let server = match upstream {
        Some(server) => server,
        None => upstream.insert(Peer::new(TcpStream::connect(server).await?)?),
    };
    match caught.as_deref().map(|trap| (trap, trap.action)) {
        Some((trap, Action::HoldAnswer | Action::LoseAnswer)) => {
            lose_or_hold_answer(client, server, &head, trap).await
        }
        Some((trap, Action::CutInHalf)) => cut_in_half(client, server, &head, trap).await,
        Some((trap, Action::Abandon)) => abandon(client, server, &head, trap).await,
        _ => exchange(client, server, &head).await,
    }
}

/// The head of the next request; `None` when either side closes its connection in place of one.
async fn next_head(client: &mut Incoming, upstream: &mut Option<Peer>) -> io::Result<Option<RequestHead>> {
    loop {
        if let Some(head) = RequestHead::parse(&client.bytes)? {
            return Ok(Some(head));
        }
        let has_more = match upstream {
            None => client.more().await?,
            Some(server) => tokio::select! {
                more = client.more() => more?,
                _closed = server.incoming.more() => false,
            },
        };
        if !has_more {
            return Ok(None);
        }
    }
}

/// The trap that takes this request, by its first line alone if that is enough, else with the first bytes of its body.
async fn catch(head: &RequestHead, client: &mut Incoming, traps: &Traps) -> io::Result<Option<Arc<Armed>>> {
    let taken = |text: &str| lock(traps).iter().find(|trap| trap.takes(text)).cloned();
    if let Some(trap) = taken(&head.text) {
        return Ok(Some(trap));
    }
    if lock(traps).is_empty() {
        return Ok(None);
    }
    loop {
        let body = &client.bytes[head.length..];
        let mut end = Body::new(head.framing);
        let length = end.take(body)?;
        if end.is_complete() || length >= TEXT_BYTES_MAX {
            return Ok(taken(&format!("{}{}", head.text, String::from_utf8_lossy(&body[..length]))));
        }
        if !client.more().await? {
            return Ok(None);
        }
    }
}

/// Reads the whole request, waits for the test, and sends it even if the client is gone meanwhile.
async fn hold(client: &mut Peer, head: &RequestHead, server: SocketAddr, trap: &Armed) -> io::Result<After> {
    let mut request = Vec::new();
    pass_message(&mut client.incoming, &mut request, head.length, head.framing).await?;
    trap.notify();
    if trap.verdict().await == Verdict::Discard {
        return Ok(After::Close);
    }
    let mut server = Peer::new(TcpStream::connect(server).await?)?;
    server.outgoing.write_all(&request).await?;
    let mut answer = Vec::new();
    pass_answer(&mut server.incoming, &mut answer, head).await?;
    client.outgoing.write_all(&answer).await?;
    Ok(After::Close)
}

/// Reads the whole request and answers it in the server's place.
async fn forge(client: &mut Peer, head: &RequestHead, answer: &str, trap: &Armed) -> io::Result<After> {
    pass_message(&mut client.incoming, &mut Vec::new(), head.length, head.framing).await?;
    client.outgoing.write_all(answer.as_bytes()).await?;
    trap.notify();
    Ok(After::Close)
}

/// Passes the head and half of the body, as a client that dies in the middle of it.
async fn cut_in_half(
    client: &mut Peer,
    server: &mut Peer,
    head: &RequestHead,
    trap: &Armed,
) -> io::Result<After> {
    let mut request = Vec::new();
    pass_message(&mut client.incoming, &mut request, head.length, head.framing).await?;
    let half = head.length + (request.len() - head.length) / 2;
    server.outgoing.write_all(&request[..half]).await?;
    server.outgoing.shutdown().await?;
    trap.notify();
    Ok(After::Close)
}

/// Passes the whole request and leaves the client; the server's connection stays until it has answered.
async fn abandon(
    client: &mut Peer,
    server: &mut Peer,
    head: &RequestHead,
    trap: &Armed,
) -> io::Result<After> {
    pass_message(&mut client.incoming, &mut server.outgoing, head.length, head.framing).await?;
    client.outgoing.shutdown().await?;
    trap.notify();
    pass_answer(&mut server.incoming, &mut Vec::new(), head).await?;
    Ok(After::Close)
}

/// Lets the server answer, reads all of the answer, and passes it on only if the test releases it.
async fn lose_or_hold_answer(
    client: &mut Peer,
    server: &mut Peer,
    head: &RequestHead,
    trap: &Armed,
) -> io::Result<After> {
    let mut answer = Vec::new();
    pass_message(&mut client.incoming, &mut server.outgoing, head.length, head.framing).await?;
    let after = pass_answer(&mut server.incoming, &mut answer, head).await?;
    trap.notify();
    if trap.action == Action::LoseAnswer || trap.verdict().await == Verdict::Discard {
        return Ok(After::Close);
    }
    client.outgoing.write_all(&answer).await?;
    Ok(after)
}

/// Passes request and answer at the same time: a server may answer before it has read everything, and a client that goes
/// away in the middle takes the server's connection with it.
async fn exchange(client: &mut Peer, server: &mut Peer, head: &RequestHead) -> io::Result<After> {
    let is_sent = AtomicBool::new(false);
    let request = async {
        pass_message(&mut client.incoming, &mut server.outgoing, head.length, head.framing).await?;
        is_sent.store(true, Ordering::Relaxed);
        // Nothing more comes before the answer but the end of a client that went away.
        while client.incoming.more().await? {}
        io::Result::Ok(())
    };
    let answer = pass_answer(&mut server.incoming, &mut client.outgoing, head);
    tokio::pin!(request, answer);
    tokio::select! {
        biased;
        after = &mut answer => after.map(|after| if is_sent.load(Ordering::Relaxed) { after } else { After::Close }),
        went_away = &mut request => went_away.map(|()| After::Close),
    }
}

async fn pass_answer(
    server: &mut Incoming,
    client: &mut (impl AsyncWriteExt + Unpin),
    head: &RequestHead,
) -> io::Result<After> {
    let (length, framing) = loop {
        if let Some(answer) = answer_head(&server.bytes, head.answer_has_body)? {
            break answer;
        }
        if !server.more().await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    pass_message(server, client, length, framing).await?;
    Ok(if framing == Framing::UntilClosed { After::Close } else { After::KeepOpen })
}

/// Passes a message whose head of `head_length` bytes has come, piece by piece as its body comes.
async fn pass_message(
    from: &mut Incoming,
    to: &mut (impl AsyncWriteExt + Unpin),
    head_length: usize,
    framing: Framing,
) -> io::Result<()> {
    to.write_all(&from.bytes[..head_length]).await?;
    from.bytes.drain(..head_length);
    let mut body = Body::new(framing);
    loop {
        let length = body.take(&from.bytes)?;
        to.write_all(&from.bytes[..length]).await?;
        from.bytes.drain(..length);
        if body.is_complete() {
            return to.flush().await;
        }
        if !from.more().await? {
            return if body.ends_with_connection() {
                Ok(())
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}
