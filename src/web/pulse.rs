//! Whether the other end of a socket is alive, and whether it keeps a human pace.

use std::time::{Duration, Instant};

/// How often the server pings. The page cannot: timers of hidden tabs are throttled, pongs are not.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How long a socket may be silent: two pings unanswered, and some for a slow line.
const SILENT_FOR: Duration = Duration::from_secs(40);

/// How long a socket may stay without `hello`.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// How many frames may come at once. A call's set-up is under thirty from one side.
const FRAME_BURST: u32 = 60;

/// How fast further frames may come: twenty a second.
const FRAME_EVERY: Duration = Duration::from_millis(50);

/// The clocks of one socket.
#[derive(Debug)]
pub struct Pulse {
    heard: Instant,
    ping_due: Instant,
    hello_due: Option<Instant>,
    /// Where the frames' allowance is used up to; never more than a whole burst behind the present.
    allowance: Instant,
}

/// What a [`Pulse`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing yet.
    Wait,
    /// Send a ping.
    Ping,
    /// Nothing was heard for too long.
    Silent,
    /// No `hello` came in time.
    NoHello,
}

impl Pulse {
    /// For a socket that opens at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            heard: now,
            ping_due: now + PING_EVERY,
            hello_due: Some(now + HELLO_WITHIN),
            allowance: now.checked_sub(FRAME_EVERY * FRAME_BURST).unwrap_or(now),
        }
    }

    /// Notes that anything was received: a pong is a sign of life as well.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Notes a `hello`.
    pub fn greeted(&mut self) {
        self.hello_due = None;
    }

    /// Counts one frame. False when frames come faster than any page sends them.
    pub fn frame(&mut self, now: Instant) -> bool {
        let full = now.checked_sub(FRAME_EVERY * FRAME_BURST).unwrap_or(now);
        self.allowance = self.allowance.max(full) + FRAME_EVERY;
        self.allowance <= now
    }

    /// When [`Self::beat`] is next worth asking.
    pub fn deadline(&self) -> Instant {
        let silent = self.heard + SILENT_FOR;
        self.hello_due.into_iter().fold(silent.min(self.ping_due), Instant::min)
    }

    /// What is due at `now`; a ping is asked for once.
    pub fn beat(&mut self, now: Instant) -> Beat {
        if self.heard + SILENT_FOR <= now {
            Beat::Silent
        } else if self.hello_due.is_some_and(|due| due <= now) {
            Beat::NoHello
        } else if self.ping_due <= now {
            self.ping_due = now + PING_EVERY;
            Beat::Ping
        } else {
            Beat::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_socket_is_pinged_and_then_given_up() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.greeted();
        let mut beats = Vec::new();
        loop {
            let at = pulse.deadline();
            let beat = pulse.beat(at);
            beats.push((at - start, beat));
            assert_ne!(beat, Beat::Wait, "a deadline that asks for nothing would spin");
            if beat == Beat::Silent {
                break;
            }
        }
        assert_eq!(beats, [(PING_EVERY, Beat::Ping), (PING_EVERY * 2, Beat::Ping), (SILENT_FOR, Beat::Silent),]);
    }

    #[test]
    fn a_socket_that_answers_is_kept() {
        let mut now = Instant::now();
        let mut pulse = Pulse::new(now);
        pulse.greeted();
        for _ in 0..100 {
            now = pulse.deadline();
            assert_eq!(pulse.beat(now), Beat::Ping);
            pulse.heard(now);
        }
    }

    #[test]
    fn a_socket_without_hello_is_given_up() {
        let mut pulse = Pulse::new(Instant::now());
        let at = pulse.deadline();
        assert_eq!(pulse.beat(at), Beat::NoHello);
    }

    #[test]
    fn a_burst_and_then_a_pace() {
        let mut now = Instant::now() + Duration::from_secs(60);
        let mut pulse = Pulse::new(now);
        assert_eq!((0..100).take_while(|_| pulse.frame(now)).count(), FRAME_BURST as usize);
        // The refused one counted too: whoever floods waits for longer.
        now += FRAME_EVERY * 2;
        assert!(pulse.frame(now));
        now += FRAME_EVERY * FRAME_BURST * 10;
        assert_eq!((0..100).take_while(|_| pulse.frame(now)).count(), FRAME_BURST as usize);
    }
}
