//! One TURN client that came by TCP, with or without TLS (RFC 8656 §2.1): its messages go through the same
//! [`Server`](super::Server) as datagrams do, and its connection's end is its allocation's end.
//!
//! A task of its own reads and writes, so that whoever is slow is slow for himself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{self, MissedTickBehavior},
};

use super::{Action, FiveTuple, Handle, Packet, framing::Decoder, lane::Lane, outbox::Outbox, socket};
use crate::{clock::Now, protocol::Transport};

/// How long a connection may be without an allocation: at its beginning, or after the last one has ended. A client
/// allocates within two round trips.
const ALLOCATE_WITHIN: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what is written to it. What it would hear after this would be old.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// What one connection may send, in bytes a second: Opus at 48 kbit/s with all its headers is 13,000, and
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
    fn pass(&self, to: &FiveTuple, bytes: &[u8]) {
        if to.transport() == Transport::Udp {
            let _ = socket::send_one(&self.0.socket, self.0.address, bytes, to);
        } else {
            self.streams().push(to, bytes);
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
        let mut decoder = Decoder::new();
        let mut packet = Packet::new();
        let mut lane = Lane::new(Arc::clone(self.relay.counts()));
        let mut pace = Pace::new(Instant::now());
        let mut stranger = Some(stranger);
        let mut looks = time::interval_at(time::Instant::now() + ALLOCATE_WITHIN, ALLOCATE_WITHIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                read = stream.read(decoder.room()) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(length) => {
                        decoder.filled(length);
                        loop {
                            match decoder.message() {
                                Ok(Some(message)) => packet.replace(message),
                                Ok(None) => break,
                                Err(_) => return,
                            }
                            if self.handle(&mut lane, &mut packet) && stranger.is_some() && self.has_allocation() {
                                stranger = None;
                            }
                        }
                        if let Some(wait) = pace.take(Instant::now(), length) {
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

/// A token bucket in one value: the moment from which on nothing has been sent that was not paid for.
struct Pace(Instant);

impl Pace {
    fn new(now: Instant) -> Self {
        Self(now)
    }

    /// Counts what was read, and says how long to read no more.
    fn take(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        let cost = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / BYTES_PER_SECOND;
        self.0 = self.0.max(now) + cost;
        self.0.checked_duration_since(now + BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_never_held_up_and_a_flood_is() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for packet in 0..5_000 {
            let now = start + Duration::from_millis(20) * packet;
            assert_eq!(pace.take(now, 200), None);
        }
        let mut now = start + Duration::from_secs(1_000);
        let end = now + Duration::from_secs(100);
        let mut read = 0_u64;
        while now < end {
            read += 4_096;
            now += pace.take(now, 4_096).unwrap_or_default();
        }
        let most = 101 * u64::from(BYTES_PER_SECOND) + 2 * 4_096;
        assert!(read <= most, "{read} bytes, {most} at most");
    }
}
