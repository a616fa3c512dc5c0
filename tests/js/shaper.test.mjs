// Who may run as a worker, and what happens where none can.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shaper } from '../../static/js/shaper.js';

/** A browser of the test's own. */
function setUp({ transform = true, trusted = true, fails = false } = {}) {
  const it = { policies: [], workers: [], transforms: [] };
  class Worker {
    constructor(url, options) {
      it.workers.push([url, options]);
      setImmediate(() => (fails ? this.onerror(new Error('not found')) : this.onmessage({ data: 'ready' })));
    }
  }
  class RTCRtpScriptTransform {
    constructor(worker) { it.transforms.push(worker); }
  }
  const createPolicy = (name, rules) => {
    if (it.policies.some(([known]) => known === name)) throw new TypeError('there is one already');
    it.policies.push([name, rules]);
    return rules;
  };
  it.shaper = new Shaper({ Worker, ...(transform && { RTCRtpScriptTransform }), ...(trusted && { trustedTypes: { createPolicy } }) });
  return it;
}

test('one worker for all calls, and a transform of its own for each sender', async () => {
  const it = setUp();
  assert.equal(it.shaper.ready, false);
  await Promise.all([it.shaper.start(), it.shaper.start()]);
  await it.shaper.start();
  assert.deepEqual(it.workers, [['/js/padding-worker.js', { type: 'module' }]]);
  assert.equal(it.shaper.ready, true);
  const senders = [{}, {}];
  assert.deepEqual(senders.map((sender) => it.shaper.shape(sender)), [true, true]);
  assert.equal(it.transforms.length, 2);
  assert.notEqual(senders[0].transform, senders[1].transform);
});

test('the policy lets that one script pass and no other', () => {
  const [[name, { createScriptURL }]] = setUp().policies;
  assert.equal(name, 'sotto-worker');
  assert.equal(createScriptURL('/js/padding-worker.js'), '/js/padding-worker.js');
  for (const other of ['', '/js/main.js', '//evil.example/js/padding-worker.js', '/js/padding-worker.js?', '/js/padding-worker.js#', '/js/../js/padding-worker.js', 'data:text/javascript,0', 'blob:0']) {
    assert.throws(() => createScriptURL(other), TypeError, other);
  }
});

test('where browsers know no trusted types the script is the same', async () => {
  const it = setUp({ trusted: false });
  await it.shaper.start();
  assert.deepEqual(it.workers.map(([url]) => url), ['/js/padding-worker.js']);
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
