// The page /rules: ten short lines in every language, and no script.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(`../../static/${path}`, import.meta.url), 'utf8');
const html = read('rules.html');
const sections = [...html.matchAll(/<section id="(\w+)" lang="(\w+)"([^>]*)>([\s\S]*?)<\/section>/g)]
  .map(([, id, lang, rest, body]) => ({ id, lang, rest, body, lines: [...body.matchAll(/<li>([^<]+)<\/li>/g)].map(([, line]) => line) }));
const languages = [...read('index.html').matchAll(/ data-language="(\w+)"/g)].map(([, language]) => language);

test('the languages are those of the page, each can be reached, and English comes first', () => {
  assert.deepEqual(sections.map(({ lang }) => lang), languages);
  for (const { id, lang, rest } of sections) {
    assert.equal(id, lang);
    assert.equal(rest.includes('dir="rtl"'), lang === 'ar');
    assert.match(html, new RegExp(`<a class="quiet-link" href="#${lang}" lang="${lang}" hreflang="${lang}"`));
  }
});

test('ten lines, short, whole and calm', () => {
  for (const { lang, lines, body } of sections) {
    assert.equal(lines.length, 10, lang);
    assert.equal(body.match(/<h1>/g).length, 1);
    assert.match(body, /<a href="\/">/);
    for (const line of lines) {
      assert.ok(line.split(/\s+/).length <= 18, line);
      assert.match(line, /\.$/, line);
      assert.doesNotMatch(line, /[!¡'"]|\.\.\.| {2}/, line);
      assert.equal(line, line.normalize('NFC'));
    }
    assert.equal(new Set(lines).size, 10);
  }
});

test('the age is the operator’s, and said on the first page alone', () => {
  for (const { lines } of sections) assert.doesNotMatch(lines.join(' '), /\d/);
});

test('it stands by itself: no script, nothing inline, nothing from elsewhere', () => {
  assert.doesNotMatch(html, /<script|\sstyle=|<style|\son[a-z]+=|<img|<iframe|<form|<input/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address, /^(\/|#)/);
});
