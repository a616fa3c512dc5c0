// The six emoji: the vectors, which were made elsewhere, and every wrong move. The Rust twin is held to the same.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { emoji } from '../../static/js/words/en-call.js';
import { EMOJI } from '../../static/js/emoji.js';
import { Sas } from '../../static/js/sas.js';
import { settled } from './settled.mjs';

const fixture = (name) => JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'));
const bytes = (hex) => Uint8Array.from(hex.match(/../g), (byte) => parseInt(byte, 16));
const filled = (byte, length = 32) => new Uint8Array(length).fill(byte);
const frame = (kind, value) => Uint8Array.of(kind, ...value);

/** One side, and everything it has said. */
function side({ offerer, own = filled(offerer ? 0xf0 : 0xfa), partners = filled(offerer ? 0xfa : 0xf0), nonce = filled(offerer ? 0x0f : 0xa5), subtle = crypto.subtle }) {
  const it = { sent: [], emoji: [], failed: [] };
  it.sas = new Sas({ subtle, offerer, own, partners, nonce }, {
    onSend: (sent) => it.sent.push(sent),
    onEmoji: (emoji) => it.emoji.push(emoji),
    onFailed: (failure) => it.failed.push(failure),
  });
  return it;
}

test('the vectors hold', async () => {
  const vectors = fixture('sas');
  assert.ok(vectors.length >= 8);
  for (const vector of vectors) {
    const [own, partners] = [bytes(vector.offerer_fingerprint), bytes(vector.answerer_fingerprint)];
    const offerer = side({ offerer: true, own, partners, nonce: bytes(vector.offerer_nonce) });
    const answerer = side({ offerer: false, own: partners, partners: own, nonce: bytes(vector.answerer_nonce) });
    await settled();
    assert.deepEqual(offerer.sent, [frame(1, bytes(vector.commitment))]);
    answerer.sas.receive(offerer.sent[0]);
    assert.deepEqual(answerer.sent, [frame(2, bytes(vector.answerer_nonce))]);
    offerer.sas.receive(answerer.sent[0]);
    assert.deepEqual(offerer.sent[1], frame(3, bytes(vector.offerer_nonce)));
    await settled();
    assert.deepEqual(answerer.emoji, [], 'the answerer knows nothing before the opening');
    answerer.sas.receive(offerer.sent[1]);
    await settled();
    for (const { emoji, failed } of [offerer, answerer]) assert.deepEqual([emoji, failed], [[vector.emoji], []]);
    assert.deepEqual([offerer.sent.length, answerer.sent.length], [2, 1]);
  }
});

/** Both, at the end of a good run. */
async function both() {
  const [offerer, answerer] = [side({ offerer: true }), side({ offerer: false })];
  await settled();
  answerer.sas.receive(offerer.sent[0]);
  offerer.sas.receive(answerer.sent[0]);
  answerer.sas.receive(offerer.sent[1]);
  await settled();
  return [offerer, answerer];
}

const commitment = (await both())[0].sent[0];

/** What comes, one after the other, and what is wrong with the last of it. */
const WRONG = {
  offerer: [
    ['an opening before the answer', [frame(3, filled(0xa5))], 'order'],
    ['its own commitment back', [commitment], 'order'],
    ['its own nonce back', [frame(2, filled(0x0f))], 'echo'],
    ['its own commitment for a nonce', [frame(2, commitment.slice(1))], 'echo'],
    ['a byte too few', [frame(2, filled(0xa5, 31))], 'length'],
    ['a byte too many', [frame(2, filled(0xa5, 33))], 'length'],
    ['nothing but a kind', [Uint8Array.of(2)], 'length'],
    ['nothing', [new Uint8Array()], 'kind'],
    ['an unknown kind', [frame(0, filled(0xa5))], 'kind'],
    ['another unknown kind', [frame(0xff, filled(0xa5))], 'kind'],
    ['the answer twice', [frame(2, filled(0xa5)), frame(2, filled(0xa5))], 'order'],
    ['an unknown kind while the emoji are made', [frame(2, filled(0xa5)), frame(9, filled(0xa5))], 'kind'],
  ],
  answerer: [
    ['an answer', [frame(2, filled(0x0f))], 'order'],
    ['an opening before the commitment', [frame(3, filled(0x0f))], 'order'],
    ['a commitment that is a byte short', [commitment.slice(0, 32)], 'length'],
    ['an unknown kind', [frame(9, filled(0x0f))], 'kind'],
    ['nothing', [new Uint8Array()], 'kind'],
    ['its own nonce for a commitment', [frame(1, filled(0xa5))], 'echo'],
    ['a second commitment', [commitment, commitment], 'order'],
    ['the answer back', [commitment, frame(2, filled(0xa5))], 'order'],
    ['the answer back as an opening', [commitment, frame(3, filled(0xa5))], 'echo'],
    ['another nonce than was committed to', [commitment, frame(3, filled(7))], 'commitment'],
    ['an opening that is too long', [commitment, frame(3, filled(0x0f, 33))], 'length'],
    ['an unknown kind before the opening', [commitment, frame(9, filled(0x0f))], 'kind'],
    ['the opening twice', [commitment, frame(3, filled(0x0f)), frame(3, filled(0x0f))], 'order'],
  ],
};

for (const [who, moves] of Object.entries(WRONG)) {
  for (const [what, frames, failure] of moves) {
    test(`to an ${who}: ${what}`, async () => {
      const it = side({ offerer: who === 'offerer' });
      await settled();
      frames.forEach((one) => it.sas.receive(one));
      await settled();
      assert.deepEqual([it.failed, it.emoji], [[failure], []]);
      const { length } = it.sent;
      // It does not go on, and it is said once.
      for (const one of [commitment, frame(2, filled(1)), frame(3, filled(0x0f))]) it.sas.receive(one);
      it.sas.expire();
      await settled();
      assert.deepEqual([it.failed, it.emoji, it.sent.length], [[failure], [], length]);
    });
  }
}

test('an answer that comes before the commitment is out is early', async () => {
  const it = side({ offerer: true });
  it.sas.receive(frame(2, filled(0xa5)));
  await settled();
  assert.deepEqual([it.failed, it.emoji, it.sent], [['order'], [], []]);
});

test('after the end, any frame of the run is once too often, and what is not known is nothing', async () => {
  for (const kind of [1, 2, 3]) {
    for (const it of await both()) {
      it.sas.receive(frame(200, filled(1)));
      it.sas.receive(new Uint8Array());
      assert.deepEqual(it.failed, []);
      it.sas.receive(frame(kind, filled(9)));
      assert.deepEqual(it.failed, ['order'], String(kind));
    }
  }
});

test('the time is up for a run that is not over, and for no other', async () => {
  const [late, ...done] = [side({ offerer: true }), ...await both()];
  for (const it of [late, ...done]) it.sas.expire();
  assert.deepEqual([late, ...done].map(({ failed }) => failed), [['late'], [], []]);
});

test('one\'s own certificate, reflected, is nobody\'s', async () => {
  for (const offerer of [true, false]) {
    const it = side({ offerer, own: filled(1), partners: filled(1) });
    await settled();
    assert.deepEqual([it.failed, it.sent], [['fingerprint'], []]);
  }
});

test('whoever has put himself between is seen', async () => {
  // In each half another certificate of his; he passes on what he can.
  const offerer = side({ offerer: true, partners: filled(0xbb) });
  const answerer = side({ offerer: false, partners: filled(0xcc) });
  await settled();
  answerer.sas.receive(offerer.sent[0]);
  offerer.sas.receive(answerer.sent[0]);
  answerer.sas.receive(offerer.sent[1]);
  await settled();
  assert.deepEqual(answerer.failed, ['commitment'], 'the commitment is to whose certificates they are');
  assert.equal(offerer.emoji.length, 1);
});

test('a browser without the means says so', async () => {
  const it = side({ offerer: true, subtle: { digest: () => Promise.reject(new Error('none')) } });
  await settled();
  assert.deepEqual([it.failed, it.sent], [['crypto'], []]);
});

test('the emoji and their English names are those of the Matrix specification', () => {
  const list = fixture('sas-emoji');
  assert.deepEqual(list.map(({ number }) => number), Array.from({ length: 64 }, (_, number) => number));
  assert.deepEqual(EMOJI, list.map(({ emoji }) => emoji));
  assert.deepEqual(emoji, list.map(({ description }) => description));
  assert.equal(new Set(EMOJI).size, 64);
  assert.equal(new Set(emoji).size, 64);
});
