//! What a visitor is told of the hour: when people come here, as the operator says it, and how it usually is.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::browser::{Browser, Scratch, turn};
use crate::guard::Visitor;
use crate::http::get;
use crate::server::TestServer;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Twenty past eight in the evening of a Sunday in November, in Greenwich.
const EVENING: u64 = 1_795_378_800;

/// Resolves with what is said of the hours, once it is this or something like it.
const UNTIL_SAID: &str = r"
    const [words, done] = arguments;
    const look = () => {
        const line = [...document.querySelectorAll('[data-part=hours]')].find((one) => one.checkVisibility());
        const text = line?.textContent.replace(/[\u2068\u2069]/g, '').replace(/\s/g, ' ') ?? '';
        if (text.includes(words)) done(text); else setTimeout(look, 20);
    };
    look();
";

async fn said(visitor: &Browser, words: &str) -> Value {
    visitor.wait(UNTIL_SAID, vec![json!(words)]).await.unwrap_or_else(|| panic!("nothing is said of {words}"))
}

/// A wall clock that only the test moves, for a server whose other clock goes on.
struct Clock {
    folder: Scratch,
    library: String,
}

impl Clock {
    async fn at(unix: u64) -> Self {
        // Where the library is differs from machine to machine; its own program knows.
        let told = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output().await;
        let told = told.expect("faketime, which tests/run installs").stdout;
        let library = String::from_utf8(told).expect("a path").trim().to_owned();
        assert!(library.contains("libfaketime"), "{library}");
        let clock = Self { folder: Scratch::new(), library };
        clock.set(unix);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.0.join("now")
    }

    /// Moves it, also backwards. What is read of it is the one or the other.
    fn set(&self, unix: u64) {
        let next = self.folder.0.join("next");
        std::fs::write(&next, format!("@{}\n", date(unix))).expect("a file");
        std::fs::rename(next, self.file()).expect("a file");
    }

    async fn server(&self) -> TestServer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
        command
            .arg("--allow-native")
            .env("SOTTO_LISTEN", "127.0.0.1:0")
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC");
        TestServer::start_as(&mut command).await
    }
}

/// As libfaketime reads it.
fn date(unix: u64) -> String {
    let second = i64::try_from(unix).expect("a moment");
    jiff::Timestamp::from_second(second).expect("a moment").strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Two who find each other at once, and hear each other as far as the server knows.
async fn find_each_other(server: &TestServer, hosts: [u8; 2]) {
    let (mut older, mut newer) = (Visitor::arrive(server, hosts[0]).await, Visitor::arrive(server, hosts[1]).await);
    assert_eq!(older.join("en").await["type"], "waiting");
    assert_eq!(newer.join("en").await["type"], "waiting");
    let call = newer.next().await["call"].clone();
    assert_eq!(older.next().await["call"], call);
    let describe = |setup: &str| {
        json!({ "type": "describe", "call": call, "description": { "ufrag": "abcd", "pwd": "abcdefghijklmnopqrstuv",
            "fingerprint": "0".repeat(64), "setup": setup, "payload_type": 111 } })
    };
    newer.say(describe("actpass")).await;
    assert_eq!(older.next().await["type"], "describe");
    older.say(describe("active")).await;
    assert_eq!(newer.next().await["type"], "describe");
    for visitor in [&mut older, &mut newer] {
        visitor.say(json!({ "type": "connected", "call": call })).await;
        // The answer to a frame that is not accepted shows that the one before it was read.
        assert_eq!(visitor.join("en").await["code"], "already_in_call");
    }
    newer.say(json!({ "type": "leave" })).await;
    assert_eq!(older.next().await["type"], "ended");
}

/// What somebody is told who comes now.
async fn usual(server: &TestServer) -> Value {
    let mut visitor = Visitor::arrive(server, 99).await;
    let waiting = visitor.join("xx").await;
    assert_eq!(waiting["type"], "waiting");
    visitor.say(json!({ "type": "leave" })).await;
    waiting["usual"].clone()
}

#[tokio::test]
async fn how_it_usually_is_is_told_once_enough_is_known_and_only_at_that_hour() {
    let _turn = turn().await;
    let clock = Clock::at(EVENING).await;
    let server = clock.server().await;
    // One visitor, who presses as often as they like on as many evenings, meets themself and leaves.
    for day in 0..5 {
        clock.set(EVENING + day * DAY - HOUR);
        for _ in 0..5 {
            find_each_other(&server, [1, 1]).await;
        }
    }
    clock.set(EVENING + 5 * DAY - HOUR);
    assert_eq!(usual(&server).await, Value::Null);

    // Three pairs, who are six networks, on four evenings.
    for day in 0..4 {
        clock.set(EVENING + day * DAY);
        assert_eq!(usual(&server).await, Value::Null, "day {day}");
        for pair in 0..3 {
            find_each_other(&server, [10 + 2 * pair, 11 + 2 * pair]).await;
        }
    }
    clock.set(EVENING + 4 * DAY + 9 * HOUR);
    assert_eq!(usual(&server).await, Value::Null, "not in the morning");
    clock.set(EVENING + 4 * DAY);
    assert_eq!(usual(&server).await, json!("soon"));

    // And the page says so, as long as it is true of whoever waits.
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    visitor.press("start").await;
    visitor.queued().await;
    let sentence = "At this hour, people usually find someone within a minute.";
    assert_eq!(said(&visitor, "At this hour").await, json!(sentence));
    visitor.run("document.querySelector('[data-language=de]').click()", vec![]).await;
    visitor.reads("de").await;
    let sentence = "Um diese Zeit findet man hier meist innerhalb einer Minute jemanden.";
    assert_eq!(said(&visitor, "Um diese Zeit").await, json!(sentence));
    visitor.quit().await;

    // Two months later nobody knows.
    clock.set(EVENING + 64 * DAY);
    assert_eq!(usual(&server).await, Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn the_page_is_told_when_people_come_and_says_it_in_the_visitors_own_time() {
    let _turn = turn().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    // A zone in which it is about noon, so that two o'clock there is later today; and the same hours in Greenwich.
    let east = 12 - i64::try_from(now / HOUR % 24).expect("an hour");
    let greenwich = |hour: i64| (hour - east).rem_euclid(24);
    let zone = format!("Etc/GMT{}{}", if east < 0 { '+' } else { '-' }, east.abs());
    let hours = format!("{:02}:00-{:02}:00 UTC", greenwich(14), greenwich(16));
    let server = TestServer::start_with(&["--hours", &hours]).await;
    let answer = get(&server, "/settings.json", "").await;
    let settings: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let openings: Vec<(u64, u64)> = serde_json::from_value(settings["openings"].clone()).expect("pairs");
    assert_eq!(openings.len(), 8);
    assert!(openings[0].0 > now && openings[0].0 < now + 4 * HOUR, "{openings:?} at {now}");
    assert!(openings.iter().all(|(from, to)| to - from == 2 * HOUR));
    assert!(openings.windows(2).all(|pair| pair[1].0 - pair[0].0 == DAY));

    let visitor = Browser::chromium(None).await;
    visitor.cdp("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await;
    visitor.open(&server.url()).await;
    let sentence = "People come here between 2:00 PM and 4:00 PM.";
    assert_eq!(said(&visitor, "People come here").await, json!(sentence));
    // Nobody is kept out.
    visitor.press("start").await;
    visitor.queued().await;
    assert_eq!(said(&visitor, "People come here").await, json!(sentence));
    visitor.quit().await;
    server.stop().await;

    // Where the operator has said nothing, nothing is asked for and nothing is said.
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    let lines = "return [...document.querySelectorAll('[data-part=hours]')].map((line) => line.textContent)";
    assert_eq!(visitor.run(lines, vec![]).await, json!(["", ""]));
    let loaded = "return performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/hours.js'))";
    assert_eq!(visitor.run(loaded, vec![]).await, json!(false));
    visitor.quit().await;
    server.stop().await;
}
