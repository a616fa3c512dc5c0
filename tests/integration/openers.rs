//! Something to say, for whoever asks for it in a call: one thing at a time, and nobody else learns of it.

use serde_json::json;
use thirtyfour::prelude::*;

use crate::breath::talking;
use crate::browser::{Browser, turn};
use crate::server::TestServer;
use crate::states::{inspect_as, with_axe};

/// How many there are.
const OPENERS: usize = 24;

/// Resolves once one is to be seen that is not this one, with what it says.
const UNTIL_ANOTHER: &str = r"
    const [before, done] = arguments;
    const look = () => {
        const { textContent } = document.querySelector('[data-part=opener]');
        return textContent && textContent !== before ? done(textContent) : setTimeout(look, 20);
    };
    look();
";

/// Whether one is to be seen.
const SHOWN: &str = "return document.querySelector('[data-part=opener]').checkVisibility()";

#[tokio::test]
async fn whoever_asks_for_something_to_say_gets_one_thing_at_a_time_and_alone() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    talking(&server, &one, &other).await;
    assert_eq!(one.run(SHOWN, vec![]).await, json!(false), "nobody is told what to say who has not asked");
    let frames = one.frames().await.len();

    // By keyboard: it is read out once, and the focus stays where it is.
    one.run("document.querySelector('[data-part=openers] summary').focus()", vec![]).await;
    one.key(Key::Enter).await;
    let mut now = one.wait(UNTIL_ANOTHER, vec![json!("")]).await.expect("something to say");
    one.says(now.as_str().expect("a text")).await;
    assert_eq!(one.run("return document.activeElement.tagName", vec![]).await, json!("SUMMARY"));
    with_axe(&one).await;
    inspect_as(&one, "talking", "something-to-say").await;

    // Another at a press, until all have been there, each once.
    let mut seen = vec![now.clone()];
    let press = "document.querySelector('[data-part=another]').click()";
    while seen.len() < OPENERS {
        one.run(press, vec![]).await;
        now = one.wait(UNTIL_ANOTHER, vec![now]).await.expect("another one");
        assert!(!seen.contains(&now), "{now} comes twice");
        seen.push(now.clone());
    }
    one.run(press, vec![]).await;
    let again = one.wait(UNTIL_ANOTHER, vec![now]).await.expect("they begin anew");
    assert!(seen.contains(&again));

    // It is put away where it came from, and speaks the language that the page is read in.
    one.key(Key::Enter).await;
    assert_eq!(one.run(SHOWN, vec![]).await, json!(false));
    one.key(Key::Enter).await;
    let english = one.wait(UNTIL_ANOTHER, vec![again]).await.expect("another one");
    one.run("document.querySelector('[data-language=de]').click()", vec![]).await;
    one.reads("de").await;
    let german = one.wait(UNTIL_ANOTHER, vec![english]).await.expect("the same in German");
    assert!(!seen.contains(&german));

    // Neither the partner nor the server has heard of any of it.
    assert_eq!(other.run("return told", vec![]).await, json!(["Hello is enough. So is silence."]));
    assert_eq!(other.run(SHOWN, vec![]).await, json!(false));
    assert_eq!(one.frames().await.len(), frames);

    // With the call it is gone.
    one.press("end").await;
    one.until("ended").await;
    let open = "return [document.querySelector('[data-part=openers]').open, document.querySelector('[data-part=opener]').textContent]";
    assert_eq!(one.run(open, vec![]).await, json!([false, ""]));
    one.quit().await;
    other.quit().await;
    server.stop().await;
}
