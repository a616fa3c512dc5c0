// @ts-check
/**
 * What the two in a call tell each other over and over, over their own data channel: whether this side takes a breath,
 * and for how many stretches of ten minutes it would like to talk (`minutes.js`). Pure, but for the clock that is passed
 * in.
 *
 * ```text
 * | 5 | 1 while this side takes a breath, 0 otherwise | stretches, 0 where it has said nothing of them |
 * ```
 *
 * Each side says it once a second from the moment the channel is open, whether or not anything has changed: a frame at
 * the press would tell the network when somebody needed a moment, or would rather go on. What was lost or refused is said
 * again a second later.
 */

import { Allowance } from './allowance.js';
import { TenMinutes } from './minutes.js';

/** @typedef {import('./types.js').Minutes} Minutes */
/** @typedef {{ breath: boolean, stretches: number }} Said */

/** The first byte of a frame (see `channel.js`). */
export const KIND = 5;

/** The size of every frame. */
export const FRAME_BYTES = 3;

/** How often it is said. */
export const BEAT_MS = 1_000;

/**
 * How many breaths of the partner's, taken or over, are believed at once, and how fast further ones: more than somebody
 * makes who needs a breath, and few enough that a hostile page cannot make this one flicker or a screen reader talk on. The
 * last that was said is taken in the end.
 */
const MAX_CHANGES = 6;
const CHANGE_MS = 10_000;

/**
 * @param {Said} said
 * @returns {Uint8Array<ArrayBuffer>}
 */
export const encode = ({ breath, stretches }) => Uint8Array.of(KIND, Number(breath), stretches);

/**
 * What a frame says; `null` for one that no page sends.
 * @param {Uint8Array} frame
 * @returns {Said | null}
 */
export function decode(frame) {
  const [kind, breath, stretches] = frame;
  return frame.length === FRAME_BYTES && kind === KIND && (breath === 0 || breath === 1) && stretches !== undefined
    ? { breath: breath === 1, stretches } : null;
}

/** Both ways of one call's beat. */
export class Beat {
  #clock;
  #handlers;
  #changes;
  #breath = false;
  #theirs = false;
  #minutes;
  /** What was last told of the ten minutes. @type {Minutes} */
  #told = 'none';
  /** @type {number | null} */
  #timer = null;

  /**
   * @param {import('./types.js').Clock} clock
   * @param {boolean} short whether this side would like to talk for ten minutes
   * @param {object} handlers
   * @param {(frame: Uint8Array<ArrayBuffer>) => void} handlers.onFrame
   * @param {(on: boolean) => void} handlers.onBreath whether the partner takes a breath, at every change
   * @param {(minutes: Minutes) => void} handlers.onMinutes how the ten minutes stand, at every change
   */
  constructor(clock, short, handlers) {
    this.#clock = clock;
    this.#handlers = handlers;
    this.#changes = new Allowance(MAX_CHANGES, CHANGE_MS, clock.now());
    this.#minutes = new TenMinutes(short, clock.now());
  }

  /** The channel is open: from now on it is said. */
  open() {
    this.#handlers.onFrame(encode({ breath: this.#breath, stretches: this.#minutes.own }));
    this.#timer = this.#clock.setTimer(() => this.open(), BEAT_MS);
    this.#tell();
  }

  /** Whether this side takes a breath, from the next beat on. @param {boolean} on */
  take(on) {
    this.#breath = on;
  }

  /** This side would like to go on; the partner's page is told with the next beat. */
  goOn() {
    this.#minutes.goOn(this.#clock.now());
    this.#tell();
  }

  /** Whatever the partner's page sent with this first byte. @param {Uint8Array} frame */
  receive(frame) {
    const said = decode(frame);
    if (!said) return;
    this.#minutes.hear(said.stretches, this.#clock.now());
    this.#tell();
    if (said.breath === this.#theirs || !this.#changes.take(this.#clock.now())) return;
    this.#theirs = said.breath;
    this.#handlers.onBreath(said.breath);
  }

  /** The call is over. */
  close() {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #tell() {
    const minutes = this.#minutes.at(this.#clock.now());
    if (minutes === this.#told) return;
    this.#told = minutes;
    this.#handlers.onMinutes(minutes);
  }
}
