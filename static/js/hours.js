// @ts-check
/**
 * When people come here, as the operator says it, and how it usually is at this hour, as the server has seen it: one
 * line on the first page and while one waits, where there is something true to say. It comes when there is.
 */

/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Opening} Opening */
/** @typedef {import('./types.js').Word} Word */
/** @typedef {import('./types.js').Values} Values */

/** The most openings that a server tells of: `MAX_OPENINGS` in `src/hours.rs`. */
const MAX_OPENINGS = 8;

const DAY_MS = 86_400_000;

/** How long "within ten minutes" is true of whoever waits: `MINUTES` in `src/matchmaking/usual.rs`. */
export const MINUTES_MS = 600_000;

/** @type {Record<import('./types.js').Usual, Word>} */
const USUALLY = { soon: 'usual.soon', minutes: 'usual.minutes', quiet: 'usual.quiet' };

/** @type {(value: unknown) => value is Opening} */
const isOpening = (value) =>
  Array.isArray(value) && value.length === 2 && value.every((second) => Number.isSafeInteger(second) && second >= 0 && second < 1e11)
  && value[0] < value[1];

/**
 * What a server has said of its hours; nothing where that is not what it can be.
 * @param {unknown} value
 * @returns {Opening[]}
 */
export function readOpenings(value) {
  const fits = Array.isArray(value) && value.length <= MAX_OPENINGS && value.every(isOpening)
    && value.every(([from], index) => index === 0 || value[index - 1][1] < from);
  return fits ? value : [];
}

/** A value keeps its own direction in a sentence of the other. @param {string} text */
const isolate = (text) => `\u2068${text}\u2069`;

/**
 * When people come next or have come, in the visitor's own time: nothing where that is not known, or is always.
 * @param {readonly Opening[]} openings
 * @param {number} now in milliseconds
 * @param {string} locale
 * @param {string} [timeZone] the visitor's, where no other is named
 * @returns {{ word: Word, values: Values, open: boolean } | null}
 */
export function whenOpen(openings, now, locale, timeZone) {
  const next = openings.find(([, to]) => now < to * 1000);
  if (!next) return null;
  const [from, to] = [next[0] * 1000, next[1] * 1000];
  const open = from <= now;
  const whole = to - from >= DAY_MS;
  if (open && whole) return null;
  const date = new Intl.DateTimeFormat('en', { timeZone });
  const time = new Intl.DateTimeFormat(locale, { timeStyle: 'short', timeZone });
  if (!whole && (open || date.format(from) === date.format(now))) {
    return { word: 'hours.today', values: { from: isolate(time.format(from)), to: isolate(time.format(to)) }, open };
  }
  const day = new Intl.DateTimeFormat(locale, { weekday: 'long', hour: 'numeric', minute: '2-digit', timeZone });
  const when = whole ? day.format(from)
    : date.format(from) === date.format(to) ? day.formatRange(from, to)
      // A night belongs to the day it begins on, and a range over two would name both with their dates.
      : `${day.format(from)} – ${time.format(to)}`;
  return { word: 'hours.next', values: { when: isolate(when) }, open };
}

/**
 * What is worth saying of how it usually is. Nobody is told that others find somebody sooner than they have.
 * @param {State} state
 * @param {number} waited in milliseconds
 * @returns {Word | null}
 */
export function howUsually({ name, usual, long }, waited) {
  if (name !== 'waiting' || !usual || usual === 'soon' && long || usual === 'minutes' && waited >= MINUTES_MS) return null;
  return USUALLY[usual];
}

/**
 * When what is said may be another next: an opening begins or ends, or a day does.
 * @param {readonly Opening[]} openings
 * @param {number} now
 */
export function nextChange(openings, now) {
  const midnight = new Date(now).setHours(24, 0, 0, 0);
  return Math.min(midnight, ...openings.flat().map((second) => second * 1000).filter((at) => at > now));
}

export class Hours {
  #window;
  #words;
  /** @type {Opening[]} */
  #openings = [];
  /** When the wait began, on the clock of `Date`. */
  #since = 0;
  /** @type {State | null} */
  #state = null;
  #timer = 0;

  /**
   * @param {Window & typeof globalThis} window
   * @param {import('./words.js').Words} words
   */
  constructor(window, words) {
    this.#window = window;
    this.#words = words;
  }

  /** What the server has said of its hours. @param {unknown} openings */
  open(openings) {
    this.#openings = readOpenings(openings);
    this.#draw();
  }

  /** @param {State} state */
  render(state) {
    if (state.name === 'waiting' && this.#state?.name !== 'waiting') this.#since = Date.now();
    this.#state = state;
    this.#draw();
  }

  #draw() {
    this.#window.clearTimeout(this.#timer);
    const state = this.#state;
    if (!state || state.name !== 'landing' && state.name !== 'waiting') return;
    const now = Date.now();
    const { say, locale } = this.#words;
    const when = whenOpen(this.#openings, now, locale);
    const usual = howUsually(state, now - this.#since);
    // Somebody who came at another hour is helped most by knowing which.
    const text = usual && (!when || when.open) ? say(usual) : when ? say(when.word, when.values) : '';
    for (const line of this.#window.document.querySelectorAll('[data-part="hours"]')) {
      if (line.textContent !== text) line.textContent = text;
    }
    const changes = [nextChange(this.#openings, now), ...(usual ? [this.#since + MINUTES_MS] : [])].filter((at) => at > now);
    this.#timer = this.#window.setTimeout(() => this.#draw(), Math.min(...changes) - now + 1);
  }
}
