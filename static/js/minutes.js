// @ts-check
/**
 * A talk that is meant for ten minutes, as one of the two has wished: a reminder, and nothing ends by it. Pure; the
 * moment is passed in.
 *
 * Each side says for how many stretches of ten minutes it would like to talk (`beat.js`): 0 while it has said nothing of
 * it, 1 for whoever wished for ten minutes, one more whenever it would like to go on. The number only grows, so that what
 * both have said once holds for both. Whether the other would like to go on is shown where this side would, too, and
 * nowhere else: nobody is turned down.
 */

/** How long a stretch is. */
export const STRETCH_MS = 600_000;

/** More stretches than anybody talks for: 42 hours. After these nobody is reminded any more. */
export const MAX_STRETCHES = 255;

export class TenMinutes {
  #own;
  #theirs = 0;
  /** Which stretch it is. */
  #stretch = 1;
  #since;

  /**
   * @param {boolean} wanted whether this side has wished for ten minutes
   * @param {number} now in milliseconds: the call has begun
   */
  constructor(wanted, now) {
    this.#own = Number(wanted);
    this.#since = now;
  }

  /** For how many stretches this side would like to talk; what the other is told. */
  get own() {
    return this.#own;
  }

  /**
   * For how many the other would. Less than before is nothing.
   * @param {number} stretches
   * @param {number} now
   */
  hear(stretches, now) {
    this.#theirs = Math.max(this.#theirs, stretches);
    this.#agree(now);
  }

  /** This side would like to go on, once it has been reminded. @param {number} now */
  goOn(now) {
    if (this.at(now) !== 'over') return;
    this.#own = this.#stretch + 1;
    this.#agree(now);
  }

  /** What there is to say of it. @param {number} now @returns {import('./types.js').Minutes} */
  at(now) {
    if (this.#own === 0 && this.#theirs === 0) return 'none';
    if (now - this.#since < STRETCH_MS || this.#stretch === MAX_STRETCHES) return this.#stretch === 1 ? 'few' : 'on';
    return this.#own > this.#stretch ? 'asked' : 'over';
  }

  /** Where both would like to, the next stretch begins. @param {number} now */
  #agree(now) {
    if (Math.min(this.#own, this.#theirs) <= this.#stretch) return;
    this.#stretch += 1;
    this.#since = now;
  }
}
