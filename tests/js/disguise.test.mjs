// A changed voice, in a browser of the test's own: when it is said to fail, and what is drawn for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Disguise, RATIOS } from '../../static/js/disguise.js';

/** A voice that has begun, with both clocks in the test's hands. */
async function setUp(voice = 'deeper') {
  const it = { told: [], ratios: [], now: 0 };
  class AudioContext {
    state = 'running';
    currentTime = 0;
    audioWorklet = { addModule: async () => {} };
    constructor() { it.context = this; }
    resume() { return Promise.resolve(); }
    close() { return Promise.resolve(); }
  }
  class MediaStreamAudioDestinationNode {
    stream = { getAudioTracks: () => [] };
  }
  class AudioWorkletNode {
    port = {};
    constructor(_context, _name, { processorOptions: { ratio } }) {
      it.node = this;
      it.ratios.push(ratio);
    }
    connect() {}
    disconnect() {}
  }
  const window = Object.assign(new EventTarget(), {
    AudioContext, AudioWorkletNode, MediaStreamAudioDestinationNode,
    performance: { now: () => it.now },
    setInterval: (look) => { it.look = look; return 1; },
    clearInterval() {},
  });
  it.disguise = new Disguise(window, voice, (ok) => it.told.push(ok));
  await new Promise((resolve) => setImmediate(resolve));
  it.node.port.onmessage();
  /** So many ms later; sound has moved on by so many. */
  it.pass = (ms, moved) => {
    it.now += ms;
    it.context.currentTime += moved / 1000;
    it.look();
  };
  return it;
}

test('sound that stands still is told, and sound that moves again', async () => {
  const it = await setUp();
  it.pass(1_000, 1_000);
  assert.deepEqual(it.told, [true]);
  it.pass(1_000, 0);
  assert.deepEqual(it.told, [true, false]);
  it.pass(1_000, 1_000);
  assert.deepEqual(it.told, [true, false, true]);
});

test('two looks right after each other, as after a stall, find nothing wrong', async () => {
  const it = await setUp();
  it.pass(1_000, 1_000);
  it.pass(3_000, 3_000);
  it.pass(4, 0);
  assert.deepEqual(it.told, [true]);
  it.pass(996, 0);
  assert.deepEqual(it.told, [true, false], 'the next one does');
});

test('the ratio is drawn anew for each call, within its bounds', async (context) => {
  const chances = [0, 0.25, 1];
  context.mock.method(Math, 'random', () => chances.shift());
  for (const [voice, chance] of [['deeper', 0], ['deeper', 0.25], ['higher', 1]]) {
    const { ratios } = await setUp(voice);
    const [least, most] = RATIOS[voice];
    assert.deepEqual(ratios, [least + (most - least) * chance]);
  }
  assert.deepEqual(chances, [], 'one draw each');
});
