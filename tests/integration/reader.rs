//! A whole visit by somebody who does not see the page: a virtual screen reader goes through it and presses what it has
//! read, and everything that it says is what it should say, in order, once. (Where the words change that it has just read,
//! this reader finds its place no more and begins at the top when it is told to read on; those that people use stay.)

use serde_json::json;

use crate::browser::{Browser, turn};
use crate::server::TestServer;

/// Starts the reader at the top of the page. It is a module, and comes in past the page's policy.
const START: &str = r"
    const [source, done] = arguments;
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    import(url).then(async ({ virtual }) => {
        window.reader = virtual;
        await virtual.start({ container: document.body });
        done(null);
    }).catch((error) => done(String(error)));
";

/// Reads on until this is read.
const READ_TO: &str = r"
    const [wanted, done] = arguments;
    (async () => {
        for (let steps = 0; steps < 100; steps++) {
            if (await reader.lastSpokenPhrase() === wanted) return null;
            await reader.next();
        }
        return (await reader.spokenPhraseLog()).slice(-100).join('\n');
    })().then(done, (error) => done(String(error)));
";

/// Presses what was read last.
const ACT: &str = "const done = arguments[0]; reader.act().then(() => done(null), (error) => done(String(error)))";

/// Resolves once this was said last.
const UNTIL_SAID: &str = r"
    const [wanted, done] = arguments;
    const look = async () => {
        const said = (await reader.spokenPhraseLog()).findLast((phrase) => phrase !== 'polite: ');
        if (said === wanted) done(true); else setTimeout(look, 20);
    };
    look();
";

/// All that was said. What was emptied says nothing; and the reader takes a `noscript` for text, which no browser shows.
const SAID: &str = r"
    const done = arguments[0];
    reader.spokenPhraseLog().then((log) => done(log.filter((phrase) => phrase !== 'polite: ' && !phrase.startsWith('<p>'))));
";

impl Browser {
    async fn read_to(&self, phrase: &str) -> &Self {
        let lost = self.wait(READ_TO, vec![json!(phrase)]).await.expect("the reader reads");
        assert_eq!(lost, json!(null), "{phrase} is not there to be read");
        self
    }

    async fn act(&self) -> &Self {
        assert_eq!(self.wait(ACT, vec![]).await.expect("the reader acts"), json!(null));
        self
    }

    async fn reader_says(&self, phrase: &str) -> &Self {
        if self.wait(UNTIL_SAID, vec![json!(phrase)]).await.is_none() {
            panic!("not said: {phrase}, but {:?}", self.wait(SAID, vec![]).await);
        }
        self
    }
}

#[tokio::test]
async fn a_whole_visit_with_a_screen_reader() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    visitor.cdp("Page.setBypassCSP", json!({ "enabled": true })).await;
    visitor.open(&server.url()).await;
    visitor.reads("en").await;
    partner.open(&server.url()).await;
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/tools/node_modules/@guidepup/virtual-screen-reader/lib/esm/index.browser.js");
    let source = std::fs::read_to_string(file).expect("the screen reader, which ./tests/run installs");
    assert_eq!(visitor.wait(START, vec![json!(source)]).await.expect("it starts"), json!(null));

    visitor.read_to("button, Find someone to talk to").await.act().await;
    visitor.reader_says("heading, You’re here. We’ll let you know when someone joins., level 1").await;
    visitor.queued().await;
    partner.press("start").await;
    visitor.reader_says("polite: Hello is enough. So is silence.").await;
    let emoji = visitor.emoji().await;
    visitor.read_to("button, Mute, not pressed").await.act().await;
    visitor.reader_says("polite: They can’t hear you right now.").await.act().await;
    visitor.reader_says("polite: They can hear you again.").await;
    visitor.read_to("button, End").await.act().await;
    visitor.reader_says("heading, You’ve left. Thank you for being here., level 1").await;
    visitor.read_to("button, That’s enough for now").await.act().await;
    visitor.reader_says("heading, That’s enough for now., level 1").await;
    visitor.read_to("end of document").await;

    let named = "return [...document.querySelectorAll('[data-emoji]')].length";
    assert_eq!(visitor.run(named, vec![]).await, json!(0), "they went with the call");
    let words = "const done = arguments[1]; import('/js/words/en-call.js').then(({ emoji }) => done(arguments[0].map((one) => emoji[one])))";
    let words = visitor.wait(words, vec![json!(emoji)]).await.expect("their names");
    let words: [String; 6] = serde_json::from_value(words).expect("six names");
    let said = visitor.wait(SAID, vec![]).await.expect("a log");
    let said: Vec<String> = serde_json::from_value(said).expect("phrases");
    let expected = include_str!("reader/visit.txt").replace("{emoji}\n", &spoken(&words));
    assert_eq!(said.join("\n"), expected.trim_end(), "what was said, and what should have been");
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}

/// A list of six, as the reader reads it.
fn spoken(words: &[String]) -> String {
    let item = |(index, word): (usize, &String)| {
        let place = format!("listitem, level 1, position {}, set size {}", index + 1, words.len());
        format!("{place}\n{word}\nend of {place}\n")
    };
    words.iter().enumerate().map(item).collect()
}
