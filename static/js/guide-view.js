// @ts-check
/**
 * Breathing with the ring while one waits, for whoever asks for it: the ring moves further, and a word says which way.
 * A screen reader has the words as well, from the press to the next. It ends with the wait.
 */

import { phase } from './guide.js';

export class GuideView {
  #window;
  #say;
  #button;
  #word;
  /** When the first breath began, on the clock of `performance`; `null` while nobody has asked. @type {number | null} */
  #since = null;
  #timer = 0;

  /**
   * @param {Window & typeof globalThis} window
   * @param {(word: import('./types.js').Word) => string} say
   */
  constructor(window, say) {
    this.#window = window;
    this.#say = say;
    const [button, word] = ['guide', 'guide-word'].map((part) => window.document.querySelector(`[data-part="${part}"]`));
    if (!(button instanceof window.HTMLElement && word instanceof window.HTMLElement)) throw new TypeError('the page has no guide');
    this.#button = button;
    this.#word = word;
    button.addEventListener('click', () => this.#turn(this.#since === null));
    button.hidden = false;
  }

  /** @param {import('./types.js').State} state */
  render({ name }) {
    if (name !== 'waiting') this.#turn(false);
    else if (this.#since !== null) this.#show();
  }

  /** @param {boolean} on */
  #turn(on) {
    if (on === (this.#since !== null)) return;
    this.#since = on ? this.#window.performance.now() : null;
    this.#button.setAttribute('aria-pressed', String(on));
    this.#word.setAttribute('aria-live', on ? 'polite' : 'off');
    this.#window.document.documentElement.toggleAttribute('data-guide', on);
    this.#show();
  }

  /** The word of this moment, and the next one when it is due. */
  #show() {
    this.#window.clearTimeout(this.#timer);
    if (this.#since === null) {
      this.#word.textContent = '';
      return;
    }
    const { breathe, left } = phase(this.#window.performance.now() - this.#since);
    const text = this.#say(`guide.${breathe}`);
    if (this.#word.textContent !== text) this.#word.textContent = text;
    this.#timer = this.#window.setTimeout(() => this.#show(), Math.ceil(left));
  }
}
