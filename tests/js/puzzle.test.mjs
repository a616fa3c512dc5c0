// The puzzles of a server under load: solved as the server makes them, and given up when nobody wants them any more.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { solve } from '../../static/js/puzzle.js';
import { GIVE_UP_MS, NOTICED_MS, Solver } from '../../static/js/solver.js';
import { clockByHand } from './clock.mjs';

const golden = (name) => JSON.parse(readFileSync(new URL(`../fixtures/protocol/${name}.json`, import.meta.url), 'utf8'));

/** As the server makes them, with Node's own SHA-256. */
function puzzle(number, most) {
  const challenge = randomBytes(32);
  const tried = Buffer.alloc(4);
  tried.writeUInt32BE(number);
  return { challenge: challenge.toString('hex'), target: createHash('sha256').update(challenge).update(tried).digest('hex'), most };
}

describe('solving', () => {
  test('the golden puzzle has the golden solution', () => {
    const { frame } = golden('server').find(({ frame: { type } }) => type === 'work');
    const { frame: { proof } } = golden('client').find(({ frame: one }) => one.proof);
    assert.deepEqual({ challenge: frame.challenge, number: solve(frame) }, proof);
  });

  test('whatever the challenge: the number is found, the first and the last as well', () => {
    for (let round = 0; round < 100; round += 1) {
      const most = 1 + Math.floor(Math.random() * 300);
      for (const number of new Set([0, most - 1, Math.floor(Math.random() * most)])) {
        const one = puzzle(number, most);
        assert.equal(solve(one), number, JSON.stringify(one));
      }
    }
    assert.equal(solve(puzzle(70_000, 70_001)), 70_000);
  });

  test('where there is none, there is an end', () => {
    assert.equal(solve(puzzle(50, 50)), null);
    const one = puzzle(7, 50);
    assert.equal(solve({ ...one, target: `${one.target.slice(0, -1)}${one.target.endsWith('0') ? 1 : 0}` }), null, 'every bit counts');
  });

  test('the worker says what it has found', async () => {
    const said = [];
    globalThis.self = { postMessage: (data) => said.push(data) };
    await import('../../static/js/puzzle-worker.js');
    globalThis.self.onmessage({ data: puzzle(11, 20) });
    globalThis.self.onmessage({ data: puzzle(11, 11) });
    assert.deepEqual(said, [11, null]);
  });
});

describe('the one that has it solved', () => {
  function setUp(fails = false) {
    const it = { ...clockByHand(), workers: [], events: [] };
    const start = (script) => {
      if (fails) throw new TypeError('no workers here');
      const worker = { script, given: [], ended: false, postMessage: (data) => worker.given.push(data), terminate: () => { worker.ended = true; } };
      it.workers.push(worker);
      return worker;
    };
    it.solver = new Solver(start, it.clock, {
      onSolved: (proof) => it.events.push(proof), onLong: () => it.events.push('long'), onFailed: () => it.events.push('failed'),
    });
    return it;
  }
  const one = puzzle(1, 2);

  test('gives it to a worker, and the worker is gone afterwards', () => {
    const it = setUp();
    it.solver.solve(one);
    const [worker] = it.workers;
    assert.deepEqual([worker.script, worker.given], ['puzzle-worker', [one]]);
    worker.onmessage({ data: 1 });
    assert.deepEqual([it.events, worker.ended, it.timers.size], [[{ challenge: one.challenge, number: 1 }], true, 0]);
  });

  test('says so when it takes more than a moment, and gives up before the puzzle is void', () => {
    const it = setUp();
    it.solver.solve(one);
    it.pass(NOTICED_MS - 1);
    assert.deepEqual(it.events, []);
    it.pass(1);
    assert.deepEqual(it.events, ['long']);
    it.pass(GIVE_UP_MS);
    assert.deepEqual([it.events, it.workers[0].ended], [['long', 'failed'], true]);
  });

  test('stops at once, and the next puzzle takes the place of the one before', () => {
    const it = setUp();
    it.solver.solve(one);
    it.solver.solve(one);
    assert.deepEqual(it.workers.map(({ ended }) => ended), [true, false]);
    it.solver.stop();
    it.solver.stop();
    it.pass(GIVE_UP_MS);
    assert.deepEqual([it.events, it.workers[1].ended, it.timers.size], [[], true, 0]);
  });

  for (const [name, fail] of [['the worker does not come', (worker) => worker.onerror(new Error('not found'))], ['there is no solution', (worker) => worker.onmessage({ data: null })]]) {
    test(`says that it cannot when ${name}`, () => {
      const it = setUp();
      it.solver.solve(one);
      fail(it.workers[0]);
      assert.deepEqual([it.events, it.workers[0].ended, it.timers.size], [['failed'], true, 0]);
    });
  }

  test('and where there are no workers', (context) => {
    context.mock.method(console, 'warn', () => {});
    const it = setUp(true);
    it.solver.solve(one);
    assert.deepEqual(it.events, ['failed']);
  });
});
