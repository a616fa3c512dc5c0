//! The house: HTTP, the page's files, and the WebSocket of each visitor.

mod files;
pub mod forwarded;
mod lobby;
mod pulse;
mod socket;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;
use tower_http::compression::CompressionLayer;
use tracing::warn;

pub use self::files::hashes;
use self::lobby::Lobby;
use self::socket::Guest;
use crate::clock::Now;
use crate::config::{Config, Origin, split_host};
use crate::door::{Arrival, tls};
use crate::guard::{Guard, Home, Kind, Place};
use crate::hours::Hours;
use crate::matchmaking::Matchmaker;
use crate::matchmaking::usual::Counts;
use crate::protocol::MAX_MESSAGE_BYTES;
use crate::relay;

/// tungstenite's read buffer. Its default of 128 KiB would be the largest cost of a waiting visitor; what pages send is
/// smaller than this, and what is larger is read in pieces.
const READ_BUFFER_BYTES: usize = 1024;

/// What may lie unwritten on one socket before sending fails. A mailbox full of the largest frames is under this.
const MAX_WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Where it is asked whether the server is well.
const HEALTH: &str = "/healthz";

/// Where the first page finds what the operator has decided of it.
const SETTINGS: &str = "/settings.json";

/// How far a server is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It stays.
    No,
    /// Nobody is paired any more; calls go on until then.
    After(Instant),
    /// At once.
    Now,
}

/// What every socket's task shares.
pub struct House {
    /// Pairs those who wait.
    pub matchmaker: Arc<dyn Matchmaker>,
    /// Makes credentials and ends calls.
    pub relay: relay::Handle,
    /// How far the server is on its way out.
    pub leaving: watch::Sender<Leaving>,
    /// What anybody gets.
    pub guard: Arc<Guard>,
    config: Config,
    /// How it usually is at each hour.
    usual: Mutex<Counts>,
    tls: Option<Arc<tls::Identity>>,
    /// Who may come back.
    pub lobby: Lobby,
    /// Whether the operator has been told that a proxy seems to stand in front.
    warned: AtomicBool,
}

impl House {
    /// Furnishes the house.
    pub fn new(
        config: Config,
        relay: relay::Handle,
        guard: Arc<Guard>,
        tls: Option<Arc<tls::Identity>>,
        matchmaker: Arc<dyn Matchmaker>,
    ) -> Self {
        Self {
            matchmaker,
            relay,
            leaving: watch::Sender::new(Leaving::No),
            guard,
            config,
            usual: Mutex::default(),
            tls,
            lobby: Lobby::default(),
            warned: AtomicBool::new(false),
        }
    }

    /// How it usually is at each hour. Held for microseconds, as a panic under it would be a bug of ours.
    pub fn usual(&self) -> MutexGuard<'_, Counts> {
        self.usual.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl House {
    /// Whether it is to have TLS and has no certificate yet, so that no page of it could be loaded.
    fn lacks_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.is_there())
    }
}

/// Everything that HTTP serves.
pub fn router(house: Arc<House>) -> Router {
    Router::new()
        .route(HEALTH, get(health))
        .route(SETTINGS, get(settings))
        .fallback(files::serve)
        .layer(CompressionLayer::new())
        .route("/ws", get(upgrade))
        .layer(middleware::from_fn(stay_encrypted))
        .layer(middleware::from_fn_with_state(Arc::clone(&house), encrypt))
        .layer(middleware::from_fn_with_state(Arc::clone(&house), meet))
        .layer(middleware::from_fn(secure))
        .with_state(house)
}

/// What the operator has decided of the first page. Not written into its files, so that those stay the ones that everybody
/// can compare with `hashes.txt`.
async fn settings(State(house): State<Arc<House>>) -> Response {
    let Config { age, ask_rules, hours, .. } = &house.config;
    let mut settings = json!({ "age": age, "ask_rules": ask_rules });
    if !hours.is_empty() {
        settings["openings"] = json!(Hours::openings(hours, Now::read().unix));
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, settings.to_string()).into_response()
}

/// Whether new visitors can be sent here.
async fn health(State(house): State<Arc<House>>) -> Response {
    match *house.leaving.borrow() {
        Leaving::No if house.lacks_certificate() => {
            (StatusCode::SERVICE_UNAVAILABLE, "no certificate yet\n").into_response()
        }
        Leaving::No => "well\n".into_response(),
        Leaving::After(_) | Leaving::Now => (StatusCode::SERVICE_UNAVAILABLE, "closing\n").into_response(),
    }
}

/// Who asks, as every handler may know it.
#[derive(Clone, Copy)]
struct Visit {
    address: IpAddr,
    home: Home,
    /// Whether the visitor's own connection has TLS.
    encrypted: bool,
}

/// Finds out who asks, and whether that is too often. Whether the server is well may always be asked, and costs nothing.
async fn meet(State(house): State<Arc<House>>, mut request: Request, next: Next) -> Response {
    let Some(ConnectInfo(arrival)) = request.extensions().get::<ConnectInfo<Arrival>>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if forwarded::is_forwarded(request.headers())
        && !house.guard.trusts_any()
        && !house.warned.swap(true, Ordering::Relaxed)
    {
        warn!(
            "a proxy seems to stand in front: without --trusted-proxies everybody behind it shares one visitor's limits"
        );
    }
    let now = Instant::now();
    let asker = forwarded::asker(&arrival, request.headers(), &house.guard);
    let home = house.guard.home(asker.address, now);
    if request.uri().path() != HEALTH
        && let Err(wait) = house.guard.take(Kind::Request, &home, now)
    {
        return too_many(wait);
    }
    request.extensions_mut().insert(Visit { address: asker.address, home, encrypted: asker.encrypted });
    next.run(request).await
}

/// 429 (RFC 6585 §4), with how long to wait.
fn too_many(wait: Duration) -> Response {
    let after = [(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1))];
    (StatusCode::TOO_MANY_REQUESTS, after, "too many from one network at once\n").into_response()
}

/// How long to wait for a place that somebody else of the same network has.
const PLACE_WAIT: Duration = Duration::from_secs(30);

/// How long whoever comes by plain HTTP is told to wait for the first certificate, which takes some seconds when all is
/// well.
const CERTIFICATE_WAIT: Duration = Duration::from_secs(60);

/// Lets a WebSocket in.
async fn upgrade(
    State(house): State<Arc<House>>,
    ConnectInfo(arrival): ConnectInfo<Arrival>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !admits(&house.config, visit.encrypted, &headers) {
        return (StatusCode::FORBIDDEN, "this page is not from here\n").into_response();
    }
    if let Err(wait) = house.guard.take(Kind::Socket, &visit.home, Instant::now()) {
        return too_many(wait);
    }
    let Some(pass) = house.guard.enter(Place::Socket, Some(&visit.home)) else {
        return too_many(PLACE_WAIT);
    };
    let whence = house.guard.whence(visit.address, Instant::now());
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            arrival.stay();
            Box::pin(socket::serve(Guest { socket, home: visit.home, whence, _pass: pass }, house)).await;
        })
}

/// The Origin check: another site's page must not be able to use a visitor's browser to talk to us.
fn admits(config: &Config, encrypted: bool, headers: &HeaderMap) -> bool {
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(HeaderValue::to_str);
        (values.next().is_none(), first)
    };
    match one(header::ORIGIN) {
        (true, None) => config.allow_native,
        (true, Some(Ok(text))) => text.parse().is_ok_and(|origin: Origin| {
            if config.origins.is_empty() {
                // Where there is TLS, here or at the proxy, no page of ours comes without it.
                let fits = origin.is_secure() || !encrypted && !config.has_tls();
                fits && matches!(one(header::HOST), (true, Some(Ok(host))) if origin.is_of_host(host))
            } else {
                config.origins.contains(&origin)
            }
        }),
        _ => false,
    }
}

/// Where there is TLS, sends whoever comes without it there. Except for the question whether the server is well,
/// which is asked from this machine.
async fn encrypt(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Visit>,
    ConnectInfo(arrival): ConnectInfo<Arrival>,
    request: Request,
    next: Next,
) -> Response {
    if visit.encrypted || !house.config.has_tls() || request.uri().path() == HEALTH {
        return next.run(request).await;
    }
    if house.lacks_certificate() {
        let after = [(header::RETRY_AFTER, HeaderValue::from(CERTIFICATE_WAIT.as_secs()))];
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            after,
            "Sotto is about to open here. Please come back in a minute.\n",
        )
            .into_response();
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let host = host.and_then(|host| at_https(host, arrival.https));
    let location = host.and_then(|host| HeaderValue::try_from(format!("https://{host}{path}")).ok());
    match location {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// The host that is asked, at the port that HTTPS is on: the same one, unless somebody has come to another.
fn at_https(host: &str, https: Option<u16>) -> Option<String> {
    let Some(port) = https else { return Some(host.to_owned()) };
    let (name, _) = split_host(host)?;
    Some(if port == 443 { name.to_owned() } else { format!("{name}:{port}") })
}

/// Whoever has been here with TLS comes with it for a year, whatever a network would have them do in between (RFC 6797).
/// Other machines of the same domain are not ours to speak for.
async fn stay_encrypted(Extension(visit): Extension<Visit>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if visit.encrypted {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// What every answer carries, and what those carry that a browser shows as a document. The long ones are left out of
/// the others, since they would weigh more than many a script.
async fn secure(request: Request, next: Next) -> Response {
    const EVERY: [(HeaderName, &str); 2] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    const DOCUMENT: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             manifest-src 'self'; media-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sotto-worker",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "microphone=(self), screen-wake-lock=(self), speaker-selection=(self), camera=(), geolocation=()",
        ),
    ];
    let mut response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let subresource = ["text/css", "text/javascript", "application/json", "application/manifest+json", "image/png"];
    let subresource = subresource.iter().any(|known| kind.starts_with(known));
    let document: &[_] = if subresource { &[] } else { &DOCUMENT };
    for (name, value) in EVERY.iter().chain(document) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).fold(
            HeaderMap::new(),
            |mut map, (name, value)| {
                map.append(name, value);
                map
            },
        )
    }

    #[test]
    fn only_our_own_page_is_let_in() {
        let config = Config::default();
        let here = ("host", "talk.example.org");
        assert!(admits(&config, false, &headers(&[here, ("origin", "https://talk.example.org")])));
        for refused in [
            &[here][..],
            &[here, ("origin", "null")],
            &[here, ("origin", "https://evil.example")],
            &[here, ("origin", "https://talk.example.org"), ("origin", "https://evil.example")],
            &[("origin", "https://talk.example.org")],
            &[here, ("host", "evil.example"), ("origin", "https://talk.example.org")],
        ] {
            assert!(!admits(&config, false, &headers(refused)), "{refused:?}");
        }
    }

    #[test]
    fn where_there_is_tls_our_page_has_it() {
        let config = Config { tls_cert: Some("certificate.pem".into()), ..Config::default() };
        let here = ("host", "talk.example.org");
        assert!(admits(&config, false, &headers(&[here, ("origin", "https://talk.example.org")])));
        assert!(!admits(&config, false, &headers(&[here, ("origin", "http://talk.example.org")])));
        // The same where the TLS is a proxy's.
        let config = Config::default();
        assert!(admits(&config, true, &headers(&[here, ("origin", "https://talk.example.org")])));
        assert!(!admits(&config, true, &headers(&[here, ("origin", "http://talk.example.org")])));
    }

    #[test]
    fn whoever_comes_to_another_port_is_sent_to_that_of_https() {
        for (host, https, at) in [
            ("talk.example.org:8443", None, Some("talk.example.org:8443")),
            ("talk.example.org", Some(443), Some("talk.example.org")),
            ("talk.example.org:80", Some(443), Some("talk.example.org")),
            ("talk.example.org:8080", Some(8443), Some("talk.example.org:8443")),
            ("[::1]:80", Some(8443), Some("[::1]:8443")),
            ("talk.example.org@evil.example", Some(443), None),
            ("talk.example.org/", Some(443), None),
        ] {
            assert_eq!(at_https(host, https).as_deref(), at, "{host}");
        }
    }

    #[test]
    fn a_named_origin_is_the_only_one() {
        let origins = vec!["https://talk.example.org".parse().expect("an origin")];
        let config = Config { origins, ..Config::default() };
        let inside = ("host", "sotto:8080");
        assert!(admits(&config, false, &headers(&[inside, ("origin", "https://talk.example.org")])));
        assert!(!admits(&config, false, &headers(&[inside, ("origin", "http://sotto:8080")])));
        assert!(!admits(&config, false, &headers(&[inside])));
        let native = Config { allow_native: true, ..config };
        assert!(admits(&native, false, &headers(&[inside])));
        assert!(!admits(&native, false, &headers(&[inside, ("origin", "http://sotto:8080")])));
    }
}
