//! The line between a visitor and the server: cut, and back.

use std::time::Duration;

use tokio::time::sleep;

use super::ear::{in_call, trial};
use crate::browser::{Browser, turn};
use crate::line::{Line, Way, Weather};
use crate::server::TestServer;

/// More than it takes on a machine with ten others at work.
const BACK_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_cut_off_for_a_while_is_no_end() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    let (first, second) = (Line::to(server.port, 1).await, Line::to(server.port, 2).await);
    in_call(&one, &first.url(), &other, &second.url()).await;
    for (whose, line) in [("the answerer's", &first), ("the offerer's", &second)] {
        for seconds in [1, 5, 20] {
            let cut = trial(&format!("{whose} relay packets cut for {seconds} s"));
            line.turn(Weather::relay(Way::cut()));
            sleep(Duration::from_secs(seconds)).await;
            line.turn(Weather::default());
            cut.over([&one, &other], BACK_WITHIN).await;
            one.until("talking").await;
            other.until("talking").await;
        }
    }
    one.quit().await;
    other.quit().await;
    server.stop().await;
}
