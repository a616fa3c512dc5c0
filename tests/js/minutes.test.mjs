// A talk that is meant for ten minutes: when there is what to say of it, and that nobody is turned down.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_STRETCHES, STRETCH_MS, TenMinutes } from '../../static/js/minutes.js';

test('ten minutes are ten minutes', () => assert.equal(STRETCH_MS, 10 * 60 * 1_000));

test('where nobody has wished for them there is nothing to say, ever', () => {
  const minutes = new TenMinutes(false, 0);
  for (const now of [0, STRETCH_MS, 100 * STRETCH_MS]) {
    minutes.goOn(now);
    assert.deepEqual([minutes.at(now), minutes.own], ['none', 0]);
  }
});

test('one wish is enough, and whoever is reminded may press nothing', () => {
  for (const [wanted, theirs] of [[true, 0], [false, 1], [true, 1]]) {
    const minutes = new TenMinutes(wanted, 5_000);
    minutes.hear(theirs, 6_000);
    assert.equal(minutes.at(6_000), 'few');
    assert.equal(minutes.at(5_000 + STRETCH_MS - 1), 'few');
    for (const now of [5_000 + STRETCH_MS, 50 * STRETCH_MS]) assert.equal(minutes.at(now), 'over', 'it waits for as long as it takes');
  }
});

test('who hears of the wish late is reminded of the same ten minutes', () => {
  const minutes = new TenMinutes(false, 0);
  minutes.hear(1, STRETCH_MS + 1);
  assert.equal(minutes.at(STRETCH_MS + 1), 'over');
});

test('what one would like is the same to see for the other as nothing, until they would, too', () => {
  for (const [wanted, theirs] of [[true, 0], [false, 1]]) {
    const [quiet, told] = [new TenMinutes(wanted, 0), new TenMinutes(wanted, 0)];
    for (const it of [quiet, told]) it.hear(theirs, 0);
    told.hear(2, STRETCH_MS);
    for (let now = 0; now < 3 * STRETCH_MS; now += 10_000) assert.equal(told.at(now), quiet.at(now));
    told.goOn(STRETCH_MS);
    assert.deepEqual([told.at(STRETCH_MS), told.own], ['on', 2]);
    quiet.goOn(STRETCH_MS);
    assert.deepEqual([quiet.at(STRETCH_MS), quiet.own], ['asked', 2]);
  }
});

test('a wish holds for the stretch that it was made in, however late or often it is heard', () => {
  const minutes = new TenMinutes(true, 0);
  minutes.goOn(STRETCH_MS);
  minutes.hear(2, STRETCH_MS + 500);
  assert.equal(minutes.at(STRETCH_MS + 500), 'on');
  // The old word of the other's, again and again, and a lower one.
  for (const stretches of [2, 1, 0, 2]) minutes.hear(stretches, 2 * STRETCH_MS + 500);
  assert.equal(minutes.at(2 * STRETCH_MS + 499), 'on');
  assert.equal(minutes.at(2 * STRETCH_MS + 500), 'over');
  minutes.goOn(2 * STRETCH_MS + 600);
  assert.equal(minutes.at(2 * STRETCH_MS + 600), 'asked', 'what was said of the last stretch is not said of this one');
});

test('a hostile partner who says anything brings no more about than what this side has pressed', () => {
  const minutes = new TenMinutes(false, 0);
  const seen = new Set();
  for (let now = 0; now < 2 * STRETCH_MS; now += 1_000) {
    minutes.hear((now / 1_000) % 256, now);
    seen.add(minutes.at(now));
  }
  assert.deepEqual([...seen], ['none', 'few', 'over']);
  minutes.goOn(2 * STRETCH_MS);
  assert.equal(minutes.at(2 * STRETCH_MS), 'on');
  assert.equal(minutes.at(3 * STRETCH_MS), 'over', 'one press, one stretch');
});

test('what is said fits into its byte, however long two people talk', () => {
  const minutes = new TenMinutes(true, 0);
  minutes.hear(MAX_STRETCHES, 0);
  for (let stretch = 1; stretch < 300; stretch += 1) minutes.goOn(stretch * STRETCH_MS);
  assert.equal(minutes.own, MAX_STRETCHES);
  assert.equal(minutes.at(1_000 * STRETCH_MS), 'on');
});
