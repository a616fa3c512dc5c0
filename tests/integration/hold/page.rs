//! The page itself: asleep, frozen, behind another tab, and with a microphone that somebody takes away.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::ear::{in_call, trial};
use crate::browser::{Browser, turn};
use crate::line::{Line, Way, Weather};
use crate::server::TestServer;

/// More than it takes on a machine with ten others at work.
const BACK_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stands_still_goes_on() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    in_call(&one, &server.url(), &other, &server.url()).await;
    // The system has paused what is heard, as for a phone call.
    let paused = trial("sound paused by the system");
    one.run("document.querySelector('audio').pause()", vec![]).await;
    paused.over([&one, &other], BACK_WITHIN).await;
    assert_eq!(one.run("return document.querySelector('audio').paused", vec![]).await, json!(false));
    // The scripts stand still; the browser goes on.
    let frozen = trial("page frozen for 10 s");
    one.cdp("Page.setWebLifecycleState", json!({ "state": "frozen" })).await;
    sleep(Duration::from_secs(10)).await;
    one.cdp("Page.setWebLifecycleState", json!({ "state": "active" })).await;
    frozen.over([&one, &other], BACK_WITHIN).await;
    // Everything stands still, as in a laptop that is closed.
    for seconds in [5, 20] {
        let asleep = trial(&format!("device asleep for {seconds} s"));
        one.signal("-STOP");
        sleep(Duration::from_secs(seconds)).await;
        one.signal("-CONT");
        asleep.over([&one, &other], BACK_WITHIN).await;
        one.until("talking").await;
        other.until("talking").await;
    }
    // A tab that is closed says so before it goes, and is not waited for.
    one.driver.new_tab().await.expect("another tab, for the driver to live in");
    one.driver.close_window().await.expect("the page is closed");
    tokio::time::timeout(Duration::from_secs(5), other.until("ended")).await.expect("it has said so");
    assert!(other.text("main").await.contains("People leave for all kinds of reasons."));
    one.kill();
    other.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_behind_another_tab_goes_on_for_a_minute_and_holds() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    let line = Line::to(server.port, 1).await;
    in_call(&one, &line.url(), &other, &server.url()).await;
    one.run("window.hid = []; addEventListener('visibilitychange', () => hid.push(document.hidden))", vec![]).await;
    let page = one.driver.window().await.expect("a tab");
    let behind = trial("behind another tab for 60 s");
    let tab = one.driver.new_tab().await.expect("another tab");
    one.driver.switch_to_window(tab).await.expect("in front");
    sleep(Duration::from_secs(30)).await;
    // Its clocks are slowed down; what they are for happens all the same.
    line.turn(Weather::relay(Way::cut()));
    sleep(Duration::from_secs(15)).await;
    line.turn(Weather::default());
    sleep(Duration::from_secs(15)).await;
    one.driver.switch_to_window(page).await.expect("in front again");
    assert_eq!(one.run("return hid[0]", vec![]).await, json!(true), "it was never behind");
    behind.over([&one, &other], BACK_WITHIN).await;
    one.until("talking").await;
    other.until("talking").await;
    one.lamp("them", true, 0.1).await;
    one.press("end").await;
    other.until("ended").await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

/// Lets a test take the microphone away in the ways that a phone call and a headset do.
const TAKEN: &str = r"
    window.asked = 0;
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = wishes => { asked += 1; return ask(wishes); };
    const sent = () => connections.at(-1).getSenders().map(({ track }) => track).find(Boolean);
    window.ways = {
        ended: () => {
            sent().stop();
            tracks.at(-1).stop();
            tracks.at(-1).dispatchEvent(new Event('ended'));
        },
        silent: () => {
            // Live, and nothing but zeros: what a phone call leaves behind.
            tracks.at(-1).enabled = false;
            sent().enabled = false;
            Object.defineProperty(tracks.at(-1), 'enabled', { value: true, writable: true });
            navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
        },
    };
";

#[tokio::test(flavor = "multi_thread")]
async fn a_microphone_that_is_taken_away_is_had_again() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    in_call(&one, &server.url(), &other, &server.url()).await;
    one.run(TAKEN, vec![]).await;
    for (what, way) in [("microphone unplugged", "ended"), ("microphone live and silent", "silent")] {
        let asked = one.run("return asked", vec![]).await;
        let taken = trial(what);
        one.run("ways[arguments[0]]()", vec![json!(way)]).await;
        taken.over([&one, &other], BACK_WITHIN).await;
        assert_ne!(one.run("return asked", vec![]).await, asked, "{what}: nobody has asked for another");
    }
    one.press("end").await;
    other.until("ended").await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

impl Browser {
    /// Sends all of its processes a signal, but not its driver.
    fn signal(&self, signal: &str) {
        let found = Command::new("pgrep").args(["-g", &self.group(), "chrom"]).output().expect("pgrep").stdout;
        let driver = self.group();
        let found = String::from_utf8(found).expect("numbers");
        let pids = found.split_whitespace().filter(|pid| *pid != driver);
        assert!(Command::new("kill").arg(signal).args(pids).status().is_ok_and(|status| status.success()), "{signal}");
    }
}
