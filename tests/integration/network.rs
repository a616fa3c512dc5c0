//! Browsers on a network that lets no UDP through. Such a network needs Linux, root, `ip` and `iptables`, which
//! ./tests/run installs.

use std::process::Command;
use std::time::Instant;

use serde_json::json;

use crate::browser::{Browser, UNTIL_PLAYING, turn};
use crate::server::{DEADLINE, TestServer};
use crate::tls::Identity;

/// A network namespace for the server, at the other end of a cable on which UDP is lost.
pub struct Network {
    name: String,
    /// The near end of the cable.
    cable: String,
    address: String,
}

impl Network {
    pub fn new() -> Self {
        let id = std::process::id();
        let (name, subnet) = (format!("sotto{id}"), format!("10.{}.{}", 64 + id / 256 % 64, id % 256));
        let (near, far) = (format!("sv{id}a"), format!("sv{id}b"));
        let network = Self { address: format!("{subnet}.2"), name: name.clone(), cable: near.clone() };
        let done = run("ip", &["netns", "add", &name])
            && run("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &name])
            && run("ip", &["address", "add", &format!("{subnet}.1/30"), "dev", &near])
            && run("ip", &["link", "set", &near, "addrgenmode", "none"])
            && run("ip", &["link", "set", &near, "up"])
            && network.inside(&["ip", "address", "add", &format!("{subnet}.2/30"), "dev", &far])
            && network.inside(&["ip", "link", "set", &far, "up"])
            && network.inside(&["ip", "link", "set", "lo", "up"])
            && network.inside(&["ip", "route", "add", "default", "via", &format!("{subnet}.1")])
            && network.inside(&["iptables", "-A", "INPUT", "-i", &far, "-p", "udp", "-j", "DROP"]);
        assert!(done, "a network namespace, which needs root");
        // Chromium drops what it is loading when the machine's network changes: whatever will happen by itself has to be
        // over, which is the cable being there. An address of the link's own would come a second later (RFC 4862 §5.4).
        let give_up = Instant::now() + DEADLINE;
        while std::fs::read_to_string(format!("/sys/class/net/{near}/operstate")).expect("a cable").trim() != "up" {
            assert!(Instant::now() < give_up, "the cable is not there");
            std::thread::yield_now();
        }
        network
    }

    fn inside(&self, command: &[&str]) -> bool {
        run("ip", &[&["netns", "exec", &self.name], command].concat())
    }

    /// A server with TLS at the far end.
    pub async fn server(&self, identity: &Identity) -> TestServer {
        let listen = format!("{}:0", self.address);
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", &self.name, env!("CARGO_BIN_EXE_sotto")]);
        TestServer::start_as(command.args(identity.flags()).env("SOTTO_LISTEN", listen)).await
    }

    /// How many datagrams were lost on the way to the server.
    pub fn lost(&self) -> u64 {
        let list = ["netns", "exec", &self.name, "iptables", "-L", "INPUT", "-vnx"];
        let output = Command::new("ip").args(list).output().expect("iptables runs");
        let text = String::from_utf8(output.stdout).expect("a text");
        let line = text.lines().find(|line| line.contains("DROP")).expect("the rule");
        line.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a number")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // By itself it would go some time after the namespace.
        run("ip", &["link", "delete", &self.cable]);
        run("ip", &["netns", "delete", &self.name]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

/// Chromium, for a server whose certificate nobody has signed.
async fn chromium(hertz: f64) -> Browser {
    Browser::chromium_with(Some(hertz), &["--ignore-certificate-errors"]).await
}

/// Has both pressed and waits until they talk.
async fn talk(server: &TestServer, first: &Browser, second: &Browser) {
    first.open(&server.url()).await;
    second.open(&server.url()).await;
    press(first, second).await;
}

/// The same where the page is open.
async fn press(first: &Browser, second: &Browser) {
    first.press("start").await;
    first.until("waiting").await;
    let pressed = Instant::now();
    second.press("start").await;
    first.until("talking").await;
    second.until("talking").await;
    println!("from the second press to both talking: {:?}", pressed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_talks_without_udp() {
    let _turn = turn().await;
    let network = Network::new();
    let identity = Identity::new();
    let server = network.server(&identity).await;
    let (first, second) = (chromium(440.0).await, chromium(880.0).await);
    talk(&server, &first, &second).await;
    first.hears(880.0).await;
    second.hears(440.0).await;
    assert!(network.lost() > 0, "UDP was not tried");
    hang_up(first, second).await;
    server.stop().await;
}

/// As from a network that lets nothing through but what looks like HTTPS.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_talks_over_tls_alone() {
    let _turn = turn().await;
    let network = Network::new();
    let identity = Identity::new();
    let server = network.server(&identity).await;
    let (first, second) = (chromium(440.0).await, chromium(880.0).await);
    talk_over_tls_alone(&server.url(), &first, &second).await;
    first.hears(880.0).await;
    second.hears(440.0).await;
    hang_up(first, second).await;
    server.stop().await;
}

/// Firefox checks who is at the other end of `turns:`, as of any page, so here somebody vouches for the server; and it
/// goes there by a name only, never by an address, so this one is on this machine.
#[tokio::test(flavor = "multi_thread")]
async fn firefox_talks_over_tls_alone() {
    let _turn = turn().await;
    let identity = Identity::signed("localhost");
    let server = TestServer::start_with(&identity.flags()).await;
    let url = format!("https://localhost:{}/", server.port);
    for both_firefox in [true, false] {
        let first = Browser::firefox_that_trusts(&identity.authority).await;
        let second =
            if both_firefox { Browser::firefox_that_trusts(&identity.authority).await } else { chromium(440.0).await };
        talk_over_tls_alone(&url, &first, &second).await;
        for browser in [&first, &second] {
            assert!(browser.wait(UNTIL_PLAYING, vec![]).await.is_some(), "nothing is played");
        }
        hang_up(first, second).await;
    }
    server.stop().await;
}

/// Takes every other way from both, has them talk, and looks by which way they do.
async fn talk_over_tls_alone(url: &str, first: &Browser, second: &Browser) {
    for browser in [first, second] {
        browser.open(url).await;
        browser.run(TLS_ALONE, vec![]).await;
    }
    press(first, second).await;
    for browser in [first, second] {
        assert_eq!(browser.wait(UNTIL_HEARD, vec![]).await, Some(json!(["tls"])), "of all ways");
    }
}

async fn hang_up(first: Browser, second: Browser) {
    second.press("end").await;
    first.until("ended").await;
    first.quit().await;
    second.quit().await;
}

/// What the test above rests on: without the authority there is no page, and no way round that.
#[tokio::test(flavor = "multi_thread")]
async fn firefox_opens_no_page_that_nobody_vouches_for() {
    let _turn = turn().await;
    let (identity, other) = (Identity::signed("localhost"), Identity::signed("localhost"));
    let server = TestServer::start_with(&identity.flags()).await;
    let firefox = Browser::firefox_that_trusts(&other.authority).await;
    let error = firefox.driver.goto(format!("https://localhost:{}/", server.port)).await;
    assert!(format!("{error:?}").to_lowercase().contains("insecurecertificate"), "{error:?}");
    firefox.kill();
    let firefox = Browser::firefox_that_trusts(&identity.authority).await;
    firefox.open(&format!("https://localhost:{}/", server.port)).await;
    firefox.quit().await;
    server.stop().await;
}

/// Leaves one of the ways to the relay.
const TLS_ALONE: &str = r"
    // Calls are made from a frame.
    const Connection = frames[0].RTCPeerConnection;
    frames[0].RTCPeerConnection = class extends Connection {
        constructor(configuration) {
            const [server] = configuration.iceServers;
            const urls = server.urls.filter(url => url.startsWith('turns:'));
            if (urls.length !== 1) throw new Error('no turns');
            super({ ...configuration, iceServers: [{ ...server, urls }] });
            window.connection = this;
        }
    };
";

/// Resolves when a voice has come, with the ways to the relay that there are.
const UNTIL_HEARD: &str = r"
    const [done] = arguments;
    const look = async () => {
        const stats = [...(await window.connection.getStats()).values()];
        const heard = stats.some(({ type, totalAudioEnergy }) => type === 'inbound-rtp' && totalAudioEnergy > 0);
        const ways = stats.filter(({ type }) => type === 'local-candidate').map(({ relayProtocol }) => relayProtocol);
        if (heard) done([...new Set(ways)]); else setTimeout(look, 20);
    };
    look();
";

#[tokio::test(flavor = "multi_thread")]
async fn firefox_talks_without_udp() {
    let _turn = turn().await;
    let network = Network::new();
    let identity = Identity::new();
    let server = network.server(&identity).await;
    for firefox_first in [true, false] {
        let (firefox, chromium) = (Browser::firefox().await, chromium(440.0).await);
        let (first, second) = if firefox_first { (&firefox, &chromium) } else { (&chromium, &firefox) };
        talk(&server, first, second).await;
        chromium.lamp("them", true, 0.05).await;
        second.press("end").await;
        first.until("ended").await;
        firefox.quit().await;
        chromium.quit().await;
    }
    assert!(network.lost() > 0, "UDP was not tried");
    server.stop().await;
}
