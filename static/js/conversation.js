// @ts-check
/**
 * What happens next from the moment there can be a match: the rows that come with the scripts of a call, to be put
 * beside those of `machine.js`, which has the picture of all of them.
 */

import { ask, CLOSES, go, join, LEAVE, NO_CALL, NOTHING_FOUND, send, startTimer, stay, toHeard, toLanding, wait } from './machine.js';

/** @typedef {import('./types.js').Name} Name */
/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Effect} Effect */
/** @typedef {import('./types.js').Step} Step */
/** @typedef {import('./types.js').Row} Row */
/** @typedef {import('./types.js').Matched} Matched */
/** @typedef {import('./types.js').FrameRow} FrameRow */

/** Every state, those of the first page included. @type {readonly Name[]} */
export const NAMES = ['landing', 'asking', 'mic-problem', 'waiting', 'paused', 'cooling', 'offered', 'connecting', 'talking', 'rejoining', 'ended', 'resting', 'offline', 'hearing', 'heard'];

/** How long things may take, in milliseconds. A call is never ended by one of these while its line is up. */
export const MS = {
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
  /** A puzzle that this browser cannot solve: the crowd that it was asked for may have gone by then. */
  unsolved: 30_000,
  /** One restart is given this long before the next. */
  restart: 4_000,
  /** To say a few words and have them back. Under the 30 s that the server gives it. */
  hearing: 9_000,
  /** The server takes a report for so long after a call: `REPORT_WITHIN` in `src/visitor.rs`. */
  report: 600_000,
};

/** As many lines as somebody would scroll back through. */
const MAX_LINES = 100;

/** How many things the catalogues have that one may say. */
const OPENERS = 24;

/** More than a partner can have sent while this side was away from the tab. */
const MAX_HELD = 64;

/**
 * @param {State} state
 * @param {Matched} match
 */
const begin = (state, match) =>
  go(state, 'connecting', { match, held: [], answered: state.held.some((frame) => frame.type === 'describe') },
    { do: 'begin', match, voice: state.voice, muted: state.muted, short: state.short },
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
 * How the ten minutes stand. A reminder, and nothing ends by it.
 * @param {State} state
 * @param {{ minutes: import('./types.js').Minutes }} event
 * @returns {Step}
 */
const remind = (state, { minutes }) =>
  // Whoever wished for them knows at the beginning.
  stay(state, { minutes }, ...(minutes === 'none' || minutes === 'few' && state.short ? []
    : [/** @type {Effect} */ (minutes === 'over' ? { do: 'say', word: 'minutes.over', then: 'minutes.over.text' } : { do: 'say', word: `minutes.${minutes}` })]));

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

/** The line did not hold. @param {State} state */
const toNoLine = (state) => toHeard(state, { found: { ...NOTHING_FOUND, ...state.found, line: 'none' } });

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

/**
 * Something that one may say, by chance, for the visitor alone: none comes twice in a call before all have been there.
 * @param {State} state
 * @param {{ chance: number }} event from 0 to 1
 * @returns {Step}
 */
const open = (state, { chance }) => {
  const all = Array.from({ length: OPENERS }, (_, index) => /** @type {import('./types.js').Opener} */ (`opener.${index + 1}`));
  const fresh = all.filter((opener) => !state.openers.includes(opener));
  const before = fresh.length > 0 ? state.openers : state.openers.slice(-1);
  const left = all.filter((opener) => !before.includes(opener));
  const opener = left[Math.floor(chance * left.length)];
  return opener ? stay(state, { openers: [...before, opener] }, { do: 'say', word: opener }) : stay(state);
};

/** @satisfies {Row} */
const CALLING = {
  ...TO_PARTNER,
  ...TYPING,
  opener: open,
  mute: toggleMute,
  breath: toggleBreath,
  'their-breath': theirBreath,
  minutes: remind,
  'go-on': (state) => stay(state, {}, ...(state.minutes === 'over' ? [/** @type {Effect} */ ({ do: 'goOn' })] : [])),
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

/**
 * @param {State} state
 * @param {{ usual?: import('./types.js').Usual }} frame
 */
const usually = (state, frame) => stay(state, { usual: frame.usual ?? null });

/**
 * The server has this visitor in the queue: what the page said before it knew of the match has ended it.
 * @param {State} state
 * @param {{ usual?: import('./types.js').Usual }} frame
 * @param {Effect} effect
 */
const backInQueue = (state, frame, effect) => {
  const step = wait(state, [effect], true);
  return { ...step, state: usually(step.state, frame).state };
};

/**
 * Not now, and the page tries again by itself.
 * @param {State} state
 * @param {number} pause in milliseconds
 */
const toPaused = (state, pause) => go(state, 'paused', { pause }, startTimer('pause', pause));

/** @type {import('./types.js').Rows['frames']} */
const FRAMES = {
  waiting: {
    waiting: (state, frame) => {
      const step = state.puzzled ? stay(state, { puzzled: false }, { do: 'say', word: 'waiting.title' }) : stay(state);
      return { ...step, state: usually(step.state, frame).state };
    },
    slow_down: (state, frame) => toPaused(state, frame.retry_after * 1000),
    work: (state, { challenge, target, most }) => stay(state, {}, { do: 'solve', puzzle: { challenge, target, most } }),
    cool_down: (state, { retry_after, category }) =>
      go(state, 'cooling', { up: false, pause: retry_after * 1000, category }, { do: 'release' }, { do: 'disconnect' }),
    matched: (state, match) =>
      state.hidden
        ? go(state, 'offered', { match }, { do: 'summon' }, startTimer('offer', MS.offer))
        : begin(state, match),
  },
  paused: CLOSES,
  offered: {
    ...CLOSES_LATER,
    waiting: (state, frame) => backInQueue(state, frame, { do: 'dismiss' }),
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
    waiting: (state, frame) => backInQueue(state, frame, { do: 'hangUp', bye: false }),
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
  hearing: {
    slow_down: (state) => toHeard(state, { found: null }),
    matched: (state, match) =>
      stay(state, { match }, { do: 'begin', match, voice: state.voice, muted: false, short: false, alone: true }, { do: 'check' }, startTimer('connecting', MS.connecting)),
    describe: (state, frame) => stay(state, {}, { do: 'pass', frame }),
    candidate: (state, frame) => stay(state, {}, { do: 'pass', frame }),
    restart: (state, frame) => stay(state, {}, { do: 'pass', frame }),
    ended: (state) => toHeard(state),
  },
};

/** @type {import('./types.js').Rows['events']} */
const EVENTS = {
  waiting: {
    // On another socket it is asked for anew.
    solved: (state, { proof }) => stay(state, {}, ...(state.up ? [join(state, proof)] : [])),
    puzzled: (state) => stay(state, { puzzled: true }, { do: 'say', word: 'waiting.puzzle' }),
    unsolved: (state) => toPaused(state, MS.unsolved),
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
  hearing: {
    ...TO_PARTNER,
    described: (state, { description }) =>
      stay(state, {}, ...(state.match ? [send({ type: 'describe', call: state.match.call, description })] : [])),
    connected: (state) =>
      state.match && !state.sounding
        ? stay(state, { sounding: true }, { do: 'stopTimer', timer: 'connecting' }, send({ type: 'connected', call: state.match.call }),
          { do: 'say', word: 'hear.title' }, startTimer('hearing', MS.hearing))
        : stay(state),
    found: (state, { found }) => stay(state, { found }),
    disguised: (state, { ok }) => stay(state, { unheard: state.voice !== 'own' && !ok }),
    broken: (state, { call }) =>
      call === state.match?.call
        ? go(state, 'mic-problem', { ...NO_CALL, problem: 'calls', sounding: false, found: null }, { do: 'release' }, LEAVE, { do: 'hangUp', bye: false })
        : stay(state),
    failed: toNoLine,
    // Between a page and its own server it is one more way in which a line can be faulty.
    unverified: toNoLine,
    bye: (state) => toHeard(state),
  },
};

/** @type {import('./types.js').Rows} */
export const CONVERSATION = { events: EVENTS, frames: FRAMES };
