//! How much one allocation may send: enough for voice, and too little for anything else.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Bytes a second, the headers of every packet counted in. A voice is 176 bytes every 20 ms whatever is said; RTP, SRTP,
/// UDP and IP make that 232, or 11,600 bytes a second. RTCP, the checks of ICE and a few words on the data channel find
/// room in the rest; a file of a megabyte takes a minute.
pub(super) const RATE: u64 = 16_000;

/// Bytes at once, on top: four seconds of the rate. A DTLS handshake takes 5,000, and what a network has held back
/// for seconds comes in one go as well.
pub(super) const BURST: u64 = 4 * RATE;

/// What a packet costs besides its payload: IPv4 and UDP headers. Without it, a flood of tiny packets would be free.
pub(super) const OVERHEAD: u64 = 28;

const NANOSECONDS: u64 = 1_000_000_000;

/// A token bucket in one number, filled by the clock. One thread or task takes from it at a time, because a 5-tuple
/// comes by one; but it moves to another when a thread is added, and then both may take for a moment.
pub(super) struct Bucket {
    start: Instant,
    /// When it is full again, in nanoseconds from the start.
    full: AtomicU64,
}

impl Bucket {
    /// A full one.
    pub fn new(now: Instant) -> Self {
        Self { start: now, full: AtomicU64::new(0) }
    }

    /// Whether a payload of so many bytes may pass; if so, it is counted.
    pub fn take(&self, now: Instant, length: usize) -> bool {
        const BURST_TIME: u64 = BURST * NANOSECONDS / RATE;
        let cost = (length as u64 + OVERHEAD) * NANOSECONDS / RATE;
        let now = nanoseconds(now.saturating_duration_since(self.start));
        let taken = self.full.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full| {
            let after = full.max(now) + cost;
            (after <= now + BURST_TIME).then_some(after)
        });
        taken.is_ok()
    }
}

/// Wraps after 584 years.
fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::caller::PACKET_BYTES;

    /// How many of the packets that come every so often in a minute pass.
    fn passed(length: usize, every: Duration) -> (u32, u32) {
        let start = Instant::now();
        let bucket = Bucket::new(start);
        let count = (Duration::from_secs(60).as_nanos() / every.as_nanos()) as u32;
        let passed = (0..count).filter(|number| bucket.take(start + every * *number, length)).count();
        (passed as u32, count)
    }

    #[test]
    fn voice_passes_for_ever() {
        // The pages' packets in SRTP with the longer tag (RFC 7714), and 10 ms packets of a browser that does not pad.
        for (length, milliseconds) in [(PACKET_BYTES + 28, 20), (60 + 28, 10)] {
            let (passed, all) = passed(length, Duration::from_millis(milliseconds));
            assert_eq!(passed, all);
        }
    }

    #[test]
    fn typing_passes_beside_a_voice() {
        let start = Instant::now();
        let bucket = Bucket::new(start);
        // A large voice: 176 bytes every 20 ms, in SRTP with the longer tag (RFC 7714). Beside it lines, as fast as a
        // page lets anybody type: five at once, then one a second. A frame of 2,003 bytes is two SCTP packets in DTLS,
        // and each of the partner's own is acknowledged.
        let line = [1_260, 900, 80, 80];
        for number in 0..3_000_u32 {
            let now = start + Duration::from_millis(20) * number;
            assert!(bucket.take(now, 176 + 28), "the voice, at {number}");
            let lines = if number == 0 { 5 } else { u32::from(number % 50 == 0) };
            for length in line.repeat(lines as usize) {
                assert!(bucket.take(now, length), "a line, at {number}");
            }
        }
    }

    #[test]
    fn a_file_does_not() {
        // One megabit a second in packets of 1,200 bytes.
        let (passed, all) = passed(1_200, Duration::from_micros(9_600));
        let rate = u64::from(passed) * 1_228 / 60;
        assert!(rate <= RATE + BURST / 60, "{rate}");
        assert!(passed * 6 < all, "{passed} of {all}");
    }

    #[test]
    fn tiny_packets_are_not_free() {
        let (passed, _) = passed(0, Duration::from_micros(100));
        assert!(u64::from(passed) <= (60 * RATE + BURST) / OVERHEAD, "{passed}");
    }

    #[test]
    fn two_threads_get_no_more_than_one() {
        let now = Instant::now();
        let buckets: Vec<Bucket> = (0..1_000).map(|_| Bucket::new(now)).collect();
        let ready = AtomicU64::new(0);
        let empty_all = || {
            let mut passed = 0;
            for (bucket, both) in buckets.iter().zip((2..).step_by(2)) {
                // Side by side, or one would be done before the other begins.
                ready.fetch_add(1, Ordering::AcqRel);
                while ready.load(Ordering::Acquire) < both {
                    thread::yield_now();
                }
                passed += (0..BURST / OVERHEAD).filter(|_| bucket.take(now, 0)).count() as u64;
            }
            passed
        };
        let passed = thread::scope(|scope| {
            let threads = [scope.spawn(empty_all), scope.spawn(empty_all)];
            threads.map(|thread| thread.join().unwrap()).iter().sum::<u64>()
        });
        assert_eq!(passed, buckets.len() as u64 * (BURST / OVERHEAD));
    }

    #[test]
    fn a_burst_is_there_again_after_a_pause() {
        let start = Instant::now();
        let bucket = Bucket::new(start);
        let burst = |at| (0..1_000).filter(|_| bucket.take(at, 100)).count() as u64;
        assert_eq!(burst(start), BURST / (100 + OVERHEAD));
        assert_eq!(burst(start + Duration::from_secs(1)), RATE / (100 + OVERHEAD));
        assert_eq!(burst(start + Duration::from_secs(60)), BURST / (100 + OVERHEAD));
    }
}
