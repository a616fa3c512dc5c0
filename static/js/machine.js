// @ts-check
/**
 * What happens next: the one place that decides. A pure reducer; the effects it returns are carried out by
 * `main.js`, and the state it returns is drawn by `view.js`.
 *
 * ```text
 * landing ─start─▶ asking ─granted─▶ waiting ─matched─▶ connecting ─connected─▶ talking ◀─▶ rejoining
 *    ▲               │                │  ▲  └─(hidden)─▶ offered ─accept─┘          │           │
 *    └──stop── mic-problem    paused, offline                                       ▼           ▼
 *                                                                     resting ◀── ended ──again──▶ asking
 * landing ─hear-yourself─▶ asking ─granted─▶ hearing ─▶ heard
 * ```
 *
 * The socket, the microphone and the call live beside the states: losing the socket never ends a call, and
 * one event can come in any state. A pair that is not in the table changes nothing.
 */

/** @typedef {import('./types.js').ServerFrame} ServerFrame */
/** @typedef {import('./types.js').Name} Name */
/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Event} Event */
/** @typedef {import('./types.js').Effect} Effect */
/** @typedef {import('./types.js').Step} Step */
/** @typedef {import('./types.js').Row} Row */
/** @typedef {import('./types.js').Matched} Matched */
/** @typedef {import('./types.js').FrameRow} FrameRow */

/** @type {readonly Name[]} */
export const NAMES = ['landing', 'asking', 'mic-problem', 'waiting', 'paused', 'cooling', 'offered', 'connecting', 'talking', 'rejoining', 'ended', 'resting', 'offline', 'hearing', 'heard'];

/** How long things may take, in milliseconds. A call is never ended by one of these while its line is up. */
export const MS = {
  /** By then somebody who saw the browser's question has answered it. */
  prompt: 10_000,
  /** By then it is fair to say that it is quiet. */
  quiet: 60_000,
  /** A lost socket is usually back within this; the page stays still for it. */
  unreachable: 2_000,
  /** On a slow line the first socket and the scripts of a call take their time; the page is no less there for it. */
  reaching: 8_000,
  /** To come back to the tab. Under the 25 s that the server waits for a description. */
  offer: 20_000,
  /** Both descriptions are known; a line that works is up within a second, a bad one within ten. */
  connecting: 15_000,
  /** For a server that never says how the match ended: more than its own 25 s and our 15 s. */
  connectingAtMost: 45_000,
  /** Shorter gaps heal by themselves. */
  weak: 2_500,
  /** To walk through a tunnel or from one network into another. */
  rejoining: 30_000,
  /** The same where the server is gone or knows nothing of the call, so that nobody can begin ICE anew. */
  forgotten: 5_000,
  /** One restart is given this long before the next. */
  restart: 4_000,
  /** To say a few words and have them back. Under the 30 s that the server gives it. */
  hearing: 9_000,
  /** The scripts of a call did not come: the next attempt. */
  fetch: 5_000,
  /** The server takes a report for so long after a call: `REPORT_WITHIN` in `src/visitor.rs`. */
  report: 600_000,
};

/** As many lines as somebody would scroll back through. */
const MAX_LINES = 100;

/** More than a partner can have sent while this side was away from the tab. */
const MAX_HELD = 64;

/** @type {State} */
export const INITIAL = {
  name: 'landing',
  wishes: { languages: ['en'], role: 'either', avoid_recent: true },
  up: false,
  ready: false,
  hidden: false,
  long: false,
  pause: 0,
  category: null,
  past: null,
  closing: false,
  back: 'waiting',
  problem: null,
  match: null,
  forgotten: false,
  held: [],
  described: false,
  answered: false,
  muted: false,
  breath: false,
  theirs: false,
  typing: false,
  unread: false,
  lines: [],
  padded: true,
  voice: 'own',
  unheard: false,
  ending: null,
  alone: false,
  sounding: false,
  found: null,
};

/** @type {(timer: import('./types.js').Timer, ms: number) => Effect} */
const startTimer = (timer, ms) => ({ do: 'startTimer', timer, ms });
/** @type {(frame: import('./types.js').ClientFrame) => Effect} */
const send = (frame) => ({ do: 'send', frame });
/** @type {Effect} */
const LEAVE = send({ type: 'leave' });

/**
 * The same state, something done.
 * @param {State} state
 * @param {Partial<State>} changes
 * @param {Effect[]} effects
 * @returns {Step}
 */
const stay = (state, changes = {}, ...effects) => ({ state: { ...state, ...changes }, effects });

/**
 * Another state. Timers belong to the state that started them.
 * @param {State} state
 * @param {Name} name
 * @param {Partial<State>} changes
 * @param {Effect[]} effects
 * @returns {Step}
 */
const go = (state, name, changes, ...effects) => ({
  state: { ...state, pause: 0, category: null, past: null, ...changes, name },
  effects: [{ do: 'stopTimers' }, ...effects],
});

/**
 * The scripts of a call, where they are not here yet. Nobody joins without them: it would cost a partner the match.
 * @param {State} state
 * @returns {Effect[]}
 */
const fetch = (state) => (state.ready ? [] : [{ do: 'fetch' }]);

/** Nothing of a call is left. */
/** @satisfies {Partial<State>} */
const NO_CALL = {
  match: null, forgotten: false, held: [], described: false, answered: false, muted: false, breath: false, theirs: false, typing: false, unread: false, lines: [], unheard: false,
};

/**
 * Asks the browser for the microphone, with the socket opening at the same time.
 * @param {State} state
 * @param {import('./types.js').Wishes} wishes
 */
const ask = (state, wishes = state.wishes) =>
  go(state, 'asking', { wishes, problem: null, ending: null, found: null },
    { do: 'unlock' }, { do: 'connect' }, { do: 'ask' }, startTimer('prompt', MS.prompt));

/**
 * Waits for a match; joins now, or as soon as the server says welcome and the scripts of a call are here. `queued` where the server has put this
 * visitor back by itself.
 * @param {State} state
 * @param {Effect[]} effects
 * @param {boolean} queued
 */
const wait = (state, effects = [], queued = false) =>
  // Whoever had muted before the line was up did not mean this partner alone.
  go(state, 'waiting', { ...NO_CALL, muted: queued && state.muted, long: false, closing: false, problem: null },
    ...effects,
    ...(queued ? [] : state.up && state.ready ? [join(state)] : [...fetch(state), startTimer('unreachable', MS.reaching)]),
    startTimer('quiet', MS.quiet));

/**
 * The microphone is here: for a conversation, or to hear oneself.
 * @param {State} state
 */
const granted = (state) => (state.alone ? hear(state) : wait(state));

/** So far nothing is known. @type {import('./types.js').Found} */
const NOTHING_FOUND = { microphone: 'unknown', sound: 'unknown', line: 'none' };

/** @type {Effect} */
const HEAR = send({ type: 'hear_yourself' });

/**
 * A call with the server's own caller; asked for now, or as soon as the server says welcome and the scripts are here.
 * @param {State} state
 * @param {Effect[]} effects
 */
const hear = (state, effects = []) =>
  go(state, 'hearing', { ...NO_CALL, alone: true, sounding: false, found: NOTHING_FOUND, closing: false, problem: null }, ...effects,
    ...(state.up && state.ready ? [HEAR] : [...fetch(state), startTimer('unreachable', MS.reaching)]));

/** @param {State} state */
const hearAtLast = (state) => stay(state, {}, { do: 'stopTimer', timer: 'unreachable' }, HEAR);

/**
 * It is over, and the page says what was found. Nothing is held any longer.
 * @param {State} state
 * @param {Partial<State>} changes
 */
const toHeard = (state, changes = {}) =>
  go(state, 'heard', { ...NO_CALL, up: false, closing: false, sounding: false, ...changes },
    { do: 'release' }, LEAVE, { do: 'hangUp', bye: true }, { do: 'disconnect' });

/** The line did not hold. @param {State} state */
const toNoLine = (state) => toHeard(state, { found: { ...NOTHING_FOUND, ...state.found, line: 'none' } });

/** @param {State} state */
const join = (state) => send({ type: 'join', ...state.wishes });

/** @param {State} state */
const joinAtLast = (state) => stay(state, {}, { do: 'stopTimer', timer: 'unreachable' }, join(state));

/**
 * Back to the first page, with microphone and socket closed.
 * @param {State} state
 */
const toLanding = (state) =>
  go(state, 'landing', { ...NO_CALL, up: false, closing: false, problem: null, ending: null, alone: false, sounding: false, found: null },
    { do: 'dismiss' }, { do: 'release' }, LEAVE, { do: 'disconnect' });

/** The server is back, and what was wanted of it is wanted still. @param {State} state */
const backAgain = (state) => (state.back === 'hearing' ? hear(state) : wait(state));

/** @param {State} state */
const toOffline = (state) =>
  go(state, 'offline', { back: state.name === 'ended' || state.name === 'hearing' ? state.name : 'waiting', found: null }, ...fetch(state));

/**
 * @param {State} state
 * @param {Matched} match
 */
const begin = (state, match) =>
  go(state, 'connecting', { match, held: [], answered: state.held.some((frame) => frame.type === 'describe') },
    { do: 'begin', match, voice: state.voice, muted: state.muted },
    // It may have died before there was a call that could notice.
    { do: 'check' },
    ...state.held.map((frame) => /** @type {Effect} */ ({ do: 'pass', frame })),
    startTimer('connecting', MS.connectingAtMost));

/**
 * A call has ended. The microphone is let go at once, so that the browser's own sign of it goes out.
 * @param {State} state
 * @param {import('./types.js').Ending} ending
 * @param {{ leave: boolean, bye: boolean }} say to the server, and to the partner's page
 */
const end = (state, ending, { leave, bye }) => {
  const past = TALKED.includes(state.name) ? state.match?.call ?? null : null;
  return go(state, 'ended', { ...NO_CALL, closing: false, past, ending: ending === 'lost' && state.closing ? 'closing' : ending },
    { do: 'dismiss' }, { do: 'release' }, ...(leave ? [LEAVE] : []), { do: 'hangUp', bye }, { do: 'wake', on: false },
    ...(past ? [startTimer('report', MS.report)] : []));
};

/** Where somebody can be heard. @type {Name[]} */
const TALKED = ['talking', 'rejoining'];

/**
 * Something was not right with the partner. The server ends the call by it.
 * @param {State} state
 * @param {{ category: import('./types.js').Category }} event
 */
const report = (state, { category }) => {
  const { match, past } = state;
  const call = match?.call ?? past;
  if (!call) return stay(state);
  const frame = send({ type: 'report', call, category });
  if (!match) return stay(state, { ending: 'told', past: null }, frame);
  const step = end(state, 'reported', { leave: false, bye: true });
  return { state: { ...step.state, past: null }, effects: [frame, ...step.effects] };
};

/**
 * The pages are describing themselves to each other; once both have, the line has 15 seconds.
 * @param {State} state
 * @param {Partial<State>} changes
 * @param {Effect} effect
 */
const describing = (state, changes, effect) => {
  const step = stay(state, changes, effect);
  const complete = step.state.described && step.state.answered;
  return complete && !(state.described && state.answered)
    ? stay(state, changes, effect, startTimer('connecting', MS.connecting))
    : step;
};

/** @type {Effect} */
const RESTART = { do: 'restart' };

/** @type {Effect} */
const WAIT_FOR_RESTART = startTimer('restart', MS.restart);

/**
 * The line is thin: the offerer tries anew at once, the answerer asks for that where it does not come.
 * @param {State} state
 */
const rejoin = (state) =>
  go(state, 'rejoining', {}, ...(state.match?.offerer ? [RESTART] : []), WAIT_FOR_RESTART,
    startTimer('rejoining', state.forgotten || (state.closing && !state.up) ? MS.forgotten : MS.rejoining));

/**
 * @param {State} state
 * @returns {Step}
 */
const toggleMute = (state) =>
  state.muted
    // Said once the microphone is found to be there.
    ? stay(state, { muted: false }, { do: 'mute', on: false }, { do: 'check', aloud: true })
    : stay(state, { muted: true }, { do: 'mute', on: true }, { do: 'say', word: 'muted' });

/** Whether one of the two takes a breath, and so neither is heard. @param {State} state */
const isHeld = ({ breath, theirs }) => breath || theirs;

/**
 * One press, and neither hears the other; another one, and both do, unless the other takes a breath as well.
 * @param {State} state
 * @returns {Step}
 */
const toggleBreath = (state) => {
  const { breath, theirs, unheard, muted } = state;
  /** @type {Effect[]} */
  const said = !breath ? [{ do: 'say', word: 'breath.mine', then: 'breath.mine.text' }]
    : theirs ? [{ do: 'say', word: 'breath.theirs', then: 'breath.theirs.text' }]
      : unheard ? [{ do: 'say', word: 'voice.unheard' }]
        : muted ? [{ do: 'say', word: 'muted' }]
          : [{ do: 'check', aloud: true }];
  return stay(state, { breath: !breath }, { do: 'hold', on: !breath || theirs }, { do: 'breathe', on: !breath }, ...said);
};

/**
 * The partner takes a breath or is back. Nobody is told who takes one too.
 * @param {State} state
 * @param {{ on: boolean }} event
 * @returns {Step}
 */
const theirBreath = (state, { on }) => {
  /** @type {Effect[]} */
  const said = state.breath ? []
    : on ? [{ do: 'say', word: 'breath.theirs', then: 'breath.theirs.text' }]
      : [{ do: 'say', word: 'breath.over' }, { do: 'check' }];
  return stay(state, { theirs: on }, { do: 'hold', on: on || state.breath }, ...said);
};

/**
 * Another voice in the middle of a call, or the same one anew.
 * @param {State} state
 * @param {import('./types.js').Voice} voice
 */
const speakAs = (state, voice) =>
  stay(state, { voice, unheard: state.unheard && voice !== 'own' }, { do: 'speakAs', voice });

/**
 * Whether the changed voice goes out. Where it does not, silence does, until the visitor decides otherwise.
 * @param {State} state
 * @param {{ ok: boolean }} event
 */
const disguised = (state, { ok }) => {
  if (state.voice === 'own') return stay(state);
  const again = ok && state.unheard && !state.muted && !isHeld(state);
  return stay(state, { unheard: !ok },
    ...(ok ? [] : [/** @type {Effect} */ ({ do: 'say', word: 'voice.unheard' })]),
    ...(again ? [/** @type {Effect} */ ({ do: 'say', word: 'unmuted' })] : []));
};

/** The server stops, and there is no call to keep; the microphone is here or not needed. */
/** @satisfies {FrameRow} */
const CLOSES = { closing: (state) => toOffline({ ...state, closing: true }) };

/** The server stops, and takes the line of a call with it: worth knowing when that is lost. */
/** @satisfies {FrameRow} */
const CLOSES_LATER = { closing: (state) => stay(state, { closing: true }) };

/**
 * Frames while the page belongs to a match, for every state that does.
 * @satisfies {FrameRow}
 */
const IN_CALL = {
  ...CLOSES_LATER,
  candidate: (state, frame) => stay(state, {}, { do: 'pass', frame }),
  restart: (state, frame) => stay(state, {}, { do: 'pass', frame }),
  ended: (state, { why }) =>
    why === 'vanished'
      ? wait(state, [{ do: 'hangUp', bye: false }, { do: 'wake', on: false }], true)
      : end(state, why, { leave: false, bye: false }),
};

/** @type {(state: State, frame: import('./types.js').PartnerFrame) => Step} */
const hold = (state, frame) =>
  stay(state, { held: state.held.length < MAX_HELD ? [...state.held, frame] : state.held });

/** @type {Record<Name, FrameRow>} */
const FRAMES = {
  landing: {},
  asking: {},
  'mic-problem': {},
  waiting: {
    ...CLOSES,
    welcome: (state) => (state.ready ? joinAtLast(state) : stay(state, {}, ...fetch(state))),
    slow_down: (state, frame) => {
      const pause = frame.retry_after * 1000;
      return go(state, 'paused', { pause }, startTimer('pause', pause));
    },
    cool_down: (state, { retry_after, category }) =>
      go(state, 'cooling', { up: false, pause: retry_after * 1000, category }, { do: 'release' }, { do: 'disconnect' }),
    matched: (state, match) =>
      state.hidden
        ? go(state, 'offered', { match }, { do: 'summon' }, startTimer('offer', MS.offer))
        : begin(state, match),
  },
  paused: CLOSES,
  cooling: {},
  offered: {
    ...CLOSES_LATER,
    describe: hold,
    candidate: hold,
    restart: hold,
    welcome: (state, { call }) => (call === state.match?.call ? stay(state) : wait(state, [{ do: 'dismiss' }])),
    ended: (state, { why }) =>
      why === 'vanished'
        ? wait(state, [{ do: 'dismiss' }], true)
        : end(state, 'missed', { leave: false, bye: false }),
  },
  connecting: {
    ...IN_CALL,
    describe: (state, frame) => describing(state, { answered: true }, { do: 'pass', frame }),
    welcome: (state, { call }) =>
      call === state.match?.call ? stay(state) : wait(state, [{ do: 'hangUp', bye: false }]),
  },
  talking: {
    ...IN_CALL,
    welcome: (state, { call }) => stay(state, { forgotten: call !== state.match?.call }),
  },
  rejoining: {
    ...IN_CALL,
    welcome: (state, { call }) =>
      call === state.match?.call || state.forgotten ? stay(state) : stay(state, { forgotten: true }, startTimer('rejoining', MS.forgotten)),
    // The partner is at it.
    restart: (state, frame) => stay(state, {}, { do: 'pass', frame }, WAIT_FOR_RESTART),
  },
  ended: CLOSES,
  resting: {},
  hearing: {
    ...CLOSES_LATER,
    welcome: (state, { call }) =>
      !state.match ? state.ready ? hearAtLast(state) : stay(state, {}, ...fetch(state))
        : call === state.match.call ? stay(state) : hear(state, [{ do: 'hangUp', bye: false }]),
    slow_down: (state) => toHeard(state, { found: null }),
    matched: (state, match) =>
      stay(state, { match }, { do: 'begin', match, voice: state.voice, muted: false, alone: true }, { do: 'check' }, startTimer('connecting', MS.connecting)),
    describe: (state, frame) => stay(state, {}, { do: 'pass', frame }),
    candidate: (state, frame) => stay(state, {}, { do: 'pass', frame }),
    restart: (state, frame) => stay(state, {}, { do: 'pass', frame }),
    ended: (state) => toHeard(state),
  },
  heard: {},
  offline: {
    welcome: (state) =>
      state.back === 'ended' ? go(state, 'ended', { closing: false })
        : state.ready ? backAgain(state) : stay(state, { closing: false }, ...fetch(state)),
    closing: (state) => stay(state, { closing: true }),
  },
};

/** @satisfies {Row} */
const TO_PARTNER = {
  gathered: (state, { port }) =>
    stay(state, {}, ...(state.match ? [send({ type: 'candidate', call: state.match.call, port })] : [])),
  renewed: (state, { ufrag, pwd }) =>
    stay(state, {}, ...(state.match ? [send({ type: 'restart', call: state.match.call, ufrag, pwd })] : [])),
};

/**
 * What is typed. It can come before the line is known to be up on this side as well.
 * @satisfies {Row}
 */
const TYPING = {
  typing: (state, { open }) => stay(state, { typing: open, unread: state.unread && !open }),
  type: (state, { text }) => stay(state, {}, ...(state.match?.text_line ? [/** @type {Effect} */ ({ do: 'type', text })] : [])),
  line: (state, { line }) => {
    const unread = state.unread || line.who === 'them' && !state.typing;
    // Said once, until it is looked at: whoever listens is in a conversation.
    return stay(state, { lines: [...state.lines, line].slice(-MAX_LINES), unread },
      ...(unread && !state.unread ? [/** @type {Effect} */ ({ do: 'say', word: 'type.unread' })] : []));
  },
};

/** @satisfies {Row} */
const CALLING = {
  ...TO_PARTNER,
  ...TYPING,
  mute: toggleMute,
  breath: toggleBreath,
  'their-breath': theirBreath,
  end: (state) => end(state, 'self', { leave: true, bye: true }),
  bye: (state) => end(state, 'left', { leave: true, bye: false }),
  voice: (state, { voice }) => speakAs(state, voice),
  'own-voice': (state) => speakAs(state, 'own'),
  'try-voice': (state) => speakAs(state, state.voice),
  disguised,
  // The six emoji did not come about as they have to.
  unverified: (state) => end(state, 'unverified', { leave: true, bye: true }),
  doubt: (state) => stay(state, {}, { do: 'check' }),
  checked: (state) => stay(state, {}, ...(state.muted || state.unheard || isHeld(state) ? [] : [/** @type {Effect} */ ({ do: 'say', word: 'unmuted' })])),
  // The microphone has gone in the middle of a call. The call goes on, and the page says what is so.
  refused: (state) => (state.muted ? stay(state) : toggleMute(state)),
};

/** @type {Record<Name, Row>} */
const TABLE = {
  landing: {
    start: (state, { wishes, agreed }) => (agreed ? ask(state, wishes) : stay(state, {}, { do: 'askToAgree' })),
    'hear-yourself': (state) => ask({ ...state, alone: true }),
    // Granted after all, when nobody wants it any more.
    granted: (state) => stay(state, {}, { do: 'release' }),
  },
  asking: {
    granted,
    refused: (state, { problem }) => go(state, 'mic-problem', { problem }),
    stop: toLanding,
    timeout: (state) => go(state, 'mic-problem', { problem: 'ignored' }),
  },
  'mic-problem': {
    retry: (state) => ask(state),
    devices: (state) => (state.problem === 'none' ? ask(state) : stay(state)),
    // The question was still open, and has been answered.
    granted,
    refused: (state, { problem }) => go(state, 'mic-problem', { problem }),
    stop: toLanding,
  },
  waiting: {
    stop: toLanding,
    ready: (state) => (state.up ? joinAtLast(state) : stay(state)),
    doubt: (state) => stay(state, {}, { do: 'check' }),
    refused: (state, { problem }) => go(state, 'mic-problem', { problem }, LEAVE),
    timeout: (state, { timer }) =>
      timer === 'quiet'
        ? stay(state, { long: true }, { do: 'say', word: 'waiting.long' })
        : toOffline(state),
  },
  paused: {
    stop: toLanding,
    timeout: (state) => wait(state),
    doubt: (state) => stay(state, {}, { do: 'check' }),
    refused: (state, { problem }) => go(state, 'mic-problem', { problem }),
  },
  cooling: {
    stop: toLanding,
    granted: (state) => stay(state, {}, { do: 'release' }),
  },
  offered: {
    accept: (state) => {
      const { match } = state;
      if (!match) return wait(state);
      const step = begin(state, match);
      return { ...step, effects: [{ do: 'dismiss' }, ...step.effects] };
    },
    decline: (state) =>
      go(state, 'resting', { ...NO_CALL, up: false }, { do: 'dismiss' }, { do: 'release' }, LEAVE, { do: 'disconnect' }),
    doubt: (state) => stay(state, {}, { do: 'check' }),
    refused: (state, { problem }) => go(state, 'mic-problem', { ...NO_CALL, problem }, { do: 'dismiss' }, LEAVE),
    timeout: (state) => end(state, 'missed', { leave: true, bye: false }),
  },
  connecting: {
    ...CALLING,
    described: (state, { description }) =>
      state.match
        ? describing(state, { described: true }, send({ type: 'describe', call: state.match.call, description }))
        : stay(state),
    connected: (state) =>
      go(state, 'talking', {},
        ...(state.match ? [send({ type: 'connected', call: state.match.call })] : []), { do: 'wake', on: true }),
    // This browser makes no calls. The partner goes back to their place at once.
    broken: (state, { call }) =>
      call === state.match?.call
        ? go(state, 'mic-problem', { ...NO_CALL, problem: 'calls' }, { do: 'release' }, LEAVE, { do: 'hangUp', bye: false })
        : stay(state),
    failed: (state) => stay(state, {}, ...(state.described && state.answered && state.match?.offerer ? [/** @type {Effect} */ ({ do: 'restart' })] : [])),
    timeout: (state) => end(state, 'lost', { leave: true, bye: true }),
  },
  talking: {
    ...CALLING,
    tell: report,
    weak: (state) => stay(state, {}, startTimer('weak', MS.weak)),
    connected: (state) => stay(state, {}, { do: 'stopTimer', timer: 'weak' }),
    timeout: rejoin,
    failed: rejoin,
    online: (state) => stay(state, {}, RESTART),
  },
  rejoining: {
    ...CALLING,
    tell: report,
    // It was not the server that took it.
    connected: (state) => go(state, 'talking', { closing: false }),
    online: (state) => stay(state, {}, RESTART, WAIT_FOR_RESTART),
    // What takes the line takes the socket as well, and TCP tries a dead line ever later.
    timeout: (state, { timer }) =>
      timer === 'restart'
        ? stay(state, {}, { do: 'renew' }, RESTART, WAIT_FOR_RESTART)
        : end(state, 'lost', { leave: true, bye: true }),
  },
  ended: {
    again: (state) => ask(state),
    tell: report,
    timeout: (state) => stay(state, { past: null }),
    rest: (state) => go(state, 'resting', { up: false }, { do: 'disconnect' }),
    granted: (state) => stay(state, {}, { do: 'release' }),
  },
  resting: {
    again: (state) => ask(state),
    granted: (state) => stay(state, {}, { do: 'release' }),
  },
  offline: {
    retry: (state) => stay(state, {}, { do: 'hurry' }, ...fetch(state)),
    ready: (state) => (state.up && !state.closing && state.back !== 'ended' ? backAgain(state) : stay(state)),
    missing: (state) => stay(state, {}, startTimer('fetch', MS.fetch)),
    timeout: (state) => stay(state, {}, ...fetch(state)),
    stop: toLanding,
    doubt: (state) => stay(state, {}, { do: 'check' }),
    refused: (state, { problem }) => go(state, 'mic-problem', { problem }),
  },
  hearing: {
    ...TO_PARTNER,
    stop: (state) => {
      const step = toLanding(state);
      return { ...step, effects: [...step.effects, { do: 'hangUp', bye: true }] };
    },
    done: (state) => toHeard(state),
    ready: (state) => (state.up && !state.match ? hearAtLast(state) : stay(state)),
    described: (state, { description }) =>
      stay(state, {}, ...(state.match ? [send({ type: 'describe', call: state.match.call, description })] : [])),
    connected: (state) =>
      state.match && !state.sounding
        ? stay(state, { sounding: true }, { do: 'stopTimer', timer: 'connecting' }, send({ type: 'connected', call: state.match.call }),
          { do: 'say', word: 'hear.title' }, startTimer('hearing', MS.hearing))
        : stay(state),
    found: (state, { found }) => stay(state, { found }),
    disguised: (state, { ok }) => stay(state, { unheard: state.voice !== 'own' && !ok }),
    doubt: (state) => stay(state, {}, { do: 'check' }),
    refused: (state, { problem }) =>
      go(state, 'mic-problem', { ...NO_CALL, problem, sounding: false, found: null }, LEAVE, { do: 'hangUp', bye: false }),
    broken: (state, { call }) =>
      call === state.match?.call
        ? go(state, 'mic-problem', { ...NO_CALL, problem: 'calls', sounding: false, found: null }, { do: 'release' }, LEAVE, { do: 'hangUp', bye: false })
        : stay(state),
    failed: toNoLine,
    // Between a page and its own server it is one more way in which a line can be faulty.
    unverified: toNoLine,
    bye: (state) => toHeard(state),
    timeout: (state, { timer }) => (timer !== 'unreachable' ? toHeard(state) : state.match ? stay(state) : toOffline(state)),
  },
  heard: {
    // The box to tick is on the first page.
    start: (state, { wishes, agreed }) => (agreed ? ask({ ...state, alone: false }, wishes) : toLanding(state)),
    'hear-yourself': (state) => ask(state),
    stop: toLanding,
    granted: (state) => stay(state, {}, { do: 'release' }),
  },
};

/**
 * What is true in every state, before the table is asked.
 * @param {State} state
 * @param {Event} event
 * @returns {Step}
 */
function always(state, event) {
  switch (event.type) {
    case 'hidden':
      return stay(state, { hidden: true });
    case 'visible':
      return stay(state, { hidden: false }, { do: 'hurry' });
    case 'online':
      return stay(state, {}, { do: 'renew' });
    case 'down':
      // The first of a row: while the server is not reached, or the scripts are not here, the clock runs already.
      return stay(state, { up: false }, ...((state.name === 'waiting' || state.name === 'hearing' && !state.match) && state.up && state.ready
        ? [startTimer('unreachable', MS.unreachable)] : []));
    case 'ready':
      return stay(state, { ready: true });
    case 'shaped':
      return stay(state, { padded: event.padded });
    case 'voice':
      return stay(state, { voice: event.voice });
    case 'frame':
      return stay(state, event.frame.type === 'welcome' ? { up: true } : {});
    default:
      return stay(state);
  }
}

/**
 * Everything stops, microphone first. With `pagehide` there is no later in which to do it.
 * @param {State} state
 * @returns {Step}
 */
const stopEverything = (state) => {
  const { state: landing } = toLanding(state);
  return {
    state: landing,
    effects: [
      { do: 'stopTimers' }, { do: 'release' }, { do: 'hangUp', bye: true, atOnce: true }, LEAVE, { do: 'disconnect' },
      { do: 'wake', on: false }, { do: 'dismiss' },
    ],
  };
};

/**
 * @param {State} state
 * @param {ServerFrame} frame
 * @returns {Step}
 */
function receive(state, frame) {
  // What names a call that is over is about nobody.
  if ('call' in frame && frame.type !== 'matched' && frame.type !== 'welcome' && frame.call !== state.match?.call) return stay(state);
  const handle = /** @type {((state: State, frame: ServerFrame) => Step) | undefined} */ (FRAMES[state.name][frame.type]);
  const step = handle?.(state, frame);
  // The server holds a call that is over here: its end, or its match, was lost with the old socket.
  if (frame.type === 'welcome' && frame.call && frame.call !== state.match?.call) {
    return step ? { ...step, effects: [LEAVE, ...step.effects] } : stay(state, {}, LEAVE);
  }
  if (step) return step;
  // A match that nobody here waits for: say so, and the other is not kept waiting.
  return frame.type === 'matched' ? stay(state, {}, LEAVE) : stay(state);
}

/**
 * @param {State} state
 * @param {Event} event
 * @returns {Step}
 */
export function reduce(state, event) {
  if (event.type === 'pagehide') return stopEverything(state);
  if (event.type === 'vanish') {
    const step = stopEverything(state);
    return { ...step, effects: [...step.effects, { do: 'vanish' }] };
  }
  const first = always(state, event);
  const handle = /** @type {((state: State, event: Event) => Step) | undefined} */ (TABLE[state.name][event.type]);
  const second = event.type === 'frame'
    ? receive(first.state, event.frame)
    : handle?.(first.state, event) ?? stay(first.state);
  return { state: second.state, effects: [...first.effects, ...second.effects] };
}
