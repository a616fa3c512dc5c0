// @ts-check
/**
 * What happens next: the one place that decides. A pure reducer; the effects it returns are carried out by
 * `main.js`, and the state it returns is drawn by `view.js`.
 *
 * ```text
 *          the first page: FIRST                  ┊          with the scripts of a call: `conversation.js`
 *                                                 ┊
 * landing ─start─▶ asking ─granted─▶ waiting ─────┊matched─▶ connecting ─connected─▶ talking ◀─▶ rejoining
 *    ▲               │                │  ▲        ┊   └─(hidden)─▶ offered ─accept─┘    │           │
 *    └──stop── mic-problem           offline      ┊  paused, cooling                    ▼           ▼
 *                                                 ┊               resting ◀── ended ──again──▶ asking
 * landing ─hear-yourself─▶ asking ─▶ hearing ─▶ heard
 * ```
 *
 * Nobody joins before those scripts are here: until then nobody can be met, and the rows of the first page do.
 *
 * The socket, the microphone and the call live beside the states: losing the socket never ends a call, and
 * one event can come in any state. A pair that is in no row changes nothing.
 */

/** @typedef {import('./types.js').ServerFrame} ServerFrame */
/** @typedef {import('./types.js').Name} Name */
/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Event} Event */
/** @typedef {import('./types.js').Effect} Effect */
/** @typedef {import('./types.js').Step} Step */
/** @typedef {import('./types.js').Rows} Rows */

/** How long things may take, in milliseconds. */
export const MS = {
  /** By then somebody who saw the browser's question has answered it. */
  prompt: 10_000,
  /** By then it is fair to say that it is quiet. */
  quiet: 60_000,
  /** A lost socket is usually back within this; the page stays still for it. */
  unreachable: 2_000,
  /** On a slow line the first socket and the scripts of a call take their time; the page is no less there for it. */
  reaching: 8_000,
  /** The scripts of a call did not come: the next attempt. */
  fetch: 5_000,
};

/** @type {State} */
export const INITIAL = {
  name: 'landing',
  wishes: { languages: ['en'], role: 'either', avoid_recent: true },
  short: false,
  up: false,
  ready: false,
  hidden: false,
  long: false,
  usual: null,
  puzzled: false,
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
  minutes: 'none',
  typing: false,
  unread: false,
  lines: [],
  openers: [],
  padded: true,
  voice: 'own',
  unheard: false,
  ending: null,
  alone: false,
  sounding: false,
  found: null,
};

/** @type {(timer: import('./types.js').Timer, ms: number) => Effect} */
export const startTimer = (timer, ms) => ({ do: 'startTimer', timer, ms });
/** @type {(frame: import('./types.js').ClientFrame) => Effect} */
export const send = (frame) => ({ do: 'send', frame });
/** @type {Effect} */
export const LEAVE = send({ type: 'leave' });

/**
 * The same state, something done.
 * @param {State} state
 * @param {Partial<State>} changes
 * @param {Effect[]} effects
 * @returns {Step}
 */
export const stay = (state, changes = {}, ...effects) => ({ state: { ...state, ...changes }, effects });

/**
 * Another state. Timers belong to the state that started them.
 * @param {State} state
 * @param {Name} name
 * @param {Partial<State>} changes
 * @param {Effect[]} effects
 * @returns {Step}
 */
export const go = (state, name, changes, ...effects) => ({
  state: { ...state, puzzled: false, pause: 0, category: null, past: null, ...changes, name },
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
export const NO_CALL = {
  match: null, forgotten: false, held: [], described: false, answered: false, muted: false, breath: false, theirs: false,
  minutes: 'none', typing: false, unread: false, lines: [], openers: [], unheard: false,
};

/**
 * Asks the browser for the microphone, with the socket opening at the same time.
 * @param {State} state
 * @param {import('./types.js').Wishes} wishes
 */
export const ask = (state, wishes = state.wishes) =>
  go(state, 'asking', { wishes, problem: null, ending: null, found: null },
    { do: 'unlock' }, { do: 'connect' }, { do: 'ask' }, startTimer('prompt', MS.prompt));

/**
 * Waits for a match; joins now, or as soon as the server says welcome and the scripts of a call are here. `queued` where the server has put this
 * visitor back by itself.
 * @param {State} state
 * @param {Effect[]} effects
 * @param {boolean} queued
 */
export const wait = (state, effects = [], queued = false) =>
  // Whoever had muted before the line was up did not mean this partner alone.
  go(state, 'waiting', { ...NO_CALL, muted: queued && state.muted, long: false, usual: null, closing: false, problem: null },
    ...effects,
    ...(queued ? [] : state.up && state.ready ? [join(state)] : [...fetch(state), startTimer('unreachable', MS.reaching)]),
    startTimer('quiet', MS.quiet));

/**
 * The microphone is here: for a conversation, or to hear oneself.
 * @param {State} state
 */
const granted = (state) => (state.alone ? hear(state) : wait(state));

/** So far nothing is known. @type {import('./types.js').Found} */
export const NOTHING_FOUND = { microphone: 'unknown', sound: 'unknown', line: 'none' };

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
export const toHeard = (state, changes = {}) =>
  go(state, 'heard', { ...NO_CALL, up: false, closing: false, sounding: false, ...changes },
    { do: 'release' }, LEAVE, { do: 'hangUp', bye: true }, { do: 'disconnect' });

/**
 * @param {State} state
 * @param {import('./types.js').Proof} [proof] where the server has asked for one
 */
export const join = (state, proof) => send({ type: 'join', ...state.wishes, ...(proof && { proof }) });

/** @param {State} state */
const joinAtLast = (state) => stay(state, {}, { do: 'stopTimer', timer: 'unreachable' }, join(state));

/**
 * Back to the first page, with microphone and socket closed.
 * @param {State} state
 */
export const toLanding = (state) =>
  go(state, 'landing', { ...NO_CALL, up: false, closing: false, problem: null, ending: null, alone: false, sounding: false, found: null },
    { do: 'dismiss' }, { do: 'release' }, LEAVE, { do: 'disconnect' });

/** The server is back, and what was wanted of it is wanted still. @param {State} state */
const backAgain = (state) => (state.back === 'hearing' ? hear(state) : wait(state));

/** @param {State} state */
const toOffline = (state) =>
  go(state, 'offline', { back: state.name === 'ended' || state.name === 'hearing' ? state.name : 'waiting', found: null }, ...fetch(state));

/** The server stops, and there is no call to keep; the microphone is here or not needed. */
/** @satisfies {Rows['frames'][Name]} */
export const CLOSES = { closing: (state) => toOffline({ ...state, closing: true }) };

/** @type {Rows['frames']} */
const FRAMES = {
  waiting: {
    ...CLOSES,
    welcome: (state) => (state.ready ? joinAtLast(state) : stay(state, {}, ...fetch(state))),
  },
  hearing: {
    closing: (state) => stay(state, { closing: true }),
    welcome: (state, { call }) =>
      !state.match ? state.ready ? hearAtLast(state) : stay(state, {}, ...fetch(state))
        : call === state.match.call ? stay(state) : hear(state, [{ do: 'hangUp', bye: false }]),
  },
  offline: {
    welcome: (state) =>
      state.back === 'ended' ? go(state, 'ended', { closing: false })
        : state.ready ? backAgain(state) : stay(state, { closing: false }, ...fetch(state)),
    closing: (state) => stay(state, { closing: true }),
  },
};

/** @type {Rows['events']} */
const EVENTS = {
  landing: {
    start: (state, { wishes, agreed, short }) => (agreed ? ask({ ...state, short }, wishes) : stay(state, {}, { do: 'askToAgree' })),
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
    stop: (state) => {
      const step = toLanding(state);
      return { ...step, effects: [...step.effects, { do: 'hangUp', bye: true }] };
    },
    done: (state) => toHeard(state),
    ready: (state) => (state.up && !state.match ? hearAtLast(state) : stay(state)),
    doubt: (state) => stay(state, {}, { do: 'check' }),
    refused: (state, { problem }) =>
      go(state, 'mic-problem', { ...NO_CALL, problem, sounding: false, found: null }, LEAVE, { do: 'hangUp', bye: false }),
    timeout: (state, { timer }) => (timer !== 'unreachable' ? toHeard(state) : state.match ? stay(state) : toOffline(state)),
  },
  heard: {
    // The box to tick is on the first page.
    start: (state, { wishes, agreed, short }) => (agreed ? ask({ ...state, short, alone: false }, wishes) : toLanding(state)),
    'hear-yourself': (state) => ask(state),
    stop: toLanding,
    granted: (state) => stay(state, {}, { do: 'release' }),
  },
};

/**
 * What is true in every state, before the rows are asked.
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

/** The rows of the first page. @type {Rows} */
export const FIRST = { events: EVENTS, frames: FRAMES };

/**
 * The reducer over these rows: those of the first page, and more of them once they are here.
 * @param {Rows[]} rows of which no two have the same pair
 * @returns {(state: State, event: Event) => Step}
 */
export function machine(...rows) {
  /** @type {(state: State, frame: ServerFrame) => Step} */
  const receive = (state, frame) => {
    // What names a call that is over is about nobody.
    if ('call' in frame && frame.type !== 'matched' && frame.type !== 'welcome' && frame.call !== state.match?.call) return stay(state);
    const handle = /** @type {((state: State, frame: ServerFrame) => Step) | undefined} */ (
      rows.map(({ frames }) => frames[state.name]?.[frame.type]).find((one) => one));
    const step = handle?.(state, frame);
    // The server holds a call that is over here: its end, or its match, was lost with the old socket.
    if (frame.type === 'welcome' && frame.call && frame.call !== state.match?.call) {
      return step ? { ...step, effects: [LEAVE, ...step.effects] } : stay(state, {}, LEAVE);
    }
    if (step) return step;
    // A match that nobody here waits for: say so, and the other is not kept waiting.
    return frame.type === 'matched' ? stay(state, {}, LEAVE) : stay(state);
  };

  return (state, event) => {
    if (event.type === 'pagehide') return stopEverything(state);
    if (event.type === 'vanish') {
      const step = stopEverything(state);
      return { ...step, effects: [...step.effects, { do: 'vanish' }] };
    }
    const first = always(state, event);
    const handle = /** @type {((state: State, event: Event) => Step) | undefined} */ (
      rows.map(({ events }) => events[state.name]?.[event.type]).find((one) => one));
    const second = event.type === 'frame'
      ? receive(first.state, event.frame)
      : handle?.(first.state, event) ?? stay(first.state);
    return { state: second.state, effects: [...first.effects, ...second.effects] };
  };
}
