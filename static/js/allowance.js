// @ts-check
/** How often something may happen: so many times at once, and one more for every so many milliseconds. Pure. */

export class Allowance {
  #most;
  #pace;
  #left;
  #since;

  /**
   * @param {number} most
   * @param {number} pace milliseconds until there is one more
   * @param {number} now in milliseconds of any clock that goes forward, here as in `take`
   */
  constructor(most, pace, now) {
    this.#most = most;
    this.#pace = pace;
    this.#left = most;
    this.#since = now;
  }

  /** Takes one, where there is one. @param {number} now */
  take(now) {
    this.#left = Math.min(this.#most, this.#left + Math.max(0, now - this.#since) / this.#pace);
    this.#since = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
