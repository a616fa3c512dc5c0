// @ts-check
/**
 * Somebody hears themself: watches the call with the server's own caller and tells what is found so far. What the
 * figures mean is decided in `verdict.js`.
 */

import { level } from './meter.js';
import { AUDIBLE, judge, line, power } from './verdict.js';

/** How often it is looked, in ms: a syllable is longer. */
const EVERY_MS = 150;

export class Hearing {
  #window;
  #call;
  #meter;
  #isUnheard;
  #onFound;
  #timer = 0;
  /** When the first packet came. @type {number | null} */
  #began = null;
  /** @type {number | null} */
  #spoken = null;
  /** @type {number | null} */
  #first = null;
  #returned = 0;
  /** @type {any} */
  #coming;
  /** @type {any} */
  #source;

  /**
   * @param {Window} window
   * @param {object} parts
   * @param {{ stats: () => Promise<RTCStatsReport> }} parts.call
   * @param {{ level: (who: import('./types.js').Who) => number | null }} parts.meter
   * @param {() => boolean} parts.isUnheard whether a changed voice does not come about
   * @param {(found: import('./types.js').Found) => void} parts.onFound
   */
  constructor(window, { call, meter, isUnheard, onFound }) {
    this.#window = window;
    this.#call = call;
    this.#meter = meter;
    this.#isUnheard = isUnheard;
    this.#onFound = onFound;
    this.#timer = window.setInterval(() => void this.#look(), EVERY_MS);
  }

  close() {
    this.#window.clearInterval(this.#timer);
    this.#timer = 0;
  }

  async #look() {
    const report = /** @type {ReadonlyMap<string, any>} */ (/** @type {unknown} */ (await this.#call.stats()));
    if (!this.#timer) return;
    const now = this.#window.performance.now();
    const measured = line(report);
    if (measured.received === 0) return;
    this.#began ??= now;
    const all = [...report.values()];
    const coming = all.find(({ type }) => type === 'inbound-rtp');
    const source = all.find(({ type, kind }) => type === 'media-source' && kind === 'audio');
    // The lamps' own measure where there is one: it is of the microphone itself, and not of a voice that was changed.
    const spoken = this.#meter.level('me') ?? scaled(power(this.#source, source));
    this.#returned = Math.max(this.#returned, scaled(power(this.#coming, coming)) ?? this.#meter.level('them') ?? 0);
    [this.#coming, this.#source] = [coming, source];
    if (spoken !== null) {
      this.#spoken = Math.max(this.#spoken ?? 0, spoken);
      if (spoken >= AUDIBLE) this.#first ??= now;
    }
    this.#onFound(judge({
      listened: now - this.#began,
      spoken: this.#spoken,
      since: this.#first === null ? null : now - this.#first,
      returned: this.#returned,
      unheard: this.#isUnheard(),
      line: measured,
    }));
  }
}

/** @param {number | null} power */
const scaled = (power) => (power === null ? null : level(power));
