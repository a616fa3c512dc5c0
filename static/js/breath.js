// @ts-check
/**
 * Taking a breath: what the two in a call tell each other of it, over their own data channel. Pure, but for the clock
 * that is passed in.
 *
 * ```text
 * | 5 | 1 while this side takes a breath, 0 otherwise |
 * ```
 *
 * Each side says it once a second from the moment the channel is open, whether or not anything has changed: a frame at
 * the press would tell the network when somebody needed a moment. What was lost or refused is said again a second later.
 */

import { Allowance } from './allowance.js';

/** The first byte of a frame (see `channel.js`). */
export const KIND = 5;

/** The size of every frame. */
export const FRAME_BYTES = 2;

/** How often it is said. */
export const BEAT_MS = 1_000;

/**
 * How many changes of the partner's are taken at once, and how fast further ones: more than somebody makes who needs a
 * breath, and few enough that a hostile page cannot make this one flicker or a screen reader talk on. The last that was
 * said is taken in the end.
 */
const MAX_CHANGES = 6;
const CHANGE_MS = 10_000;

/**
 * @param {boolean} on
 * @returns {Uint8Array<ArrayBuffer>}
 */
export const encode = (on) => Uint8Array.of(KIND, Number(on));

/**
 * What a frame says; `null` for one that no page sends.
 * @param {Uint8Array} frame
 * @returns {boolean | null}
 */
export function decode(frame) {
  const [kind, on] = frame;
  return frame.length === FRAME_BYTES && kind === KIND && (on === 0 || on === 1) ? on === 1 : null;
}

/** Both ways of one call's breaths. */
export class Breath {
  #clock;
  #handlers;
  #changes;
  #own = false;
  #theirs = false;
  /** @type {number | null} */
  #timer = null;

  /**
   * @param {import('./types.js').Clock} clock
   * @param {{ onFrame: (frame: Uint8Array<ArrayBuffer>) => void, onChange: (on: boolean) => void }} handlers
   */
  constructor(clock, handlers) {
    this.#clock = clock;
    this.#handlers = handlers;
    this.#changes = new Allowance(MAX_CHANGES, CHANGE_MS, clock.now());
  }

  /** The channel is open: from now on it is said. */
  open() {
    this.#handlers.onFrame(encode(this.#own));
    this.#timer = this.#clock.setTimer(() => this.open(), BEAT_MS);
  }

  /** From the next beat on. @param {boolean} on */
  take(on) {
    this.#own = on;
  }

  /** Whatever the partner's page sent with this first byte. @param {Uint8Array} frame */
  receive(frame) {
    const on = decode(frame);
    if (on === null || on === this.#theirs || !this.#changes.take(this.#clock.now())) return;
    this.#theirs = on;
    this.#handlers.onChange(on);
  }

  /** The call is over. */
  close() {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }
}
