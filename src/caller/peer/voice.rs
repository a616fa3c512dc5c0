//! The two voices: the packets that this side says, and those of the partner.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::connection::NUDGE;
use super::{OFFERED_PAYLOAD_TYPE, PeerError};
use crate::caller::delay::DelayLine;
use crate::caller::{description, padding};

/// One Opus packet stands for this long (RFC 7587 §4.2).
const FRAME: Duration = Duration::from_millis(20);

/// RTP timestamp units in [`FRAME`]: Opus always counts at 48 kHz (RFC 7587 §4.1).
const FRAME_TICKS: u32 = 960;

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

    pub(super) fn push(&self, packet: Bytes) {
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

/// Packets that this side says once each, in place of those that it says over and over.
#[derive(Default)]
pub(crate) struct Spoken {
    packets: Mutex<VecDeque<Bytes>>,
    held: AtomicBool,
}

impl Spoken {
    /// How many wait at the most, a fifth of a second: what is older is not worth saying any more.
    const MOST: usize = 10;

    pub(crate) fn push(&self, packet: Bytes) {
        let mut packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        if packets.len() == Self::MOST {
            packets.pop_front();
        }
        packets.push_back(packet);
    }

    /// Whether silence is said in place of everything.
    pub(crate) fn hold(&self, on: bool) {
        self.held.store(on, Ordering::Relaxed);
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    fn pop(&self) -> Option<Bytes> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// What this side hears, to be said again by it.
#[derive(Default)]
pub(crate) struct Echo(Mutex<DelayLine>);

impl Echo {
    /// A packet of the partner's has come.
    pub(super) fn push(&self, sequence_number: u16, packet: &[u8]) {
        self.lock().push(sequence_number, packet, Instant::now());
    }

    fn pop(&self) -> Option<Bytes> {
        self.lock().pop(Instant::now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, DelayLine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this side says.
pub(super) struct Voice {
    pub(super) track: Arc<TrackLocalStaticRTP>,
    spoken: Arc<Spoken>,
    echo: Option<Arc<Echo>>,
    packets: Vec<Bytes>,
    payload_type: u8,
    ssrc: u32,
    sequence_number: u16,
    timestamp: u32,
}

impl Voice {
    /// These packets over and over, or silence if there are none: every one of the same size. Both counters of RTP
    /// begin anywhere (RFC 3550 §5.1).
    pub(super) fn new(
        track: Arc<TrackLocalStaticRTP>,
        spoken: Arc<Spoken>,
        echo: Option<Arc<Echo>>,
        packets: &[Bytes],
        payload_type: u8,
        ssrc: u32,
    ) -> Result<Self, PeerError> {
        let random = || getrandom::u32().map_err(|_| PeerError::Step("find a random number"));
        let silence = [Bytes::from_static(padding::SILENCE)];
        let packets = if packets.is_empty() { &silence } else { packets };
        Ok(Self {
            track,
            spoken,
            echo,
            packets: packets.iter().map(|packet| padding::pad(packet, padding::PACKET_BYTES)).collect(),
            payload_type,
            ssrc,
            // Not near the wrap: until it has seen one packet, SRTP guesses how often it has wrapped (RFC 3711 §3.3.1).
            sequence_number: (random()? & 0x7FFF) as u16,
            timestamp: random()?,
        })
    }

    /// Wakes the driver until the connection is up, then sends one packet every 20 ms; for as long as the
    /// connection lives.
    pub(super) async fn speak(self, mut connected: watch::Receiver<bool>) {
        let Self { mut sequence_number, mut timestamp, .. } = self;
        let mut packets = self.packets.iter().cycle();
        let silence = padding::pad(padding::SILENCE, padding::PACKET_BYTES);
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
                let Some(payload) = self
                    .spoken
                    .pop()
                    .map(|packet| padding::pad(&packet, padding::PACKET_BYTES))
                    .or_else(|| self.echo.as_ref()?.pop())
                    .or_else(|| packets.next().cloned())
                else {
                    continue;
                };
                let payload = if self.spoken.is_held() { silence.clone() } else { payload };
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
                    payload,
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
pub(super) async fn flush(track: &TrackLocalStaticRTP) {
    let _ = track.write_rtcp(Vec::new()).await;
}

pub(super) fn opus(payload_type: u8) -> RTCRtpCodecParameters {
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

pub(super) fn audio_track(ssrc: u32) -> MediaStreamTrack {
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
