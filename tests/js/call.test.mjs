// One call, with a browser of the test's own: what it may gather, and how it ends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode as said, encode as saying } from '../../static/js/beat.js';
import { Call } from '../../static/js/call.js';
import { STRETCH_MS } from '../../static/js/minutes.js';
import { decode, encode } from '../../static/js/text.js';

const CALL = '0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a';
const RELAY = { transports: ['udp'], username: `1:${CALL}:a`, credential: 'abcd' };
const PAGE = { protocol: 'https:', hostname: 'sotto.example', port: '' };

/** A call whose peer connection is in the test's hands. */
function setUp({ offerer = false, short = false, track = null, more = {}, padded = true } = {}) {
  const it = { said: [], shaped: [], sent: [] };
  it.sender = { replaceTrack: async (track) => { it.sent.push([track.name, it.shaped.length]); } };
  const shaper = { shape: (sender) => { it.shaped.push(sender); return padded; } };
  it.track = (name) => ({ name, readyState: 'live', stop() { this.readyState = 'ended'; } });
  globalThis.RTCRtpReceiver = { getCapabilities: () => null };
  class Connection {
    connectionState = 'new';
    constructor(configuration) {
      it.pc = this;
      it.configuration = configuration;
      it.channel = { readyState: 'connecting', sent: [], send: (data) => it.channel.sent.push(data) };
      it.closed = false;
    }
    addTransceiver() { return { sender: it.sender, setCodecPreferences() {} }; }
    async setRemoteDescription() {}
    getTransceivers() { return [{ sender: it.sender }]; }
    createDataChannel() { return it.channel; }
    async setLocalDescription() {}
    close() { it.closed = true; }
  }
  const say = (name) => (...all) => it.said.push([name, ...all]);
  const handlers = Object.fromEntries(['onDescribed', 'onRenewed', 'onGathered', 'onShaped', 'onStream', 'onConnected', 'onWeak', 'onFailed', 'onBye', 'onEmoji', 'onUnverified', 'onLine', 'onBreath', 'onMinutes'].map((name) => [name, say(name)]));
  it.call = new Call({ type: 'matched', call: CALL, side: 'a', offerer, relay: RELAY, ...more }, short, track, shaper, PAGE, handlers, Connection);
  return it;
}

test('nothing but the relay is ever gathered: an address of its own would tell the partner where somebody is', () => {
  for (const offerer of [true, false]) {
    assert.deepEqual(setUp({ offerer }).configuration, {
      iceServers: [{ urls: ['turn:sotto.example:443?transport=udp'], username: RELAY.username, credential: 'abcd' }],
      iceTransportPolicy: 'relay',
      bundlePolicy: 'max-bundle',
    });
  }
});

test('whoever leaves says so on the line, and the line stays until that is out', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const it = setUp();
  it.channel.readyState = 'open';
  it.call.close(true);
  it.call.close(true);
  assert.deepEqual(it.channel.sent, ['bye']);
  assert.equal(it.closed, false);
  context.mock.timers.tick(1_000);
  assert.equal(it.closed, true);
});

test('where there is nobody to say it to, the line is closed at once', () => {
  const early = setUp();
  early.call.close(true);
  assert.deepEqual([early.channel.sent, early.closed], [[], true]);
  const silent = setUp();
  silent.channel.readyState = 'open';
  silent.call.close(false);
  assert.deepEqual([silent.channel.sent, silent.closed], [[], true]);
});

test('a farewell is heard, and nothing else that comes on the channel', () => {
  const it = setUp();
  it.channel.onmessage({ data: 'hello' });
  it.channel.onmessage({ data: 'bye' });
  assert.deepEqual(it.said, [['onBye']]);
});

test('what is typed is nothing where the server has not said that it may be', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const [off, on] = [setUp(), setUp({ more: { text_line: true } })];
  for (const it of [off, on]) {
    it.channel.readyState = 'open';
    it.channel.onopen();
    it.call.type('hello');
    it.channel.onmessage({ data: encode('hello yourself').buffer });
  }
  // The connection has no descriptions here, which the emoji do not like.
  const lines = ({ said }) => said.filter(([name]) => name === 'onLine');
  const typed = ({ channel }) => channel.sent.map(decode).filter(Boolean);
  assert.deepEqual([lines(off), typed(off)], [[], []]);
  assert.deepEqual(lines(on), [['onLine', 'me', 'hello'], ['onLine', 'them', 'hello yourself']]);
  assert.deepEqual(typed(on), ['hello']);
});

test('a breath is told to the partner, and theirs here, whether or not one may type', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  for (const more of [{}, { text_line: true }]) {
    const it = setUp({ more });
    it.channel.readyState = 'open';
    it.channel.onopen();
    it.call.breathe(true);
    context.mock.timers.tick(1_000);
    it.channel.onmessage({ data: saying({ breath: true, stretches: 0 }).buffer });
    it.channel.onmessage({ data: Uint8Array.of(5, 7).buffer });
    assert.deepEqual(it.said.filter(([name]) => name === 'onBreath'), [['onBreath', true]]);
    assert.deepEqual(it.channel.sent.map((frame) => said(frame).breath), [false, true]);
    it.call.close(false);
    context.mock.timers.tick(10_000);
    assert.equal(it.channel.sent.length, 2);
  }
});

test('a wish for ten minutes is told to the partner, and their answer here', (context) => {
  let now = 0;
  context.mock.method(performance, 'now', () => now);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const it = setUp({ short: true });
  it.channel.readyState = 'open';
  it.channel.onopen();
  it.channel.onmessage({ data: saying({ breath: false, stretches: 2 }).buffer });
  now = STRETCH_MS;
  context.mock.timers.tick(1_000);
  it.call.goOn();
  context.mock.timers.tick(1_000);
  assert.deepEqual(it.said.filter(([name]) => name === 'onMinutes'), [['onMinutes', 'few'], ['onMinutes', 'over'], ['onMinutes', 'on']]);
  assert.deepEqual(it.channel.sent.map((frame) => said(frame).stretches), [1, 1, 2]);
  it.call.close(false);
});

const settled = () => new Promise((resolve) => setImmediate(resolve));
const OFFER = { ufrag: 'abcd', pwd: 'a'.repeat(22), fingerprint: '00'.repeat(32), setup: 'actpass', payload_type: 111 };

test('what is sent is shaped before the first packet of it, on either side', async () => {
  const track = { name: 'voice', stop() {} };
  const offerer = setUp({ offerer: true, track });
  assert.deepEqual(offerer.shaped, [offerer.sender]);
  const answerer = setUp({ track });
  answerer.call.receive({ type: 'describe', call: CALL, description: OFFER });
  await settled();
  assert.deepEqual(answerer.shaped, [answerer.sender]);
  assert.deepEqual(answerer.sent, [['voice', 1]], 'the track comes after the transform');
});

test('the track is the call\'s own: replaced, the one before is stopped, and the last one at the end', async () => {
  const it = setUp();
  const [first, second, third] = ['first', 'second', 'third'].map(it.track);
  const call = setUp({ offerer: true, track: first });
  call.call.replaceTrack(second);
  assert.equal(first.readyState, 'live', 'not before the other is sent');
  await settled();
  assert.deepEqual(call.sent, [['second', 1]]);
  assert.deepEqual([first, second].map(({ readyState }) => readyState), ['ended', 'live']);
  call.call.replaceTrack(third);
  call.call.close(false);
  await settled();
  assert.deepEqual([second, third].map(({ readyState }) => readyState), ['ended', 'ended']);
});

test('a voice that must not be heard any more is over before the other is sent, and does not come back', async () => {
  const [own, changed] = [{ name: 'own', readyState: 'live', stop() { this.readyState = 'ended'; } }, { name: 'changed', stop() {} }];
  const it = setUp({ offerer: true, track: own });
  it.call.replaceTrack(changed, true);
  assert.deepEqual([own.readyState, it.sent], ['ended', []]);
  await settled();
  assert.deepEqual(it.sent, [['changed', 1]]);
});

test('what goes wrong is a line that is down where it is not up, and nothing where it is', async (context) => {
  context.mock.method(console, 'warn', () => {});
  for (const [state, said] of [['connecting', [['onFailed']]], ['failed', [['onFailed']]], ['connected', []]]) {
    const it = setUp();
    it.pc.connectionState = state;
    it.pc.setRemoteDescription = async () => { throw new DOMException('', 'InvalidStateError'); };
    it.call.receive({ type: 'describe', call: CALL, description: OFFER });
    await settled();
    assert.deepEqual(it.said, said, state);
  }
});

test('no call is made from the page itself: without a frame there is none', () => {
  globalThis.RTCPeerConnection = class {};
  assert.throws(() => new Call({ type: 'matched', call: CALL, side: 'a', offerer: true, relay: RELAY }, false, null, {}, PAGE, {}), TypeError);
  delete globalThis.RTCPeerConnection;
});

test('whether what is sent is padded is said by whoever knows, on either side', async () => {
  for (const padded of [true, false]) {
    assert.deepEqual(setUp({ offerer: true, padded }).said, [['onShaped', padded]]);
    const answerer = setUp({ padded });
    assert.deepEqual(answerer.said, []);
    answerer.call.receive({ type: 'describe', call: CALL, description: OFFER });
    await settled();
    assert.deepEqual(answerer.said[0], ['onShaped', padded]);
  }
});

/** A local description with these ICE credentials. */
const sdp = (ufrag) => ['v=0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=rtpmap:111 opus/48000/2', `a=ice-ufrag:${ufrag}`,
  `a=ice-pwd:${'p'.repeat(22)}`, `a=fingerprint:sha-256 ${Array(32).fill('00').join(':')}`, 'a=setup:actpass', ''].join('\r\n');

const DESCRIBE = {
  type: 'describe', call: CALL,
  description: { ufrag: 'them', pwd: 'q'.repeat(22), fingerprint: '00'.repeat(32), setup: 'actpass', payload_type: 111 },
};

test('the answerer asks for a restart with what is in force, and the offerer knows that from an answer', async () => {
  const asking = setUp();
  asking.pc.localDescription = { sdp: sdp('mine') };
  asking.call.receive(DESCRIBE);
  asking.call.restart();
  await settled();
  const renewed = ({ said }) => said.filter(([name]) => name === 'onRenewed').map(([, { ufrag }]) => ufrag);
  assert.deepEqual(renewed(asking), ['mine']);

  const asked = setUp({ offerer: true });
  let generation = 0;
  let answers = 0;
  asked.pc.createOffer = async () => { generation += 1; };
  asked.pc.setLocalDescription = async () => {
    asked.pc.signalingState = 'have-local-offer';
    asked.pc.localDescription = { sdp: sdp(`offer${generation}`) };
  };
  asked.pc.setRemoteDescription = async () => {
    asked.pc.signalingState = 'stable';
    answers += 1;
  };
  await settled();
  asked.call.receive({ ...DESCRIBE, description: { ...DESCRIBE.description, setup: 'active' } });
  await settled();
  const restart = (ufrag) => ({ type: 'restart', call: CALL, ufrag, pwd: 'q'.repeat(22) });
  // Whether or not one is under way that was lost.
  for (const _ of [1, 2]) {
    asked.call.receive(restart('them'));
    await settled();
  }
  assert.deepEqual([renewed(asked), answers], [['offer1', 'offer2'], 1]);
  asked.call.receive(restart('they'));
  await settled();
  assert.deepEqual([renewed(asked), answers], [['offer1', 'offer2'], 2]);
});
