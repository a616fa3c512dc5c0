// Breathing with the ring: four seconds in, six out, for as long as somebody likes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { phase } from '../../static/js/guide.js';

test('four seconds in, six out', () => {
  for (const [ms, breathe, left] of [
    [0, 'in', 4_000], [3_999, 'in', 1], [4_000, 'out', 6_000], [9_999, 'out', 1], [10_000, 'in', 4_000], [3_600_000, 'in', 4_000], [3_604_500, 'out', 5_500],
  ]) assert.deepEqual(phase(ms), { breathe, left }, String(ms));
});

test('a clock that stood still or went back does no harm', () => {
  for (const ms of [-1, -1e9]) assert.deepEqual(phase(ms), phase(0));
  for (let ms = 0; ms < 20_000; ms += 7) assert.ok(phase(ms).left > 0);
});

test('following it, one comes from word to word without drifting', () => {
  const words = [];
  for (let ms = 0; ms < 100_000;) {
    const { breathe, left } = phase(ms);
    words.push(breathe);
    ms += left;
  }
  assert.deepEqual(words, Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 'in' : 'out')));
});

test('the ring moves by the same times', () => {
  const css = readFileSync(new URL('../../static/style.css', import.meta.url), 'utf8');
  assert.match(css, /animation: breathe 10s/);
  for (const name of ['breathe', 'guide']) assert.match(css, new RegExp(`@keyframes ${name} \\{ 40% `));
});
