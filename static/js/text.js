// @ts-check
/**
 * The text line: what the two in a call type to each other, over their own data channel. Loaded with a conversation,
 * and used only where the operator has said so. Pure, but for the clock that is passed in.
 *
 * ```text
 * | 4 | length, 2 bytes | that many bytes of UTF-8 | zeros up to 2,000 bytes |
 * ```
 *
 * Every frame has the same size, so that the size tells nobody how much was typed. A frame that holds anything but
 * what `tidy` makes of some text is dropped without a word: no page sends one.
 */

import { Allowance } from './allowance.js';

/** The first byte of a frame (see `channel.js`). */
export const KIND = 4;

/** The most characters of a line, as Unicode counts code points. */
export const MAX_CHARACTERS = 500;

/** What they take at most, in UTF-8. */
const MAX_BYTES = 4 * MAX_CHARACTERS;

const HEADER_BYTES = 3;

/** The size of every frame. */
export const FRAME_BYTES = HEADER_BYTES + MAX_BYTES;

/** How many lines can go out at once, and how fast further ones follow: faster than anybody writes. */
const BURST = 5;
const PACE_MS = 1_000;

/**
 * How many lines can come in at once; more of them follow at the same pace. Whoever keeps to the pace is never over
 * this, even when the line has held everything back for as long as a call outlives it (`MS.rejoining`).
 */
const MAX_AT_ONCE = BURST + 35;

/** Lines that wait for the channel or for their turn. Who has typed more keeps the next one in front of them. */
const MAX_WAITING = 20;

/** What becomes one space: control characters (tabs and line breaks among them), and breaks of Unicode's own. */
const BREAKS = /[\p{Cc}\u2028\u2029]+/gu;

/**
 * What is left out: what turns the direction of the text around it (Unicode UAX 9 §2; the plain marks that scripts from
 * right to left need are none of these), and halves of characters.
 */
const TURNS = /[\u202A-\u202E\u2066-\u2069\p{Cs}]/gu;

/** Something that can be seen. */
const VISIBLE = /[^\p{White_Space}\p{Default_Ignorable_Code_Point}]/u;

/**
 * A line as it can be sent: plain, in one piece, no longer than it may be. Empty where there is nothing to see.
 * @param {string} text
 */
export function tidy(text) {
  const plain = text.replace(BREAKS, ' ').replace(TURNS, '').trim();
  const line = [...plain].slice(0, MAX_CHARACTERS).join('').trim();
  return VISIBLE.test(line) ? line : '';
}

/**
 * @param {string} line what `tidy` has returned
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(line) {
  const frame = new Uint8Array(FRAME_BYTES);
  const { written } = new TextEncoder().encodeInto(line, frame.subarray(HEADER_BYTES));
  frame.set([KIND, written >> 8, written & 0xff]);
  return frame;
}

/**
 * The line in a frame; `null` for a frame that no page sends.
 * @param {Uint8Array} frame
 * @returns {string | null}
 */
export function decode(frame) {
  if (frame.length !== FRAME_BYTES || frame[0] !== KIND) return null;
  const end = HEADER_BYTES + (frame[1] ?? 0) * 256 + (frame[2] ?? 0);
  if (end > FRAME_BYTES || frame.subarray(end).some((byte) => byte !== 0)) return null;
  try {
    const line = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(frame.subarray(HEADER_BYTES, end));
    return line !== '' && line === tidy(line) ? line : null;
  } catch {
    return null;
  }
}

/** Both ways of one call's text line. */
export class TextLine {
  #clock;
  #handlers;
  #sending;
  #receiving;
  /** @type {string[]} */
  #waiting = [];
  #open = false;
  /** @type {number | null} */
  #timer = null;

  /**
   * @param {import('./types.js').Clock} clock
   * @param {{ onFrame: (frame: Uint8Array<ArrayBuffer>) => void, onLine: (who: import('./types.js').Who, text: string) => void }} handlers
   */
  constructor(clock, handlers) {
    this.#clock = clock;
    this.#handlers = handlers;
    this.#sending = new Allowance(BURST, PACE_MS, clock.now());
    this.#receiving = new Allowance(MAX_AT_ONCE, PACE_MS, clock.now());
  }

  /** The channel is open: what waited goes out. */
  open() {
    this.#open = true;
    this.#flush();
  }

  /**
   * Sends a line, in its turn and as soon as the channel is open. Once taken it is kept until it is out, and the channel
   * delivers it for as long as the call lasts.
   * @param {string} text
   */
  type(text) {
    const line = tidy(text);
    if (line === '' || this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(line);
    this.#handlers.onLine('me', line);
    if (this.#timer === null) this.#flush();
  }

  /** Whatever the partner's page sent with this first byte. @param {Uint8Array} frame */
  receive(frame) {
    // In this order: what is over the pace costs nothing.
    if (frame.length !== FRAME_BYTES || !this.#receiving.take(this.#clock.now())) return;
    const line = decode(frame);
    if (line !== null) this.#handlers.onLine('them', line);
  }

  /** The call is over: what waited is forgotten. */
  close() {
    this.#open = false;
    this.#waiting = [];
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #flush() {
    this.#timer = null;
    if (!this.#open) return;
    while (this.#waiting.length > 0 && this.#sending.take(this.#clock.now())) {
      const [line = ''] = this.#waiting.splice(0, 1);
      this.#handlers.onFrame(encode(line));
    }
    if (this.#waiting.length > 0) this.#timer = this.#clock.setTimer(() => this.#flush(), PACE_MS);
  }
}
