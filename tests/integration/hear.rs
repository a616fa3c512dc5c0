//! Hear yourself: the server's own caller says again what it hears, to native callers and to real browsers, by every way
//! to the relay; and what the page says of it.

use std::time::{Duration, Instant};

use serde_json::json;
use sotto::caller::signalling::Tap;
use sotto::caller::{Caller, Ending, Options, PACKET_BYTES};
use sotto::protocol::{EndReason, Languages, Role};

use crate::browser::{Browser, turn};
use crate::guard::cpu;
use crate::network::Network;
use crate::server::{DEADLINE, TestServer};
use crate::sound::Sound;
use crate::states::{inspect, inspect_as, with_axe};
use crate::tls::Identity;
use crate::voice::{loudness, strength, tone};
use crate::wire::check_frame;

/// A tenth of what a tone has of itself.
const AUDIBLE: f32 = 0.025;

fn saying(hertz: u16) -> Options {
    Options { voice: tone(hertz), keep: 25, ..Options::default() }
}

/// A visitor that is matched with the server's own caller.
async fn asking(server: &TestServer, options: Options) -> Caller {
    let mut caller = Caller::connect(&server.ws(), options).await.expect("a welcome");
    caller.hear_yourself().await.expect("a match");
    caller
}

async fn joining(server: &TestServer) -> Caller {
    let mut caller = Caller::connect(&server.ws(), Options::default()).await.expect("a welcome");
    let english = Languages::new(vec!["en".to_owned()]).expect("a language");
    caller.join(english, Role::Either, false).await.expect("a place in the queue");
    caller
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_voice_comes_back_a_second_later_and_not_for_ever() {
    let server = TestServer::start().await;
    let tap = Tap::default();
    let caller = asking(&server, Options { tap: Some(tap.clone()), ..saying(440) }).await;
    let mut call = caller.call(DEADLINE).await.expect("a call");
    assert!(call.offerer, "ICE restarts are the page's to begin");
    call.connected().await.expect("connected");
    let up = Instant::now();
    // The six emoji are there as in every call; what they say here is that it is our own caller.
    call.emoji().await.expect("six emoji");
    let mut back = None;
    let mut last = up;
    let mut count = 0;
    while up.elapsed() < Duration::from_secs(10) {
        count += 5;
        let heard = call.hear(count, DEADLINE).await.expect("packets, whatever is in them");
        assert!(heard.last.iter().all(|packet| packet.len() == PACKET_BYTES), "of one size, as everybody's");
        let recent = &heard.last[heard.last.len().saturating_sub(10)..];
        if strength(recent, 440) > AUDIBLE {
            back.get_or_insert_with(|| up.elapsed());
            last = Instant::now();
        }
        assert!(strength(recent, 880) < AUDIBLE, "of nobody else");
    }
    let (back, over) = (back.expect("it comes back"), last - up);
    println!("back after {back:?}, over after {over:?}");
    assert!((Duration::from_millis(900)..Duration::from_millis(1_800)).contains(&back), "{back:?}");
    assert!((Duration::from_secs(7)..Duration::from_millis(9_000)).contains(&over), "{over:?}");
    assert!(loudness(&call.heard().last) < 0.01, "then it is silent, and the line stays up");
    // Idle again, on the same socket, and free for a conversation.
    let mut caller = call.leave().await.expect("idle");
    let english = Languages::new(vec!["en".to_owned()]).expect("a language");
    caller.join(english, Role::Either, false).await.expect("a place in the queue");
    caller.close().await;
    tap.frames().iter().for_each(|frame| check_frame(frame.text()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_meets_nobody() {
    let server = TestServer::start().await;
    let waiting = joining(&server).await;
    let mut hearing = asking(&server, saying(440)).await.call(DEADLINE).await.expect("a call");
    hearing.connected().await.expect("connected");
    hearing.hear(10, DEADLINE).await.expect("packets");
    // Somebody who comes now meets whoever waits, and not somebody who hears themself or what they hear.
    let newcomer = joining(&server).await;
    let (older, newer) = tokio::try_join!(waiting.call(DEADLINE), newcomer.call(DEADLINE)).expect("a partner");
    assert_eq!(older.id, newer.id);
    assert_ne!(older.id, hearing.id);
    drop((older, newer));
    // And the other way round: of two who hear themselves each has its own.
    let mut other = asking(&server, saying(880)).await.call(DEADLINE).await.expect("a call");
    other.connected().await.expect("connected");
    assert_ne!(other.id, hearing.id);
    other.hear(80, DEADLINE).await.expect("packets");
    assert!(strength(&other.heard().last, 440) < AUDIBLE);
    assert!(strength(&other.heard().last, 880) > AUDIBLE);
    drop((other, hearing));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_by_itself_and_with_the_server() {
    let server = TestServer::start().await;
    let mut hearing = asking(&server, saying(440)).await.call(DEADLINE).await.expect("a call");
    hearing.connected().await.expect("connected");
    let began = Instant::now();
    assert_eq!(hearing.ended().await, Ending::Server(EndReason::Left));
    assert!(began.elapsed() < sotto::echo::AT_MOST + Duration::from_secs(1), "{:?}", began.elapsed());
    // The socket is good for another.
    let mut caller = hearing.leave().await.expect("idle");
    caller.hear_yourself().await.expect("a match");
    let mut hearing = caller.call(DEADLINE).await.expect("a call");
    hearing.connected().await.expect("connected");
    let said = server.stop().await;
    assert!(matches!(hearing.ended().await, Ending::Signalling(_)), "it was still on");
    assert!(!said.contains("WARN"), "nothing is left running: {said}");
}

/// What four cost, in hundredths of a core: the README says it for sixteen.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_echo_costs() {
    const SECONDS: u64 = 5;
    let server = TestServer::start().await;
    let mut calls = Vec::new();
    for _ in 0..4 {
        let mut call = asking(&server, saying(440)).await.call(DEADLINE).await.expect("a call");
        call.connected().await.expect("connected");
        calls.push(call);
    }
    let before = cpu(server.pid());
    // Their own clock: so many packets, of which there is one every 20 ms.
    let heard = calls[0].heard().count;
    calls[0].hear(heard + SECONDS * 50, DEADLINE).await.expect("packets");
    let share = (cpu(server.pid()) - before) / SECONDS as f64;
    println!("four echoes: {:.1} % of a core", 100.0 * share);
    assert!(share < 0.5, "{share}");
    drop(calls);
    server.stop().await;
}

/// What the page has found, once it says so.
async fn heard(browser: &Browser) -> Vec<String> {
    browser.until("heard").await;
    let words = "return [...document.querySelectorAll('[data-part=heard] li')].map(one => one.dataset.word)";
    serde_json::from_value(browser.run(words, vec![]).await).expect("words")
}

/// Has pressed and waits until the voice is on its way.
async fn begin(browser: &Browser) {
    browser.press("hear-yourself").await;
    browser.until("hearing").await;
    let until = r"
        const done = arguments[0];
        const title = document.querySelector('[data-part=hear-title]');
        const look = () => title.dataset.word === 'hear.title' ? done(true) : setTimeout(look, 20);
        look();
    ";
    assert!(browser.wait(until, vec![]).await.is_some(), "it does not begin: {}", browser.state().await);
}

const WELL: [&str; 3] = ["hear.microphone.fine", "hear.sound.fine", "hear.line.fine"];

#[tokio::test]
async fn chromium_hears_itself_and_then_somebody_else() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--allow-native"]).await;
    let browser = Browser::chromium(Some(440.0)).await;
    browser.open(&server.url()).await;
    // Said before the press, and to whoever listens to the button.
    let told = "return document.getElementById(document.querySelector('[data-action=hear-yourself]').getAttribute('aria-describedby')).textContent";
    assert!(browser.run(told, vec![]).await.as_str().is_some_and(|text| text.contains("the server is your partner")));
    begin(&browser).await;
    browser.hears(440.0).await;
    browser.lamp("me", true, 0.1).await;
    browser.lamp("them", true, 0.1).await;
    assert_eq!(heard(&browser).await, WELL);
    assert_eq!(browser.text("[data-part=heard-title]").await, "All is well. You can be heard.");
    let live = "return window.tracks.filter(({ readyState }) => readyState === 'live').length";
    assert_eq!(browser.run(live, vec![]).await, json!(0), "the microphone is let go");
    // On to somebody to talk to, with the wishes of the first page.
    let partner = tokio::spawn(joining(&server).await.call(DEADLINE));
    browser.press("start").await;
    browser.until("talking").await;
    drop(partner.await.expect("no panic").expect("a call"));
    browser.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn firefox_hears_itself() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let sound = Sound::start().await;
    let browser = Browser::firefox_hearing(&sound).await;
    browser.open(&server.url()).await;
    begin(&browser).await;
    assert_eq!(heard(&browser).await, WELL);
    browser.quit().await;
    // Without a sound card it runs no WebAudio, and what came back tells of the microphone.
    let browser = Browser::firefox().await;
    browser.open(&server.url()).await;
    begin(&browser).await;
    assert_eq!(heard(&browser).await, WELL);
    browser.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_tcp_works_it_is_said() {
    let _turn = turn().await;
    let network = Network::new();
    let identity = Identity::new();
    let server = network.server(&identity).await;
    let chromium = Browser::chromium_with(Some(440.0), &["--ignore-certificate-errors"]).await;
    for browser in [chromium, Browser::firefox().await] {
        browser.open(&server.url()).await;
        begin(&browser).await;
        assert_eq!(heard(&browser).await, [WELL[0], WELL[1], "hear.line.tcp"]);
        assert_eq!(browser.text("[data-part=heard-title]").await, "Here is what we found.");
        browser.quit().await;
    }
    assert!(network.lost() > 0, "UDP was not tried");
    server.stop().await;
}

/// A microphone that gives nothing, nothing that comes back, and a line that does not come about.
#[tokio::test]
async fn what_is_not_fine_is_named() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let browser = Browser::chromium(Some(440.0)).await;
    browser.open(&server.url()).await;
    // Silence of a real kind: a track that plays nothing.
    let silent = r"
        window.ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        const context = new AudioContext();
        const quiet = context.createConstantSource();
        const gain = context.createGain();
        gain.gain.value = 1e-4;
        const out = context.createMediaStreamDestination();
        quiet.connect(gain).connect(out);
        quiet.start();
        navigator.mediaDevices.getUserMedia = async () => out.stream.clone();
    ";
    browser.run(silent, vec![]).await;
    begin(&browser).await;
    assert_eq!(heard(&browser).await, ["hear.microphone.silent", "hear.line.fine"]);

    // The microphone is heard here, and what is sent is not it.
    let unsent = r"
        navigator.mediaDevices.getUserMedia = window.ask;
        const { RTCPeerConnection } = frames[0];
        const add = RTCPeerConnection.prototype.addTransceiver;
        RTCPeerConnection.prototype.addTransceiver = function (track, ...more) {
            return add.call(this, 'audio', ...more);
        };
    ";
    browser.run(unsent, vec![]).await;
    browser.press("hear-yourself").await;
    browser.until("hearing").await;
    assert_eq!(heard(&browser).await, ["hear.microphone.fine", "hear.sound.none", "hear.line.fine"]);
    browser.quit().await;

    // A relay that never answers.
    let nowhere = TestServer::start_with(&["--relay-host", "localhost:9"]).await;
    let browser = Browser::chromium(Some(440.0)).await;
    browser.open(&nowhere.url()).await;
    browser.press("hear-yourself").await;
    assert_eq!(heard(&browser).await, ["hear.line.none"]);
    browser.quit().await;
    nowhere.stop().await;
    server.stop().await;
}

/// Every way out, what a screen reader hears, and how both states look.
#[tokio::test]
async fn hearing_oneself_is_easy_to_leave_and_good_to_look_at() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--allow-native"]).await;
    let browser = Browser::chromium(Some(440.0)).await;
    browser.open(&server.url()).await;
    with_axe(&browser).await;
    begin(&browser).await;
    browser.press("stop").await;
    browser.until("landing").await;
    assert_eq!(browser.run("return document.querySelector('audio').srcObject", vec![]).await, json!(null));
    begin(&browser).await;
    assert!(
        browser.text("[role=status]").await.is_empty() || browser.text("[role=status]").await.contains("Say something")
    );
    inspect(&browser, "hearing").await;
    browser.press("done").await;
    browser.until("heard").await;
    inspect(&browser, "heard").await;
    // Nobody else's turn is taken: where there is no place, that is all that is said.
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(asking(&server, saying(880)).await.call(DEADLINE).await.expect("a call"));
    }
    browser.press("hear-yourself").await;
    assert_eq!(heard(&browser).await, Vec::<String>::new());
    assert_eq!(
        browser.text("[data-part=heard-title]").await,
        "It can’t be tried just now. In a minute it may be free."
    );
    inspect_as(&browser, "heard", "heard-later").await;
    drop(others);
    browser.press("stop").await;
    browser.until("landing").await;
    browser.quit().await;
    server.stop().await;
}
