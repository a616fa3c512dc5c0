//! One connection of the crate, with its tasks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::certificate::RTCCertificate;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{interval, timeout};
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceCandidateType, RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription, Registry, SettingEngineBuilder,
    configure_rtcp_reports,
};

use super::channel::{BYE, listen};
use super::runtime::OneByOne;
use super::voice::{Echo, Heard, Voice, audio_track, flush, opus};
use super::{Event, PeerError, Settings};
use crate::caller::description;
use crate::caller::sas::{SasError, Value};
use crate::protocol::{Description, Pwd, Ufrag};

/// How often the driver of a connection that is not up yet is woken. Version 0.21.1 hands what it relays to
/// the socket one wake late, which costs about a second until connected; with this it is 0.25 s.
pub(super) const NUDGE: Duration = Duration::from_millis(5);

/// The pace of connectivity checks (RFC 8445 §14.2 calls it Ta and lets it be 50 ms); the crate's own is 200.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// How many checks one pair of candidates gets, ten seconds' worth: a pair that has had them is never tried again,
/// and the partner may be slow to be told of ours.
const CHECKS: u16 = 200;

/// How long closing may take to release the allocation at the relay, which is a courtesy.
const FAREWELL_DEADLINE: Duration = Duration::from_millis(300);

/// Events that may wait while the one who reads them is busy; the driver waits when there are more.
const EVENT_CAPACITY: usize = 64;

/// What the handler tells.
#[derive(Debug, Clone)]
pub(super) enum Happened {
    Event(Event),
    GatheringOver,
}

/// One connection of the crate with its tasks. Closes itself when dropped.
pub(super) struct Connection {
    peer: Option<Arc<dyn PeerConnection>>,
    channel: Arc<dyn DataChannel>,
    track: Arc<TrackLocalStaticRTP>,
    pub(super) events: mpsc::Receiver<Happened>,
    tasks: Vec<AbortHandle>,
    /// Of the partner's last description.
    version: u32,
}

impl Connection {
    /// Builds a connection with one audio track and the data channel, and negotiates nothing yet.
    /// `credentials` are those of a connection that this one replaces.
    pub(super) async fn build(
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
        let handler = Handler {
            events: events_in.clone(),
            heard: heard.clone(),
            echo: settings.echo.clone(),
            connected: connected_in,
        };
        let local = SocketAddr::new(local_address_towards(settings.relay).ok_or(PeerError::Step("find a way out"))?, 0);
        let peer: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_configuration(configuration)
                .with_media_engine(media)
                .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
                .with_setting_engine(engine.build())
                .with_handler(Arc::new(handler))
                .with_runtime(Arc::new(OneByOne))
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

        let spoken = settings.spoken.clone();
        let echo = settings.echo.clone();
        let voice = Voice::new(track.clone(), spoken, echo, &settings.voice, payload_type, ssrc)?;
        let tasks = vec![
            tokio::spawn(voice.speak(connected)).abort_handle(),
            tokio::spawn(listen(channel.clone(), events_in)).abort_handle(),
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
    pub(super) async fn describe(&mut self, offer: Option<&Description>) -> Result<Description, PeerError> {
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

    pub(super) async fn accept(&mut self, answer: &Description) -> Result<(), PeerError> {
        let answer = self.remote(answer);
        let answer = RTCSessionDescription::answer(answer).map_err(|_| PeerError::Step("read the answer"))?;
        self.peer()?.set_remote_description(answer).await.map_err(|_| PeerError::Step("take the answer"))
    }

    pub(super) async fn add_candidate(&self, port: u16, index: u16) -> Result<(), PeerError> {
        self.peer()?
            .add_ice_candidate(RTCIceCandidateInit {
                candidate: description::remote_candidate(port, index),
                sdp_mid: Some("0".to_owned()),
                sdp_mline_index: Some(0),
                ..RTCIceCandidateInit::default()
            })
            .await
            .map_err(|_| PeerError::Step("take a candidate"))
    }

    pub(super) async fn restart(&self) -> Result<(), PeerError> {
        self.peer()?.restart_ice().await.map_err(|_| PeerError::Step("restart ICE"))
    }

    /// The fingerprints in the descriptions that are in force, this side's and the partner's, which the partner's
    /// certificate has been held against.
    pub(super) async fn fingerprints(&self) -> Result<(Value, Value), SasError> {
        let peer = self.peer().map_err(|_| SasError::Fingerprint)?;
        let own = value(peer.current_local_description().await)?;
        let partners = value(peer.current_remote_description().await)?;
        let sctp = peer.sctp().await.ok_or(SasError::Certificate)?;
        let certificates = sctp.transport().get_remote_certificates().await.map_err(|_| SasError::Certificate)?;
        // The partner's own comes first (RFC 8446 §4.4.2).
        let certificate = certificates.first().ok_or(SasError::Certificate)?;
        if Sha256::digest(certificate).as_slice() != partners {
            return Err(SasError::Certificate);
        }
        Ok((own, partners))
    }

    /// Sends bytes over the data channel.
    pub(super) async fn send(&self, bytes: &[u8]) -> Result<(), PeerError> {
        self.channel.send(bytes.into()).await.map_err(|_| PeerError::Step("send bytes"))?;
        self.push_out().await;
        Ok(())
    }

    pub(super) async fn bye(&self) {
        // An acknowledgement would take SCTP's 200 ms (RFC 9260 §6.2), and the server tells the partner as well.
        if self.channel.send_text(BYE).await.is_ok() {
            self.push_out().await;
        }
    }

    /// Gets a message out of the door: from SCTP to the core, from the core to TURN, from TURN to the socket.
    async fn push_out(&self) {
        let mut nudge = interval(NUDGE);
        for _ in 0..3 {
            nudge.tick().await;
            flush(&self.track).await;
        }
    }

    pub(super) async fn close(mut self) {
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
    echo: Option<Arc<Echo>>,
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
        let (heard, echo) = (self.heard.clone(), self.echo.clone());
        // A task of its own: the driver waits for this handler. It ends with the connection.
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    if let Some(echo) = &echo {
                        echo.push(packet.header.sequence_number, &packet.payload);
                    }
                    heard.push(packet.payload);
                }
            }
        });
    }
}

/// The fingerprint in a description, in bytes.
fn value(description: Option<RTCSessionDescription>) -> Result<Value, SasError> {
    let fingerprint = description.as_ref().and_then(|description| description::fingerprint(&description.sdp));
    fingerprint.map(|fingerprint| fingerprint.bytes()).ok_or(SasError::Fingerprint)
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
