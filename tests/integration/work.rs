//! A server that too many want to join at once asks for work, and serves who has done it: crowds from many addresses of
//! 127.0.0.0/8, callers and browsers who solve what they are asked, and some who would rather not.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sotto::caller::signalling::{RawFrame, Tap};
use sotto::caller::{Caller, Options};
use sotto::guard::work::{MOST, solve};
use sotto::protocol::{Languages, Role, ServerMessage};
use tokio::task::JoinHandle;

use crate::browser::{Browser, turn};
use crate::guard::Visitor;
use crate::server::{DEADLINE, TestServer};
use crate::states::{inspect, with_axe};

/// Joins a second that are too many here; a crowd makes more of them, and one network could not.
const ABOVE: &str = "30";

/// How many networks the crowd comes from: 127.0.0.100 and those after it.
const CROWD: u8 = 50;

async fn start() -> Arc<TestServer> {
    Arc::new(TestServer::start_with(&["--allow-native", "--work-above", ABOVE]).await)
}

/// People who come and go and do no work, until it is dropped.
struct Crowd {
    goes_on: Arc<AtomicBool>,
    people: Vec<JoinHandle<()>>,
}

impl Crowd {
    async fn gather(server: &Arc<TestServer>) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let people: Vec<_> = (0..CROWD)
            .map(|number| {
                let (server, goes_on) = (Arc::clone(server), Arc::clone(&goes_on));
                tokio::spawn(async move {
                    let mut visitor = Visitor::arrive(&server, 100 + number).await;
                    // Each in a language of its own, so that nobody is met.
                    let language: String =
                        [number / 26, number % 26].map(|letter| char::from(b'a' + letter)).iter().collect();
                    while goes_on.load(Ordering::Relaxed) {
                        visitor.join(&language).await;
                        visitor.leave().await;
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                })
            })
            .collect();
        let crowd = Self { goes_on, people };
        let mut looker = Visitor::arrive(server, 99).await;
        let give_up = Instant::now() + DEADLINE;
        while looker.join("zz").await["type"] != "work" {
            assert!(Instant::now() < give_up, "the crowd is not noticed");
            looker.leave().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        crowd
    }

    async fn go(mut self) {
        self.goes_on.store(false, Ordering::Relaxed);
        for one in self.people.drain(..) {
            one.await.expect("everybody in the crowd was answered");
        }
    }
}

fn english() -> Languages {
    Languages::new(vec!["en".to_owned()]).expect("a language")
}

/// What has to be sent back for this `work`.
fn proof_of(work: &Value) -> Value {
    let Ok(ServerMessage::Work { challenge, target, most }) = serde_json::from_value(work.clone()) else {
        panic!("not work: {work}");
    };
    assert!(*most.get() <= MOST, "{work}");
    serde_json::to_value(solve(&challenge, &target, &most).expect("a solution")).expect("JSON")
}

impl Visitor {
    async fn join_with(&mut self, language: &str, proof: &Value) -> Value {
        let mut join = json!({ "type": "join", "languages": [language], "role": "either", "avoid_recent": true });
        join["proof"] = proof.clone();
        self.say(join).await;
        self.next().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_work_are_served_and_when_the_crowd_is_gone_nobody_has_to() {
    let server = start().await;
    let crowd = Crowd::gather(&server).await;
    let tap = Tap::default();
    let began = Instant::now();
    let mut callers = Vec::new();
    for _ in 0..2 {
        let options = Options { tap: Some(tap.clone()), ..Options::default() };
        let mut caller = Caller::connect(&server.ws(), options).await.expect("a welcome");
        caller.join(english(), Role::Either, false).await.expect("a place in the queue");
        callers.push(caller);
    }
    let [one, other] = [callers.remove(0), callers.remove(0)];
    let (mut one, mut other) = tokio::try_join!(one.call(DEADLINE), other.call(DEADLINE)).expect("each other");
    tokio::try_join!(one.connected(), other.connected()).expect("a line");
    println!("two callers in a call after {:?}", began.elapsed());
    let frames = tap.frames();
    let said = |word: &str| frames.iter().filter(|frame| frame.text().contains(word)).count();
    assert_eq!((said("\"type\":\"work\""), said("\"proof\"")), (2, 2), "{frames:?}");
    assert!(frames.iter().any(|frame| matches!(frame, RawFrame::Received(text) if text.contains("matched"))));
    drop((one, other));

    crowd.go().await;
    let mut visitor = Visitor::arrive(&server, 2).await;
    let give_up = Instant::now() + DEADLINE;
    while visitor.join("eo").await["type"] == "work" {
        assert!(Instant::now() < give_up, "it does not pass");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Arc::into_inner(server).expect("nobody else has it").stop_at_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_work_is_not_let_in_whatever_they_send_in_place_of_it() {
    let server = start().await;
    let crowd = Crowd::gather(&server).await;
    let mut hostile = Visitor::arrive(&server, 2).await;
    let mut other = Visitor::arrive(&server, 3).await;
    let work = hostile.join("eo").await;
    let proof = proof_of(&work);

    // What is found for one network is of no use on another, and is not used up by the attempt.
    let refused = other.join_with("eo", &proof).await;
    assert_eq!(refused["type"], "work");
    assert_ne!(refused["challenge"], work["challenge"]);
    // Less work than was asked for, more time, another salt, another tag, a wrong number, and out of thin air.
    let challenge = work["challenge"].as_str().expect("digits");
    let with = |from: usize, digits: &str| {
        let mut challenge = challenge.to_owned();
        challenge.replace_range(from..from + digits.len(), digits);
        challenge
    };
    for (challenge, number) in [
        (with(8, "00000001"), 0),
        (with(8, "00000000"), 0),
        (with(0, "ffffffff"), proof["number"].as_u64().expect("a number")),
        (with(16, "0123456789abcdef"), 7),
        (with(32, &"0".repeat(32)), 7),
        (challenge.to_owned(), proof["number"].as_u64().expect("a number") ^ 1),
        ("0".repeat(64), 0),
        ("f".repeat(64), 4_294_967_295),
    ] {
        let answer = hostile.join_with("eo", &json!({ "challenge": challenge, "number": number })).await;
        assert_eq!(answer["type"], "work", "{challenge} {number}");
    }
    // What is no proof at all is no frame.
    for proof in [json!({}), json!(null), json!({ "challenge": challenge, "number": "7" }), json!([challenge, 7])] {
        assert_eq!(hostile.join_with("eo", &proof).await["code"], "bad_message", "{proof}");
    }
    // The solution holds, and once: not on the same socket, and not on another of the same network.
    assert_eq!(hostile.join_with("eo", &proof).await["type"], "waiting");
    assert_eq!(hostile.join_with("eo", &proof).await["code"], "already_waiting");
    hostile.leave().await;
    assert_eq!(hostile.join_with("eo", &proof).await["type"], "work");
    assert_eq!(Visitor::arrive(&server, 2).await.join_with("eo", &proof).await["type"], "work");

    // And the other, who has done what it was asked, meets somebody who has as well.
    assert_eq!(other.join_with("eo", &proof_of(&refused)).await["type"], "waiting");
    let work = hostile.join("eo").await;
    assert_eq!(hostile.join_with("eo", &proof_of(&work)).await["type"], "waiting");
    assert_eq!(hostile.next().await["type"], "matched");
    assert_eq!(other.next().await["type"], "matched");
    crowd.go().await;
    Arc::into_inner(server).expect("nobody else has it").stop_at_once().await;
}

/// One network alone, however fast it joins, makes no work for itself or for anybody.
#[tokio::test(flavor = "multi_thread")]
async fn one_address_alone_is_no_crowd() {
    let server = Arc::new(TestServer::start_with(&["--allow-native", "--work-above", "30"]).await);
    let (began, mut answers) = (Instant::now(), HashMap::<String, u32>::new());
    for _ in 0..4 {
        // As much as a socket may say at once, on many of them.
        let flood = ["aa", "ab", "ac", "ad", "ae", "af", "ag", "ah"].map(|language| async {
            let mut visitor = Visitor::arrive(&server, 2).await;
            let mut told = Vec::new();
            for _ in 0..25 {
                told.push(visitor.join(language).await["type"].as_str().expect("a type").to_owned());
                visitor.leave().await;
            }
            told
        });
        for told in join_all(flood).await.into_iter().flatten() {
            *answers.entry(told).or_default() += 1;
        }
    }
    let passed = began.elapsed();
    println!("{answers:?} in {passed:?}");
    assert!(!answers.contains_key("work") && answers["slow_down"] > 0, "{answers:?}");
    assert!(f64::from(answers["waiting"]) > 45.0 * passed.as_secs_f64(), "more than what is too much");
    assert_eq!(Visitor::arrive(&server, 3).await.join("eo").await["type"], "waiting");
    Arc::into_inner(server).expect("nobody else has it").stop().await;
}

/// What a page has sent and was told so far, by type.
async fn types(page: &Browser) -> Vec<String> {
    let frames = page.frames().await;
    let frame = |text: &String| serde_json::from_str::<Value>(text).expect("JSON");
    frames.iter().map(|text| frame(text)["type"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_solve_what_they_are_asked_and_talk() {
    let _turn = turn().await;
    let server = start().await;
    let (one, other) = tokio::join!(Browser::chromium(None), Browser::firefox());
    one.open(&server.url()).await;
    other.open(&server.url()).await;
    let crowd = Crowd::gather(&server).await;
    for page in [&one, &other] {
        let began = Instant::now();
        page.press("start").await;
        page.queued().await;
        println!("{} waits after {:?}", if page.is_chromium() { "Chromium" } else { "Firefox" }, began.elapsed());
    }
    one.until("talking").await;
    other.until("talking").await;
    for page in [&one, &other] {
        let types = types(page).await;
        let count = |kind: &str| types.iter().filter(|of| *of == kind).count();
        assert!(count("work") >= 1 && count("join") == count("work") + 1, "{types:?}");
        assert!(page.frames().await.iter().any(|frame| frame.contains("\"proof\"")));
    }
    one.press("end").await;
    other.until("ended").await;
    crowd.go().await;
    one.quit().await;
    other.quit().await;
    Arc::into_inner(server).expect("nobody else has it").stop().await;
}

/// A device on which workers take their time, or do not run at all.
const SLOW: &str = r"
    const Real = window.Worker;
    window.stopped = 0;
    window.Worker = class extends Real {
        postMessage(data) { setTimeout(() => super.postMessage(data), data?.most ? 12_000 : 0); }
        terminate() { window.stopped += 1; super.terminate(); }
    };
";
const NONE: &str = r"
    const Real = window.Worker;
    window.Worker = class extends Real {
        postMessage() { this.onerror(new Event('error')); }
    };
";

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_device_is_told_why_it_takes_a_moment_and_can_stop_and_one_that_cannot_pauses() {
    let _turn = turn().await;
    let server = start().await;
    let page = Browser::chromium(None).await;
    page.open(&server.url()).await;
    page.run(SLOW, vec![]).await;
    with_axe(&page).await;
    let crowd = Crowd::gather(&server).await;
    let shown = "const done = arguments[0], title = document.querySelector('[data-part=waiting-title]');
        const look = () => title.checkVisibility() && title.textContent.startsWith('Many people have come at once')
            ? done(title.textContent) : setTimeout(look, 20);
        look();";
    page.press("start").await;
    let words = page.wait(shown, vec![]).await.expect("the page says why it takes a moment");
    let announced = "const done = arguments[0], status = document.querySelector('[role=status]');
        const look = () => status.textContent ? done(status.textContent) : setTimeout(look, 20);
        look();";
    assert_eq!(page.wait(announced, vec![]).await.expect("it is announced"), words);
    inspect(&page, "waiting").await;
    page.press("stop").await;
    page.until("landing").await;
    assert_eq!(page.run("return window.stopped", vec![]).await, json!(1), "nothing is worked for nobody");
    // Again, and to the end this time: the sentence goes when it is done.
    page.press("start").await;
    page.wait(shown, vec![]).await.expect("the page says so again");
    page.queued().await;
    assert_eq!(page.state().await, "waiting");
    assert_eq!(page.text("[data-part=waiting-title]").await, "You’re here. We’ll let you know when someone joins.");
    page.quit().await;

    let page = Browser::chromium(None).await;
    page.open(&server.url()).await;
    page.run(NONE, vec![]).await;
    page.press("start").await;
    page.until("paused").await;
    page.press("stop").await;
    page.until("landing").await;
    crowd.go().await;
    page.quit().await;
    Arc::into_inner(server).expect("nobody else has it").stop().await;
}
