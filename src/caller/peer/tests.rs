//! Two peers through a relay in this process; what signalling does is done by hand.

use std::net::UdpSocket;

use tokio::time::timeout;

use super::*;
use crate::caller::padding::{PACKET_BYTES, pad};
use crate::clock::Now;
use crate::protocol::{CallId, Side};
use crate::relay;

/// For what takes milliseconds, or two seconds where gathering hangs.
const DEADLINE: Duration = Duration::from_secs(10);

/// Passes datagrams on to the relay, but none of those from the first address that it hears of: what a relay looks
/// like that still holds an allocation for this 5-tuple.
struct DeafToTheFirst;

impl DeafToTheFirst {
    async fn before(relay: SocketAddr) -> SocketAddr {
        let door = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = door.local_addr().unwrap();
        tokio::spawn(async move {
            let mut datagram = [0; 2_000];
            let (mut first, mut second) = (None, None);
            let back = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            back.connect(relay).await.unwrap();
            let mut answer = [0; 2_000];
            loop {
                tokio::select! {
                    Ok((length, from)) = door.recv_from(&mut datagram) => {
                        if *first.get_or_insert(from) != from {
                            second = Some(from);
                            back.send(&datagram[..length]).await.unwrap();
                        }
                    }
                    Ok(length) = back.recv(&mut answer) => {
                        door.send_to(&answer[..length], second.unwrap()).await.unwrap();
                    }
                }
            }
        });
        address
    }
}

/// A relay, and what the two sides of a call need to use it.
struct Line {
    relay: relay::Handle,
    settings: [Settings; 2],
}

impl Line {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (relay, _thread) = relay::start(socket, relay::Secret::random().unwrap()).unwrap();
        let call = CallId::new_v4();
        let settings = [Side::A, Side::B].map(|side| {
            let credentials = relay.mint(call, side, Now::read().unix);
            Settings {
                relay: address,
                username: credentials.username,
                credential: credentials.credential,
                spoken: Arc::default(),
                echo: None,
                voice: vec![Bytes::from(vec![side as u8; 80])].into(),
            }
        });
        Self { relay, settings }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.relay.stop();
    }
}

/// Two peers and what each has heard, connected.
struct Pair {
    offerer: Peer,
    answerer: Peer,
    heard: [Arc<Heard>; 2],
    /// How often either had to gather again.
    again: usize,
}

impl Pair {
    async fn connect(line: &Line) -> Self {
        let heard = [Heard::new(5), Heard::new(5)];
        let [offering, answering] = line.settings.clone();
        let mut offerer = Peer::offer(offering, heard[0].clone()).await.unwrap();
        let offer = offerer.description().clone();
        let answerer = Peer::answer(answering, heard[1].clone(), offer).await.unwrap();
        offerer.accept(answerer.description().clone()).await.unwrap();
        let mut pair = Self { offerer, answerer, heard, again: 0 };
        let connecting = async {
            let mut connected = [false; 2];
            while connected != [true; 2] {
                let Pair { offerer, answerer, .. } = &mut pair;
                let (event, side, own, partner) = tokio::select! {
                    event = offerer.next() => (event, 0, offerer, answerer),
                    event = answerer.next() => (event, 1, answerer, offerer),
                };
                match event {
                    Event::Candidate(port) => partner.add_candidate(&Port::new(port).unwrap()).await.unwrap(),
                    Event::NothingGathered => {
                        let before = own.description().clone();
                        own.gather_again().await.unwrap();
                        assert_eq!(own.description(), &before, "what the partner knows stays true");
                        pair.again += 1;
                    }
                    Event::Connected => connected[side] = true,
                    event => panic!("{event:?}"),
                }
            }
        };
        timeout(DEADLINE, connecting).await.expect("connected in time");
        pair
    }

    /// Waits until both have heard so many packets more.
    async fn hear(&self, more: u64) {
        for heard in &self.heard {
            let mut count = heard.count();
            let enough = *count.borrow() + more;
            timeout(DEADLINE, count.wait_for(|count| *count >= enough)).await.expect("packets in time").unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_hears_the_other_and_is_told_of_a_farewell() {
    let line = Line::new();
    let mut pair = Pair::connect(&line).await;
    pair.hear(10).await;
    for (side, partner) in [(0, Side::B), (1, Side::A)] {
        assert_eq!(
            pair.heard[side].last(),
            vec![pad(&[partner as u8; 80], PACKET_BYTES); 5],
            "the last five, and no more"
        );
    }

    pair.offerer.bye().await;
    let farewell = async { while pair.answerer.next().await != Event::Bye {} };
    timeout(DEADLINE, farewell).await.expect("a farewell");
    pair.offerer.close().await;
    pair.answerer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gathering_that_hangs_is_begun_again_behind_the_same_description() {
    let with_deaf = async |side: usize| {
        let mut line = Line::new();
        line.settings[side].relay = DeafToTheFirst::before(line.settings[side].relay).await;
        let pair = Pair::connect(&line).await;
        assert_eq!(pair.again, 1);
        pair.hear(10).await;
    };
    tokio::join!(with_deaf(0), with_deaf(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_the_offerers_to_begin_and_needs_an_answer() {
    let line = Line::new();
    let mut pair = Pair::connect(&line).await;
    let (ufrag, pwd) = (pair.answerer.own.ufrag.clone(), pair.answerer.own.pwd.clone());
    assert_eq!(pair.answerer.restart().await.err(), Some(PeerError::OutOfTurn));
    assert_eq!(pair.offerer.restarted(ufrag, pwd).await.err(), Some(PeerError::OutOfTurn));
    assert_eq!(pair.offerer.accept(pair.answerer.own.clone()).await.err(), Some(PeerError::OutOfTurn));
    assert_eq!(pair.answerer.accept(pair.offerer.own.clone()).await.err(), Some(PeerError::OutOfTurn));
    pair.hear(10).await;

    let before = [pair.offerer.own.clone(), pair.answerer.own.clone()];
    let (ufrag, pwd) = pair.offerer.restart().await.unwrap();
    let (ufrag, pwd) = pair.answerer.restarted(ufrag, pwd).await.unwrap().expect("new credentials");
    assert_eq!(pair.offerer.restarted(ufrag, pwd).await.unwrap(), None);
    for (before, now) in before.iter().zip([&pair.offerer.own, &pair.answerer.own]) {
        assert_ne!((&before.ufrag, &before.pwd), (&now.ufrag, &now.pwd));
        assert_eq!(before.fingerprint, now.fingerprint);
    }
    for (from, to) in [(&before[0], &pair.answerer), (&before[1], &pair.offerer)] {
        let partner = to.partner.as_ref().expect("a partner");
        assert_eq!(partner.fingerprint, from.fingerprint);
    }
}
