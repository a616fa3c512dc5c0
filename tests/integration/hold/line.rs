//! The line between a visitor and the server: cut and back, without UDP, and another one.

use std::time::Duration;

use tokio::time::sleep;

use super::ear::{in_call, trial};
use crate::browser::{Browser, turn};
use crate::line::{Line, Way, Weather};
use crate::server::TestServer;

/// More than it takes on a machine with ten others at work.
const BACK_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_cut_off_for_a_while_ends_nothing() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    let (first, second) = (Line::to(server.port, 1).await, Line::to(server.port, 2).await);
    in_call(&one, &first.url(), &other, &second.url()).await;
    // Where UDP no longer gets through, TCP takes over; and nobody notices when it does again.
    let without_udp = trial("no UDP from now on");
    first.turn(Weather { udp: Way::cut(), ..Weather::default() });
    without_udp.over([&one, &other], BACK_WITHIN).await;
    let with_udp = trial("UDP again");
    first.turn(Weather::default());
    with_udp.over([&one, &other], BACK_WITHIN).await;
    // Longer than consent lasts (RFC 7675), so that somebody has to do something; and shorter.
    for (line, seconds) in [(&first, 1), (&second, 5), (&first, 20)] {
        let cut = trial(&format!("relay cut off for {seconds} s"));
        line.turn(Weather::relay(Way::cut()));
        sleep(Duration::from_secs(seconds)).await;
        line.turn(Weather::default());
        cut.over([&one, &other], BACK_WITHIN).await;
        one.until("talking").await;
        other.until("talking").await;
    }
    // The system says that there is a network: the page does not wait until it feels that it is another.
    for (what, browser) in [("another network, answerer", &one), ("another network, offerer", &other)] {
        let gathered = browser.relayed().await;
        let switched = trial(what);
        browser.run("dispatchEvent(new Event('online'))", vec![]).await;
        switched.over([&one, &other], BACK_WITHIN).await;
        assert!(browser.relayed().await > gathered, "{what}: nothing is gathered");
    }
    one.press("end").await;
    other.until("ended").await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

/// Everything is cut, as in a tunnel: the WebSocket as well, which does not notice, and which TCP revives ever later.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_nothing() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    for firefox in [false, true] {
        let one = if firefox { Browser::firefox().await } else { Browser::chromium(Some(440.0)).await };
        let other = Browser::chromium(Some(880.0)).await;
        let (first, second) = (Line::to(server.port, 1).await, Line::to(server.port, 2).await);
        in_call(&one, &first.url(), &other, &second.url()).await;
        let mut whose = vec![("answerer's", &first)];
        if !firefox {
            whose.push(("offerer's", &second));
        }
        for (whose, line) in whose {
            let cut = trial(&format!("everything cut off for 20 s, {whose}"));
            line.turn(Weather::all(Way::cut()));
            sleep(Duration::from_secs(20)).await;
            line.turn(Weather::default());
            cut.over([&one, &other], BACK_WITHIN).await;
            one.until("talking").await;
            other.until("talking").await;
        }
        one.press("end").await;
        other.until("ended").await;
        one.quit().await;
        other.quit().await;
    }
    server.stop().await;
}

/// What only TCP gets through, and breaks, after credentials have lost their freshness: a call is in the call all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_call_comes_back_with_credentials_that_are_old() {
    let _turn = turn().await;
    let secret = crate::browser::Scratch::new();
    let file = secret.0.join("secret");
    std::fs::write(&file, SECRET).expect("a file");
    let server = TestServer::start_with(&["--secret-file", file.to_str().expect("a plain path")]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    let line = Line::to(server.port, 1).await;
    let only_tcp = Weather { udp: Way::cut(), ..Weather::default() };
    line.turn(only_tcp);
    one.open(&line.url()).await;
    other.open(&server.url()).await;
    for browser in [&one, &other] {
        browser.run(SHORT_LIVED, vec![SECRET.into()]).await;
    }
    one.press("start").await;
    one.queued().await;
    other.press("start").await;
    for browser in [&one, &other] {
        browser.until("talking").await;
        browser.listen().await;
    }
    // Both are too old for a first allocation.
    for browser in [&one, &other] {
        assert!(browser.wait(UNTIL_OLD, vec![]).await.is_some(), "credentials stay fresh");
    }
    let broken = trial("TCP closed, old credentials");
    line.turn(Weather { tcp_down: true, ..only_tcp });
    sleep(Duration::from_secs(1)).await;
    line.turn(only_tcp);
    broken.over([&one, &other], BACK_WITHIN).await;
    one.until("talking").await;
    other.press("end").await;
    one.until("ended").await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

/// What the relay's credentials are made with here, so that the test can make some.
const SECRET: &str = "sixteen bytes or more";

/// Puts credentials in place of those that the server sends that can make a first allocation for three seconds.
const SHORT_LIVED: &str = r"
    const [secret] = arguments;
    const bytes = text => new TextEncoder().encode(text);
    const sign = async username => {
        const key = await crypto.subtle.importKey('raw', bytes(secret), { name: 'HMAC', hash: 'SHA-1' }, false, ['sign']);
        return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(username)))));
    };
    const Socket = WebSocket;
    window.WebSocket = class extends Socket {
        set onmessage(take) {
            let before = Promise.resolve();
            super.onmessage = take && (({ data }) => {
                before = before.then(async () => {
                    const frame = JSON.parse(data);
                    if (frame.type === 'matched') {
                        const [, ...rest] = frame.relay.username.split(':');
                        frame.relay.username = [Math.floor(Date.now() / 1000) + 3, ...rest].join(':');
                        frame.relay.credential = await sign(frame.relay.username);
                    }
                    take({ data: JSON.stringify(frame) });
                });
            });
        }
    };
";

/// Resolves once the credentials that the call was begun with are of the past.
const UNTIL_OLD: &str = r"
    const [done] = arguments;
    const look = () => {
        const [{ username }] = connections.at(-1).getConfiguration().iceServers;
        if (Date.now() / 1000 > Number(username.split(':')[0]) + 1) done(true); else setTimeout(look, 100);
    };
    look();
";
