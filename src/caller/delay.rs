//! What is heard, to be said again a while later. Pure: the time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::padding::{self, PACKET_BYTES};

/// One Opus packet stands for this long (RFC 7587 §4.2).
const FRAME: Duration = Duration::from_millis(20);

/// How much later: long enough to have said a word before it comes back, short enough to know it for one's own.
pub(super) const DELAY: Duration = Duration::from_secs(1);

/// For how long after the first packet anything is taken in. What comes out of a loudspeaker and into the microphone
/// again goes round so often at the most, however badly the browser cancels echoes; then it is silent.
pub(super) const TAKES: Duration = Duration::from_secs(7);

/// The most packets that wait: those of the delay, and half as many that came in a bunch.
const MOST: i16 = 75;

/// What could not be said for this long is not said any more: on a busy machine the echo has gaps and grows no older.
const OVERDUE: Duration = Duration::from_millis(100);

/// Keeps packets for [`DELAY`], and puts them into the order of their sequence numbers (RFC 3550 §5.1).
#[derive(Default)]
pub(super) struct DelayLine {
    /// When the first packet came.
    began: Option<Instant>,
    /// Which packet is to be said next, and when. None before the first one, and when there is nothing more to say.
    next: Option<(u16, Instant)>,
    /// That one and those after it; none for one that has not come.
    packets: VecDeque<Option<Bytes>>,
}

impl DelayLine {
    /// A packet has come.
    pub(super) fn push(&mut self, sequence_number: u16, packet: &[u8], now: Instant) {
        if now >= *self.began.get_or_insert(now) + TAKES {
            return;
        }
        let (first, _) = *self.next.get_or_insert((sequence_number, now + DELAY));
        let mut place = sequence_number.wrapping_sub(first).cast_signed();
        if !(-MOST..MOST).contains(&place) {
            // Not of this row: the sender has begun anew.
            self.packets.clear();
            self.next = Some((sequence_number, now + DELAY));
            place = 0;
        }
        // One that comes after its turn is lost.
        let Ok(place) = usize::try_from(place) else { return };
        if self.packets.len() <= place {
            self.packets.resize(place + 1, None);
        }
        self.packets[place] = Some(padding::pad(packet, PACKET_BYTES));
    }

    /// The packet to be said now, if there is one; one that was lost is an empty frame, which a decoder bridges.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Bytes> {
        loop {
            let (sequence_number, due) = self.next.filter(|(_, due)| *due <= now)?;
            let Some(packet) = self.packets.pop_front() else {
                self.next = None;
                return None;
            };
            self.next = Some((sequence_number.wrapping_add(1), due + FRAME));
            if now < due + OVERDUE {
                return Some(packet.unwrap_or_else(|| padding::pad(&[], PACKET_BYTES)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u16) -> Vec<u8> {
        [&[0xF8][..], &number.to_be_bytes()].concat()
    }

    fn padded(number: u16) -> Option<Bytes> {
        Some(padding::pad(&packet(number), PACKET_BYTES))
    }

    /// A line that gets one packet every 20 ms from `first` on, each so many milliseconds later than it was sent.
    fn fed(first: u16, lateness: &[u64]) -> (DelayLine, Instant) {
        let began = Instant::now();
        let mut line = DelayLine::default();
        let mut arrivals: Vec<_> =
            (0..).zip(lateness).map(|(index, late)| (20 * u64::from(index) + late, index)).collect();
        arrivals.sort_unstable();
        for (at, index) in arrivals {
            let number = first.wrapping_add(index);
            line.push(number, &packet(number), began + Duration::from_millis(at));
        }
        (line, began + DELAY)
    }

    fn said(line: &mut DelayLine, from: Instant, ticks: u32) -> Vec<Option<Bytes>> {
        (0..ticks).map(|tick| line.pop(from + FRAME * tick)).collect()
    }

    #[test]
    fn what_is_heard_is_said_a_second_later_in_order() {
        // Across the end of the numbers, one of them late by more than the next two.
        let (mut line, due) = fed(u16::MAX - 1, &[0, 5, 55, 0, 0]);
        assert_eq!(line.pop(due - Duration::from_millis(1)), None, "not yet");
        let numbers = [u16::MAX - 1, u16::MAX, 0, 1, 2];
        assert_eq!(said(&mut line, due, 5), numbers.map(padded));
        assert_eq!(line.pop(due + DELAY), None, "once");
    }

    #[test]
    fn a_lost_packet_is_bridged_and_one_that_is_late_is_not_waited_for() {
        let (mut line, due) = fed(7, &[0, 0]);
        line.push(10, &packet(10), due - DELAY + 3 * FRAME);
        let empty = Some(padding::pad(&[], PACKET_BYTES));
        assert_eq!(said(&mut line, due, 4), [padded(7), padded(8), empty, padded(10)]);
        line.push(9, &packet(9), due + 3 * FRAME);
        assert_eq!(line.pop(due + 4 * FRAME), None);
    }

    #[test]
    fn after_a_gap_it_begins_anew() {
        let (mut line, due) = fed(7, &[0]);
        assert_eq!(said(&mut line, due, 2), [padded(7), None]);
        // The numbers go on, or do not.
        for number in [8, 40_000] {
            let later = due + DELAY;
            line.push(number, &packet(number), later);
            assert_eq!(line.pop(later + DELAY - FRAME), None);
            assert_eq!(line.pop(later + DELAY), padded(number));
        }
        let (mut line, due) = fed(7, &[0, 0, 0]);
        line.push(40_000, &packet(40_000), due);
        assert_eq!(line.pop(due + DELAY), padded(40_000));
    }

    #[test]
    fn it_keeps_so_many_and_of_one_size_whatever_comes() {
        let now = Instant::now();
        let mut line = DelayLine::default();
        for number in 0..u16::MAX {
            line.push(number.wrapping_mul(31), &[0x78; 1_400], now);
            assert!(line.packets.len() <= MOST as usize);
            assert!(line.packets.iter().flatten().all(|packet| packet.len() == PACKET_BYTES));
        }
    }

    #[test]
    fn it_falls_silent_whatever_comes_in_again() {
        // A loudspeaker beside the microphone: whatever is said is heard at once.
        let began = Instant::now();
        let mut line = DelayLine::default();
        line.push(0, &packet(0), began);
        let mut last = began;
        for tick in 1..1_500_u16 {
            let now = began + FRAME * u32::from(tick);
            let said = line.pop(now);
            if said.is_some() {
                last = now;
            }
            line.push(tick, &said.unwrap_or_default(), now);
        }
        assert!(last > began + TAKES && last <= began + TAKES + DELAY, "{:?}", last - began);
    }

    #[test]
    fn a_busy_machine_loses_words_and_not_time() {
        let (mut line, due) = fed(0, &[0; 50]);
        assert_eq!(line.pop(due), padded(0));
        // Half a second during which nobody asked.
        let asked = line.pop(due + FRAME * 25);
        assert_eq!(asked, padded(21), "at most a tenth of a second older than it should be");
    }
}
