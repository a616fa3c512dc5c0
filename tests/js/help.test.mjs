// The page /help: every line that the page has, for whoever has no script.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { link } from '../../static/js/help.js';
import { namer } from '../../static/js/languages.js';

const read = (path) => readFileSync(new URL(`../../static/${path}`, import.meta.url), 'utf8');
const HELPLINES = JSON.parse(read('helplines.json'));
const html = read('help.html');
const name = namer('en', 'region');
const entries = [...html.matchAll(/<dt>([^<]+)<\/dt>\s*<dd>([\s\S]*?)<\/dd>/g)].map(([, country, entry]) => ({ country, entry }));

test('every country has its line, with every number and fact, in the order of the alphabet', () => {
  assert.equal(entries.length, HELPLINES.length);
  const countries = entries.map(({ country }) => country);
  assert.deepEqual(countries, [...countries].sort((one, other) => one.localeCompare(other, 'en')));
  for (const line of HELPLINES) {
    const { entry } = entries.find(({ country }) => country === name(line.country));
    assert.ok(entry.includes(`<bdi>${line.name.replaceAll('&', '&amp;')}</bdi>`), line.name);
    for (const number of [line.call, ...line.call_alternatives ?? []]) {
      assert.ok(entry.includes(`<a href="${link('tel', number)}" dir="ltr">${number}</a>`), number);
    }
    assert.equal(entry.includes('sms:'), Boolean(line.text), line.name);
    if (line.text) assert.ok(entry.includes(`<a href="${link('sms', line.text)}" dir="ltr">${line.text}</a>`));
    assert.equal(entry.includes('WhatsApp'), Boolean(line.whatsapp), line.name);
    if (line.whatsapp) assert.ok(entry.includes(line.whatsapp));
    assert.equal(entry.includes('Day and night'), line.hours === '24/7', line.name);
    assert.equal(entry.includes('not known'), line.hours === 'not known', line.name);
    assert.equal(entry.includes('Chat'), line.chat === true, line.name);
    assert.equal(entry.includes(' · In ') || entry.includes('>In '), Boolean(line.language), line.name);
    // The day goes in here as well, once somebody has looked a line up.
    assert.equal(line.verified_on, null);
  }
});

test('it says what it is and is not, and stands by itself', () => {
  assert.match(html, /a stranger, and not a crisis service/);
  assert.match(html, /Numbers can change\. We have not called these ourselves\./);
  assert.doesNotMatch(html, /<script|\sstyle=|<style|\son[a-z]+=|<img|<iframe/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address, /^(\/|#|tel:|sms:)/);
});

test('the pages without a script lead to it from where the others have it', () => {
  for (const page of ['privacy.html', 'rules.html']) assert.match(read(page), /<header>[\s\S]*<a [^>]*href="\/help"[^>]*>Need help now\?<\/a>[\s\S]*<\/header>/, page);
  assert.match(read('index.html'), /<noscript>.*href="\/help".*<\/noscript>/);
});
