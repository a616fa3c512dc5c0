//! A page whose line drops while it waits.

use serde_json::{Value, json};
use sotto::caller::signalling::Signalling;
use sotto::protocol::{ClientMessage, Languages, Role, ServerMessage, Struggling};
use tokio::time::timeout;

use crate::browser::{Browser, turn};
use crate::line::{Line, Weather};
use crate::server::{DEADLINE, TestServer};

/// Notes every state that the page shows from now on.
const NOTE_STATES: &str = r"
    const root = document.documentElement;
    window.states_shown = [root.dataset.state];
    new MutationObserver(() => {
        if (window.states_shown.at(-1) !== root.dataset.state) window.states_shown.push(root.dataset.state);
    }).observe(root, { attributeFilter: ['data-state'] });
";

/// Resolves when so many frames with these words have passed.
const UNTIL_FRAMES: &str = r"
    const [words, times, done] = arguments;
    const look = () => {
        if (window.frames_seen.filter((frame) => frame.includes(words)).length >= times) done(true); else setTimeout(look, 10);
    };
    look();
";

async fn join(server: &TestServer, languages: &[&str]) -> (Signalling, ServerMessage) {
    let mut visitor = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    visitor.hello(None).await.expect("a welcome");
    let languages: Vec<String> = languages.iter().map(|tag| (*tag).to_owned()).collect();
    let languages = Languages::new(languages).expect("languages");
    visitor
        .send(&ClientMessage::Join {
            languages,
            role: Role::Either,
            avoid_recent: true,
            struggling: Struggling::default(),
            proof: None,
        })
        .await
        .expect("sent");
    let answer = timeout(DEADLINE, visitor.next()).await.expect("in time").expect("a frame");
    (visitor, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_line_drops_while_it_waits_keeps_still_and_keeps_its_place() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let line = Line::to(server.port, 5).await;
    let first = Browser::chromium(None).await;
    first.open(&line.url()).await;
    first.press("start").await;
    first.queued().await;
    first.run(NOTE_STATES, vec![]).await;
    let (mut second, waits) = join(&server, &["de"]).await;
    assert_eq!(waits, ServerMessage::Waiting { usual: None });

    for times in 1..=2 {
        line.turn(Weather { web_down: true, ..Weather::default() });
        server.said_times("away: the socket is lost", times).await;
        line.turn(Weather::default());
        let again = vec![json!("\"type\":\"waiting\""), json!(times + 1)];
        assert!(first.wait(UNTIL_FRAMES, again).await.is_some(), "it waits again");
    }
    assert_eq!(first.run("return window.states_shown", vec![]).await, json!(["waiting"]));

    // Whoever shares a language with both meets the one who came first.
    let (mut third, waiting) = join(&server, &["de", "en"]).await;
    assert_eq!(waiting, ServerMessage::Waiting { usual: None });
    let matched = timeout(DEADLINE, third.next()).await.expect("in time").expect("a frame");
    let ServerMessage::Matched { call, .. } = matched else { panic!("not a match: {matched:?}") };
    first.until("connecting").await;
    let frames = first.frames().await;
    let matches = |frame: &&String| {
        serde_json::from_str::<Value>(frame).is_ok_and(|it| it["type"] == "matched" && it["call"] == call.to_string())
    };
    assert_eq!(frames.iter().filter(matches).count(), 1);
    third.send(&ClientMessage::Leave {}).await.expect("sent");
    first.until("waiting").await;
    // The second waits still, and is the next one's when the first is away.
    first.press("stop").await;
    first.until("landing").await;
    let (mut fourth, _) = join(&server, &["de", "en"]).await;
    let matched = timeout(DEADLINE, fourth.next()).await.expect("in time").expect("a frame");
    let ServerMessage::Matched { call, .. } = matched else { panic!("not a match: {matched:?}") };
    let matched = timeout(DEADLINE, second.next()).await.expect("in time").expect("a frame");
    assert!(matches!(matched, ServerMessage::Matched { call: same, .. } if same == call));
    first.quit().await;
    server.stop().await;
}
