// A page of promises: what each of its points says, and whether what is named to hold it is there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
export const read = (path) => readFileSync(new URL(path, root), 'utf8');

/** Every point of a page: its words, its comments, and whether it stands under "They cannot". */
export const pointsOf = (body) => [...body.matchAll(/<(ul|dl)([^>]*)>([\s\S]*?)<\/\1>/g)].flatMap(([, , attributes, list]) =>
  [...list.matchAll(/<(li|dd)>([\s\S]*?)<\/\1>/g)].map(([, , point]) => ({
    cannot: attributes.includes('class="cannot"'),
    text: textOf(point),
    notes: [...point.matchAll(/<!-- (held by|limit|lasts|awaits): ([\s\S]*?) -->/g)].map(([, kind, value]) => ({ kind, value })),
    times: [...point.matchAll(/<time datetime="([^"]+)">([^<]+)</g)].map(([, value, words]) => ({ value, words })),
  })));

/** What a visitor reads of it. */
export const textOf = (html) => html.replace(/<!--[\s\S]*?-->/g, '').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim();

/** Whether a file has this test, and runs it. */
export function hasTest(path, name) {
  const source = read(path);
  if (path.endsWith('.mjs')) return source.split('\n').some((line) => line.trimStart().startsWith(`test('${name.replaceAll('\'', '\\\'')}', `));
  return new RegExp(`#\\[(?:tokio::)?test[^\\n]*\\]\\n\\s*(?:pub )?(?:async )?fn ${name}\\(\\)`).test(source)
    // A property that proptest runs.
    || source.includes('proptest!') && new RegExp(`#\\[test\\]\\n\\s*fn ${name}\\(`).test(source);
}

/** Every point names what holds it, and that is there; or why nothing can. */
export function assertHeld(body) {
  const points = pointsOf(body);
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
}

/** A page that stands by itself: no script, nothing inline, nothing from elsewhere; headings in order, short sentences. */
export function assertPlain(html) {
  assert.doesNotMatch(html, /<script|\sstyle=|<style|\son[a-z]+=|<img|<iframe/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address, /^(\/|#)/);
  for (const [, id] of html.matchAll(/href="#([^"]+)"/g)) assert.ok(html.includes(`id="${id}"`), id);
  assert.match(html, /<html lang="en" dir="ltr">/);
  const body = html.slice(html.indexOf('<main'));
  const levels = [...body.matchAll(/<h([1-6])/g)].map(([, level]) => Number(level));
  assert.deepEqual(levels.filter((level) => level === 1), [1]);
  levels.reduce((before, level) => { assert.ok(level <= before + 1); return level; });
  const text = textOf(body);
  assert.doesNotMatch(text, /[!']/);
  for (const sentence of text.split(/[.:;]\s/)) assert.ok(sentence.trim().split(/\s+/).length <= 32, sentence);
}
