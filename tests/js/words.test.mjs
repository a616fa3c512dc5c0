// Words: every one that is used exists, every one that exists is used, and none is unkind.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { english, speaker } from '../../static/js/words.js';
import { NAMES } from '../../static/js/machine.js';

const root = new URL('../../static/', import.meta.url);
const html = readFileSync(new URL('index.html', root), 'utf8');
const scripts = readdirSync(new URL('js/', root)).filter((name) => name.endsWith('.js') && name !== 'words.js')
  .map((name) => [name, readFileSync(new URL(`js/${name}`, root), 'utf8')]);

const inHtml = [...html.matchAll(/data-word="([^"]+)"[^>]*>([^<]*)</g)].map(([, word, text]) => ({ word, text }));

test('the page carries the English words as the catalogue has them', () => {
  assert.ok(inHtml.length > 40);
  for (const { word, text } of inHtml) assert.equal(text, english[word], word);
});

test('every word that is used exists', () => {
  for (const [name, source] of scripts) {
    for (const [, word] of source.matchAll(/(?:#?say|announce)\('([^']+)'/g)) assert.ok(word in english, `${name}: ${word}`);
    for (const [, word] of source.matchAll(/word: '([^']+)'/g)) assert.ok(word in english, `${name}: ${word}`);
  }
  for (const name of ['connecting', 'talking', 'rejoining']) assert.ok(`${name}.title` in english);
  for (const problem of ['dismissed', 'site', 'system', 'none', 'busy', 'ignored', 'unsupported', 'calls']) {
    assert.ok(`mic.${problem}.title` in english && `mic.${problem}.text` in english, problem);
  }
  for (const ending of ['self', 'left', 'lost', 'closing', 'missed', 'unverified', 'reported']) assert.ok(`ended.${ending}` in english, ending);
});

test('every word that exists is used', () => {
  const all = html + scripts.map(([, source]) => source).join('\n');
  const built = /^(mic\..+\.(title|text)|ended\.|connecting\.title|talking\.title|rejoining\.title|type\.(me|them)$)/;
  for (const word of Object.keys(english)) assert.ok(built.test(word) || all.includes(`'${word}'`) || all.includes(`"${word}"`), word);
});

test('the words of the specification are there as they were written', () => {
  for (const [word, text] of Object.entries({
    'landing.title': 'Talk with someone, one to one.',
    'landing.terms': 'No name, no account. You can leave at any time.',
    'landing.start': 'Find someone to talk to',
    'landing.stranger': 'The other person is a stranger, not a counsellor.',
    'waiting.title': 'You\'re here. We\'ll let you know when someone joins.',
    'waiting.long': 'Nobody\'s here just yet. It\'s quiet, and that isn\'t about you. You can wait, or come back.',
    'offered.title': 'Someone\'s here. Ready?',
    'offered.accept': 'Say hello',
    'offered.decline': 'Not now',
    'talking.title': 'Hello is enough. So is silence.',
    'muted': 'They can\'t hear you right now.',
    'rejoining.title': 'The line is thin. Holding on.',
    'ended.left': 'The conversation has ended. People leave for all kinds of reasons.',
    'ended.lost': 'We lost the line, and can\'t tell why.',
    'ended.self': 'You\'ve left. Thank you for being here.',
    'again': 'Find someone else',
    'rest': 'That\'s enough for now',
    'help': 'Need help now?',
  })) assert.equal(english[word].replaceAll('’', '\''), text);
});

test('no word shouts, blames, counts or pretends', () => {
  for (const [word, text] of Object.entries(english)) {
    assert.doesNotMatch(text, /!/, word);
    assert.doesNotMatch(text, /skipped|disconnected|banned|sorry|oops|error|failed|invalid|denied|users? online|\d+ people/i, word);
    assert.doesNotMatch(text, /'/, `${word}: a typographic apostrophe`);
    assert.equal(text, text.trim(), word);
  }
});

test('fills in values', () => {
  const say = speaker(english);
  assert.equal(say('help.hours', { from: '8', to: '20' }), '8 to 20 o’clock');
  assert.equal(say('help.close'), 'Close');
});

test('every state has a section with a heading that can take the focus', () => {
  const sections = [...html.matchAll(/<section data-in="([^"]+)"[^>]*>\s*<h1 tabindex="-1"/g)].flatMap(([, names]) => names.split(' '));
  assert.deepEqual([...sections].sort(), [...NAMES].sort());
});

test('the hooks that tests rely on are there', () => {
  for (const action of ['start', 'retry', 'stop', 'accept', 'decline', 'mute', 'end', 'again', 'rest', 'help', 'report']) {
    assert.match(html, new RegExp(`data-action="${action}"`));
  }
  for (const lamp of ['me', 'them']) assert.equal(html.split(`data-level="${lamp}"`).length, 2);
  assert.deepEqual([...html.matchAll(/role="status">([^<]*)</g)].map(([, text]) => text), ['']);
  assert.match(html, /<audio autoplay>/);
  assert.match(html, /<html [^>]*data-state="landing"/);
});

test('nothing inline, nothing from elsewhere, no markup from scripts', () => {
  assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc="\/js\/)/);
  assert.doesNotMatch(html, /(?:src|href)="(?!\/)/);
  for (const [name, source] of scripts) {
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|cookie|https?:\/\//, name);
  }
});

test('every module is type-checked, and every one the first page needs is asked for at once', () => {
  for (const [name, source] of scripts) assert.ok(source.startsWith('// @ts-check\n'), name);
  const needed = new Set();
  const follow = (name) => {
    if (needed.has(name)) return;
    needed.add(name);
    const source = readFileSync(new URL(`js/${name}`, root), 'utf8');
    for (const [, next] of source.matchAll(/^import .* from '\.\/(.+)';$/gm)) follow(next);
  };
  follow('main.js');
  needed.delete('main.js');
  const preloaded = [...html.matchAll(/rel="modulepreload" href="\/js\/([^"]+)"/g)].map(([, name]) => name);
  assert.deepEqual(preloaded, [...needed].sort());
});
