// Which scripts may run as workers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workers } from '../../static/js/workers.js';

/** A browser of the test's own. */
function setUp(trusted = true) {
  const it = { policies: [], workers: [] };
  class Worker {
    constructor(...all) { it.workers.push(all); }
  }
  const createPolicy = (name, rules) => {
    if (it.policies.some(([known]) => known === name)) throw new TypeError('there is one already');
    it.policies.push([name, rules]);
    return rules;
  };
  it.start = workers({ Worker, ...(trusted && { trustedTypes: { createPolicy } }) });
  return it;
}

test('the policy lets these two scripts pass and no other', () => {
  const [[name, { createScriptURL }]] = setUp().policies;
  assert.equal(name, 'sotto-worker');
  for (const script of ['padding', 'puzzle']) assert.equal(createScriptURL(`/js/${script}-worker.js`), `/js/${script}-worker.js`);
  for (const other of ['', '/js/main.js', '//evil.example/js/padding-worker.js', '/js/padding-worker.js?', '/js/puzzle-worker.js#', '/js/../js/padding-worker.js', 'data:text/javascript,0', 'blob:0']) {
    assert.throws(() => createScriptURL(other), TypeError, other);
  }
});

for (const trusted of [true, false]) test(`one policy for all workers, and the same scripts ${trusted ? 'with' : 'without'} trusted types`, () => {
  const it = setUp(trusted);
  it.start('padding-worker');
  it.start('puzzle-worker');
  assert.deepEqual(it.workers, ['padding', 'puzzle'].map((script) => [`/js/${script}-worker.js`, { type: 'module' }]));
  assert.equal(it.policies.length, Number(trusted));
  assert.throws(() => it.start('../x'), TypeError);
});
