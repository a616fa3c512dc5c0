// Taking a breath: what a frame is, that it tells the network nothing, and what becomes of a partner's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEAT_MS, Breath, decode, encode, FRAME_BYTES, KIND } from '../../static/js/breath.js';
import { clockByHand } from './clock.mjs';

/** Both ways of a call, with a clock that is moved by hand. */
function setUp() {
  const it = { ...clockByHand(), sent: [], changes: [] };
  const { clock } = it;
  it.breath = new Breath(clock, {
    onFrame: (frame) => it.sent.push([clock.now(), decode(frame)]),
    onChange: (on) => it.changes.push(on),
  });
  return it;
}

test('a frame says one of two things, and nothing else is one', () => {
  for (const on of [true, false]) {
    assert.equal(encode(on).length, FRAME_BYTES);
    assert.equal(decode(encode(on)), on);
  }
  for (const wrong of [[], [KIND], [KIND, 2], [KIND, 255], [KIND, 1, 0], [KIND, 0, 0], [4, 1], [0, 1]]) {
    assert.equal(decode(Uint8Array.from(wrong)), null, String(wrong));
  }
});

test('it is said once a second, whatever is pressed: nothing on the line tells when', () => {
  const it = setUp();
  it.breath.take(true);
  assert.deepEqual([it.sent, it.timers.size], [[], 0], 'not before the channel is open');
  it.breath.open();
  const { pass } = it;
  pass(1_250);
  it.breath.take(false);
  it.breath.take(true);
  it.breath.take(false);
  pass(2_000);
  assert.deepEqual(it.sent, [[0, true], [BEAT_MS, true], [2 * BEAT_MS, false], [3 * BEAT_MS, false]]);
  it.breath.close();
  pass(60_000);
  assert.deepEqual([it.sent.length, it.timers.size], [4, 0]);
});

test('a change is told once, however often it is said', () => {
  const it = setUp();
  for (let beat = 0; beat < 30; beat += 1) it.breath.receive(encode(false));
  for (let beat = 0; beat < 30; beat += 1) it.breath.receive(encode(true));
  for (let beat = 0; beat < 30; beat += 1) it.breath.receive(encode(false));
  assert.deepEqual(it.changes, [true, false]);
});

test('a hostile partner changes little, and what was said last holds in the end', () => {
  const it = setUp();
  for (let number = 0; number < 10_000; number += 1) it.breath.receive(encode(number % 2 === 0));
  assert.equal(it.changes.length, 6);
  for (let second = 0; second < 60; second += 1) {
    it.pass(1_000);
    for (let number = 0; number < 100; number += 1) it.breath.receive(encode(number % 2 === 0));
  }
  assert.ok(it.changes.length <= 12, `${it.changes.length} changes in a minute`);
  for (let second = 0; second < 12; second += 1) {
    it.pass(1_000);
    it.breath.receive(encode(true));
  }
  assert.equal(it.changes.at(-1), true);
});

test('what comes late and all at once, as after a gap in the line, ends in what is so', () => {
  const it = setUp();
  for (const on of [false, true, true, false, true]) it.breath.receive(encode(on));
  assert.deepEqual(it.changes, [true, false, true]);
});
