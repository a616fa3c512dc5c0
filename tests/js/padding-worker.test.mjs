// The worker between encoder and encryption: every frame leaves it with one size, and by its own clock.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PACKET_BYTES } from '../../static/js/padding.js';
import { Rhythm } from '../../static/js/rhythm.js';

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('frames leave padded, when the clock says and not when they came', async (context) => {
  let now = 1_000;
  const [posted, sent, waits] = [[], [], []];
  globalThis.self = { postMessage: (message) => posted.push(message) };
  await import('../../static/js/padding-worker.js');
  assert.deepEqual(posted, ['ready']);

  context.mock.method(performance, 'now', () => now);
  context.mock.method(globalThis, 'setTimeout', (run, ms) => waits.push({ run, at: now + ms }));
  const frames = new TransformStream();
  const writable = new WritableStream({ write: ({ data }) => { sent.push([now, data.byteLength]); } });
  globalThis.self.onrtctransform({ transformer: { readable: frames.readable, writable } });
  const encoder = frames.writable.getWriter();
  const rhythm = new Rhythm();
  // Early and late by turns, as speech and silence take an encoder; and one that is later than it could be held.
  const came = [1_000, 1_023, 1_039, 1_062, 1_078, 1_119, 1_121, 1_140];
  let atOnce = 0;
  for (const [at, time] of came.entries()) {
    now = time;
    const due = rhythm.next(time);
    void encoder.write({ data: new Uint8Array([0x78, 1, 2, 3]).buffer });
    await settled();
    if (due > time) {
      assert.equal(sent.length, at, 'it is held');
      const { run, at: out } = waits.shift();
      assert.ok(Math.abs(out - due) < 1e-6, `${out} and not ${due}`);
      now = due;
      run();
      await settled();
    } else atOnce += 1;
    assert.deepEqual(sent.at(-1), [now, PACKET_BYTES]);
    assert.deepEqual([sent.length, waits], [at + 1, []]);
  }
  assert.ok(atOnce > 0 && atOnce < 3, `${atOnce} were late`);
});
