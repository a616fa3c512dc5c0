// The wire: the golden frames that the Rust tests read too, and frames that nobody may send.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isClientFrame, isServerFrame, MAX_MESSAGE_BYTES, read, write } from '../../static/js/protocol.js';

const golden = (name) => JSON.parse(readFileSync(new URL(`../fixtures/protocol/${name}.json`, import.meta.url), 'utf8'));
const CALL = '0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a';

for (const { name, frame } of golden('server')) {
  test(`reads: ${name}`, () => assert.deepEqual(read(JSON.stringify(frame)), frame));

  test(`refuses in it an unknown field, and a field missing: ${name}`, () => {
    assert.equal(read(JSON.stringify({ ...frame, sdp: 'v=0' })), null);
    for (const field of Object.keys(frame)) {
      if (frame.type === 'welcome' && field === 'call' || field === 'text_line' || field === 'usual') continue;
      const { [field]: _, ...rest } = frame;
      assert.equal(read(JSON.stringify(rest)), null, field);
      for (const value of [null, [], {}, '', -1, 1.5, 'x'.repeat(9000)]) {
        if (frame.type === 'problem' && field === 'text' && value === '') continue;
        assert.equal(read(JSON.stringify({ ...frame, [field]: value })), null, `${field}: ${JSON.stringify(value)?.slice(0, 20)}`);
      }
    }
  });
}

for (const { name, frame } of golden('client')) {
  test(`writes: ${name}`, () => assert.deepEqual(JSON.parse(write(frame)), frame));
}

for (const { name, text } of golden('refused')) {
  test(`neither reads nor writes: ${name}`, () => {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      return assert.equal(read(text), null);
    }
    // A field twice is one in JavaScript: what is left of it may be a frame, and nobody here can send the other.
    if ([...text.matchAll(/"(\w+)":/g)].some(([key], at, keys) => keys.findIndex(([other]) => other === key) < at)) return;
    assert.equal(isClientFrame(value), false);
    if (name === 'a type of the server\'s') return;
    assert.equal(isServerFrame(value), false);
    assert.equal(read(text), null);
    assert.throws(() => write(value), TypeError);
  });
}

const matched = { type: 'matched', call: CALL, side: 'a', offerer: true, relay: { transports: ['udp'], username: `1:${CALL}:a`, credential: 'abcd' } };
const withRelay = (changes) => ({ ...matched, relay: { ...matched.relay, ...changes } });

for (const [name, frame] of Object.entries({
  'a host with a path': withRelay({ host: 'relay.example.org/x' }),
  'a host that carries a transport': withRelay({ host: 'relay.example.org?transport=tcp' }),
  'a host with a user': withRelay({ host: 'a@relay.example.org' }),
  'an empty host': withRelay({ host: '' }),
  'two ports': withRelay({ host: 'relay.example.org:1:2' }),
  'no transport': withRelay({ transports: [] }),
  'a transport twice': withRelay({ transports: ['udp', 'udp'] }),
  'a transport twice among others': withRelay({ transports: ['udp', 'tcp', 'udp'] }),
  'an unknown transport': withRelay({ transports: ['sctp'] }),
  'a user name of another kind': withRelay({ username: 'alice' }),
  'a credential with a line break': withRelay({ credential: 'ab\ncd' }),
  'a third side': { ...matched, side: 'c' },
  'more work than anybody is to do': { type: 'work', challenge: '0'.repeat(64), target: '0'.repeat(64), most: 1_000_001 },
  'a target of another length': { type: 'work', challenge: '0'.repeat(64), target: '0'.repeat(62), most: 1 },
  'no typing said in so many words': { ...matched, text_line: false },
  'typing by any other word': { ...matched, text_line: 'true' },
  'an hour that is like none': { type: 'waiting', usual: 'busy' },
  'a call in upper case': { ...matched, call: CALL.toUpperCase() },
  'a name inherited from Object': { type: 'toString' },
  'a prototype': { type: '__proto__' },
  'an unknown end': { type: 'ended', call: CALL, why: 'banned' },
  'an unknown problem': { type: 'problem', code: 'other', text: '' },
  'a frame of the page\'s': { type: 'join', languages: ['en'], role: 'either', avoid_recent: true },
  'closing in no whole seconds': { type: 'closing', in: 1.5 },
})) {
  test(`refuses: ${name}`, () => {
    assert.equal(read(JSON.stringify(frame)), null);
    assert.equal(isServerFrame(frame), false);
  });
}

for (const host of ['relay.example.org', '192.0.2.7:3478', '[2001:db8::1]', '[2001:db8::1]:3478']) {
  test(`takes a relay at ${host}`, () => assert.notEqual(read(JSON.stringify(withRelay({ host }))), null));
}

test('what may be missing is refused where it is there and wrong', () => {
  for (const value of [null, [], {}, '', -1, true, 'Soon']) assert.equal(read(JSON.stringify({ type: 'waiting', usual: value })), null);
});

test('refuses what is no text, and what is too long', () => {
  assert.equal(read(new ArrayBuffer(8)), null);
  assert.equal(read(undefined), null);
  assert.equal(read(`${JSON.stringify({ type: 'waiting' })}${' '.repeat(MAX_MESSAGE_BYTES)}`), null);
});
