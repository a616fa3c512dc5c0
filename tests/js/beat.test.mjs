// What the two tell each other once a second: what a frame is, that it tells the network nothing, and what becomes of a
// partner's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Beat, BEAT_MS, decode, encode, FRAME_BYTES, KIND } from '../../static/js/beat.js';
import { STRETCH_MS } from '../../static/js/minutes.js';
import { clockByHand } from './clock.mjs';

/** Both ways of a call, with a clock that is moved by hand. */
function setUp(short = false) {
  const it = { ...clockByHand(), sent: [], sizes: [], changes: [], minutes: [] };
  const { clock } = it;
  it.beat = new Beat(clock, short, {
    onFrame: (frame) => {
      it.sent.push([clock.now(), decode(frame)]);
      it.sizes.push(frame.length);
    },
    onBreath: (on) => it.changes.push(on),
    onMinutes: (minutes) => it.minutes.push(minutes),
  });
  return it;
}

/** What a page says that has nothing to say of the ten minutes. */
const breathing = (breath) => encode({ breath, stretches: 0 });

test('a frame says two things, and nothing else is one', () => {
  for (const breath of [true, false]) {
    for (const stretches of [0, 1, 2, 255]) {
      assert.equal(encode({ breath, stretches }).length, FRAME_BYTES);
      assert.deepEqual(decode(encode({ breath, stretches })), { breath, stretches });
    }
  }
  for (const wrong of [[], [KIND], [KIND, 1], [KIND, 2, 0], [KIND, 255, 0], [KIND, 1, 0, 0], [4, 1, 0], [0, 1, 0]]) {
    assert.equal(decode(Uint8Array.from(wrong)), null, String(wrong));
  }
});

test('it is said once a second, whatever is pressed: nothing on the line tells when', () => {
  const it = setUp(true);
  const { beat, pass } = it;
  beat.take(true);
  assert.deepEqual([it.sent, it.timers.size], [[], 0], 'not before the channel is open');
  beat.open();
  pass(1_250);
  beat.take(false);
  beat.take(true);
  beat.take(false);
  pass(2_000);
  assert.deepEqual(it.sent.map(([at, { breath }]) => [at, breath]), [[0, true], [BEAT_MS, true], [2 * BEAT_MS, false], [3 * BEAT_MS, false]]);
  pass(STRETCH_MS);
  const before = it.sent.length;
  beat.goOn();
  assert.equal(it.sent.length, before);
  beat.receive(encode({ breath: false, stretches: 2 }));
  pass(2 * BEAT_MS);
  assert.deepEqual(it.sent.slice(before - 1).map(([, { stretches }]) => stretches), [1, 2, 2]);
  assert.deepEqual(it.sent.map(([at]) => at), it.sent.map((_, number) => number * BEAT_MS));
  assert.deepEqual(new Set(it.sizes), new Set([FRAME_BYTES]));
  beat.close();
  pass(60_000);
  assert.deepEqual([it.sent.length, it.timers.size], [before + 2, 0]);
});

test('a talk of ten minutes: both know, are reminded, and learn that both would like to go on', () => {
  const [one, other] = [setUp(true), setUp()];
  let [from, to] = [0, 0];
  /** Time goes by for both, and what they say arrives. */
  const pass = (ms) => {
    for (let second = 0; second < ms; second += BEAT_MS) {
      one.pass(BEAT_MS);
      other.pass(BEAT_MS);
      while (from < one.sent.length) other.beat.receive(encode(one.sent[from++][1]));
      while (to < other.sent.length) one.beat.receive(encode(other.sent[to++][1]));
    }
  };
  one.beat.open();
  other.beat.open();
  pass(BEAT_MS);
  assert.deepEqual([one.minutes, other.minutes], [['few'], ['few']], 'whoever wished for it');
  one.beat.goOn();
  pass(STRETCH_MS - 3 * BEAT_MS);
  assert.deepEqual([one.minutes, other.minutes], [['few'], ['few']], 'nobody is asked before');
  pass(3 * BEAT_MS);
  assert.deepEqual([one.minutes, other.minutes], [['few', 'over'], ['few', 'over']]);
  one.beat.goOn();
  pass(60_000);
  assert.deepEqual([one.minutes.at(-1), other.minutes.at(-1)], ['asked', 'over'], 'nobody sees it who has not said so too');
  other.beat.goOn();
  assert.equal(other.minutes.at(-1), 'on');
  pass(BEAT_MS);
  assert.equal(one.minutes.at(-1), 'on');
  pass(STRETCH_MS - 2 * BEAT_MS);
  assert.deepEqual([one.minutes.length, other.minutes.length], [4, 3]);
  pass(3 * BEAT_MS);
  assert.deepEqual([one.minutes.at(-1), other.minutes.at(-1)], ['over', 'over'], 'and again');
});

test('a change is told once, however often it is said', () => {
  const it = setUp();
  for (let beat = 0; beat < 30; beat += 1) it.beat.receive(breathing(false));
  for (let beat = 0; beat < 30; beat += 1) it.beat.receive(breathing(true));
  for (let beat = 0; beat < 30; beat += 1) it.beat.receive(breathing(false));
  assert.deepEqual(it.changes, [true, false]);
});

test('a hostile partner changes little, and what was said last holds in the end', () => {
  const it = setUp();
  for (let number = 0; number < 10_000; number += 1) it.beat.receive(breathing(number % 2 === 0));
  assert.equal(it.changes.length, 6);
  for (let second = 0; second < 60; second += 1) {
    it.pass(1_000);
    for (let number = 0; number < 100; number += 1) it.beat.receive(breathing(number % 2 === 0));
  }
  assert.ok(it.changes.length <= 12, `${it.changes.length} changes in a minute`);
  for (let second = 0; second < 12; second += 1) {
    it.pass(1_000);
    it.beat.receive(breathing(true));
  }
  assert.equal(it.changes.at(-1), true);
});

test('what comes late and all at once, as after a gap in the line, ends in what is so', () => {
  const it = setUp();
  for (const on of [false, true, true, false, true]) it.beat.receive(breathing(on));
  assert.deepEqual(it.changes, [true, false, true]);
});
