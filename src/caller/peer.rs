//! One side of a call's media: a peer connection (RFC 8825) that only ever goes through the relay, speaks
//! typed descriptions instead of SDP, sends ready-made Opus packets and keeps what the partner sends.
//!
//! Everything that is peculiar to the `webrtc` crate 0.21.1 stays in this file and those under it.

mod channel;
mod connection;
mod runtime;
mod voice;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rtc::peer_connection::certificate::{CertificateParams, RTCCertificate};
use tokio::time::{Instant, timeout_at};
use webrtc::peer_connection::crypto::{SignatureScheme, default_provider};

use self::connection::{Connection, Happened};
pub(crate) use self::voice::{Echo, Heard, Spoken};
use super::description::DescriptionError;
use super::sas::{SasError, Value};
use crate::protocol::{Description, PayloadType, Port, Pwd, Ufrag};

/// The payload type this side offers; when answering it takes the offer's.
const OFFERED_PAYLOAD_TYPE: u8 = 111;

/// How long gathering may take before a new connection is tried. The crate never tells of a 437 (Allocation
/// Mismatch, RFC 8656 §7.3): it just gathers for ever. A relay answers in two round trips.
const GATHERING_DEADLINE: Duration = Duration::from_secs(2);

/// The partner's candidates that are kept: two allocations for each of a handful of network interfaces.
const MAX_CANDIDATES: usize = 32;

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
    /// Opus packets to be sent once, first of all.
    pub(crate) spoken: Arc<Spoken>,
    /// What the partner says, to be sent again a while later.
    pub(crate) echo: Option<Arc<Echo>>,
    /// Opus packets of 20 ms each, sent in a loop; silence when there are none.
    pub(crate) voice: Arc<[Bytes]>,
}

/// What happens to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The data channel is open.
    Open,
    /// The partner sent bytes over the data channel; the first says what they are.
    Bytes(Bytes),
    /// The partner said `bye` on the data channel.
    Bye,
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
            self.connection.add_candidate(*port, index).await?;
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

    /// The SHA-256 fingerprints that are in force, this side's and the partner's: out of the descriptions, and the
    /// partner's held against the certificate that it has shown.
    pub(crate) async fn fingerprints(&self) -> Result<(Value, Value), SasError> {
        self.connection.fingerprints().await
    }

    /// Whether these are the credentials that the partner has already: so an answerer asks for an ICE restart.
    pub(crate) fn is_asked_to_restart(&self, ufrag: &Ufrag) -> bool {
        self.offerer && self.partner.as_ref().is_some_and(|partner| partner.ufrag == *ufrag)
    }

    /// Sends bytes over the data channel.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Result<(), PeerError> {
        self.connection.send(bytes).await
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

/// The payload type of a call: the offer's, and ours where we make the offer.
fn payload_type(offer: Option<&Description>) -> u8 {
    offer.map(|offer| &offer.payload_type).map_or(OFFERED_PAYLOAD_TYPE, |value| *PayloadType::get(value))
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

#[cfg(test)]
mod tests;
