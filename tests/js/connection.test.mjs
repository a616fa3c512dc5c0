// The socket: hello, resuming, backing off; with a clock and a chance of the test's own.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Connection, FIRST_WAIT_MS, LONGEST_WAIT_MS, REPORT_WITHIN_MS, WELCOME_WITHIN_MS } from '../../static/js/connection.js';
import { MS } from '../../static/js/conversation.js';

const CALL = '0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a';
const TOKEN = '00112233445566778899aabbccddeeff';

/** A page whose sockets, timers and chance are in the test's hands. */
function setUp({ random = 0.5 } = {}) {
  const it = {
    random,
    now: 0,
    sockets: [],
    timers: new Map(),
    frames: [],
    downs: 0,
    get socket() {
      return it.sockets.at(-1);
    },
    /** The waits that are running, in milliseconds from now. */
    get waits() {
      return [...it.timers.values()].map(({ at }) => at - it.now);
    },
    pass(ms) {
      it.now += ms;
      for (const [id, { at, run }] of it.timers) {
        if (at > it.now) continue;
        it.timers.delete(id);
        run();
      }
    },
    welcome(call) {
      it.socket.onopen();
      it.socket.says({ type: 'welcome', resume: TOKEN, ...(call && { call }) });
    },
  };
  let timer = 0;
  it.connection = new Connection('ws://test/ws', {
    socket: (url) => {
      const socket = {
        url,
        sent: [],
        closed: false,
        send: (data) => socket.sent.push(JSON.parse(data)),
        close: () => { socket.closed = true; },
        says: (frame) => socket.onmessage({ data: JSON.stringify(frame) }),
      };
      it.sockets.push(socket);
      return socket;
    },
    setTimer: (run, ms) => {
      timer += 1;
      it.timers.set(timer, { at: it.now + ms, run });
      return timer;
    },
    clearTimer: (id) => it.timers.delete(id),
    random: () => it.random,
  }, {
    onFrame: (frame) => it.frames.push(frame),
    onDown: () => { it.downs += 1; },
  });
  return it;
}

test('says hello first, and hands over whole frames only', () => {
  const it = setUp();
  it.connection.open();
  it.connection.open();
  assert.equal(it.sockets.length, 1);
  it.welcome();
  it.socket.says({ type: 'waiting' });
  it.socket.says({ type: 'waiting', extra: 1 });
  it.socket.onmessage({ data: 'null' });
  it.socket.onmessage({ data: new ArrayBuffer(4) });
  assert.deepEqual(it.socket.sent, [{ type: 'hello' }]);
  assert.deepEqual(it.frames.map(({ type }) => type), ['welcome', 'waiting']);
  assert.deepEqual(it.waits, []);
});

test('backs off with full jitter, from half a second to fifteen', () => {
  const it = setUp({ random: 1 });
  it.connection.open();
  const waits = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    it.socket.onclose();
    waits.push(...it.waits);
    it.pass(it.waits[0]);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  assert.equal(waits[0], FIRST_WAIT_MS);
  assert.equal(waits.at(-1), LONGEST_WAIT_MS);
  assert.equal(it.downs, 8);

  it.random = 0.25;
  it.socket.onclose();
  assert.deepEqual(it.waits, [LONGEST_WAIT_MS / 4]);
});

test('a welcome makes the next wait short again', () => {
  const it = setUp({ random: 1 });
  it.connection.open();
  it.socket.onclose();
  it.pass(500);
  it.socket.onclose();
  it.pass(1000);
  it.welcome();
  it.socket.onclose();
  assert.deepEqual(it.waits, [500]);
});

test('gives an attempt up that brings no welcome', () => {
  const it = setUp();
  it.connection.open();
  it.socket.onopen();
  it.pass(WELCOME_WITHIN_MS);
  assert.equal(it.sockets[0].closed, true);
  assert.equal(it.downs, 1);
  it.pass(FIRST_WAIT_MS);
  assert.equal(it.sockets.length, 2);
});

test('does not sit a wait out when the page is seen again', () => {
  const it = setUp();
  it.connection.hurry();
  assert.equal(it.sockets.length, 0, 'nobody has asked for a socket');
  it.connection.open();
  it.socket.onclose();
  it.connection.hurry();
  assert.equal(it.sockets.length, 2);
  it.connection.hurry();
  assert.equal(it.sockets.length, 2, 'an attempt is under way');
  assert.deepEqual(it.waits, [WELCOME_WITHIN_MS]);
});

test('a new network means a new socket', () => {
  const it = setUp();
  it.connection.renew();
  assert.equal(it.sockets.length, 0);
  it.connection.open();
  it.welcome();
  it.connection.renew();
  assert.equal(it.sockets[0].closed, true);
  assert.equal(it.sockets.length, 2);
  assert.equal(it.downs, 1);
});

test('comes back with the last token', () => {
  const it = setUp();
  it.connection.open();
  it.welcome();
  it.socket.onclose();
  it.pass(FIRST_WAIT_MS);
  it.socket.onopen();
  assert.deepEqual(it.socket.sent, [{ type: 'hello', resume: TOKEN }]);
});

test('keeps the frames of a call until the call is there again', () => {
  const it = setUp();
  it.connection.open();
  it.welcome();
  it.socket.onclose();
  it.connection.send({ type: 'leave' });
  it.connection.send({ type: 'candidate', call: CALL, port: 50_000 });
  it.connection.send({ type: 'restart', call: CALL, ufrag: 'abcd', pwd: 'abcdefghijklmnopqrstuv' });
  it.connection.send({ type: 'candidate', call: CALL, port: 50_001 });
  it.pass(FIRST_WAIT_MS);
  it.welcome(CALL);
  assert.deepEqual(it.socket.sent.slice(1), [
    { type: 'restart', call: CALL, ufrag: 'abcd', pwd: 'abcdefghijklmnopqrstuv' },
    { type: 'candidate', call: CALL, port: 50_001 },
  ]);

  it.socket.onclose();
  it.connection.send({ type: 'candidate', call: CALL, port: 50_002 });
  it.pass(FIRST_WAIT_MS);
  it.welcome();
  assert.deepEqual(it.socket.sent.slice(1), [], 'the server does not know the call any more');
});

test('asking for a restart twice voids nothing that was gathered since', () => {
  const it = setUp();
  it.connection.open();
  it.welcome();
  it.socket.onclose();
  const restart = { type: 'restart', call: CALL, ufrag: 'abcd', pwd: 'abcdefghijklmnopqrstuv' };
  const kept = [restart, { type: 'candidate', call: CALL, port: 50_001 }];
  for (const frame of [...kept, restart]) it.connection.send(frame);
  it.pass(FIRST_WAIT_MS);
  it.welcome(CALL);
  assert.deepEqual(it.socket.sent.slice(1), kept);
});

test('closes for good, and is the same visitor the next time', () => {
  const it = setUp();
  it.connection.open();
  it.welcome();
  it.connection.close();
  assert.equal(it.socket.closed, true);
  assert.equal(it.socket.onclose, null);
  assert.deepEqual(it.waits, []);
  it.connection.open();
  it.socket.onopen();
  assert.deepEqual(it.socket.sent, [{ type: 'hello', resume: TOKEN }]);
});

/** Somebody who reports a call while the socket is away, and has had enough for now. */
function reporting() {
  const it = setUp();
  it.connection.open();
  it.welcome();
  it.socket.onclose();
  for (let port = 50_000; port < 50_100; port += 1) it.connection.send({ type: 'candidate', call: CALL, port });
  it.connection.send(REPORT);
  it.connection.close();
  it.downs = 0;
  it.frames.length = 0;
  return it;
}

const REPORT = { type: 'report', call: CALL, category: 'asking' };

test('closes for good when a report is out, however long the socket was away', () => {
  const it = reporting();
  // Another attempt, which fails; and one that comes through.
  it.pass(FIRST_WAIT_MS);
  it.socket.onclose();
  it.pass(2 * FIRST_WAIT_MS);
  it.welcome();
  assert.deepEqual(it.socket.sent, [{ type: 'hello', resume: TOKEN }, REPORT]);
  assert.equal(it.socket.closed, true);
  assert.deepEqual([it.frames, it.downs, it.waits], [[], 0, []], 'nobody here hears of it');
});

test('a report is kept and offered for as long as the server takes one', () => {
  const source = readFileSync(new URL('../../src/visitor.rs', import.meta.url), 'utf8');
  const [, minutes] = /REPORT_WITHIN: Duration = Duration::from_secs\((\d+) \* 60\);/.exec(source);
  assert.deepEqual([REPORT_WITHIN_MS, MS.report], [minutes * 60_000, minutes * 60_000]);
});

test('gives a report up that the server would not take', () => {
  const it = reporting();
  assert.ok(it.waits.includes(REPORT_WITHIN_MS));
  it.connection.close();
  it.pass(REPORT_WITHIN_MS);
  assert.deepEqual([it.waits, it.socket.closed], [[], true]);
  it.connection.open();
  it.welcome();
  assert.deepEqual(it.socket.sent, [{ type: 'hello', resume: TOKEN }]);
});

test('is open again for whoever comes back before the report is out', () => {
  const it = reporting();
  it.pass(FIRST_WAIT_MS);
  it.connection.open();
  it.welcome();
  assert.deepEqual(it.socket.sent, [{ type: 'hello', resume: TOKEN }, REPORT]);
  assert.deepEqual([it.frames.map(({ type }) => type), it.socket.closed, it.waits], [['welcome'], false, []]);
});

test('refuses to send what breaks a rule', () => {
  const it = setUp();
  it.connection.open();
  it.welcome();
  assert.throws(() => it.connection.send({ type: 'candidate', call: CALL, port: 80 }), TypeError);
});

test('keeps no more than a call can need', () => {
  const it = setUp();
  it.connection.open();
  it.welcome();
  it.socket.onclose();
  for (let port = 50_000; port < 50_200; port += 1) it.connection.send({ type: 'candidate', call: CALL, port });
  it.pass(FIRST_WAIT_MS);
  it.welcome(CALL);
  assert.equal(it.socket.sent.length, 1 + 64, 'hello, and what was kept');
  assert.equal(it.socket.sent[1].port, 50_000);
});
