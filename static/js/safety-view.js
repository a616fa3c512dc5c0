// @ts-check
/**
 * What the page shows of limits and reports, drawn: a pause, a cool-down, and the question what it was. All of it comes
 * after the scripts of a call, so that the first page does not wait for it. Decides nothing.
 */

import { DOUBLE_MS } from './view.js';

/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Category} Category */

const MINUTE_MS = 60_000;

/** What is further away than this is said with its day. */
const DAY_MS = 12 * 60 * MINUTE_MS;

export class SafetyView {
  #document;
  #words;
  /** When a pause is over, to the next full minute. @type {Date | null} */
  #until = null;
  #opened = -Infinity;

  /**
   * @param {Document} document
   * @param {import('./words.js').Words} words
   * @param {(category: Category) => void} onTell
   */
  constructor(document, words, onTell) {
    this.#document = document;
    this.#words = words;
    const dialog = this.#dialog;
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-category]'))) {
      const category = /** @type {Category} */ (button.dataset.category);
      button.addEventListener('click', ({ detail, timeStamp }) => {
        if (detail > 1 && timeStamp - this.#opened < DOUBLE_MS) return;
        dialog.close();
        onTell(category);
      });
    }
    this.#control.addEventListener('click', ({ timeStamp }) => {
      this.#opened = timeStamp;
      dialog.showModal();
    });
    this.#one('report-close').addEventListener('click', () => dialog.close());
  }

  /** @param {State} state */
  render({ name, pause, category, past }) {
    if (!pause) this.#until = null;
    else this.#until ??= new Date(Math.ceil((Date.now() + pause) / MINUTE_MS) * MINUTE_MS);
    const { say, locale } = this.#words;
    const time = this.#until?.toLocaleString(locale, {
      hour: '2-digit', minute: '2-digit', ...(pause > DAY_MS && { weekday: 'long' }),
    }) ?? '';
    if (category) {
      this.#one('cooling-title').textContent = say('cooling.title', { time });
      this.#one('cooling-text').textContent = say('cooling.text', { category: say(`category.${category}`) });
    } else this.#one('paused-title').textContent = say('paused.title', { time });
    const reportable = name === 'talking' || name === 'rejoining' || past !== null;
    if (!reportable && this.#dialog.open) this.#dialog.close();
    // After the end there is no conversation that it could end.
    const text = this.#one('report-text');
    text.dataset.word = past === null ? 'report.text' : 'report.after';
    text.textContent = say(past === null ? 'report.text' : 'report.after');
    this.#control.hidden = !reportable;
  }

  get #control() {
    return /** @type {HTMLElement} */ (this.#document.querySelector('[data-action="report"]'));
  }

  /** @param {string} part */
  #one(part) {
    const element = this.#document.querySelector(`[data-part="${part}"]`);
    if (!(element instanceof HTMLElement)) throw new TypeError(`nothing fits ${part}`);
    return element;
  }

  get #dialog() {
    return /** @type {HTMLDialogElement} */ (this.#one('report'));
  }
}
