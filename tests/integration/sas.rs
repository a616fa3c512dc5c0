//! The six emoji against those who would rather not have them compared: a server that lies about who is on the line,
//! and a partner who does not keep to the rules.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sotto::caller::{Call, Caller, Ending, Options};
use sotto::protocol::{EndReason, Languages, Role};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

use crate::browser::{Browser, turn};
use crate::server::{DEADLINE, TestServer};

/// What the liar has each of the two pages ask for, so that each is paired with a caller of the liar's own.
const LANGUAGES: [&str; 2] = ["cy", "eu"];

/// A server that pairs nobody with whom they asked for: it serves the real page, but between the two who would have
/// been paired it puts two callers of its own, with fingerprints of their own.
async fn lie(listener: TcpListener, port: u16) {
    let mut languages = LANGUAGES.into_iter();
    while let Ok((page, _)) = listener.accept().await {
        let mut start = [0; 7];
        while page.peek(&mut start).await.is_ok_and(|length| length > 0 && length < start.len()) {}
        let real = TcpStream::connect(("127.0.0.1", port)).await.expect("the real server");
        if &start == b"GET /ws" {
            tokio::spawn(lie_to(page, real, port, languages.next().expect("two pages")));
        } else {
            tokio::spawn(async move {
                let (mut page, mut real) = (page, real);
                copy_bidirectional(&mut page, &mut real).await
            });
        }
    }
}

/// Passes frames on in both directions, with two lies.
async fn lie_to(page: TcpStream, real: TcpStream, port: u16, language: &'static str) {
    let (mut to_page, mut from_page) = accept_async(page).await.expect("a handshake").split();
    let (real, _) = client_async(format!("ws://127.0.0.1:{port}/ws"), real).await.expect("a handshake");
    let (mut to_server, mut from_server) = real.split();
    loop {
        tokio::select! {
            Some(Ok(message)) = from_page.next() => {
                let message = rewrite(message, "join", |frame| frame["languages"] = json!([language]));
                if to_server.send(message).await.is_err() { return }
            }
            Some(Ok(message)) = from_server.next() => {
                // The relay is not where this liar is.
                let relay = format!("127.0.0.1:{port}");
                let message = rewrite(message, "matched", |frame| frame["relay"]["host"] = json!(relay));
                if to_page.send(message).await.is_err() { return }
            }
            else => return,
        }
    }
}

fn rewrite(message: Message, kind: &str, change: impl FnOnce(&mut Value)) -> Message {
    let Message::Text(text) = &message else { return message };
    let mut frame: Value = serde_json::from_str(text).expect("a frame");
    if frame["type"] != kind {
        return message;
    }
    change(&mut frame);
    Message::text(frame.to_string())
}

async fn liars_own(server: &TestServer, language: &str) -> Caller {
    let mut caller = Caller::connect(&server.ws(), Options::default()).await.expect("a welcome");
    let languages = Languages::new(vec![language.to_owned()]).expect("a language");
    caller.join(languages, Role::Either, false).await.expect("a place in the queue");
    caller
}

/// Says to each what the other one hears, packet by packet, for as long as it is let live.
fn join_the_calls(mut one: Call, mut other: Call) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (mut next, mut others_next) = (1, 1);
        loop {
            tokio::select! {
                heard = one.hear(next, DEADLINE) => pass_on(heard.expect("a voice"), &mut next, &other),
                heard = other.hear(others_next, DEADLINE) => pass_on(heard.expect("a voice"), &mut others_next, &one),
            }
        }
    })
}

fn pass_on(heard: sotto::caller::Received, next: &mut u64, to: &Call) {
    let new = usize::try_from(heard.count + 1 - *next).expect("a few packets").min(heard.last.len());
    heard.last[heard.last.len() - new..].iter().for_each(|packet| to.say(packet.clone()));
    *next = heard.count + 1;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_puts_itself_between_is_seen() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let liar = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", liar.local_addr().expect("an address"));
    let lying = tokio::spawn(lie(liar, server.port));
    let (left, right) = (liars_own(&server, LANGUAGES[0]).await, liars_own(&server, LANGUAGES[1]).await);

    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    one.open(&url).await;
    one.press("start").await;
    let mut left = left.call(DEADLINE).await.expect("the first page");
    other.open(&url).await;
    other.press("start").await;
    let mut right = right.call(DEADLINE).await.expect("the second page");
    one.until("talking").await;
    other.until("talking").await;
    // Each half is in order by itself, and nobody in it can tell.
    let (emoji, others_emoji) = (one.emoji().await, other.emoji().await);
    assert_eq!(emoji, left.emoji().await.expect("six emoji"));
    assert_eq!(others_emoji, right.emoji().await.expect("six emoji"));
    let joined = join_the_calls(left, right);
    one.hears(880.0).await;
    other.hears(440.0).await;
    // But whoever compares can.
    assert_ne!(emoji, others_emoji, "the man in the middle is not seen");
    assert!(!joined.is_finished(), "the calls are joined");
    joined.abort();
    // Not in good order: what the liar has told them names the real server's address.
    one.kill();
    other.kill();
    lying.abort();
    server.stop().await;
}

/// Puts something between a page's own scripts and its data channel: CHANGE, a function of the bytes of a frame, says
/// what is sent in its place, a list.
const TAMPER: &str = r"
    const change = CHANGE;
    // Calls are made from a frame.
    const { prototype } = frames[0].RTCDataChannel;
    const { send } = prototype;
    prototype.send = function (data) {
        const changed = typeof data === 'string' ? [data] : change(new Uint8Array(data));
        for (const frame of changed) send.call(this, frame);
    };
";

/// A partner who takes part in nothing, and does not mind that nobody does: its own clock, which goes by the second,
/// stands.
const SILENT: &str = r"((wait) => {
    window.setTimeout = (run, ms, ...all) => wait(run, ms === 1_000 ? 2 ** 31 - 1 : ms, ...all);
    return bytes => [];
})(window.setTimeout)";

/// Two pages in a call of which one does not keep to the rules; the other one ends it with a plain warning.
async fn caught(server: &TestServer, one: &Browser, other: &Browser, tamperer_offers: bool, change: &str) {
    one.open(&server.url()).await;
    other.open(&server.url()).await;
    // Whoever comes second makes the offer.
    let (first, second) = if tamperer_offers { (other, one) } else { (one, other) };
    one.run(&TAMPER.replace("CHANGE", change), vec![]).await;
    first.press("start").await;
    first.queued().await;
    second.press("start").await;
    let began = tokio::time::Instant::now();
    other.until_within("ended", Duration::from_secs(30)).await;
    let words = other.text("[data-in=ended]").await;
    assert!(words.contains("We ended the conversation, to be on the safe side."), "{change}: {words}");
    assert!(words.contains("somebody tried to come between"), "{change}: {words}");
    one.until("ended").await;
    assert_eq!(other.run("return document.querySelectorAll('[data-emoji]').length", vec![]).await, json!(0));
    println!("{:?} until the end: {change}", began.elapsed());
}

#[tokio::test]
async fn every_wrong_move_of_a_partner_ends_the_call_with_a_plain_warning() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(None).await, Browser::chromium(None).await);
    for (tamperer_offers, change) in [
        // A nonce that had not been committed to.
        (true, "bytes => { if (bytes[0] === 3) bytes[7] ^= 1; return [bytes]; }"),
        (true, "bytes => [bytes.slice(0, 32)]"),
        (true, "bytes => [bytes, bytes]"),
        (true, "bytes => [bytes.fill(3, 0, 1)]"),
        (false, "bytes => [new Uint8Array([...bytes, 0])]"),
        (false, "bytes => [bytes, bytes]"),
        (false, "bytes => [new Uint8Array([250]), bytes]"),
        (false, "bytes => [new Uint8Array(0), bytes]"),
        // Nothing ever comes.
        (false, SILENT),
    ] {
        caught(&server, &one, &other, tamperer_offers, change).await;
    }
    other.screenshot("ended-unverified").await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

/// The fingerprint that the page holds to be the partner's.
const PARTNERS_FINGERPRINT: &str =
    "return connections.at(-1).currentRemoteDescription.sdp.match(/^a=fingerprint:.*$/m)[0]";

/// Resolves once the partner's ICE credentials are others than these.
const UNTIL_RESTARTED: &str = r"
    const [before, done] = arguments;
    const ufrag = () => connections.at(-1).currentRemoteDescription.sdp.match(/^a=ice-ufrag:.*$/m)[0];
    const look = () => ufrag() !== before ? done(ufrag()) : setTimeout(look, 20);
    look();
";

#[tokio::test]
async fn a_certificate_is_the_same_from_beginning_to_end_or_the_call_is_over() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    let talk = async || {
        one.open(&server.url()).await;
        other.open(&server.url()).await;
        one.press("start").await;
        one.queued().await;
        other.press("start").await;
        one.until("talking").await;
        other.until("talking").await;
        assert_eq!(one.emoji().await, other.emoji().await);
    };
    // An ICE restart leaves certificate, channel and emoji as they are. The one who came second offers.
    talk().await;
    assert_ne!(one.run("return certificates_read", vec![]).await, json!(0), "Chromium has shown the certificate");
    let (emoji, fingerprint) = (one.emoji().await, one.run(PARTNERS_FINGERPRINT, vec![]).await);
    let ufrag = one.wait(UNTIL_RESTARTED, vec![json!("")]).await.expect("credentials");
    other.run("dispatchEvent(new Event('online'))", vec![]).await;
    let ufrag = one.wait(UNTIL_RESTARTED, vec![ufrag]).await.expect("new credentials");
    assert_eq!(one.run(PARTNERS_FINGERPRINT, vec![]).await, fingerprint);
    one.hears(880.0).await;
    other.hears(440.0).await;
    assert_eq!((one.state().await.as_str(), one.emoji().await), ("talking", emoji));

    // If it ever were another one, that would be the end.
    let replaced = r"
        // The spy's own connection is derived from the browser's.
        const { prototype } = Object.getPrototypeOf(frames[0].RTCPeerConnection);
        const { get } = Object.getOwnPropertyDescriptor(prototype, 'currentRemoteDescription');
        Object.defineProperty(prototype, 'currentRemoteDescription', { get() {
            const description = get.call(this);
            return description && { type: description.type, sdp: description.sdp.replaceAll(/(sha-256 )../g, '$1' + '00') };
        } });
    ";
    one.run(replaced, vec![]).await;
    other.run("dispatchEvent(new Event('online'))", vec![]).await;
    one.until("ended").await;
    assert!(one.text("[data-in=ended]").await.contains("to be on the safe side"), "after {ufrag}");
    other.until("ended").await;

    // And so it is when the certificate on the line is not the one that was described.
    one.open(&server.url()).await;
    other.open(&server.url()).await;
    one.run("frames[0].RTCDtlsTransport.prototype.getRemoteCertificates = () => [new ArrayBuffer(7)]", vec![]).await;
    one.press("start").await;
    one.queued().await;
    other.press("start").await;
    one.until("ended").await;
    assert!(one.text("[data-in=ended]").await.contains("to be on the safe side"));
    other.until("ended").await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_caller_ends_the_call_of_a_page_that_breaks_the_rules() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let page = Browser::chromium(Some(440.0)).await;
    for (change, ending) in [
        ("bytes => { if (bytes[0] === 3) bytes[7] ^= 1; return [bytes]; }", "the commitment does not fit"),
        ("bytes => [bytes, bytes]", "a frame out of order"),
    ] {
        page.open(&server.url()).await;
        page.run(&TAMPER.replace("CHANGE", change), vec![]).await;
        let caller = liars_own(&server, "en").await;
        page.press("start").await;
        let mut call = caller.call(DEADLINE).await.expect("the page");
        let ended = timeout(DEADLINE, call.ended()).await.expect("an end");
        assert!(matches!(ended, Ending::Sas(_)), "{change}: {ended}");
        assert_eq!(ended.to_string(), ending);
        page.until("ended").await;
        drop(call);
    }
    // A line of text, of which a native caller makes nothing, is no wrong move.
    page.open(&server.url()).await;
    let typed = "bytes => [new Uint8Array([4, 104, 105]), bytes]";
    page.run(&TAMPER.replace("CHANGE", typed), vec![]).await;
    let caller = liars_own(&server, "en").await;
    page.press("start").await;
    let mut call = caller.call(DEADLINE).await.expect("the page");
    assert_eq!(call.emoji().await.expect("six emoji"), page.emoji().await);
    page.press("end").await;
    assert_eq!(timeout(DEADLINE, call.ended()).await.expect("an end"), Ending::Server(EndReason::Left));
    page.quit().await;
    server.stop().await;
}
