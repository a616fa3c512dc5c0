// What is sent has one shape, and what happens where it cannot have.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shaper } from '../../static/js/shaper.js';

/** A browser of the test's own. */
function setUp({ transform = true, fails = false } = {}) {
  const it = { workers: [], transforms: [] };
  const start = (script) => {
    const worker = {};
    it.workers.push(script);
    setImmediate(() => (fails ? worker.onerror(new Error('not found')) : worker.onmessage({ data: 'ready' })));
    return worker;
  };
  class RTCRtpScriptTransform {
    constructor(worker) { it.transforms.push(worker); }
  }
  it.shaper = new Shaper({ ...(transform && { RTCRtpScriptTransform }) }, start);
  return it;
}

test('one worker for all calls, and a transform of its own for each sender', async () => {
  const it = setUp();
  assert.equal(it.shaper.ready, false);
  await Promise.all([it.shaper.start(), it.shaper.start()]);
  await it.shaper.start();
  assert.deepEqual(it.workers, ['padding-worker']);
  assert.equal(it.shaper.ready, true);
  const senders = [{}, {}];
  assert.deepEqual(senders.map((sender) => it.shaper.shape(sender)), [true, true]);
  assert.equal(it.transforms.length, 2);
  assert.notEqual(senders[0].transform, senders[1].transform);
});

test('a browser without the transform sends as it does, and no worker runs', async () => {
  const it = setUp({ transform: false });
  await it.shaper.start();
  const sender = {};
  assert.deepEqual([it.shaper.ready, it.shaper.shape(sender), it.workers.length], [false, false, 0]);
  assert.equal('transform' in sender, false);
});

test('a worker that did not come is asked for anew at the next press', async (context) => {
  context.mock.method(console, 'warn', () => {});
  const it = setUp({ fails: true });
  await it.shaper.start();
  assert.deepEqual([it.shaper.ready, it.shaper.shape({})], [false, false]);
  await it.shaper.start();
  assert.equal(it.workers.length, 2);
});
