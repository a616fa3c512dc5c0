//! One TURN client that came by TCP, with or without TLS (RFC 8656 §2.1): its messages go through the same
//! [`Server`](super::Server) as datagrams do, and its connection's end is its allocation's end.
//!
//! A task of its own reads and writes, so that whoever is slow is slow for himself. A connection on which nothing comes
//! has no buffers: browsers keep one by TCP and one by TLS all through a call that goes by UDP.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    io::{self, AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{self, MissedTickBehavior},
};

use super::{Action, FiveTuple, Handle, Packet, framing::Decoder, lane::Lane, outbox::Outbox, socket};
use crate::{clock::Now, protocol::Transport, throttle::Throttle};

/// How long a connection may be without an allocation: at its beginning, or after the last one has ended. A client
/// allocates within two round trips.
const ALLOCATE_WITHIN: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what is written to it. What it would hear after this would be old.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// What one connection may send, in bytes a second: the 50 padded packets of a voice with all their headers are 12,000, and
/// connectivity checks and DTLS come on top. Whoever sends more is read more slowly, and TCP tells him so.
const BYTES_PER_SECOND: u32 = 48 * 1024;

/// What may come at once after a silence: a second of it, say after the network has stalled.
const BURST: Duration = Duration::from_secs(1);

impl Handle {
    /// Serves one client until either end closes, or the relay stops. `stranger` is dropped as soon as it has an allocation.
    pub async fn serve<S, T>(&self, stream: S, from: FiveTuple, stranger: T)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(line) = Line::open(self, from) else {
            return;
        };
        let (reading, writing) = io::split(stream);
        tokio::select! {
            () = line.read(reading, stranger) => {}
            () = line.write(writing) => {}
        }
    }

    /// Sends to a client from another thread than its own, whatever it came by. Never waits: what cannot be sent is
    /// lost, as on any network.
    pub(super) fn pass(&self, to: &FiveTuple, bytes: &[u8]) {
        if to.transport() != Transport::Udp {
            self.streams().push(to, bytes);
        } else if let Some(socket) = self.socket() {
            let _ = socket::send_one(&socket, self.0.address, bytes, to);
        }
    }
}

/// A connection with its place among the others. Dropping it ends its allocation.
struct Line {
    relay: Handle,
    from: FiveTuple,
    outbox: Arc<Outbox>,
}

impl Line {
    fn open(relay: &Handle, from: FiveTuple) -> Option<Self> {
        let outbox = relay.streams().open(from)?;
        let line = Self { relay: relay.clone(), from, outbox };
        // Whoever comes while the relay stops is either closed with the others or sees it here.
        (!relay.is_stopped()).then_some(line)
    }

    /// Reads and handles until the client closes, cannot be understood or has no allocation in time.
    async fn read<T>(&self, mut stream: impl AsyncRead + Unpin, stranger: T) {
        let mut unfinished = None;
        let mut lane = Lane::new(Arc::clone(self.relay.counts()));
        let mut throttle = Throttle::new(BYTES_PER_SECOND, BURST, Instant::now());
        let mut stranger = Some(stranger);
        let mut looks = time::interval_at(time::Instant::now() + ALLOCATE_WITHIN, ALLOCATE_WITHIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                read = Buffers::read(&mut unfinished, &mut stream) => match read {
                    Ok((_, 0)) | Err(_) => return,
                    Ok((mut buffers, length)) => {
                        let Buffers { decoder, packet } = &mut buffers;
                        loop {
                            match decoder.message() {
                                Ok(Some(message)) => packet.replace(message),
                                Ok(None) => break,
                                Err(_) => return,
                            }
                            if self.handle(&mut lane, packet) && stranger.is_some() && self.has_allocation() {
                                stranger = None;
                            }
                        }
                        unfinished = buffers.put_away();
                        if let Some(wait) = throttle.take(Instant::now(), length) {
                            time::sleep(wait).await;
                        }
                    }
                },
                _ = looks.tick() => {
                    lane.sweep(Instant::now());
                    if !self.has_allocation() {
                        return;
                    }
                }
            }
        }
    }

    /// Whether it was answered.
    fn handle(&self, lane: &mut Lane, packet: &mut Packet) -> bool {
        match lane.handle(Now::read(), &self.from, packet, || self.relay.server()) {
            Action::Nothing => false,
            Action::Reply => self.outbox.push(packet.bytes()),
            Action::Forward(to) => {
                self.relay.pass(&to, packet.bytes());
                false
            }
        }
    }

    fn has_allocation(&self) -> bool {
        self.relay.server().has_allocation(Now::read(), &self.from)
    }

    /// Writes what waits until the client closes or stalls, or the relay stops.
    async fn write(&self, mut stream: impl AsyncWrite + Unpin) {
        let mut taken = Vec::new();
        while self.outbox.take(&mut taken).await {
            let written = time::timeout(STALLED_AFTER, async {
                stream.write_all(&taken).await?;
                // TLS has a buffer of its own.
                stream.flush().await
            });
            if !matches!(written.await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.relay.server().disconnect(Now::read(), &self.from);
        self.relay.streams().remove(&self.from);
    }
}

/// What a connection reads with. A thread has one for all of its connections, but for those whose last message has come
/// in part.
#[derive(Default)]
struct Buffers {
    decoder: Decoder,
    packet: Packet,
}

thread_local! {
    static SPARE: Cell<Option<Buffers>> = const { Cell::new(None) };
}

impl Buffers {
    /// Waits for bytes, behind those that were left unfinished, and says how many have come; none at the end. What is
    /// unfinished stays where it is until then, so that this may be given up at any time.
    async fn read(unfinished: &mut Option<Self>, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Self, usize)> {
        poll_fn(|cx| {
            let mut buffers = unfinished.take().or_else(|| SPARE.take()).unwrap_or_default();
            let mut room = ReadBuf::new(buffers.decoder.room());
            let read = Pin::new(&mut *stream).poll_read(cx, &mut room);
            let length = room.filled().len();
            match read {
                Poll::Ready(Ok(())) => {
                    buffers.decoder.filled(length);
                    Poll::Ready(Ok((buffers, length)))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => {
                    *unfinished = buffers.put_away();
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Gives them back, where there is nothing in them that is still needed.
    fn put_away(self) -> Option<Self> {
        if !self.decoder.is_empty() {
            return Some(self);
        }
        SPARE.set(Some(self));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_never_held_up_and_a_flood_is() {
        let start = Instant::now();
        let mut throttle = Throttle::new(BYTES_PER_SECOND, BURST, start);
        for packet in 0..5_000 {
            let now = start + Duration::from_millis(20) * packet;
            assert_eq!(throttle.take(now, 200), None);
        }
        let mut now = start + Duration::from_secs(1_000);
        let end = now + Duration::from_secs(100);
        let mut read = 0_u64;
        while now < end {
            read += 4_096;
            now += throttle.take(now, 4_096).unwrap_or_default();
        }
        let most = 101 * u64::from(BYTES_PER_SECOND) + 2 * 4_096;
        assert!(read <= most, "{read} bytes, {most} at most");
    }

    #[tokio::test]
    async fn buffers_are_kept_for_what_has_come_in_part_and_for_nothing_else() {
        let (mut near, mut far) = io::duplex(64);
        let mut unfinished = None;
        for (part, left) in [(&b"\x40\0\0\x04ab"[..], true), (b"cd", false)] {
            let (read, written) = tokio::join!(Buffers::read(&mut unfinished, &mut near), far.write_all(part));
            written.unwrap();
            let (mut buffers, length) = read.unwrap();
            assert_eq!(length, part.len());
            let message = buffers.decoder.message().unwrap().map(<[u8]>::to_vec);
            assert_eq!(message.as_deref(), (!left).then_some(&b"\x40\0\0\x04abcd"[..]));
            unfinished = buffers.put_away();
            assert_eq!(unfinished.is_some(), left);
            // Nothing more comes for now; what there is stays.
            let waited = time::timeout(Duration::from_millis(1), Buffers::read(&mut unfinished, &mut near)).await;
            assert!(waited.is_err());
            assert_eq!(unfinished.is_some(), left);
        }
        drop(far);
        assert_eq!(Buffers::read(&mut unfinished, &mut near).await.unwrap().1, 0);
    }
}
