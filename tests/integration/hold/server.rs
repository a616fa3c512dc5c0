//! The server in the middle of a call: its sockets lost, itself killed, and stopped.

use std::time::Duration;

use tokio::time::sleep;

use super::ear::{in_call, now, trial};
use crate::browser::{Browser, turn};
use crate::line::{Line, Weather};
use crate::server::TestServer;

/// How long a page may take to say that a call whose relay is gone is over.
const SAID_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn lost_sockets_are_not_heard_and_come_back() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    let line = Line::to(server.port, 1).await;
    in_call(&one, &line.url(), &other, &line.url()).await;
    for seconds in [0, 4] {
        let lost = trial(&format!("both WebSockets lost for {seconds} s"));
        let before = [one.resumed().await, other.resumed().await];
        line.turn(Weather { web_down: true, ..Weather::default() });
        server.said_times("away: the socket is lost", 2).await;
        sleep(Duration::from_secs(seconds)).await;
        line.turn(Weather::default());
        for (browser, before) in [&one, &other].into_iter().zip(before) {
            let back = "const [before, done] = arguments; const look = () => frames_seen.filter(frame => /\"welcome\".*\"call\"/.test(frame)).length > before ? done(true) : setTimeout(look, 20); look();";
            assert!(browser.wait(back, vec![before.into()]).await.is_some(), "the call is not resumed");
        }
        lost.over([&one, &other], Duration::from_secs(20)).await;
        for browser in [&one, &other] {
            let noted = browser.noted().await;
            assert!(noted.is_unbroken(), "{noted:?}");
        }
    }
    // What the server says still comes, and what is said to it is still taken: the two are kept apart.
    one.press("report").await;
    one.run("document.querySelector('[data-category=other]').click()", vec![]).await;
    one.until("ended").await;
    other.until("ended").await;
    let told = "const [done] = arguments; const look = () => frames_seen.some(frame => frame.includes('\"ended\"')) ? done(true) : setTimeout(look, 20); look();";
    assert!(other.wait(told, vec![]).await.is_some(), "the server has not said so");
    for browser in [&one, &other] {
        browser.press("again").await;
        browser.until("waiting").await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!([one.state().await, other.state().await], ["waiting", "waiting"], "they meet again");
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_is_told_as_it_went() {
    let _turn = turn().await;
    for killed in [true, false] {
        let server = TestServer::start_with(&[]).await;
        let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
        let url = server.url();
        in_call(&one, &url, &other, &url).await;
        let listen = format!("127.0.0.1:{}", server.port);
        let gone = now();
        let (how, words) = if killed {
            server.kill().await;
            ("killed and started again", "We lost the line, and can’t tell why.")
        } else {
            server.stop().await;
            ("stopped and started again", "Sotto is closing for a moment, and the line went with it.")
        };
        let server = TestServer::start_with(&["--listen", &listen]).await;
        for browser in [&one, &other] {
            browser.until_within("ended", SAID_WITHIN).await;
            assert!(browser.text("main").await.contains(words), "{how}");
        }
        println!("held | server {how} | Chromium, Chromium | said after {:.1} s", (now() - gone) / 1_000.0);
        // One press, and the new server has them talk.
        one.press("again").await;
        one.until("waiting").await;
        other.press("again").await;
        one.until("talking").await;
        other.until("talking").await;
        one.hears(880.0).await;
        one.quit().await;
        other.quit().await;
        server.stop().await;
    }
}

impl Browser {
    /// How often the server has given it its call back.
    async fn resumed(&self) -> usize {
        let frames = self.frames().await;
        frames.iter().filter(|frame| frame.contains("\"welcome\"") && frame.contains("\"call\"")).count()
    }
}
