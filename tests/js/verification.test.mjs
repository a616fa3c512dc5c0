// What the six emoji are about: certificates, the clock and the channel, with a connection of the test's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Verification } from '../../static/js/verification.js';
import { settled } from './settled.mjs';

const certificate = (name) => new TextEncoder().encode(name).buffer;
const hash = async (name) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', certificate(name)))].map((byte) => byte.toString(16).padStart(2, '0'));
const sdp = (fingerprint) => ({ sdp: `v=0\r\na=fingerprint:sha-256 ${fingerprint.join(':')}\r\nm=audio\r\na=fingerprint:sha-256 ${fingerprint.join(':').toUpperCase()}\r\n` });

const [ONE, OTHER, THIRD] = await Promise.all(['one', 'other', 'third'].map(hash));

/** One side of a call between the certificates `one` and `other`. */
function side(offerer, { own = ONE, partners = OTHER, shown } = {}) {
  const it = { sent: [], emoji: [], failed: [] };
  it.pc = {
    currentLocalDescription: sdp(own),
    currentRemoteDescription: sdp(partners),
    sctp: { transport: shown === undefined ? {} : { getRemoteCertificates: () => (shown ? [certificate(shown), certificate('its issuer')] : []) } },
  };
  it.verification = new Verification(it.pc, offerer, {
    onSend: (bytes) => it.sent.push(bytes),
    onEmoji: (emoji) => it.emoji.push(emoji),
    onFailed: (failure) => it.failed.push(failure),
  });
  return it;
}

/** The two sides of one call, the frames passed on until there are none. */
async function run(offerer, answerer) {
  offerer.verification.begin();
  answerer.verification.begin();
  for (let round = 0; round < 3; round += 1) {
    await settled();
    for (const frame of offerer.sent.splice(0)) answerer.verification.receive(frame);
    for (const frame of answerer.sent.splice(0)) offerer.verification.receive(frame);
  }
  await settled();
}

const pair = (options = {}) => [side(true, options), side(false, { own: OTHER, partners: ONE, shown: options.shown === undefined ? undefined : 'one' })];

for (const [what, shown] of [['shows certificates', 'other'], ['has none to show yet', ''], ['shows none', undefined]]) {
  test(`both sides see the same six, in a browser that ${what}`, async () => {
    const [offerer, answerer] = pair({ shown });
    await run(offerer, answerer);
    assert.deepEqual([offerer.failed, answerer.failed], [[], []]);
    assert.equal(offerer.emoji[0].length, 6);
    assert.deepEqual(offerer.emoji, answerer.emoji);
    offerer.verification.close();
  });
}

test('another certificate on the line than was described', async () => {
  const [offerer, answerer] = pair({ shown: 'third' });
  await run(offerer, answerer);
  assert.deepEqual([offerer.failed, offerer.emoji], [['certificate'], []]);
});

test('not exactly one SHA-256 fingerprint on either side', () => {
  const two = { sdp: sdp(ONE).sdp + sdp(THIRD).sdp };
  for (const [what, change] of Object.entries({
    'two of the partner\'s': { currentRemoteDescription: two },
    'two of one\'s own': { currentLocalDescription: two },
    'none': { currentRemoteDescription: { sdp: 'v=0\r\n' } },
    'another hash': { currentRemoteDescription: { sdp: sdp(OTHER).sdp.replaceAll('sha-256', 'sha-512') } },
    'no description': { currentRemoteDescription: null },
    'the same twice': { currentRemoteDescription: sdp(ONE) },
  })) {
    const it = side(true);
    Object.assign(it.pc, change);
    it.verification.begin();
    assert.deepEqual([it.failed, it.sent], [['fingerprint'], []], what);
  }
});

test('new descriptions name the same certificates, or the call is over', async () => {
  for (const change of [{ currentRemoteDescription: sdp(THIRD) }, { currentLocalDescription: sdp(THIRD) }, { currentRemoteDescription: null }]) {
    const [offerer, answerer] = pair();
    await run(offerer, answerer);
    await offerer.verification.check();
    assert.deepEqual(offerer.failed, []);
    Object.assign(offerer.pc, change);
    await offerer.verification.check();
    await offerer.verification.check();
    assert.deepEqual(offerer.failed, ['fingerprint']);
  }
});

test('a restart before there is a channel has nothing to compare with', async () => {
  const it = side(true);
  it.pc.currentRemoteDescription = null;
  await it.verification.check();
  assert.deepEqual(it.failed, []);
});

test('bytes before the channel is open are early', () => {
  const it = side(false);
  it.verification.receive(Uint8Array.of(1));
  assert.deepEqual(it.failed, ['order']);
});

test('twenty seconds from when the line is up, whether the channel opens or not', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const seconds = (count) => { for (let second = 0; second < count; second += 1) context.mock.timers.tick(1_000); };
  for (const opens of [false, true]) {
    const it = side(true);
    it.verification.lineUp();
    seconds(10);
    if (opens) it.verification.begin();
    it.verification.lineUp();
    seconds(9);
    assert.deepEqual(it.failed, [], 'not yet');
    seconds(1);
    assert.deepEqual(it.failed, ['late']);
  }
});

test('once the emoji are there, or the call is over, no clock runs', async (context) => {
  const done = pair();
  const closed = side(true);
  await run(...done);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  closed.verification.lineUp();
  closed.verification.close();
  for (const it of done) it.verification.lineUp();
  for (let second = 0; second < 100; second += 1) context.mock.timers.tick(1_000);
  assert.deepEqual([...done, closed].map(({ failed }) => failed), [[], [], []]);
});
