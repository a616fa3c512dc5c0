// The text line: what a frame is, what none is, and how fast they may follow each other.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, FRAME_BYTES, KIND, MAX_CHARACTERS, TextLine, tidy } from '../../static/js/text.js';
import { clockByHand } from './clock.mjs';

const bytes = (text) => new TextEncoder().encode(text);

/** A frame with any bytes for its text. */
function frame(text, { kind = KIND, length = text.length, size = FRAME_BYTES } = {}) {
  const made = new Uint8Array(size);
  made.set([kind, length >> 8, length & 0xff]);
  made.set(text.subarray(0, size - 3), 3);
  return made;
}

const FINE = [
  'hello', 'a', '<img src=x onerror=alert(1)>', '{"type":"leave"}', 'bye', 'שלום, מה שלומך?', 'سلام، چطوری؟ می‌خواهم', '你好',
  '👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️', 'Z̸̢̛̥a̷l̵g̷o̶', '‏right‎ and left marks', 'a'.repeat(MAX_CHARACTERS), '😀'.repeat(MAX_CHARACTERS), '\u{10FFFD}'.repeat(MAX_CHARACTERS),
];

for (const text of FINE) {
  test(`carries ${[...text].slice(0, 30).join('')}`, () => {
    const made = encode(tidy(text));
    assert.equal(made.length, FRAME_BYTES);
    assert.equal(made[0], KIND);
    assert.equal(decode(made), text);
  });
}

test('every frame has one size, and nothing but zeros after its text', () => {
  assert.equal(FRAME_BYTES, 2003);
  assert.deepEqual(encode('hé'), frame(bytes('hé')));
  const long = encode('x'.repeat(500));
  assert.ok(long.subarray(503).every((byte) => byte === 0));
});

for (const [from, to] of [
  ['  two  spaces  ', 'two  spaces'],
  ['one\r\n\r\ntwo\tthree', 'one two three'],
  ['a\u0000b\u0007c\u007fd\u0085e\u009ff', 'a b c d e f'],
  ['a\u2028b\u2029c', 'a b c'],
  ['\u202Egnp.exe\u202C \u2066x\u2069', 'gnp.exe x'],
  ['half \ud83d of a face', 'half  of a face'],
  [' '.repeat(10) + 'x'.repeat(600), 'x'.repeat(500)],
  ['😀'.repeat(501), '😀'.repeat(500)],
  ['x'.repeat(499) + ' y', 'x'.repeat(499)],
  ['', ''], ['   ', ''], ['\n\n', ''], ['\u200b\u200d\ufe0f', ''], ['\u3164', ''], ['\u{E0001}\u{E0041}', ''],
]) {
  test(`makes ${JSON.stringify(from).slice(0, 30)} plain`, () => {
    assert.equal(tidy(from), to);
    assert.equal(tidy(tidy(from)), to, 'and leaves it at that');
  });
}

for (const [name, made] of Object.entries({
  'nothing at all': new Uint8Array(0),
  'a kind alone': new Uint8Array([KIND]),
  'a short frame': frame(bytes('hello'), { size: FRAME_BYTES - 1 }),
  'a long frame': frame(bytes('hello'), { size: FRAME_BYTES + 1 }),
  'another kind': frame(bytes('hello'), { kind: 3 }),
  'no text': frame(bytes('')),
  'a length over the frame': frame(bytes('hello'), { length: 2001 }),
  'the longest length there is': frame(bytes('hello'), { length: 65535 }),
  'something after the text': frame(bytes('hello'), { length: 4 }),
  'zeros in the text': frame(bytes('hello'), { length: 6 }),
  'half a character': frame(bytes('é').subarray(0, 1)),
  'bytes that are no UTF-8': frame(new Uint8Array([0xff, 0xfe, 0xfd])),
  'a longer spelling': frame(new Uint8Array([0xc1, 0xa1])),
  'half of a pair in UTF-8': frame(new Uint8Array([0xed, 0xa0, 0xbd])),
  'more than there is': frame(new Uint8Array([0xf4, 0x90, 0x80, 0x80])),
  'a byte order mark': frame(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])),
  'a line break': frame(bytes('one\ntwo')),
  'a bell': frame(bytes('a\u0007')),
  'an escape': frame(bytes('\u001b[31mred')),
  'a direction overridden': frame(bytes('\u202Eevil')),
  'a direction isolated': frame(bytes('\u2066evil')),
  'spaces around': frame(bytes(' a ')),
  'nothing to see': frame(bytes('\u200b\u200b')),
  'one character too many': frame(bytes('x'.repeat(501))),
  'two thousand': frame(bytes('x'.repeat(2000))),
})) {
  test(`drops ${name}`, () => assert.equal(decode(made), null));
}

test('no bytes make it throw, and what it takes it would have made', () => {
  let seed = 1;
  const random = (below) => { seed = (seed * 48271) % 2147483647; return seed % below; };
  let taken = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const length = random(40);
    const made = frame(Uint8Array.from({ length }, () => random(4) ? 32 + random(95) : random(256)), { length: random(8) ? length : random(65536) });
    const line = decode(made);
    if (line === null) continue;
    taken += 1;
    assert.deepEqual(encode(tidy(line)), made);
  }
  assert.ok(taken > 20, `${taken}`);
});

/** A line with a clock that is moved by hand. */
function setUp() {
  const it = { ...clockByHand(), sent: [], lines: [] };
  it.line = new TextLine(it.clock, { onFrame: (made) => it.sent.push(decode(made)), onLine: (who, text) => it.lines.push([who, text]) });
  return it;
}

test('what is typed before the channel is open waits for it, in order', () => {
  const it = setUp();
  it.line.type('one');
  it.line.type('  ');
  it.line.type('two');
  assert.deepEqual(it.sent, []);
  assert.deepEqual(it.lines, [['me', 'one'], ['me', 'two']]);
  it.line.open();
  assert.deepEqual(it.sent, ['one', 'two']);
});

test('whoever types fast is slowed down, loses nothing that was taken, and is not taken from without end', () => {
  const it = setUp();
  it.line.open();
  for (let number = 0; number < 100; number += 1) it.line.type(String(number));
  assert.deepEqual(it.sent, ['0', '1', '2', '3', '4']);
  assert.equal(it.lines.length, 25);
  it.pass(10_000);
  assert.equal(it.sent.length, 15);
  it.pass(60_000);
  assert.deepEqual(it.sent, it.lines.map(([, text]) => text));
  assert.equal(it.timers.size, 0, 'no timer runs for nothing');
});

test('a partner who keeps to the pace loses nothing, even when the line has held it back', () => {
  const [one, other] = [setUp(), setUp()];
  one.line.open();
  const held = [];
  // Half a minute of typing as fast as can be, all of it delivered in one moment, again and again.
  for (let round = 0; round < 5; round += 1) {
    const before = one.sent.length;
    for (let second = 0; second < 30; second += 1) {
      for (let press = 0; press < 3; press += 1) one.line.type(`${round} ${second} ${press}`);
      one.pass(1_000);
    }
    held.push(one.sent.slice(before));
    other.pass(30_000);
    for (const text of held.at(-1)) other.line.receive(encode(text));
  }
  assert.ok(one.sent.length > 150);
  assert.deepEqual(other.lines.map(([, text]) => text), one.sent);
});

test('a flood costs a page no more than a pace of lines', () => {
  const it = setUp();
  for (let number = 0; number < 10_000; number += 1) it.line.receive(encode(`spam ${number}`));
  assert.equal(it.lines.length, 40);
  it.pass(5_000);
  for (let number = 0; number < 10_000; number += 1) it.line.receive(encode(`more ${number}`));
  assert.equal(it.lines.length, 45);
  for (let number = 0; number < 10_000; number += 1) it.line.receive(new Uint8Array(2_002));
  it.pass(1_000);
  it.line.receive(encode('and still a word comes through'));
  assert.equal(it.lines.length, 46);
});

test('nothing is left of it when the call is over', () => {
  const it = setUp();
  it.line.open();
  for (let number = 0; number < 10; number += 1) it.line.type(String(number));
  it.line.close();
  it.pass(60_000);
  assert.equal(it.sent.length, 5);
  assert.equal(it.timers.size, 0);
});
