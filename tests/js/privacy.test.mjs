// The page /privacy: what it promises, and that each promise is held.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHeld, assertPlain, hasTest, pointsOf, read, textOf } from './points.mjs';

const html = read('static/privacy.html');
const body = html.slice(html.indexOf('<main'));
const points = pointsOf(body);

/** Promises that wait for what is not there yet: each goes with the change that brings its test. */
/** @type {string[]} */
const AWAITED = [];

/** A constant's value in seconds, as its source says it. */
function seconds(term) {
  const [path, name] = term.trim().split(' ');
  const found = new RegExp(`const ${name}: (?:Duration = Duration::from_secs\\(([0-9 *]+)\\)|u64 = ([0-9 *]+));`).exec(read(path));
  assert.ok(found, `${name} in ${path}`);
  return (found[1] ?? found[2]).split('*').reduce((product, factor) => product * Number(factor), 1);
}

test('every point names what holds it, and that is there', () => {
  assert.ok(points.length > 40, `${points.length} points`);
  assertHeld(body);
  const awaited = points.flatMap(({ notes }) => notes.filter(({ kind }) => kind === 'awaits').map(({ value }) => value));
  assert.deepEqual(awaited, AWAITED);
});

test('a test that is not there is noticed', () => {
  assert.ok(hasTest('src/protocol.rs', 'the_golden_frames_hold'));
  for (const [path, name] of [
    ['src/protocol.rs', 'the_golden_frames'], ['src/protocol.rs', 'holds'], ['src/protocol.rs', 'is_hex'],
    ['tests/js/privacy.test.mjs', 'hasTest'], ['tests/js/privacy.test.mjs', 'a test that is not'],
  ]) assert.ok(!hasTest(path, name), name);
});

test('every duration is the one in the code', () => {
  const NAMES = { PT1M: ['one minute', 60], PT2M: ['two minutes', 120], PT6M: ['six minutes', 360], PT10M: ['ten minutes', 600], P1D: ['one day', 86_400], P2D: ['two days', 172_800], P14D: ['two weeks', 1_209_600] };
  for (const { text, notes, times } of points) {
    const terms = notes.filter(({ kind }) => kind === 'lasts').flatMap(({ value }) => value.split('; '));
    assert.equal(times.length, terms.length, text);
    times.forEach(({ value, words }, index) => {
      const [name, length] = NAMES[value];
      assert.equal(words, name, text);
      assert.equal(terms[index].split(' + ').reduce((sum, term) => sum + seconds(term), 0), length, terms[index]);
    });
    assert.doesNotMatch(text.replace(/\b((one|two|six|ten) minutes?|one day|two days|two weeks)\b/g, ''), /\b(second|minute|hour|day)s?\b(?! night)/, text);
  }
});

test('the page stands by itself, and its words are as kind as the others', () => {
  assertPlain(html);
  assert.doesNotMatch(textOf(body), /\b(military|bank|100|guarantee|unbreakable|completely|absolutely|WebRTC|DTLS|SRTP|TURN|HMAC)\b/i);
});
