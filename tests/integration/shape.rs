//! What can be seen of a voice on its way to the relay: every packet has one size, and neither sizes nor times tell who
//! speaks, who is silent and who is muted. A classifier tries, and the same one succeeds where nothing is padded.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use sotto::caller::{Call, Caller, Options, PACKET_BYTES};
use sotto::protocol::{Languages, Role};
use tokio::time::sleep;

use crate::browser::{Browser, turn};
use crate::classifier::{Sample, accuracy, by_chance, shuffle};
use crate::line::{Datagram, Inner, Line};
use crate::room::Room;
use crate::server::{DEADLINE, TestServer};
use crate::voice::{loudness, tone_at_any_rate};

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Speaking,
    Silent,
    /// While there is speech in the room.
    Muted,
}

/// How often each thing is done.
const TIMES: usize = 6;

/// Everything as often, in an order of this run: what drifts with time must tell nothing.
fn in_any_order(things: &[Doing]) -> Vec<Doing> {
    let mut order = things.repeat(TIMES);
    let mut chance = uuid::Uuid::new_v4().as_u64_pair().0;
    shuffle(&mut order, &mut chance);
    order
}

/// For a change to arrive: a player starts, a press is carried out, what an encoder still had is sent.
const SETTLE: Duration = Duration::from_millis(800);

/// How long each thing is done then.
const PHASE: Duration = Duration::from_millis(2_500);

/// What the classifier gets to see at once.
const WINDOW: Duration = Duration::from_millis(500);

/// In the headers of RTP (RFC 3550 §5.1, without extension) and the tag of SRTP (RFC 3711 §4.2, RFC 7714 §5.1).
const AROUND: [usize; 2] = [12 + 10, 12 + 16];

/// Scripts that would like to be workers, by their name or by a policy of their own, once the page has its one.
const OTHER_WORKERS: &str = r"
    const any = { createScriptURL: url => url };
    return [
        () => new Worker('/js/main.js'),
        () => new Worker('/js/padding-worker.js'),
        () => trustedTypes.createPolicy('sotto-worker', any),
        () => trustedTypes.createPolicy('another', any),
        () => trustedTypes.createPolicy('default', any),
    ].map(attempt => {
        try {
            attempt();
            return 'let through';
        } catch (error) {
            return error.name;
        }
    });
";

/// A time in which one thing was done.
#[derive(Clone, Copy)]
struct Span {
    doing: Doing,
    from: Instant,
    until: Instant,
}

fn rtp(datagrams: &[Datagram]) -> Vec<(Instant, &[u8])> {
    let packet = |datagram| match Datagram::inner(datagram) {
        Some(Inner::Rtp(bytes)) => Some((datagram.at, bytes)),
        _ => None,
    };
    datagrams.iter().filter_map(packet).collect()
}

/// Milliseconds between the packets of those spans in which this was done, in order of length.
fn gaps(voice: &[(Instant, &[u8])], spans: &[Span], doing: Doing) -> Vec<f64> {
    let mut gaps = Vec::new();
    for span in spans.iter().filter(|span| span.doing == doing) {
        let within: Vec<_> = voice.iter().filter(|(at, _)| (span.from..span.until).contains(at)).collect();
        gaps.extend(within.windows(2).map(|two| (two[1].0 - two[0].0).as_secs_f64() * 1_000.0));
    }
    gaps.sort_by(f64::total_cmp);
    gaps
}

/// What anybody on the way can measure in one window: how many, how large, how far apart, and what else there was.
fn features(datagrams: &[Datagram]) -> Vec<f64> {
    let sizes: Vec<f64> = datagrams.iter().map(|datagram| datagram.bytes.len() as f64).collect();
    let (voice, other): (Vec<&Datagram>, Vec<&Datagram>) =
        datagrams.iter().partition(|datagram| matches!(datagram.inner(), Some(Inner::Rtp(_))));
    let of_voice: Vec<f64> = voice.iter().map(|datagram| datagram.bytes.len() as f64).collect();
    let mut gaps: Vec<f64> = voice.windows(2).map(|two| (two[1].at - two[0].at).as_secs_f64() * 1_000.0).collect();
    gaps.sort_by(f64::total_cmp);
    let at = |list: &[f64], part: f64| {
        list.get(((list.len().max(1) - 1) as f64 * part) as usize).copied().unwrap_or_default()
    };
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len().max(1) as f64;
    let deviation = |list: &[f64]| {
        let middle = mean(list);
        mean(&list.iter().map(|one| (one - middle).powi(2)).collect::<Vec<_>>()).sqrt()
    };
    vec![
        sizes.len() as f64,
        sizes.iter().sum(),
        of_voice.len() as f64,
        mean(&of_voice),
        deviation(&of_voice),
        of_voice.iter().copied().fold(f64::INFINITY, f64::min).min(2_000.0),
        of_voice.iter().copied().fold(0.0, f64::max),
        mean(&gaps),
        deviation(&gaps),
        at(&gaps, 0.0),
        at(&gaps, 0.1),
        at(&gaps, 0.5),
        at(&gaps, 0.9),
        at(&gaps, 1.0),
        other.len() as f64,
    ]
}

/// The windows of these spans; those of one span belong together.
fn samples(datagrams: &[Datagram], spans: &[Span]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (group, span) in spans.iter().enumerate() {
        let mut from = span.from;
        while from + WINDOW <= span.until {
            let within: Vec<Datagram> = datagrams
                .iter()
                .filter(|datagram| datagram.at >= from && datagram.at < from + WINDOW)
                .cloned()
                .collect();
            samples.push(Sample { label: span.doing as usize, group, features: features(&within) });
            from += WINDOW;
        }
    }
    samples
}

/// Says what was seen, and whether a classifier that was trained on the other rounds does better than nearly all that
/// were trained on shuffled labels.
fn told_apart(name: &str, datagrams: &[Datagram], spans: &[Span]) -> bool {
    for doing in [Doing::Speaking, Doing::Silent, Doing::Muted] {
        let voice = rtp(datagrams);
        let own = |at: &Instant| spans.iter().any(|span| span.doing == doing && (span.from..span.until).contains(at));
        let mut sizes: Vec<usize> = voice.iter().filter(|(at, _)| own(at)).map(|(_, bytes)| bytes.len()).collect();
        if sizes.is_empty() {
            continue;
        }
        sizes.sort_unstable();
        let gaps = gaps(&voice, spans, doing);
        let at = |part: f64| gaps[((gaps.len() - 1) as f64 * part) as usize];
        println!(
            "{name} {doing:?}: {} packets of {} to {} bytes; ms between them: 1 % {:.1}, 10 % {:.1}, 50 % {:.1}, 90 % {:.1}, 99 % {:.1}",
            sizes.len(),
            sizes[0],
            sizes[sizes.len() - 1],
            at(0.01),
            at(0.1),
            at(0.5),
            at(0.9),
            at(0.99),
        );
    }
    let samples = samples(datagrams, spans);
    let (found, chance) = (accuracy(&samples), by_chance(&samples));
    println!(
        "{name}: right in {:.0} % of {} windows; by chance {:.0} % on average, {:.0} % at most in 99.9 % of all cases",
        found * 100.0,
        samples.len(),
        chance.mean * 100.0,
        chance.limit * 100.0,
    );
    found > chance.limit
}

fn sizes_of_voice(datagrams: &[Datagram]) -> Vec<usize> {
    let mut sizes: Vec<usize> = rtp(datagrams).iter().map(|(_, bytes)| bytes.len()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Everything is of one size, in packets that have no extension, no list of sources and no padding of RTP's own.
fn check_shape(name: &str, datagrams: &[Datagram]) {
    let sizes = sizes_of_voice(datagrams);
    assert!(sizes.len() == 1 && AROUND.iter().any(|around| sizes[0] == around + PACKET_BYTES), "{name}: {sizes:?}");
    assert!(rtp(datagrams).iter().all(|(_, bytes)| bytes[0] == 0x80), "{name}: more than the twelve bytes of a header");
}

/// 20 ms after each packet there is another, whatever is done.
fn check_rhythm(name: &str, datagrams: &[Datagram], spans: &[Span]) {
    let voice = rtp(datagrams);
    for doing in [Doing::Speaking, Doing::Silent, Doing::Muted] {
        // The median: a machine that is busy with something else loses some of what a microphone gives.
        let gaps = gaps(&voice, spans, doing);
        let median = gaps[gaps.len() / 2];
        assert!((15.0..25.0).contains(&median), "{name} {doing:?}: {median} ms");
    }
    // Opus at 48 kHz: 960 units of time for each packet, with none left out (RFC 7587 §4.1, RFC 3551 §4.1).
    let number = |bytes: &[u8]| u16::from_be_bytes([bytes[2], bytes[3]]);
    let time = |bytes: &[u8]| u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let first = spans[0].from;
    let later: Vec<_> = voice.iter().filter(|(at, _)| *at >= first).collect();
    for two in later.windows(2) {
        assert_eq!(number(two[1].1).wrapping_sub(number(two[0].1)), 1, "{name}: sent in order");
        assert_eq!(time(two[1].1).wrapping_sub(time(two[0].1)), 960, "{name}: 20 ms each");
    }
}

async fn native(server: &TestServer, voice: &[Bytes]) -> Caller {
    let options = Options { voice: voice.into(), keep: 100_000, ..Options::default() };
    let mut caller = Caller::connect(&server.ws(), options).await.expect("a welcome");
    let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
    caller.join(languages, Role::Either, true).await.expect("a place in the queue");
    caller
}

/// A browser in a call with a native caller, who says nothing.
async fn in_a_call(server: &TestServer, browser: &Browser, padded: bool) -> Call {
    browser.driver.goto(server.url()).await.expect("the page");
    browser.until("landing").await;
    if !padded {
        browser.run("delete window.RTCRtpScriptTransform", vec![]).await;
    }
    browser.press("start").await;
    browser.until("waiting").await;
    let mut call = native(server, &[]).await.call(DEADLINE).await.expect("a partner");
    call.connected().await.expect("connected");
    browser.until("talking").await;
    // The microphone has been opened by then, and the way has been found.
    call.hear(50, DEADLINE).await.expect("a second of the browser's voice");
    let words = browser.text("[data-part=unpadded]").await;
    assert_eq!(words.is_empty(), padded, "the page knows: {words:?}");
    call
}

/// What the partner has of a span, by ear.
struct Heard {
    doing: Doing,
    loudness: f32,
    bridged: usize,
}

/// Everybody in the room does the same for a while, one thing after the other.
async fn act(room: &mut Room, browsers: &[&Browser], calls: &[&Call]) -> (Vec<Span>, Vec<Vec<Heard>>) {
    let mut spans = Vec::new();
    let mut heard: Vec<Vec<Heard>> = calls.iter().map(|_| Vec::new()).collect();
    let mut muted = false;
    for doing in in_any_order(&[Doing::Speaking, Doing::Silent, Doing::Muted]) {
        if muted != (doing == Doing::Muted) {
            for browser in browsers {
                browser.press("mute").await;
            }
            muted = !muted;
        }
        if doing == Doing::Silent {
            room.hush()
        } else {
            room.speak()
        }
        sleep(SETTLE).await;
        let before: Vec<usize> = calls.iter().map(|call| call.heard().last.len()).collect();
        let from = Instant::now();
        sleep(PHASE).await;
        spans.push(Span { doing, from, until: Instant::now() });
        for ((call, before), heard) in calls.iter().zip(before).zip(&mut heard) {
            let packets = call.heard().last.split_off(before);
            // Code 3, one frame, and nothing but padding.
            let empty = |packet: &&Bytes| packet.len() == PACKET_BYTES && packet[1] == 0x41 && packet[2] == 173;
            let bridged = packets.iter().filter(empty).count();
            heard.push(Heard { doing, loudness: loudness(&packets), bridged });
        }
    }
    (spans, heard)
}

/// The partner has heard speech when there was some, and nothing otherwise; and none of it was left out. By the median:
/// on a busy machine a sound can be late.
fn check_heard(name: &str, heard: &[Heard]) {
    for doing in [Doing::Speaking, Doing::Silent, Doing::Muted] {
        let mut loudness: Vec<f32> = heard.iter().filter(|one| one.doing == doing).map(|one| one.loudness).collect();
        loudness.sort_by(f32::total_cmp);
        let median = loudness[loudness.len() / 2];
        let expected = if doing == Doing::Speaking { 0.01..1.0 } else { 0.0..0.003 };
        assert!(expected.contains(&median), "{name} {doing:?}: {loudness:?}");
    }
    assert_eq!(heard.iter().map(|one| one.bridged).sum::<usize>(), 0, "{name}: packets of speech that were too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_on_the_way_can_tell_who_speaks_in_a_browser() {
    let _turn = turn().await;
    let mut line = Line::new().await;
    let server = line.server().await;
    let mut room = Room::new().await;
    let (chromium, firefox) = (Browser::chromium_in(&room).await, Browser::firefox_in(&room).await);
    let with_chromium = in_a_call(&server, &chromium, true).await;
    let with_firefox = in_a_call(&server, &firefox, true).await;
    let everybody = [("Chromium", &with_chromium), ("Firefox", &with_firefox)];

    // Who is told apart by chance, one of a thousand, is not told apart once more.
    let mut told = vec!["Chromium", "Firefox"];
    for _ in 0..2 {
        if told.is_empty() {
            break;
        }
        let (spans, heard) = act(&mut room, &[&chromium, &firefox], &[&with_chromium, &with_firefox]).await;
        for ((name, call), heard) in everybody.into_iter().zip(&heard) {
            check_heard(name, heard);
            let sent = line.sent_by(call.id, call.side.other());
            check_shape(name, &sent);
            check_rhythm(name, &sent, &spans);
            if !told_apart(name, &sent, &spans) {
                told.retain(|one| *one != name);
            }
            // The native callers, who have nothing to say, look the same.
            let silent = line.sent_by(call.id, call.side);
            check_shape("a silent native caller", &silent);
            assert_eq!(sizes_of_voice(&silent), sizes_of_voice(&sent));
        }
    }
    assert_eq!(told, Vec::<&str>::new(), "somebody's speech shows");
    for browser in [&chromium, &firefox] {
        let tried = browser.run(OTHER_WORKERS, vec![]).await;
        assert_eq!(tried, json!(["TypeError", "TypeError", "TypeError", "TypeError", "TypeError"]));
    }
    chromium.kill();
    firefox.kill();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_classifier_tells_who_speaks_where_nothing_is_padded() {
    let _turn = turn().await;
    let mut line = Line::new().await;
    let server = line.server().await;
    let mut room = Room::new().await;
    let firefox = Browser::firefox_in(&room).await;
    let call = in_a_call(&server, &firefox, false).await;
    let (spans, heard) = act(&mut room, &[&firefox], &[&call]).await;
    check_heard("Firefox", &heard[0]);
    let sent = line.sent_by(call.id, call.side.other());
    assert!(sizes_of_voice(&sent).len() > 10, "its sizes follow the speech");
    assert!(told_apart("Firefox, not padded", &sent, &spans));
    let right = accuracy(&samples(&sent, &spans));
    assert!(right > 0.8, "{right}");
    firefox.kill();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_on_the_way_can_tell_who_speaks_in_a_native_caller() {
    const PACKETS: usize = 150;
    let _turn = turn().await;
    let mut line = Line::new().await;
    let server = line.server().await;
    // Three seconds each: a voice whose packets are of all sizes, and silence.
    let speech = tone_at_any_rate(PACKETS);
    assert!(speech.iter().any(|packet| packet.len() != speech[0].len()));
    let silence = vec![Bytes::from_static(&[0xF8, 0xFF, 0xFE]); PACKETS];
    let order = in_any_order(&[Doing::Speaking, Doing::Silent]);
    let voice: Vec<Bytes> =
        order.iter().flat_map(|doing| if *doing == Doing::Speaking { &speech } else { &silence }).cloned().collect();
    let first = native(&server, &voice).await;
    let second = native(&server, &[]).await;
    let (mut speaks, mut listens) = tokio::try_join!(first.call(DEADLINE), second.call(DEADLINE)).expect("a partner");
    tokio::try_join!(speaks.connected(), listens.connected()).expect("connected");
    listens.hear(voice.len() as u64 + 1, Duration::from_secs(60)).await.expect("all of it");
    let sent = line.sent_by(speaks.id, speaks.side);
    check_shape("native", &sent);
    let packets = rtp(&sent);
    let spans: Vec<Span> = order
        .iter()
        .enumerate()
        .map(|(turn, doing)| Span {
            doing: *doing,
            from: packets[turn * PACKETS].0,
            until: packets[(turn + 1) * PACKETS].0,
        })
        .collect();
    let heard = listens.heard().last;
    for (doing, heard) in order.iter().zip(heard.chunks(PACKETS)) {
        // Without the end of what was said before.
        assert_eq!(loudness(&heard[10..]) > 0.02, *doing == Doing::Speaking, "{}", loudness(&heard[10..]));
    }
    assert!(!told_apart("native", &sent, &spans));
    server.stop().await;
}
