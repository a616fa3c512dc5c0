//! One side of a call's media: a peer connection (RFC 8825) that only ever goes through the relay, speaks
//! typed descriptions instead of SDP, sends ready-made Opus packets and keeps what the partner sends.
//!
//! Everything that is peculiar to the `webrtc` crate 0.21.1 stays in this file.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::certificate::{CertificateParams, RTCCertificate};
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::crypto::{SignatureScheme, default_provider};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceCandidateType, RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription, Registry, SettingEngineBuilder,
    configure_rtcp_reports,
};

use super::description::{self, DescriptionError};
use crate::protocol::{Description, PayloadType, Port, Pwd, Ufrag};

/// The payload type this side offers; when answering it takes the offer's.
const OFFERED_PAYLOAD_TYPE: u8 = 111;

/// One Opus packet stands for this long (RFC 7587 §4.2).
const FRAME: Duration = Duration::from_millis(20);

/// RTP timestamp units in [`FRAME`]: Opus always counts at 48 kHz (RFC 7587 §4.1).
const FRAME_TICKS: u32 = 960;

/// How long gathering may take before a new connection is tried. The crate never tells of a 437 (Allocation
/// Mismatch, RFC 8656 §7.3): it just gathers for ever. A relay answers in two round trips.
const GATHERING_DEADLINE: Duration = Duration::from_secs(2);

/// How often the driver of a connection that is not up yet is woken. Version 0.21.1 hands what it relays to
/// the socket one wake late, which costs about a second until connected; with this it is 0.25 s.
const NUDGE: Duration = Duration::from_millis(5);

/// The pace of connectivity checks (RFC 8445 §14.2 calls it Ta and lets it be 50 ms); the crate's own is 200.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// How many checks one pair of candidates gets, ten seconds' worth: a pair that has had them is never tried again,
/// and the partner may be slow to be told of ours.
const CHECKS: u16 = 200;

/// How long closing may take to release the allocation at the relay, which is a courtesy.
const FAREWELL_DEADLINE: Duration = Duration::from_millis(300);

/// The partner's candidates that are kept: two allocations for each of a handful of network interfaces.
const MAX_CANDIDATES: usize = 32;

/// Events that may wait while the one who reads them is busy; the driver waits when there are more.
const EVENT_CAPACITY: usize = 64;

/// What ends a connection from the data channel, as the page says it.
const BYE: &str = "bye";

/// Why a peer connection did not come about. Says what was tried and no more: what the crate says may hold
/// addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The crate refused this step.
    #[error("the peer connection could not {0}")]
    Step(&'static str),
    /// The crate's own SDP lacked something that has to travel.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// The relay gave no address, on two connections.
    #[error("the relay gave no address")]
    NoRelay,
    /// The partner sent what it may not send now.
    #[error("the partner is out of turn")]
    OutOfTurn,
}

/// What a peer needs to know before it starts.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Where the relay listens (UDP).
    pub(crate) relay: SocketAddr,
    /// TURN username (RFC 8656 §5).
    pub(crate) username: String,
    /// TURN password for it.
    pub(crate) credential: String,
    /// The address of all relayed candidates: [`crate::protocol::RELAYED_ADDRESS`], but where a test uses
    /// another relay than ours.
    pub(crate) relayed_address: IpAddr,
    /// Opus packets of 20 ms each, sent in a loop; none is sent when there are none.
    pub(crate) voice: Arc<[Bytes]>,
}

/// What happens to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// This side has one more allocation at the relay.
    Candidate(u16),
    /// The relay has not given an address: [`Peer::gather_again`].
    NothingGathered,
    /// ICE and DTLS are up.
    Connected,
    /// Nothing has come from the partner for some seconds; it may come back.
    Disconnected,
    /// ICE or DTLS have given up.
    Failed,
    /// The partner said `bye` on the data channel.
    Bye,
}

/// The partner's Opus packets: how many have come, and the last few.
pub(crate) struct Heard {
    last: Mutex<VecDeque<Bytes>>,
    keep: usize,
    count: watch::Sender<u64>,
}

impl Heard {
    /// Keeps the last `keep` packets.
    pub(crate) fn new(keep: usize) -> Arc<Self> {
        Arc::new(Self { last: Mutex::new(VecDeque::with_capacity(keep)), keep, count: watch::Sender::new(0) })
    }

    /// How many packets have come, for as long as the peer lives; a receiver is told of each.
    pub(crate) fn count(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// The last packets, oldest first.
    pub(crate) fn last(&self) -> Vec<Bytes> {
        self.lock().iter().cloned().collect()
    }

    fn push(&self, packet: Bytes) {
        {
            let mut last = self.lock();
            if last.len() == self.keep {
                last.pop_front();
            }
            if self.keep > 0 {
                last.push_back(packet);
            }
        }
        self.count.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Bytes>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One side of a call's media.
pub(crate) struct Peer {
    settings: Settings,
    heard: Arc<Heard>,
    certificate: RTCCertificate,
    offerer: bool,
    own: Description,
    partner: Option<Description>,
    candidates: Vec<u16>,
    connection: Connection,
    /// Until when the first candidate has to be there; `None` once it is.
    gathering: Option<Instant>,
    gathered_again: bool,
    /// An ICE restart of ours is under way, and the partner's credentials are still to come.
    restarting: bool,
}

impl Peer {
    /// Starts as the offerer: gathering is under way, and [`description`](Self::description) is to be sent.
    pub(crate) async fn offer(settings: Settings, heard: Arc<Heard>) -> Result<Self, PeerError> {
        Self::start(settings, heard, None).await
    }

    /// Starts as the answerer to the partner's offer.
    pub(crate) async fn answer(settings: Settings, heard: Arc<Heard>, offer: Description) -> Result<Self, PeerError> {
        Self::start(settings, heard, Some(offer)).await
    }

    async fn start(settings: Settings, heard: Arc<Heard>, offer: Option<Description>) -> Result<Self, PeerError> {
        let certificate = certificate()?;
        let mut connection =
            Connection::build(&settings, &heard, payload_type(offer.as_ref()), certificate.clone(), None).await?;
        let own = connection.describe(offer.as_ref()).await?;
        Ok(Self {
            settings,
            heard,
            certificate,
            offerer: offer.is_none(),
            own,
            partner: offer,
            candidates: Vec::new(),
            connection,
            gathering: Some(Instant::now() + GATHERING_DEADLINE),
            gathered_again: false,
            restarting: false,
        })
    }

    /// This side's description, to be sent once.
    pub(crate) fn description(&self) -> &Description {
        &self.own
    }

    /// Takes the partner's answer.
    pub(crate) async fn accept(&mut self, answer: Description) -> Result<(), PeerError> {
        if !self.offerer || self.partner.is_some() {
            return Err(PeerError::OutOfTurn);
        }
        self.connection.accept(&answer).await?;
        self.partner = Some(answer);
        self.try_candidates(0).await?;
        Ok(())
    }

    /// Takes one of the partner's candidates; those that come before the partner's description wait for it.
    pub(crate) async fn add_candidate(&mut self, port: &Port) -> Result<(), PeerError> {
        let port = *port.get();
        if self.candidates.len() >= MAX_CANDIDATES || self.candidates.contains(&port) {
            return Ok(());
        }
        self.candidates.push(port);
        if self.partner.is_some() { self.try_candidates(self.candidates.len() - 1).await } else { Ok(()) }
    }

    /// Gives the partner's candidates from this one on to the connection.
    async fn try_candidates(&self, from: usize) -> Result<(), PeerError> {
        for (index, port) in (0..).zip(&self.candidates).skip(from) {
            self.connection.add_candidate(self.settings.relayed_address, *port, index).await?;
        }
        Ok(())
    }

    /// Waits for what happens next; nothing is lost when this is dropped.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            let event = match self.gathering {
                Some(deadline) => timeout_at(deadline, self.connection.events.recv()).await,
                None => Ok(self.connection.events.recv().await),
            };
            match event {
                Ok(Some(Happened::Event(event))) => {
                    if matches!(event, Event::Candidate(_)) {
                        self.gathering = None;
                    }
                    return event;
                }
                // Over with a candidate is as it should be.
                Ok(Some(Happened::GatheringOver)) if self.gathering.is_none() => {}
                Ok(Some(Happened::GatheringOver)) | Err(_) => {
                    self.gathering = None;
                    return Event::NothingGathered;
                }
                Ok(None) => return Event::Failed,
            }
        }
    }

    /// Puts a new connection in the place of one that got no address from the relay, once. It has the same
    /// certificate and credentials, so what the partner has been told stays true. The crate keeps credentials that
    /// it was given through an ICE restart as well, which on such a connection is none.
    pub(crate) async fn gather_again(&mut self) -> Result<(), PeerError> {
        if self.gathered_again {
            return Err(PeerError::NoRelay);
        }
        self.gathered_again = true;
        let mut connection = Connection::build(
            &self.settings,
            &self.heard,
            *self.own.payload_type.get(),
            self.certificate.clone(),
            Some((&self.own.ufrag, &self.own.pwd)),
        )
        .await?;
        let offer = self.partner.as_ref().filter(|_| !self.offerer);
        connection.describe(offer).await?;
        if let Some(answer) = self.partner.as_ref().filter(|_| self.offerer) {
            connection.accept(answer).await?;
        }
        std::mem::replace(&mut self.connection, connection).close().await;
        self.gathering = Some(Instant::now() + GATHERING_DEADLINE);
        if self.partner.is_some() {
            self.try_candidates(0).await?;
        }
        Ok(())
    }

    /// Begins an ICE restart (RFC 8445 §9), which is the offerer's to do; returns the new credentials for the
    /// partner. The allocation stays, so the candidates are to be sent again.
    pub(crate) async fn restart(&mut self) -> Result<(Ufrag, Pwd), PeerError> {
        if !self.offerer || self.partner.is_none() {
            return Err(PeerError::OutOfTurn);
        }
        self.connection.restart().await?;
        let own = self.connection.describe(None).await?;
        self.restarting = true;
        self.candidates.clear();
        self.own = own;
        Ok((self.own.ufrag.clone(), self.own.pwd.clone()))
    }

    /// Takes the partner's new credentials. As the answerer, returns this side's own new ones; as the
    /// offerer, the restart is complete with this. The fingerprint cannot change.
    pub(crate) async fn restarted(&mut self, ufrag: Ufrag, pwd: Pwd) -> Result<Option<(Ufrag, Pwd)>, PeerError> {
        let partner = self.partner.as_ref().ok_or(PeerError::OutOfTurn)?;
        let partner = Description { ufrag, pwd, ..partner.clone() };
        let answer = if self.offerer {
            if !std::mem::take(&mut self.restarting) {
                return Err(PeerError::OutOfTurn);
            }
            self.connection.accept(&partner).await?;
            None
        } else {
            self.candidates.clear();
            self.own = self.connection.describe(Some(&partner)).await?;
            Some((self.own.ufrag.clone(), self.own.pwd.clone()))
        };
        self.partner = Some(partner);
        self.try_candidates(0).await?;
        Ok(answer)
    }

    /// Says `bye`, so that the partner knows that this side left and was not lost.
    pub(crate) async fn bye(&self) {
        self.connection.bye().await;
    }

    /// Releases the allocation and ends everything.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

/// What the handler tells.
#[derive(Debug, Clone, Copy)]
enum Happened {
    Event(Event),
    GatheringOver,
}

/// One connection of the crate with its tasks. Closes itself when dropped.
struct Connection {
    peer: Option<Arc<dyn PeerConnection>>,
    channel: Arc<dyn DataChannel>,
    track: Arc<TrackLocalStaticRTP>,
    events: mpsc::Receiver<Happened>,
    tasks: Vec<AbortHandle>,
    /// Of the partner's last description.
    version: u32,
}

impl Connection {
    /// Builds a connection with one audio track and the data channel, and negotiates nothing yet.
    /// `credentials` are those of a connection that this one replaces.
    async fn build(
        settings: &Settings,
        heard: &Arc<Heard>,
        payload_type: u8,
        certificate: RTCCertificate,
        credentials: Option<(&Ufrag, &Pwd)>,
    ) -> Result<Self, PeerError> {
        let step = |what| move |_| PeerError::Step(what);
        let mut media = MediaEngine::default();
        media.register_codec(opus(payload_type), RtpCodecKind::Audio).map_err(step("register Opus"))?;
        let mut engine = SettingEngineBuilder::new()
            // There is nothing better than a relayed candidate to wait for.
            .with_relay_acceptance_min_wait(Some(Duration::ZERO))
            .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS))
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_include_loopback_candidate(true);
        if let Some((ufrag, pwd)) = credentials {
            engine = engine.with_ice_credentials(ufrag.get().clone(), pwd.get().clone());
        }
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(vec![RTCIceServer {
                urls: vec![format!("turn:{}?transport=udp", settings.relay)],
                username: settings.username.clone(),
                credential: settings.credential.clone(),
            }])
            .with_ice_transport_policy(RTCIceTransportPolicy::Relay)
            .with_certificates(vec![certificate])
            .build();

        let (events_in, events) = mpsc::channel(EVENT_CAPACITY);
        let (connected_in, connected) = watch::channel(false);
        let handler = Handler { events: events_in.clone(), heard: heard.clone(), connected: connected_in };
        let local = SocketAddr::new(local_address_towards(settings.relay).ok_or(PeerError::Step("find a way out"))?, 0);
        let peer: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_configuration(configuration)
                .with_media_engine(media)
                .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
                .with_setting_engine(engine.build())
                .with_handler(Arc::new(handler))
                .with_udp_addrs(vec![local])
                .build()
                .await
                .map_err(step("be built"))?,
        );

        let ssrc = getrandom::u32().map_err(|_| PeerError::Step("find a random number"))?;
        let track = Arc::new(TrackLocalStaticRTP::new(audio_track(ssrc)));
        peer.add_track(track.clone()).await.map_err(step("add a track"))?;
        let channel = peer
            .create_data_channel(
                "sotto",
                Some(RTCDataChannelInit { negotiated: Some(0), ..RTCDataChannelInit::default() }),
            )
            .await
            .map_err(step("add a data channel"))?;

        let voice = Voice { track: track.clone(), packets: settings.voice.clone(), payload_type, ssrc };
        let tasks = vec![
            tokio::spawn(voice.speak(connected)).abort_handle(),
            tokio::spawn(listen_for_bye(channel.clone(), events_in)).abort_handle(),
        ];
        Ok(Self { peer: Some(peer), channel, track, events, tasks, version: 0 })
    }

    fn peer(&self) -> Result<&Arc<dyn PeerConnection>, PeerError> {
        self.peer.as_ref().ok_or(PeerError::Step("be used closed"))
    }

    fn remote(&mut self, description: &Description) -> String {
        self.version += 1;
        description::remote(description, self.version)
    }

    /// Makes this side's description, an answer if there is an offer, and begins to gather.
    async fn describe(&mut self, offer: Option<&Description>) -> Result<Description, PeerError> {
        let step = |what| move |_| PeerError::Step(what);
        let remote = offer.map(|offer| self.remote(offer));
        let peer = self.peer()?;
        let local = match remote {
            None => peer.create_offer(None).await.map_err(step("make an offer"))?,
            Some(offer) => {
                let offer = RTCSessionDescription::offer(offer).map_err(step("read the offer"))?;
                peer.set_remote_description(offer).await.map_err(step("take the offer"))?;
                peer.create_answer(None).await.map_err(step("make an answer"))?
            }
        };
        let own = description::extract(&local.sdp)?;
        peer.set_local_description(local).await.map_err(step("keep its own description"))?;
        Ok(own)
    }

    async fn accept(&mut self, answer: &Description) -> Result<(), PeerError> {
        let answer = self.remote(answer);
        let answer = RTCSessionDescription::answer(answer).map_err(|_| PeerError::Step("read the answer"))?;
        self.peer()?.set_remote_description(answer).await.map_err(|_| PeerError::Step("take the answer"))
    }

    async fn add_candidate(&self, relayed_address: IpAddr, port: u16, index: u16) -> Result<(), PeerError> {
        self.peer()?
            .add_ice_candidate(RTCIceCandidateInit {
                candidate: description::remote_candidate(relayed_address, port, index),
                sdp_mid: Some("0".to_owned()),
                sdp_mline_index: Some(0),
                ..RTCIceCandidateInit::default()
            })
            .await
            .map_err(|_| PeerError::Step("take a candidate"))
    }

    async fn restart(&self) -> Result<(), PeerError> {
        self.peer()?.restart_ice().await.map_err(|_| PeerError::Step("restart ICE"))
    }

    async fn bye(&self) {
        if self.channel.send_text(BYE).await.is_err() {
            return;
        }
        // From SCTP to the core, from the core to TURN, from TURN to the socket. An acknowledgement would
        // take SCTP's 200 ms (RFC 9260 §6.2), and the server tells the partner as well.
        let mut nudge = interval(NUDGE);
        for _ in 0..3 {
            nudge.tick().await;
            flush(&self.track).await;
        }
    }

    async fn close(mut self) {
        if let Some(peer) = self.peer.take() {
            let _ = timeout(FAREWELL_DEADLINE, peer.close()).await;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // Dropping the crate's connection would leave its driver and the allocation behind.
        if let (Some(peer), Ok(runtime)) = (self.peer.take(), Handle::try_current()) {
            runtime.spawn(async move { peer.close().await });
        }
    }
}

/// Hears what the crate tells and passes on what matters.
struct Handler {
    events: mpsc::Sender<Happened>,
    heard: Arc<Heard>,
    connected: watch::Sender<bool>,
}

impl Handler {
    /// Nobody listens to the events of a connection that has been replaced or closed.
    async fn tell(&self, happened: Happened) {
        let _ = self.events.send(happened).await;
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if event.candidate.typ == RTCIceCandidateType::Relay {
            let port = event.candidate.port;
            self.tell(Happened::Event(Event::Candidate(port))).await;
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.tell(Happened::GatheringOver).await;
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let event = match state {
            RTCPeerConnectionState::Connected => Event::Connected,
            RTCPeerConnectionState::Disconnected => Event::Disconnected,
            RTCPeerConnectionState::Failed => Event::Failed,
            _ => return,
        };
        self.connected.send_replace(event == Event::Connected);
        self.tell(Happened::Event(event)).await;
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let heard = self.heard.clone();
        // A task of its own: the driver waits for this handler. It ends with the connection.
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    heard.push(packet.payload);
                }
            }
        });
    }
}

/// Waits for the partner's `bye`; whatever else comes over the data channel is not for us yet.
async fn listen_for_bye(channel: Arc<dyn DataChannel>, events: mpsc::Sender<Happened>) {
    while let Some(event) = channel.poll().await {
        if let DataChannelEvent::OnMessage(message) = event
            && message.is_string
            && message.data == BYE.as_bytes()
        {
            let _ = events.send(Happened::Event(Event::Bye)).await;
            return;
        }
    }
}

/// What this side says.
struct Voice {
    track: Arc<TrackLocalStaticRTP>,
    packets: Arc<[Bytes]>,
    payload_type: u8,
    ssrc: u32,
}

impl Voice {
    /// Wakes the driver until the connection is up, then sends one packet every 20 ms; for as long as the
    /// connection lives.
    async fn speak(self, mut connected: watch::Receiver<bool>) {
        let mut sequence_number: u16 = 0;
        let mut timestamp: u32 = 0;
        let mut packets = self.packets.iter().cycle();
        loop {
            let mut nudge = interval(NUDGE);
            nudge.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !*connected.borrow_and_update() {
                tokio::select! {
                    _ = nudge.tick() => flush(&self.track).await,
                    changed = connected.changed() => if changed.is_err() { return },
                }
            }

            // What could not be said in time is not said: a microphone has no backlog either.
            let mut frames = interval(FRAME);
            frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut marker = true;
            while *connected.borrow_and_update() {
                tokio::select! {
                    _ = frames.tick() => {}
                    changed = connected.changed() => {
                        if changed.is_err() { return }
                        continue;
                    }
                }
                let Some(payload) = packets.next() else {
                    continue;
                };
                let packet = rtp::Packet {
                    header: rtp::Header {
                        version: 2,
                        marker: std::mem::take(&mut marker),
                        payload_type: self.payload_type,
                        sequence_number,
                        timestamp,
                        ssrc: self.ssrc,
                        ..rtp::Header::default()
                    },
                    payload: payload.clone(),
                };
                sequence_number = sequence_number.wrapping_add(1);
                timestamp = timestamp.wrapping_add(FRAME_TICKS);
                let _ = self.track.write_rtp(packet).await;
                flush(&self.track).await;
            }
        }
    }
}

/// Wakes the driver once more (see [`NUDGE`]): sending no RTCP is the one way to do so from outside.
async fn flush(track: &TrackLocalStaticRTP) {
    let _ = track.write_rtcp(Vec::new()).await;
}

/// The payload type of a call: the offer's, and ours where we make the offer.
fn payload_type(offer: Option<&Description>) -> u8 {
    offer.map(|offer| &offer.payload_type).map_or(OFFERED_PAYLOAD_TYPE, |value| *PayloadType::get(value))
}

fn opus(payload_type: u8) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: 48_000,
            channels: 2,
            sdp_fmtp_line: description::OPUS_FMTP.to_owned(),
            rtcp_feedback: Vec::new(),
        },
        payload_type,
    }
}

fn audio_track(ssrc: u32) -> MediaStreamTrack {
    MediaStreamTrack::new(
        "voice".to_owned(),
        "voice".to_owned(),
        "voice".to_owned(),
        RtpCodecKind::Audio,
        vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..RTCRtpCodingParameters::default() },
            codec: opus(OFFERED_PAYLOAD_TYPE).rtp_codec,
            ..RTCRtpEncodingParameters::default()
        }],
    )
}

/// A new self-signed certificate (RFC 8827 §6.5), which lives as long as the call and names nobody.
fn certificate() -> Result<RTCCertificate, PeerError> {
    let make = || {
        let provider = default_provider().ok()?;
        let params = CertificateParams::new(Vec::new()).ok()?;
        let scheme = SignatureScheme::EcdsaP256Sha256;
        RTCCertificate::generate(provider.crypto(), scheme, params).ok()
    };
    make().ok_or(PeerError::Step("make a certificate"))
}

/// The address of the network interface that leads to the relay. Connecting a UDP socket sends nothing.
fn local_address_towards(relay: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match relay {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(relay).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests;
