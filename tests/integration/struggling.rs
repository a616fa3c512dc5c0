//! Somebody who says that they are struggling badly: sees who is there to help, before anything else, and may talk as well,
//! with anybody but somebody who has said the same. Nobody is told, and nothing is kept.

use serde_json::{Value, json};

use crate::browser::{Browser, turn};
use crate::guard::Visitor;
use crate::server::TestServer;
use crate::states::{inspect, with_axe};

impl Visitor {
    async fn join_struggling(&mut self) -> Value {
        let join =
            json!({ "type": "join", "languages": ["en"], "role": "either", "avoid_recent": true, "struggling": true });
        self.say(join).await;
        self.next().await
    }
}

#[tokio::test]
async fn two_who_are_struggling_badly_are_never_paired_with_each_other() {
    let server = TestServer::start().await;
    let (mut one, mut other) = (Visitor::arrive(&server, 2).await, Visitor::arrive(&server, 3).await);
    assert_eq!(one.join_struggling().await["type"], "waiting");
    assert_eq!(other.join_struggling().await["type"], "waiting");
    // Somebody who is not comes to the one who has waited longer, and the next one to the other.
    for struggling in [&mut one, &mut other] {
        let mut third = Visitor::arrive(&server, 4).await;
        assert_eq!(third.join("en").await["type"], "waiting");
        let (theirs, own) = (third.next().await, struggling.next().await);
        assert_eq!((&theirs["type"], &own["type"]), (&json!("matched"), &json!("matched")));
        assert_eq!(theirs["call"], own["call"]);
        // The partner is told what everybody is told.
        let fields = |frame: &Value| {
            let mut names: Vec<String> = frame.as_object().expect("an object").keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(fields(&theirs), fields(&own));
        assert_eq!(fields(&theirs), ["call", "offerer", "relay", "side", "type"]);
        // A vanished partner brings one back to one's place, as who one was.
        third.leave().await;
        assert_eq!(struggling.next().await["type"], "ended");
        assert_eq!(struggling.next().await["type"], "waiting");
        struggling.leave().await;
        assert_eq!(struggling.join_struggling().await["type"], "waiting");
    }
    one.is_left_alone().await;
    other.is_left_alone().await;
    drop((one, other));
    // At every level, and in whatever is printed of a frame.
    let output = server.stop().await;
    assert!(!output.to_lowercase().contains("struggling"), "{output}");
}

#[tokio::test]
async fn who_says_so_sees_the_help_lines_first_and_nothing_is_kept_of_it() {
    let _turn = turn().await;
    for chromium in [true, false] {
        let server = TestServer::start().await;
        let page = if chromium { Browser::chromium(None).await } else { Browser::firefox().await };
        page.open(&server.url()).await;
        page.press("struggling").await;
        let seen = "
            const dialog = document.querySelector('dialog[open]');
            const [lines, text] = ['.line a[href^=tel]', '[data-word=\"struggling.text\"]'].map(css => dialog?.querySelector(css));
            return [document.querySelector('[data-action=struggling]').ariaPressed, dialog?.contains(document.activeElement),
                lines?.checkVisibility(), text?.textContent, lines && text && lines.compareDocumentPosition(text) === 4];";
        let words = "You can talk with someone here as well. They are a stranger, not a counsellor. \
            Two people who both say this are not brought together.";
        assert_eq!(page.run(seen, vec![]).await, json!(["true", true, true, words, true]));
        if chromium {
            with_axe(&page).await;
            inspect(&page, "landing").await;
        }
        // On from there, with what was said.
        let mut same = Visitor::arrive(&server, 2).await;
        assert_eq!(same.join_struggling().await["type"], "waiting");
        let go = "document.querySelector('[data-part=struggling] [data-action=start]').click();
            return document.querySelector('dialog[open]') === null";
        assert_eq!(page.run(go, vec![]).await, json!(true));
        page.queued().await;
        same.is_left_alone().await;
        assert_eq!(page.state().await, "waiting");
        // The next two who come meet the one who has waited longer, and then the page.
        let mut first = Visitor::arrive(&server, 3).await;
        first.join("en").await;
        assert_eq!(first.next().await["call"], same.next().await["call"]);
        let mut other = Visitor::arrive(&server, 4).await;
        other.join("en").await;
        assert_eq!(other.next().await["type"], "matched");
        page.until_one(&["connecting", "talking", "offered"]).await;
        other.leave().await;
        first.leave().await;
        assert_eq!(same.next().await["type"], "ended");
        assert_eq!(same.next().await["type"], "waiting");
        page.until("waiting").await;
        let joins: Vec<String> = page.frames().await.into_iter().filter(|frame| frame.contains("\"join\"")).collect();
        assert!(joins.iter().all(|join| join.contains("\"struggling\":true")) && !joins.is_empty(), "{joins:?}");
        // Nowhere but in the page's own memory.
        let kept = page
            .run(
                "return [JSON.stringify({ ...localStorage }), sessionStorage.length, document.cookie, location.href]",
                vec![],
            )
            .await;
        assert!(!kept.to_string().contains("struggl"), "{kept}");
        page.press("stop").await;
        page.until("landing").await;
        assert_eq!(
            page.run("return document.querySelector('[data-action=struggling]').ariaPressed", vec![]).await,
            json!("true")
        );
        // Taken back with a press, and help does not come in between.
        page.press("struggling").await;
        let back = "return [document.querySelector('[data-action=struggling]').ariaPressed, document.querySelector('dialog[open]')]";
        assert_eq!(page.run(back, vec![]).await, json!(["false", null]));
        page.press("struggling").await;
        page.run("document.querySelector('[data-part=help-close]').click()", vec![]).await;
        page.open(&server.url()).await;
        assert_eq!(page.run(back, vec![]).await, json!(["false", null]), "gone with the page");
        page.press("start").await;
        page.queued().await;
        assert_eq!(same.next().await["type"], "matched", "who says nothing meets everybody");
        page.quit().await;
        drop((same, first, other));
        let output = server.stop().await;
        assert!(!output.to_lowercase().contains("struggling"), "{output}");
    }
}
