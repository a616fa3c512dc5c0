// What happens next, in every state and for every event; and the ways people take through the house.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { CONVERSATION, MS as CALL_MS, NAMES } from '../../static/js/conversation.js';
import { FIRST, INITIAL, machine, MS as FIRST_MS } from '../../static/js/machine.js';
import { isClientFrame } from '../../static/js/protocol.js';
import { words as english } from '../../static/js/words/en-call.js';

const MS = { ...FIRST_MS, ...CALL_MS };
/** What the page runs on from the moment the scripts of a call are here, and what until then. */
const [reduce, early] = [machine(FIRST, CONVERSATION), machine(FIRST)];

const CALL = '0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a';
const OTHER = '11111111-2222-4333-8444-555555555555';
const WISHES = { languages: ['de', 'en'], role: 'listen', avoid_recent: true };
const DESCRIPTION = { ufrag: 'abcd', pwd: 'abcdefghijklmnopqrstuv', fingerprint: '00'.repeat(32), setup: 'actpass', payload_type: 111 };

const PUZZLE = { challenge: '0a'.repeat(32), target: '0b'.repeat(32), most: 25_000 };
const PROOF = { challenge: PUZZLE.challenge, number: 24_999 };

const frame = (type, fields = {}) => ({ type: 'frame', frame: { type, ...fields } });
const timeout = (timer) => ({ type: 'timeout', timer });
const matched = (offerer = true, call = CALL, more = {}) =>
  frame('matched', { call, side: 'a', offerer, relay: { transports: ['udp'], username: `1:${call}:a`, credential: 'abcd' }, ...more });
const line = (who, text = 'hello') => ({ type: 'line', line: { who, text } });
const welcome = (call) => frame('welcome', { resume: '0'.repeat(32), ...(call && { call }) });
const ended = (why, call = CALL) => frame('ended', { call, why });
const describe = frame('describe', { call: CALL, description: DESCRIPTION });
const candidate = frame('candidate', { call: CALL, port: 50_000 });

/** From the first page, one event after the other. */
function walk(...events) {
  let state = INITIAL;
  let effects = [];
  for (const event of events) ({ state, effects } = reduce(state, typeof event === 'string' ? { type: event } : event));
  return { state, effects, did: effects.map((effect) => effect.do), sent: effects.filter((effect) => effect.do === 'send').map((effect) => effect.frame) };
}

const START = { type: 'start', wishes: WISHES, agreed: true, short: false };
const WAITING = [START, 'ready', welcome(), 'granted'];
const CONNECTING = [...WAITING, matched()];
const DESCRIBED = [...CONNECTING, { type: 'described', description: DESCRIPTION }, describe];
const TALKING = [...DESCRIBED, 'connected'];

const found = (microphone = 'fine', sound = 'fine', line = 'fine') => ({ type: 'found', found: { microphone, sound, line } });
const ASKING_ALONE = ['hear-yourself', 'ready', welcome(), 'granted'];
const HEARING = [...ASKING_ALONE, matched(), { type: 'described', description: DESCRIPTION }, describe, 'connected'];

/** One way into each state. */
const WAYS = {
  landing: [],
  asking: [START],
  'mic-problem': [START, { type: 'refused', problem: 'none' }],
  waiting: WAITING,
  paused: [...WAITING, frame('slow_down', { retry_after: 10 })],
  cooling: [...WAITING, frame('cool_down', { retry_after: 600, category: 'asking' })],
  offered: [...WAITING, 'hidden', matched()],
  connecting: CONNECTING,
  talking: TALKING,
  rejoining: [...TALKING, line('me'), line('them'), 'failed'],
  ended: [...TALKING, 'bye'],
  resting: [...TALKING, 'end', 'rest'],
  offline: [START, 'ready', 'granted', timeout('unreachable')],
  hearing: HEARING,
  heard: [...HEARING, found(), 'done'],
};

/** Every event there is, as it can come; frames and timers one by one. */
const EVENTS = [
  START, { ...START, agreed: false }, { ...START, short: true },
  ...['retry', 'stop', 'accept', 'decline', 'mute', 'end', 'again', 'rest', 'vanish', 'granted', 'devices', 'doubt', 'checked',
    'down', 'connected', 'weak', 'failed', 'bye', 'unverified', 'ready', 'missing', 'hidden', 'visible', 'online', 'pagehide',
    'own-voice', 'try-voice', 'breath', 'go-on', 'hear-yourself', 'done'].map((type) => ({ type })),
  { type: 'voice', voice: 'own' }, { type: 'voice', voice: 'deeper' },
  { type: 'their-breath', on: true }, { type: 'their-breath', on: false },
  { type: 'disguised', ok: true }, { type: 'disguised', ok: false },
  ...['dismissed', 'site', 'system', 'none', 'busy', 'ignored', 'unsupported', 'calls'].map((problem) => ({ type: 'refused', problem })),
  { type: 'described', description: DESCRIPTION },
  { type: 'gathered', port: 50_000 },
  { type: 'broken', call: CALL }, { type: 'broken', call: OTHER },
  { type: 'renewed', ufrag: 'abcd', pwd: 'abcdefghijklmnopqrstuv' },
  ...['prompt', 'quiet', 'unreachable', 'offer', 'connecting', 'weak', 'rejoining', 'restart', 'fetch', 'pause', 'hearing', 'report'].map(timeout),
  welcome(), welcome(CALL), frame('waiting'), frame('slow_down', { retry_after: 10 }), frame('cool_down', { retry_after: 600, category: 'asking' }), { type: 'tell', category: 'asking' }, matched(true), matched(false), matched(true, OTHER), describe, candidate,
  frame('restart', { call: CALL, ufrag: 'abcd', pwd: 'abcdefghijklmnopqrstuv' }),
  ...['left', 'lost', 'vanished'].flatMap((why) => [ended(why), ended(why, OTHER)]),
  frame('problem', { code: 'too_many', text: '' }), frame('closing', { in: 5 }),
  ...['none', 'few', 'over', 'asked', 'on'].map((minutes) => ({ type: 'minutes', minutes })),
  { type: 'opener', chance: 0 }, { type: 'opener', chance: 0.999 },
  { type: 'typing', open: true }, { type: 'typing', open: false }, { type: 'type', text: 'hello' }, line('me'), line('them'),
  found(), found('silent', 'unknown', 'tcp'),
  frame('work', PUZZLE), { type: 'solved', proof: PROOF }, { type: 'puzzled' }, { type: 'unsolved' },
];

const label = (event) => [event.type, event.agreed?.toString(), event.open, event.on?.toString(), event.line?.who, event.voice, event.ok?.toString(), event.frame?.type, event.frame?.why, event.timer, event.problem, event.frame?.call?.slice(0, 4), event.found?.microphone, event.chance?.toString(), event.minutes, event.short ? 'short' : ''].filter(Boolean).join(' ');

/** Whether this state and another are the same for whoever asks what can happen. */
const key = (state) => JSON.stringify(state);

const CALLS = ['connecting', 'talking', 'rejoining'];

for (const name of NAMES) {
  test(`there is a way to ${name}`, () => assert.equal(walk(...WAYS[name]).state.name, name));

  for (const event of EVENTS) {
    test(`${name}: ${label(event)}`, () => {
      const { state: before } = walk(...WAYS[name]);
      const frozen = key(before);
      const { state, effects } = reduce(before, event);
      assert.equal(key(before), frozen, 'the reducer is pure');
      assert.ok(NAMES.includes(state.name));
      assert.deepEqual(Object.keys(state).sort(), Object.keys(INITIAL).sort());
      for (const effect of effects) {
        assert.equal(typeof effect.do, 'string');
        if (effect.do === 'send') assert.ok(isClientFrame(effect.frame), JSON.stringify(effect.frame));
        if (effect.do === 'startTimer') assert.ok(effect.ms > 0);
      }
      // What is true of each state, however one came to it.
      assert.ok(state.name === 'hearing' || (state.match !== null) === (CALLS.includes(state.name) || state.name === 'offered'), 'a call exactly where there is one');
      assert.ok(state.match === null || state.alone === (state.name === 'hearing'), 'nobody else is met alone');
      assert.ok(state.name === 'heard' || (state.found !== null) === (state.name === 'hearing'));
      if (effects.some(({ frame }) => frame?.type === 'join')) assert.equal(state.alone, false, 'nobody is met who was not asked for');
      if (effects.some(({ frame }) => frame?.type === 'hear_yourself')) assert.equal(state.alone, true);
      assert.ok(!state.sounding || state.name === 'hearing');
      assert.ok(!state.puzzled || state.name === 'waiting');
      assert.equal(state.problem !== null, state.name === 'mic-problem');
      assert.equal(state.pause > 0, ['paused', 'cooling'].includes(state.name));
      assert.equal(state.category !== null, state.name === 'cooling');
      assert.ok(state.past === null || state.name === 'ended');
      if (event.voice === undefined && event.type !== 'own-voice') assert.equal(state.voice, before.voice, 'only the visitor chooses a voice');
      assert.equal(state.ending !== null, state.name === 'ended' || state.name === 'resting' && before.ending !== null
        || state.name === 'offline' && state.back === 'ended');
      if (state.name !== before.name) {
        assert.equal(effects.some((effect) => effect.do === 'stopTimers'), true, 'timers belong to their state');
      }
      if (!CALLS.includes(state.name)) {
        assert.deepEqual([state.typing, state.unread, state.lines], [false, false, []], 'what was typed is gone with the call');
        assert.deepEqual([state.breath, state.theirs], [false, false], 'and nobody holds a breath');
        assert.deepEqual([state.openers, state.minutes], [[], 'none']);
      }
      if ((CALLS.includes(before.name) || before.name === 'hearing' && before.match) && !CALLS.includes(state.name) && state.name !== before.name) {
        assert.ok(effects.some((effect) => effect.do === 'hangUp'), 'a call that is left is hung up');
      }
      if (!['landing', 'mic-problem', 'heard'].includes(before.name) && ['landing', 'ended', 'resting', 'heard'].includes(state.name) && state.name !== before.name && before.name !== 'ended' && !(before.name === 'offline' && state.name === 'ended') && before.name !== 'resting') {
        assert.ok(effects.some((effect) => effect.do === 'release'), 'the microphone is let go');
      }
    });
  }
}

const said = ({ effects }) => effects.filter((effect) => effect.do === 'say').map(({ word }) => word);
const held = ({ effects }) => effects.filter((effect) => effect.do === 'hold').map(({ on }) => on);
const theirs = (on) => ({ type: 'their-breath', on });

test('a breath holds both directions, in every state of a call, and changes no mute', () => {
  for (const name of CALLS) {
    for (const before of [[], ['mute']]) {
      const taken = walk(...WAYS[name], ...before, 'breath');
      assert.deepEqual([taken.state.name, taken.state.breath, taken.state.muted], [name, true, before.length > 0]);
      assert.deepEqual(taken.effects, [
        { do: 'hold', on: true }, { do: 'breathe', on: true }, { do: 'say', word: 'breath.mine', then: 'breath.mine.text' },
      ]);
      const back = walk(...WAYS[name], ...before, 'breath', 'breath');
      assert.deepEqual([back.state.breath, back.state.muted, held(back)], [false, before.length > 0, [false]]);
      assert.deepEqual(back.effects.slice(2), before.length > 0 ? [{ do: 'say', word: 'muted' }] : [{ do: 'check', aloud: true }]);
    }
  }
  const muted = walk(...TALKING, 'breath', 'mute', 'breath');
  assert.deepEqual([muted.state.muted, held(muted), said(muted)], [true, [false], ['muted']], 'muted meanwhile, muted afterwards');
});

test('the partner’s breath is said once and holds this side as well', () => {
  const taken = walk(...TALKING, theirs(true));
  assert.deepEqual([taken.state.theirs, held(taken), said(taken)], [true, [true], ['breath.theirs']]);
  const back = walk(...TALKING, theirs(true), theirs(false));
  assert.deepEqual([back.state.theirs, held(back), said(back)], [false, [false], ['breath.over']]);
  assert.deepEqual(said(walk(...TALKING, theirs(true), 'mute', 'mute')), [], 'nothing is said that is not so');
  assert.deepEqual(said(walk(...TALKING, theirs(true), 'checked')), []);
});

test('both may take one at once, and neither is heard until both are back', () => {
  for (const [first, second] of [['breath', theirs(true)], [theirs(true), 'breath']]) {
    const both = walk(...TALKING, first, second);
    assert.deepEqual([both.state.breath, both.state.theirs], [true, true]);
    const [one, other] = [walk(...TALKING, first, second, 'breath'), walk(...TALKING, first, second, theirs(false))];
    assert.deepEqual([held(one), said(one)], [[true], ['breath.theirs']]);
    assert.deepEqual([held(other), said(other)], [[true], []], 'who takes one is left in peace');
    assert.deepEqual(held(walk(...TALKING, first, second, 'breath', theirs(false))), [false]);
  }
});

test('a breath outlasts a line that is thin, and ends with the call', () => {
  assert.deepEqual(['failed', 'connected'].map((event, index, all) => walk(...TALKING, 'breath', theirs(true), ...all.slice(0, index + 1)).state)
    .map(({ name, breath, theirs: other }) => [name, breath, other]), [['rejoining', true, true], ['talking', true, true]]);
  for (const end of ['end', 'bye', 'unverified']) assert.equal(walk(...TALKING, 'breath', end).state.name, 'ended');
  assert.equal(walk(...CONNECTING, 'breath', ended('vanished')).state.breath, false, 'it was meant for this partner');
});

test('where the operator asks for a box, nothing begins before it is ticked', () => {
  const { state, did } = walk({ ...START, agreed: false });
  assert.deepEqual([state.name, did], ['landing', ['askToAgree']]);
  assert.equal(walk({ ...START, agreed: false }, START).state.name, 'asking');
  assert.equal(walk(...TALKING, 'end', 'again').state.name, 'asking', 'it is said once');
});

test('a puzzle is solved while the page waits, and the join goes out once more with what was found', () => {
  const asked = walk(...WAITING, frame('work', PUZZLE));
  assert.deepEqual([asked.state.name, asked.state.puzzled, asked.effects], ['waiting', false, [{ do: 'solve', puzzle: PUZZLE }]]);
  const long = walk(...WAITING, frame('work', PUZZLE), 'puzzled');
  assert.deepEqual([long.state.puzzled, said(long)], [true, ['waiting.puzzle']]);
  const solved = walk(...WAITING, frame('work', PUZZLE), 'puzzled', { type: 'solved', proof: PROOF });
  assert.deepEqual(solved.sent, [{ type: 'join', ...WISHES, proof: PROOF }]);
  const waits = walk(...WAITING, frame('work', PUZZLE), 'puzzled', { type: 'solved', proof: PROOF }, frame('waiting'));
  assert.deepEqual([waits.state.puzzled, said(waits)], [false, ['waiting.title']]);
  assert.deepEqual(said(walk(...WAITING, frame('work', PUZZLE), { type: 'solved', proof: PROOF }, frame('waiting'))), [], 'what took no time is not spoken of');
  // What it was found for is gone with the socket: the next one asks anew.
  const lost = walk(...WAITING, frame('work', PUZZLE), 'down', { type: 'solved', proof: PROOF });
  assert.deepEqual([lost.state.name, lost.sent], ['waiting', []]);
  assert.deepEqual(walk(...WAITING, frame('work', PUZZLE), 'down', welcome()).sent, [{ type: 'join', ...WISHES }]);
});

test('who stops waiting stops working, and what cannot be solved is a pause and no dead end', () => {
  const stopped = walk(...WAITING, frame('work', PUZZLE), 'puzzled', 'stop');
  assert.deepEqual([stopped.state.name, stopped.did.includes('stopTimers')], ['landing', true]);
  assert.deepEqual(walk(...WAITING, frame('work', PUZZLE), 'stop', { type: 'solved', proof: PROOF }).effects, []);
  const { state, effects } = walk(...WAITING, frame('work', PUZZLE), 'unsolved');
  assert.deepEqual([state.name, state.pause], ['paused', MS.unsolved]);
  assert.deepEqual(effects, [{ do: 'stopTimers' }, { do: 'startTimer', timer: 'pause', ms: MS.unsolved }]);
  assert.deepEqual(walk(...WAITING, 'unsolved', timeout('pause')).sent, [{ type: 'join', ...WISHES }]);
});

test('who has said that they are struggling badly says it at every join, until the page is gone', () => {
  const wishes = { ...WISHES, struggling: true };
  const start = { ...START, wishes };
  assert.deepEqual(walk(start, 'ready', welcome(), 'granted').sent, [{ type: 'join', ...wishes }]);
  const again = walk(start, 'ready', welcome(), 'granted', matched(), 'connected', 'end', 'again', 'granted');
  assert.deepEqual(again.sent, [{ type: 'join', ...wishes }]);
  assert.deepEqual(walk(start, 'ready', welcome(), 'granted', frame('work', PUZZLE), { type: 'solved', proof: PROOF }).sent,
    [{ type: 'join', ...wishes, proof: PROOF }]);
});

test('leaving at once: microphone, call and socket, and only then away; the farewell keeps nobody', () => {
  for (const name of NAMES) {
    const { state, effects, did } = walk(...WAYS[name], 'vanish');
    assert.equal(state.name, 'landing');
    assert.deepEqual(did, ['stopTimers', 'release', 'hangUp', 'send', 'disconnect', 'wake', 'dismiss', 'vanish'], name);
    assert.deepEqual(effects[2], { do: 'hangUp', bye: true, atOnce: true });
  }
});

test('no dead ends: from everywhere one can get back to the first page and on to a conversation', () => {
  // Everything that can be reached, and from where, by number.
  const [numbers, states, from] = [new Map([[key(INITIAL), 0]]), [INITIAL], [[]]];
  for (let at = 0; at < states.length; at += 1) {
    for (const event of EVENTS) {
      const { state: next } = reduce(states[at], event);
      // What is typed or said, who is muted or takes a breath, and which of several reasons it was open and close nothing; nor
      // does a second held frame.
      const known = {
        ...next, held: next.held.slice(0, 1), typing: false, unread: false, lines: [], openers: [], voice: INITIAL.voice, unheard: false, breath: false, theirs: false,
        minutes: 'none', short: false, muted: false, long: false, pause: INITIAL.pause, category: INITIAL.category, wishes: INITIAL.wishes, found: next.found && found().found,
        problem: next.problem && (next.problem === 'none' ? 'none' : 'site'), ending: next.ending && 'left',
      };
      const name = key(known);
      if (!numbers.has(name)) {
        numbers.set(name, states.length);
        states.push(known);
        from.push([]);
      }
      from[numbers.get(name)].push(at);
    }
  }
  assert.deepEqual(new Set(states.map(({ name }) => name)), new Set(NAMES));
  for (const goal of ['landing', 'talking']) {
    const reaches = new Set(states.flatMap(({ name }, at) => (name === goal ? [at] : [])));
    for (const at of reaches) for (const one of from[at]) reaches.add(one);
    const stuck = states.filter((_, at) => !reaches.has(at));
    assert.deepEqual(stuck.slice(0, 3), [], `${stuck.length} of ${states.length} cannot reach ${goal}`);
  }
});

test('until the scripts of a call are here, the rows of the first page do what all of them do', () => {
  // What the visitor, the microphone, the browser, the clock and a server that nobody has asked for anything can bring about.
  const can = EVENTS.filter(({ type, frame: sent, timer }) =>
    (sent ? ['welcome', 'waiting', 'problem', 'closing'].includes(sent.type) : timer ? timer in FIRST_MS
      : !['ready', 'checked', 'connected', 'weak', 'failed', 'bye', 'unverified', 'described', 'gathered', 'broken', 'renewed', 'line',
        'their-breath', 'disguised', 'found', 'opener', 'minutes', 'solved', 'puzzled', 'unsolved'].includes(type)));
  const states = new Map([[key(INITIAL), INITIAL]]);
  for (const state of states.values()) {
    for (const event of can) {
      const step = early(state, event);
      assert.deepEqual(step, reduce(state, event), `${state.name}: ${label(event)}`);
      states.set(key(step.state), step.state);
    }
  }
  assert.deepEqual(new Set([...states.values()].map(({ name }) => name)),
    new Set(['landing', 'asking', 'mic-problem', 'waiting', 'offline', 'hearing', 'heard']));
  // A server that matches somebody who has not joined is told so.
  assert.deepEqual(early(walk(START, 'granted', welcome()).state, matched()).effects, [{ do: 'send', frame: { type: 'leave' } }]);
});

test('no pair of a state and an event is in two places', () => {
  for (const kind of ['events', 'frames']) {
    for (const name of NAMES) {
      const [first, then] = [FIRST, CONVERSATION].map((rows) => Object.keys(rows[kind][name] ?? {}));
      assert.deepEqual(first.filter((type) => then.includes(type)), [], `${kind}: ${name}`);
    }
  }
});

test('every state has a control that leads out of it, without the server or the network', () => {
  const controls = [START, ...['retry', 'stop', 'accept', 'decline', 'end', 'again', 'rest', 'done'].map((type) => ({ type }))];
  for (const name of NAMES) {
    const { state } = walk(...WAYS[name]);
    assert.ok(controls.some((event) => reduce(state, event).state.name !== name), name);
  }
});

test('the press opens the socket and asks for the microphone at once', () => {
  const { did, state } = walk(START);
  assert.deepEqual(did.filter((effect) => ['unlock', 'connect', 'ask'].includes(effect)), ['unlock', 'connect', 'ask']);
  assert.deepEqual(state.wishes, WISHES);
});

test('joins when both the microphone and the socket are there, whichever comes first', () => {
  const join = { type: 'join', ...WISHES };
  assert.deepEqual(walk(START, 'ready', welcome(), 'granted').sent, [join]);
  assert.deepEqual(walk(START, 'ready', welcome()).sent, []);
  assert.deepEqual(walk(START, 'ready', 'granted').sent, []);
  assert.deepEqual(walk(START, 'ready', 'granted', welcome()).sent, [join]);
});

test('nobody joins before the scripts of a call are here, and they are asked for until they are', () => {
  const join = { type: 'join', ...WISHES };
  const without = [START, welcome(), 'granted'];
  assert.deepEqual(walk(...without).sent, []);
  assert.ok(walk(...without).did.includes('fetch'));
  assert.deepEqual(walk(...without, 'ready').sent, [join]);
  assert.ok(walk(...without, 'ready').effects.some((effect) => effect.do === 'stopTimer' && effect.timer === 'unreachable'));
  assert.deepEqual(walk(START, 'granted', 'ready').sent, []);
  assert.deepEqual(walk(START, 'granted', 'missing', welcome()).did, ['fetch'], 'the network is back');
  const offline = [...without, 'missing', timeout('unreachable')];
  assert.equal(walk(...offline).state.name, 'offline');
  assert.ok(walk(...offline).did.includes('fetch'));
  assert.deepEqual(walk(...offline, 'missing').effects, [{ do: 'startTimer', timer: 'fetch', ms: MS.fetch }]);
  assert.deepEqual(walk(...offline, 'missing', timeout('fetch')).did, ['fetch']);
  assert.deepEqual(walk(...offline, 'retry').did, ['hurry', 'fetch']);
  assert.deepEqual([walk(...offline, 'ready').state.name, walk(...offline, 'ready').sent], ['waiting', [join]]);
  const down = [...offline, 'down'];
  assert.equal(walk(...down, 'ready').state.name, 'offline');
  assert.deepEqual([walk(...down, welcome()).state.name, walk(...down, welcome()).did], ['offline', ['fetch']]);
  assert.deepEqual(walk(...down, welcome(), 'ready').sent, [join]);
  assert.equal(walk(...WAITING, frame('closing', { in: 5 }), 'ready').state.name, 'offline');
});

test('who has not been reached yet is given longer than who was lost', () => {
  const clock = (...events) => walk(...events).effects.find(({ timer }) => timer === 'unreachable')?.ms;
  assert.equal(clock(START, 'granted'), MS.reaching);
  assert.equal(clock(START, 'ready', 'granted'), MS.reaching);
  assert.equal(clock(START, welcome(), 'granted'), MS.reaching);
  assert.equal(clock(...WAITING, 'down'), MS.unreachable);
  assert.ok(MS.reaching > 3 * MS.unreachable);
});

test('a pause lasts as long as the server says, and then the page joins by itself', () => {
  const join = { type: 'join', ...WISHES };
  const paused = walk(...WAYS.paused);
  assert.deepEqual(paused.effects, [{ do: 'stopTimers' }, { do: 'startTimer', timer: 'pause', ms: 10_000 }]);
  assert.deepEqual([walk(...WAYS.paused, timeout('pause')).state.name, walk(...WAYS.paused, timeout('pause')).sent], ['waiting', [join]]);
  assert.equal(walk(...WAYS.paused, timeout('pause'), frame('slow_down', { retry_after: 20 })).state.pause, 20_000);
  // The socket may be lost meanwhile, which does not shorten anything.
  const down = [...WAYS.paused, 'down'];
  assert.deepEqual([walk(...down, welcome()).state.name, walk(...down, welcome()).sent], ['paused', []]);
  assert.deepEqual(walk(...down, timeout('pause')).sent, []);
  assert.deepEqual(walk(...down, timeout('pause'), welcome()).sent, [join]);
  const stopped = walk(...WAYS.paused, 'stop');
  assert.equal(stopped.state.name, 'landing');
  assert.ok(stopped.did.includes('release'));
});

test('a report ends the call, goes out once, and can still be made when the call is over', () => {
  const report = { type: 'tell', category: 'asking' };
  const sent = { type: 'report', call: CALL, category: 'asking' };
  for (const name of ['talking', 'rejoining']) {
    const { state, sent: frames, did } = walk(...WAYS[name], report);
    assert.deepEqual([state.name, state.ending, frames, state.past], ['ended', 'reported', [sent], null], name);
    assert.ok(did.includes('release') && did.includes('hangUp'));
  }
  for (const over of ['end', 'bye', ended('left'), ended('lost')]) {
    const after = walk(...TALKING, over, report);
    assert.deepEqual([after.state.name, after.state.ending, after.sent], ['ended', 'told', [sent]], 'whoever was left has not left');
    assert.deepEqual(walk(...TALKING, over, report, report).sent, [], 'once');
    assert.deepEqual(walk(...TALKING, over, 'again', report).sent, []);
  }
  // Not when the server would not take it any more.
  assert.deepEqual(walk(...TALKING, 'bye').effects.at(-1), { do: 'startTimer', timer: 'report', ms: MS.report });
  const late = walk(...TALKING, 'bye', timeout('report'));
  assert.deepEqual([late.state.name, late.state.past, walk(...TALKING, 'bye', timeout('report'), report).sent], ['ended', null, []]);
  // Nobody has been heard yet.
  assert.deepEqual(walk(...CONNECTING, report).sent, []);
  assert.equal(walk(...CONNECTING, 'end').state.past, null);
});

test('whoever is cooled down is let go of with the microphone, and has a way back', () => {
  const { state, did } = walk(...WAYS.cooling);
  assert.deepEqual([state.pause, state.category, state.up], [600_000, 'asking', false]);
  assert.ok(did.includes('release') && did.includes('disconnect'));
  assert.equal(walk(...WAYS.cooling, 'stop').state.name, 'landing');
});

test('a browser that makes no calls gives the match back at once, and says so', () => {
  const { state, did, sent } = walk(...CONNECTING, { type: 'broken', call: CALL });
  assert.deepEqual([state.name, state.problem, sent], ['mic-problem', 'calls', [{ type: 'leave' }]]);
  assert.ok(did.includes('release'));
  assert.equal(walk(...CONNECTING, { type: 'broken', call: OTHER }).state.name, 'connecting');
});

test('a prompt that is left alone is mentioned, and may still be answered', () => {
  const problem = walk(START, 'ready', welcome(), timeout('prompt'));
  assert.equal(problem.state.problem, 'ignored');
  assert.equal(walk(START, 'ready', welcome(), timeout('prompt'), 'granted').state.name, 'waiting');
});

test('a microphone that is plugged in is noticed', () => {
  assert.equal(walk(START, { type: 'refused', problem: 'none' }, 'devices').state.name, 'asking');
  assert.equal(walk(START, { type: 'refused', problem: 'busy' }, 'devices').state.name, 'mic-problem');
});

test('a microphone that comes after one has gone back is let go', () => {
  assert.deepEqual(walk(START, 'stop', 'granted').did, ['release']);
});

test('a minute of waiting is said once, without moving the focus', () => {
  const { state, effects } = walk(...WAITING, timeout('quiet'));
  assert.equal(state.name, 'waiting');
  assert.equal(state.long, true);
  assert.deepEqual(effects, [{ do: 'say', word: 'waiting.long' }]);
});

test('a socket that drops while waiting gets a moment, then joins again by itself', () => {
  const dropped = walk(...WAITING, 'down');
  assert.equal(dropped.state.name, 'waiting');
  assert.deepEqual(dropped.effects, [{ do: 'startTimer', timer: 'unreachable', ms: MS.unreachable }]);
  assert.equal(walk(...WAITING, 'down', welcome()).sent[0].type, 'join');
  const offline = [...WAITING, 'down', timeout('unreachable')];
  assert.equal(walk(...offline).state.name, 'offline');
  assert.equal(walk(...offline, welcome()).state.name, 'waiting');
  assert.equal(walk(...offline, welcome()).sent[0].type, 'join');
});

test('a server that closes sends those who wait offline and leaves calls alone', () => {
  const closing = frame('closing', { in: 5 });
  assert.equal(walk(...WAITING, closing).state.name, 'offline');
  assert.equal(walk(...WAITING, closing, 'down').state.closing, true);
  assert.equal(walk(...WAITING, closing, 'down', welcome()).state.name, 'waiting');
  for (const way of [WAYS.offered, CONNECTING, TALKING, WAYS.rejoining]) assert.deepEqual(walk(...way, closing).effects, []);
  const afterwards = walk(...WAYS.ended, closing, 'down', welcome());
  assert.equal(afterwards.state.name, 'ended');
  assert.equal(afterwards.state.ending, 'left');
});

test('a match in a hidden tab is offered; what the partner sends meanwhile is kept', () => {
  const offered = [...WAITING, 'hidden', matched(false), describe, candidate];
  assert.equal(walk(...offered).state.name, 'offered');
  assert.deepEqual(walk(...WAITING, 'hidden', matched()).did.includes('summon'), true);
  const accepted = walk(...offered, 'visible', 'accept');
  assert.equal(accepted.state.name, 'connecting');
  assert.deepEqual(accepted.effects.filter((effect) => ['begin', 'pass'].includes(effect.do)).map((effect) => effect.frame?.type ?? effect.do), ['begin', 'describe', 'candidate']);
  const gone = walk(...offered, timeout('offer'));
  assert.deepEqual([gone.state.name, gone.state.ending, gone.sent], ['ended', 'missed', [{ type: 'leave' }]]);
  const declined = walk(...offered, 'decline');
  assert.deepEqual([declined.state.name, declined.sent], ['resting', [{ type: 'leave' }]]);
  assert.ok(declined.did.includes('dismiss'));
});

test('the line has fifteen seconds from when both are described, in either order', () => {
  const started = (...events) => walk(...CONNECTING, ...events).effects.filter((effect) => effect.do === 'startTimer' && effect.ms === MS.connecting).length;
  const described = { type: 'described', description: DESCRIPTION };
  assert.equal(started(described), 0);
  assert.equal(started(described, describe), 1);
  assert.equal(started(describe), 0);
  assert.equal(started(describe, described), 1);
  const late = walk(...DESCRIBED, timeout('connecting'));
  assert.deepEqual([late.state.name, late.state.ending], ['ended', 'lost']);
  assert.deepEqual(late.sent, [{ type: 'leave' }]);
});

test('a partner who vanished before the call leads quietly back to waiting, without a second join', () => {
  for (const way of [CONNECTING, DESCRIBED, TALKING, WAYS.offered]) {
    const { state, sent, did } = walk(...way, ended('vanished'));
    assert.equal(state.name, 'waiting');
    assert.deepEqual(sent, []);
    assert.equal(did.includes('release'), false, 'the microphone is still needed');
  }
});

test('how it usually is comes with the wait and goes with it', () => {
  const usual = (value) => frame('waiting', value && { usual: value });
  assert.equal(walk(...WAITING, usual('soon')).state.usual, 'soon');
  assert.equal(walk(...WAITING, usual('soon'), usual()).state.usual, null);
  assert.equal(walk(...WAITING, usual('soon'), 'down', welcome()).state.usual, 'soon', 'it does not flicker');
  assert.equal(walk(...WAITING, usual('soon'), matched(true), ended('vanished')).state.usual, null);
  assert.equal(walk(...WAITING, usual('soon'), 'stop', ...WAITING).state.usual, null, 'it may be another hour');
});

test('whoever the server has in the queue waits, whatever the page believed', () => {
  // Leave and join were on the way when the server had matched this visitor anew.
  for (const [way, undone] of [[CONNECTING, 'hangUp'], [WAYS.offered, 'dismiss']]) {
    const { state, sent, did } = walk(...way, frame('waiting', { usual: 'quiet' }));
    assert.deepEqual([state.name, state.match, state.usual, sent], ['waiting', null, 'quiet', []]);
    assert.ok(did.includes(undone));
  }
  // In a conversation it is nothing.
  assert.equal(walk(...TALKING, frame('waiting')).state.name, 'talking');
});

test('both sides of an ending read the same, whoever ended it', () => {
  assert.equal(walk(...TALKING, ended('left')).state.ending, 'left');
  assert.equal(walk(...TALKING, 'bye').state.ending, 'left');
  assert.equal(walk(...TALKING, ended('lost')).state.ending, 'lost');
  const own = walk(...TALKING, 'end');
  assert.equal(own.state.ending, 'self');
  assert.deepEqual(own.effects.filter((effect) => ['release', 'send', 'hangUp'].includes(effect.do)).map((effect) => effect.do), ['release', 'send', 'hangUp']);
  assert.deepEqual(own.effects.find((effect) => effect.do === 'hangUp'), { do: 'hangUp', bye: true });
});

test('what names another call changes nothing', () => {
  for (const event of [ended('left', OTHER), frame('candidate', { call: OTHER, port: 50_000 })]) {
    assert.deepEqual(walk(...TALKING, event).effects, []);
    assert.equal(walk(...TALKING, event).state.name, 'talking');
  }
});

test('a match that nobody waits for is given back', () => {
  for (const name of ['landing', 'asking', 'ended', 'resting', 'offline']) {
    assert.deepEqual(walk(...WAYS[name], matched(true, OTHER)).sent, [{ type: 'leave' }], name);
  }
});

test('a call that the server holds and the page does not is given back', () => {
  const late = welcome(OTHER);
  assert.deepEqual(walk(START, 'ready', 'granted', welcome(), late).sent.map(({ type }) => type), ['leave', 'join']);
  for (const events of [
    [START, 'ready', 'granted', welcome(), matched(), 'end', late],
    [START, 'ready', 'granted', welcome(), matched(), late],
    [START, 'ready', 'granted', welcome(), 'hidden', matched(), late],
  ]) assert.equal(walk(...events).sent[0]?.type, 'leave');
  assert.deepEqual(walk(START, 'ready', 'granted', welcome(), matched(), welcome(CALL)).sent, []);
});

test('losing the socket never ends a call', () => {
  for (const way of [DESCRIBED, TALKING, WAYS.rejoining]) {
    const { name } = walk(...way).state;
    assert.equal(walk(...way, 'down').state.name, name);
    assert.equal(walk(...way, 'down', welcome(CALL)).state.name, name);
  }
  // The server has forgotten it, the line has not.
  assert.equal(walk(...TALKING, 'down', welcome()).state.name, 'talking');
  assert.equal(walk(...TALKING, 'down', welcome(), 'end').state.name, 'ended');
});

test('a short gap heals unseen; a longer one is said, and the offerer makes the line anew', () => {
  assert.equal(walk(...TALKING, 'weak').state.name, 'talking');
  assert.deepEqual(walk(...TALKING, 'weak', 'connected').effects, [{ do: 'stopTimer', timer: 'weak' }]);
  const thin = [...TALKING, 'weak', timeout('weak')];
  assert.equal(walk(...thin).state.name, 'rejoining');
  assert.ok(walk(...thin).did.includes('restart'));
  assert.ok(walk(...thin, timeout('restart')).did.includes('restart'));
  assert.equal(walk(...thin, 'connected').state.name, 'talking');
  const lost = walk(...thin, timeout('rejoining'));
  assert.deepEqual([lost.state.name, lost.state.ending], ['ended', 'lost']);
});

const ANSWERING = [...WAITING, matched(false), describe, { type: 'described', description: DESCRIPTION }, 'connected'];

test('the answerer waits for the offerer, and not for ever', () => {
  const thin = [...ANSWERING, 'failed'];
  assert.equal(walk(...thin).did.includes('restart'), false);
  // Nothing has come: the socket is as dead as the line.
  assert.deepEqual(walk(...thin, timeout('restart')).did, ['renew', 'restart', 'startTimer']);
  assert.equal(walk(...thin, timeout('rejoining')).state.name, 'ended');
});

test('a restart that comes on a thin line is given its time', () => {
  const restart = frame('restart', { call: CALL, ufrag: 'abcd', pwd: 'abcdefghijklmnopqrstuv' });
  for (const way of [TALKING, ANSWERING]) {
    assert.deepEqual(walk(...way, 'failed', restart).effects, [
      { do: 'pass', frame: restart.frame }, { do: 'startTimer', timer: 'restart', ms: MS.restart },
    ]);
  }
});

test('a new network renews the socket and the line, on either side', () => {
  for (const way of [TALKING, ANSWERING]) assert.deepEqual(walk(...way, 'online').did, ['renew', 'restart']);
});

test('where the server has gone for good, nobody is kept hoping for half a minute', () => {
  const soon = { do: 'startTimer', timer: 'rejoining', ms: MS.forgotten };
  const late = { do: 'startTimer', timer: 'rejoining', ms: MS.rejoining };
  const has = ({ effects }, wanted) => effects.some((one) => isDeepStrictEqual(one, wanted));
  const closing = frame('closing', { in: 5 });
  // Before the line is felt to be gone, and after.
  for (const news of [welcome(), welcome(OTHER)]) {
    assert.equal(walk(...TALKING, 'down', news).state.name, 'talking', 'as long as they hear each other');
    assert.ok(has(walk(...TALKING, 'down', news, 'failed'), soon));
    assert.ok(has(walk(...TALKING, 'failed', 'down', news), soon));
  }
  // And each further socket says the same: that is no news.
  assert.equal(has(walk(...TALKING, 'failed', 'down', welcome(), 'down', welcome()), soon), false);
  // A server that stops sees to its calls for as long as it is there.
  assert.ok(has(walk(...TALKING, closing, 'failed'), late));
  assert.ok(has(walk(...TALKING, closing, 'down', 'failed'), soon));
  assert.ok(has(walk(...TALKING, 'down', welcome(CALL), 'failed'), late));
  assert.equal(has(walk(...TALKING, 'failed', 'down', welcome(CALL)), soon), false);
  // The next call is another one.
  const next = walk(...TALKING, 'down', welcome(), 'bye', 'again').state;
  assert.equal(next.forgotten, false);
});

test('a call without a line problem is ended by no clock', () => {
  const { state } = walk(...TALKING);
  for (const timer of Object.keys(MS)) assert.notEqual(reduce(state, timeout(timer)).state.name, 'ended');
});

test('muting says what the partner hears', () => {
  assert.deepEqual(walk(...TALKING, 'mute').effects, [{ do: 'mute', on: true }, { do: 'say', word: 'muted' }]);
  assert.equal(walk(...TALKING, 'mute', 'mute').state.muted, false);
  assert.equal(walk(...TALKING, { type: 'refused', problem: 'busy' }).state.muted, true, 'a microphone that went is a muted one');
  assert.equal(walk(...WAITING, 'mute').state.muted, false);
});

test('the next call begins unmuted', () => {
  assert.equal(walk(...TALKING, 'mute', 'bye').state.muted, false);
});

test('leaving at once stops the microphone first, then the call and the socket, and goes', () => {
  for (const name of NAMES) {
    const { did, state } = walk(...WAYS[name], 'vanish');
    const order = ['release', 'hangUp', 'disconnect', 'vanish'].map((effect) => did.indexOf(effect));
    assert.deepEqual(order, [...order].sort((one, other) => one - other), name);
    assert.ok(order.every((index) => index >= 0));
    assert.equal(state.name, 'landing');
  }
});

test('a page that is closed says so on both ways', () => {
  const { effects } = walk(...TALKING, 'pagehide');
  assert.ok(effects.some((effect) => effect.do === 'hangUp' && effect.bye));
  assert.ok(effects.some((effect) => effect.do === 'send' && effect.frame.type === 'leave'));
});

test('another conversation asks for the microphone again, since it was let go', () => {
  assert.equal(walk(...WAYS.ended, 'again').state.name, 'asking');
  assert.equal(walk(...WAYS.ended, 'again', 'granted').sent[0].type, 'join');
  assert.ok(walk(...WAYS.resting, 'again').did.includes('connect'));
});

test('a line that went with the server is said to have', () => {
  const closing = frame('closing', { in: 5 });
  for (const way of [[...TALKING, closing, 'down', 'failed'], [...TALKING, 'failed', closing, 'down', welcome()]]) {
    assert.equal(walk(...way, timeout('rejoining')).state.ending, 'closing');
  }
  assert.equal(walk(...DESCRIBED, closing, timeout('connecting')).state.ending, 'closing');
  assert.equal(walk(...WAYS.offered, closing, 'accept', timeout('connecting')).state.ending, 'closing');
  assert.equal(walk(...TALKING, closing, ended('lost')).state.ending, 'closing');
  // Whoever left has left.
  for (const [event, ending] of [['end', 'self'], ['bye', 'left']]) assert.equal(walk(...TALKING, closing, event).state.ending, ending);
  // The line came back: what takes it later is something else. And so is the next call.
  assert.equal(walk(...TALKING, closing, 'failed', 'connected', 'failed', timeout('rejoining')).state.ending, 'lost');
  assert.equal(walk(...TALKING, closing, 'bye').state.closing, false);
});

test('a microphone is looked at when a call begins, and one that goes before is a problem of its own', () => {
  const began = walk(...WAITING, matched()).did;
  assert.ok(began.indexOf('check') > began.indexOf('begin'));
  assert.ok(walk(...WAYS.offered, 'accept').did.includes('check'));
  assert.deepEqual(walk(...WAYS.offered, 'doubt').did, ['check']);
  const gone = walk(...WAYS.offered, { type: 'refused', problem: 'busy' });
  assert.deepEqual([gone.state.name, gone.state.problem, gone.sent], ['mic-problem', 'busy', [{ type: 'leave' }]]);
  assert.ok(gone.did.includes('dismiss'));
  const waiting = walk(...WAITING, { type: 'refused', problem: 'none' });
  assert.deepEqual([waiting.state.name, waiting.sent], ['mic-problem', [{ type: 'leave' }]], 'nobody is matched with it');
});

test('unmuting is said once, and only when the microphone is there', () => {
  const unmuting = [...TALKING, 'mute', 'mute'];
  assert.deepEqual(walk(...unmuting).effects, [{ do: 'mute', on: false }, { do: 'check', aloud: true }]);
  assert.deepEqual(walk(...unmuting, 'checked').effects, [{ do: 'say', word: 'unmuted' }]);
  const gone = [...unmuting, { type: 'refused', problem: 'none' }];
  assert.deepEqual(walk(...gone).effects, [{ do: 'mute', on: true }, { do: 'say', word: 'muted' }]);
  assert.deepEqual(walk(...gone, 'checked').effects, []);
});

test('attempts that fail do not start the clock anew', () => {
  assert.deepEqual(walk(...WAITING, 'down', 'down').effects, []);
  assert.deepEqual(walk(START, 'ready', 'granted', 'down').effects, []);
  assert.equal(walk(...WAITING, 'down', welcome(), 'down').did[0], 'startTimer');
});

test('an offer whose call the server no longer has leads back into the queue', () => {
  const { state, did, sent } = walk(...WAYS.offered, 'down', welcome());
  assert.deepEqual([state.name, sent.map(({ type }) => type)], ['waiting', ['join']]);
  assert.ok(did.includes('dismiss'));
});

test('the screen stays on from when the line is up until the end', () => {
  assert.deepEqual(walk(...TALKING).effects.filter((effect) => effect.do === 'wake'), [{ do: 'wake', on: true }]);
  assert.deepEqual(walk(...TALKING, 'end').effects.filter((effect) => effect.do === 'wake'), [{ do: 'wake', on: false }]);
});

test('a new network is tried at once on a thin line', () => {
  const { effects } = walk(...WAYS.rejoining, 'online');
  assert.deepEqual(effects, [{ do: 'renew' }, { do: 'restart' }, { do: 'startTimer', timer: 'restart', ms: MS.restart }]);
});

test('a page that is seen again does not sit its wait out', () => {
  for (const name of NAMES) assert.equal(walk(...WAYS[name], 'visible').did[0], 'hurry', name);
});

test('a microphone that comes after the end is let go', () => {
  for (const name of ['ended', 'resting']) assert.deepEqual(walk(...WAYS[name], 'granted').did, ['release'], name);
});

const TYPING = [...WAITING, matched(true, CALL, { text_line: true }), { type: 'described', description: DESCRIPTION }, describe, 'connected'];

test('a line is typed only where the server has said that it may be', () => {
  const type = { type: 'type', text: 'hello' };
  assert.deepEqual(walk(...TYPING, type).effects, [{ do: 'type', text: 'hello' }]);
  assert.deepEqual(walk(...TYPING, 'failed', type).effects, [{ do: 'type', text: 'hello' }], 'on a thin line it waits in the channel');
  assert.deepEqual(walk(...TALKING, type).effects, []);
  for (const name of NAMES.filter((name) => !CALLS.includes(name))) assert.deepEqual(walk(...WAYS[name], type).effects, [], name);
});

test('what the partner has typed is said once, until it is looked at', () => {
  const said = (...events) => walk(...TYPING, ...events).effects.filter((effect) => effect.do === 'say');
  assert.deepEqual(said(line('them')), [{ do: 'say', word: 'type.unread' }]);
  assert.deepEqual(said(line('them'), line('them')), []);
  assert.deepEqual(said(line('me')), []);
  assert.deepEqual(said({ type: 'typing', open: true }, line('them')), []);
  assert.equal(walk(...TYPING, line('them')).state.unread, true);
  assert.equal(walk(...TYPING, line('them'), line('me')).state.unread, true);
  const looked = [line('them'), { type: 'typing', open: true }];
  assert.equal(walk(...TYPING, ...looked).state.unread, false);
  assert.deepEqual(said(...looked, { type: 'typing', open: false }, line('them')), [{ do: 'say', word: 'type.unread' }]);
});

test('the last hundred lines are kept, in order, and none beyond the call', () => {
  const many = Array.from({ length: 250 }, (_, index) => line(index % 2 ? 'me' : 'them', String(index)));
  const { state } = walk(...TYPING, ...many);
  assert.deepEqual(state.lines.map(({ text }) => Number(text)), Array.from({ length: 100 }, (_, index) => 150 + index));
  for (const end of ['end', 'bye', 'vanish', 'pagehide', ended('left'), ended('lost'), ended('vanished'), { type: 'broken', call: CALL }]) {
    assert.deepEqual(walk(...TYPING, ...many, end).state.lines, end.type === 'broken' ? state.lines : [], JSON.stringify(end));
  }
  assert.deepEqual(walk(...TYPING, 'failed', ...many, timeout('rejoining')).state.lines, []);
});

const SHORT = { ...START, short: true };
const minutes = (minutes) => ({ type: 'minutes', minutes });

test('a wish for ten minutes goes into the call and never to the server', () => {
  const begun = (...way) => walk(...way, matched()).effects.find((effect) => effect.do === 'begin').short;
  assert.deepEqual([begun(...WAITING), begun(SHORT, 'ready', welcome(), 'granted')], [false, true]);
  assert.deepEqual(walk(SHORT, 'ready', welcome(), 'granted').sent, [{ type: 'join', ...WISHES }]);
  assert.equal(begun(SHORT, 'ready', welcome(), 'granted', matched(), 'end', 'again', 'granted'), true, 'for the next as well');
  assert.equal(begun(...WAYS.heard, SHORT, welcome(), 'granted'), true);
  const alone = walk(SHORT, 'stop', 'hear-yourself', 'ready', welcome(), 'granted', matched()).effects.find((effect) => effect.do === 'begin');
  assert.deepEqual([alone.alone, alone.short], [true, false], 'the server’s caller is not asked');
});

test('how the ten minutes stand is said once, and to nobody who knows', () => {
  for (const name of CALLS) {
    for (const now of ['over', 'asked', 'on']) {
      const { state, effects } = walk(...WAYS[name], minutes(now));
      assert.deepEqual([state.name, state.minutes, effects], [name, now, [{ do: 'say', word: `minutes.${now}`, ...(now === 'over' && { then: 'minutes.over.text' }) }]]);
    }
  }
  assert.deepEqual(said(walk(...TALKING, minutes('few'))), ['minutes.few'], 'it was the other who wished for them');
  assert.deepEqual(said(walk(SHORT, ...TALKING.slice(1), minutes('few'))), []);
});

test('who would like to go on says so where there is a question, and nothing ends by any of it', () => {
  for (const now of ['few', 'over', 'asked', 'on']) {
    assert.deepEqual(walk(...TALKING, minutes(now), 'go-on').effects, now === 'over' ? [{ do: 'goOn' }] : [], now);
    for (const timer of Object.keys(MS)) assert.notEqual(walk(...TALKING, minutes(now), timeout(timer)).state.name, 'ended', now);
  }
  assert.deepEqual(walk(...TALKING, minutes('over'), 'failed', 'go-on').effects, [{ do: 'goOn' }], 'on a thin line too');
  assert.equal(walk(...TALKING, minutes('over'), 'bye', 'again', 'granted', matched(true, OTHER)).state.minutes, 'none');
});

const opener = (chance) => ({ type: 'opener', chance });

test('something to say comes when it is asked for, is said once, and none comes twice before all have been there', () => {
  const { state, effects } = walk(...TALKING, opener(0));
  assert.deepEqual([state.openers, effects], [['opener.1'], [{ do: 'say', word: 'opener.1' }]]);
  const many = Object.keys(english).filter((word) => word.startsWith('opener.'));
  assert.ok(many.length >= 20);
  // By chance, however it falls: the first of those left, the last, and in between.
  for (const chance of [() => 0, () => 0.999_999, (turn) => (turn * 0.618_034) % 1]) {
    const shown = many.map((_, turn) => opener(chance(turn)));
    const { state: all } = walk(...TALKING, ...shown);
    assert.deepEqual([...all.openers].sort(), [...many].sort());
    const again = walk(...TALKING, ...shown, opener(chance(many.length))).state.openers;
    assert.equal(again.length, 2, 'they begin anew');
    assert.equal(again[0], all.openers.at(-1));
    assert.notEqual(again[1], again[0], 'with another than the last');
  }
  // Neither a thin line nor a breath takes it away; the end of the call does, and the next one begins anew.
  assert.deepEqual(walk(...TALKING, opener(0), 'breath', 'failed').state.openers, ['opener.1']);
  assert.deepEqual(walk(...TALKING, opener(0), 'bye', 'again', 'granted', matched(true, OTHER)).state.openers, []);
  for (const name of NAMES.filter((name) => !CALLS.includes(name))) assert.deepEqual(walk(...WAYS[name], opener(0)).effects, [], name);
});

test('whether what is sent is padded is known, and changes nothing else', () => {
  for (const name of NAMES) {
    const before = walk(...WAYS[name]).state;
    for (const padded of [false, true]) {
      assert.deepEqual(reduce(before, { type: 'shaped', padded }), { state: { ...before, padded }, effects: [] }, name);
    }
  }
});
test('whoever mutes before the line is up stays muted when the partner vanishes', () => {
  const again = walk(...CONNECTING, 'mute', ended('vanished'), matched(true, OTHER));
  assert.equal(again.state.muted, true);
  assert.equal(again.effects.find((effect) => effect.do === 'begin').muted, true);
  assert.equal(walk(...CONNECTING, 'mute', ended('left'), 'again', 'granted', matched(true, OTHER)).state.muted, false);
});

const DEEPER = { type: 'voice', voice: 'deeper' };
const FAILS = { type: 'disguised', ok: false };
const WORKS = { type: 'disguised', ok: true };
const SAYS_UNHEARD = { do: 'say', word: 'voice.unheard' };

test('a voice chosen before is what a call begins with, and the next one too', () => {
  const begun = walk(DEEPER, ...WAITING, matched()).effects.find((effect) => effect.do === 'begin');
  assert.equal(begun.voice, 'deeper');
  assert.equal(walk(...WAITING, matched()).effects.find((effect) => effect.do === 'begin').voice, 'own');
  const again = walk(DEEPER, ...TALKING, FAILS, 'bye', 'again');
  assert.deepEqual([again.state.voice, again.state.unheard], ['deeper', false]);
  assert.deepEqual(walk(...WAITING, DEEPER).effects, [], 'there is nobody to hear it yet');
});

test('a voice chosen in a call is spoken with at once', () => {
  for (const way of [CONNECTING, TALKING, WAYS.rejoining]) {
    assert.deepEqual(walk(...way, DEEPER).effects, [{ do: 'speakAs', voice: 'deeper' }]);
  }
});

test('a changed voice that fails is said to be unheard until the visitor decides', () => {
  const failed = [...TALKING, DEEPER, FAILS];
  assert.deepEqual(walk(...failed).effects, [SAYS_UNHEARD]);
  for (const later of ['mute', 'weak', 'failed', 'connected', 'hidden', 'visible', 'online', 'doubt', 'checked', FAILS]) {
    const { state, did } = walk(...failed, later);
    assert.deepEqual([state.voice, state.unheard, did.includes('speakAs')], ['deeper', true, false], JSON.stringify(later));
  }
  assert.deepEqual(walk(...failed, 'try-voice').effects, [{ do: 'speakAs', voice: 'deeper' }]);
  assert.equal(walk(...failed, 'try-voice').state.unheard, true, 'until it is known to work');
  assert.deepEqual(walk(...failed, 'try-voice', FAILS).effects, [SAYS_UNHEARD], 'and said again when it does not');
  const own = walk(...failed, 'own-voice');
  assert.deepEqual([own.state.voice, own.state.unheard, own.effects], ['own', false, [{ do: 'speakAs', voice: 'own' }]]);
});

test('a changed voice that is back is said to be heard, unless muted', () => {
  assert.deepEqual(walk(...TALKING, DEEPER, WORKS).effects, [], 'nothing was missed');
  assert.deepEqual(walk(...TALKING, DEEPER, FAILS, WORKS).effects, [{ do: 'say', word: 'unmuted' }]);
  assert.deepEqual(walk(...TALKING, DEEPER, FAILS, 'mute', WORKS).effects, []);
  assert.equal(walk(...TALKING, DEEPER, FAILS, WORKS).state.unheard, false);
  // Nobody is told that they are heard while they are not.
  assert.deepEqual(walk(...TALKING, DEEPER, FAILS, 'mute', 'mute', 'checked').effects, []);
  // What is said of a voice that is no longer the chosen one is about nobody.
  assert.deepEqual(walk(...TALKING, DEEPER, 'own-voice', FAILS).effects, []);
  assert.equal(walk(...TALKING, DEEPER, 'own-voice', FAILS).state.unheard, false);
});

test('to hear oneself the microphone is asked for as for a call, and the server for its own caller', () => {
  const ask = { type: 'hear_yourself' };
  assert.deepEqual(walk('hear-yourself').did.filter((effect) => ['unlock', 'connect', 'ask'].includes(effect)), ['unlock', 'connect', 'ask']);
  assert.deepEqual(walk(...ASKING_ALONE).sent, [ask]);
  assert.deepEqual(walk('hear-yourself', 'granted', 'ready', welcome()).sent, [ask]);
  assert.deepEqual(walk('hear-yourself', 'granted', welcome(), 'ready').sent, [ask]);
  const problem = ['hear-yourself', 'ready', welcome(), { type: 'refused', problem: 'none' }];
  assert.equal(walk(...problem).state.name, 'mic-problem');
  assert.equal(walk(...problem, 'devices').state.name, 'asking');
  assert.deepEqual(walk(...problem, 'retry', 'granted').sent, [ask]);
  // Whoever goes back and looks for somebody looks for somebody.
  assert.equal(walk(...problem, 'stop', START, 'ready', welcome(), 'granted').sent[0].type, 'join');
  const { effects } = walk(...ASKING_ALONE, matched());
  assert.deepEqual(effects.find((effect) => effect.do === 'begin').alone, true);
  assert.equal(walk(...WAITING, matched()).effects.find((effect) => effect.do === 'begin').alone, undefined);
});

test('hearing oneself goes on for a while and says what was found, with everything let go of', () => {
  const { state, effects } = walk(...HEARING);
  assert.equal(state.sounding, true);
  assert.ok(effects.some((effect) => effect.do === 'say' && effect.word === 'hear.title'));
  assert.ok(effects.some((effect) => effect.do === 'startTimer' && effect.timer === 'hearing' && effect.ms < 30_000));
  assert.deepEqual(walk(...HEARING, 'connected').effects, [], 'once');
  for (const over of [timeout('hearing'), 'done', 'bye', ended('left'), ended('lost')]) {
    const { state: after, did, sent } = walk(...HEARING, found('fine', 'none'), over);
    assert.deepEqual([after.name, after.found], ['heard', { microphone: 'fine', sound: 'none', line: 'fine' }]);
    for (const effect of ['release', 'hangUp', 'disconnect']) assert.ok(did.includes(effect), effect);
    assert.deepEqual(sent, [{ type: 'leave' }]);
  }
  for (const over of ['failed', 'unverified']) assert.equal(walk(...HEARING, found(), over).state.found.line, 'none');
  const never = walk(...ASKING_ALONE, matched(), timeout('connecting')).state;
  assert.deepEqual([never.name, never.found], ['heard', { microphone: 'unknown', sound: 'unknown', line: 'none' }]);
});

test('there is always a way out of it, a way on and another try', () => {
  for (const way of [ASKING_ALONE, HEARING, WAYS.heard]) {
    const { state } = walk(...way, 'stop');
    assert.deepEqual([state.name, state.alone, state.found], ['landing', false, null]);
  }
  assert.deepEqual(walk(...WAYS.heard, START, welcome(), 'granted').sent, [{ type: 'join', ...WISHES }]);
  assert.deepEqual(walk(...WAYS.heard, 'hear-yourself', welcome(), 'granted').sent, [{ type: 'hear_yourself' }]);
});

test('where it cannot be tried now the page says so, and nothing is claimed of microphone and line', () => {
  const { state, did } = walk(...ASKING_ALONE, frame('slow_down', { retry_after: 31 }));
  assert.deepEqual([state.name, state.found], ['heard', null]);
  assert.ok(did.includes('release') && did.includes('disconnect'));
});

test('a server that is away leads back to hearing oneself, and never into a conversation', () => {
  const offline = ['hear-yourself', 'ready', 'granted', timeout('unreachable')];
  assert.deepEqual([walk(...offline).state.name, walk(...offline).state.back], ['offline', 'hearing']);
  const back = walk(...offline, welcome());
  assert.deepEqual([back.state.name, back.sent], ['hearing', [{ type: 'hear_yourself' }]]);
  assert.deepEqual(walk('hear-yourself', 'granted', timeout('unreachable'), welcome(), 'ready').sent, [{ type: 'hear_yourself' }]);
  // In the middle of it the socket may go; the line does not need it.
  assert.equal(walk(...HEARING, 'down').state.name, 'hearing');
  assert.deepEqual(walk(...HEARING, 'down', welcome(CALL)).effects, []);
  assert.deepEqual(walk(...HEARING, 'down', welcome()).sent, [{ type: 'hear_yourself' }]);
});

test('a changed voice that does not come about is known while one hears oneself', () => {
  const voiced = (...more) => walk(DEEPER, ...HEARING, ...more).state.unheard;
  assert.equal(voiced(FAILS), true);
  assert.equal(voiced(FAILS, WORKS), false);
  assert.equal(walk(...HEARING, FAILS).state.unheard, false);
});
