// When packets are sent: every 20 ms, whatever the encoder took for each.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOLD_MS, Rhythm } from '../../static/js/rhythm.js';

/** What is sent when, if packets come at these times. */
function sent(times) {
  const rhythm = new Rhythm();
  return times.map((came) => Math.max(came, rhythm.next(came)));
}

const gaps = (times) => times.slice(1).map((time, at) => time - times[at]);
const near = (value, expected, by) => assert.ok(Math.abs(value - expected) <= by, `${value} is not ${expected} ± ${by}`);

test('the first is held for a while and so are the others', () => {
  assert.deepEqual(sent([100, 120, 140, 160]), [100, 120, 140, 160].map((came) => came + HOLD_MS));
});

test('what comes early and late by turns leaves evenly', () => {
  const came = Array.from({ length: 500 }, (_, at) => at * 20 + (at % 2 ? 4 : -4));
  for (const gap of gaps(sent(came)).slice(50)) near(gap, 20, 0.1);
});

test('who begins to speak and takes 2 ms longer is not seen by the packet', () => {
  const came = Array.from({ length: 1_000 }, (_, at) => at * 20 + (Math.floor(at / 300) % 2 ? 2 : 0));
  for (const gap of gaps(sent(came))) near(gap, 20, 0.01);
});

test('a packet that is late goes at once, and the next when it would have', () => {
  const before = Array.from({ length: 300 }, (_, at) => at * 20);
  const times = sent([...before, 6_030, 6_031, 6_040, 6_060]).slice(300);
  assert.deepEqual(times.slice(0, 2), [6_030, 6_031]);
  near(times[2], 6_040 + HOLD_MS, 0.3);
  near(times[3], 6_060 + HOLD_MS, 0.3);
});

test('a sound card with a clock of its own is followed for hours', () => {
  for (const each of [19.998, 20.002]) {
    const rhythm = new Rhythm();
    for (let at = 0; at < 1_000_000; at++) {
      const held = rhythm.next(at * each) - at * each;
      near(held, HOLD_MS, 0.6);
    }
  }
});

test('after a microphone was away the clock begins anew', () => {
  const times = sent([0, 20, 5_000, 5_020]);
  assert.deepEqual(times.slice(2), [5_000 + HOLD_MS, 5_020 + HOLD_MS]);
  // Also where the clock itself has gone back.
  assert.deepEqual(sent([5_000, 0, 20]).slice(1), [HOLD_MS, 20 + HOLD_MS]);
});
