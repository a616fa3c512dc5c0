// The page /privacy: what it promises, and that each promise is held.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
const html = read('static/privacy.html');
const body = html.slice(html.indexOf('<main'));

/** Promises that wait for what is not there yet: each goes with the change that brings its test. */
/** @type {string[]} */
const AWAITED = [];

/** Every point: its words, its comments, and whether it stands under "They cannot". */
const points = [...body.matchAll(/<(ul|dl)([^>]*)>([\s\S]*?)<\/\1>/g)].flatMap(([, , attributes, list]) =>
  [...list.matchAll(/<(li|dd)>([\s\S]*?)<\/\1>/g)].map(([, , point]) => ({
    cannot: attributes.includes('class="cannot"'),
    text: point.replace(/<!--[\s\S]*?-->/g, '').replace(/<[^>]+>/g, '').replace(/\s+/g, ' ').trim(),
    notes: [...point.matchAll(/<!-- (held by|limit|lasts|awaits): ([\s\S]*?) -->/g)].map(([, kind, value]) => ({ kind, value })),
    times: [...point.matchAll(/<time datetime="([^"]+)">([^<]+)</g)].map(([, value, words]) => ({ value, words })),
  })));

/** Whether a file has this test, and runs it. */
function hasTest(path, name) {
  const source = read(path);
  if (path.endsWith('.mjs')) return source.includes(`\ntest('${name.replaceAll('\'', '\\\'')}', `);
  return new RegExp(`#\\[(?:tokio::)?test[^\\n]*\\]\\n\\s*(?:pub )?(?:async )?fn ${name}\\(\\)`).test(source)
    // A property that proptest runs.
    || source.includes('proptest!') && new RegExp(`#\\[test\\]\\n\\s*fn ${name}\\(`).test(source);
}

/** A constant's value in seconds, as its source says it. */
function seconds(term) {
  const [path, name] = term.trim().split(' ');
  const found = new RegExp(`const ${name}: (?:Duration = Duration::from_secs\\(([0-9 *]+)\\)|u64 = ([0-9 *]+));`).exec(read(path));
  assert.ok(found, `${name} in ${path}`);
  return (found[1] ?? found[2]).split('*').reduce((product, factor) => product * Number(factor), 1);
}

test('every point names what holds it, and that is there', () => {
  assert.ok(points.length > 40, `${points.length} points`);
  assert.equal(points.length, body.match(/<(li|dd)\b/g).length, 'no point is overlooked');
  for (const { text, cannot, notes } of points) {
    const holders = notes.filter(({ kind }) => kind !== 'lasts');
    assert.ok(holders.length > 0, text);
    for (const { kind, value } of holders) {
      assert.notEqual(value.trim(), '', text);
      if (cannot) assert.notEqual(kind, 'limit', `a limit is no promise: ${text}`);
      if (kind !== 'held by') continue;
      for (const holder of value.split('; ')) {
        const [, path, name] = /^(\S+) (.+)$/.exec(holder);
        assert.ok(hasTest(path, name), `${name} in ${path}, for: ${text}`);
      }
    }
  }
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
  const NAMES = { PT1M: ['one minute', 60], PT6M: ['six minutes', 360], PT10M: ['ten minutes', 600], P1D: ['one day', 86_400], P2D: ['two days', 172_800] };
  for (const { text, notes, times } of points) {
    const terms = notes.filter(({ kind }) => kind === 'lasts').flatMap(({ value }) => value.split('; '));
    assert.equal(times.length, terms.length, text);
    times.forEach(({ value, words }, index) => {
      const [name, length] = NAMES[value];
      assert.equal(words, name, text);
      assert.equal(terms[index].split(' + ').reduce((sum, term) => sum + seconds(term), 0), length, terms[index]);
    });
    assert.doesNotMatch(text.replace(/\b((one|six|ten) minutes?|one day|two days)\b/g, ''), /\b(second|minute|hour|day)s?\b(?! night)/, text);
  }
});

test('the page stands by itself: no script, nothing inline, nothing from elsewhere', () => {
  assert.doesNotMatch(html, /<script|\sstyle=|<style|\son[a-z]+=|<img|<iframe/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address, /^(\/|#)/);
  for (const [, id] of html.matchAll(/href="#([^"]+)"/g)) assert.ok(html.includes(`id="${id}"`), id);
  assert.match(html, /<html lang="en" dir="ltr">/);
});

test('headings are in order, and the words are as kind as the others', () => {
  const levels = [...body.matchAll(/<h([1-6])/g)].map(([, level]) => Number(level));
  assert.deepEqual(levels.filter((level) => level === 1), [1]);
  levels.reduce((before, level) => { assert.ok(level <= before + 1); return level; });
  const text = body.replace(/<!--[\s\S]*?-->/g, '').replace(/<[^>]+>/g, ' ');
  assert.doesNotMatch(text, /[!']/);
  assert.doesNotMatch(text, /\b(military|bank|100|guarantee|unbreakable|completely|absolutely|WebRTC|DTLS|SRTP|TURN|HMAC)\b/i);
  for (const sentence of text.split(/[.:;]\s/)) assert.ok(sentence.trim().split(/\s+/).length <= 32, sentence);
});
