// @ts-check
/**
 * What the page shows of limits and reports, drawn: a pause, a cool-down, and the question what it was. All of it comes
 * after the scripts of a call, so that the first page does not wait for it. Decides nothing.
 */

import { english as words } from './call-words.js';

/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Category} Category */

const MINUTE_MS = 60_000;

/** What is further away than this is said with its day. */
const DAY_MS = 12 * 60 * MINUTE_MS;

/** The second press of a double one is not meant for what the first has brought under the finger. */
const DOUBLE_MS = 400;

export class SafetyView {
  #document;
  /** When a pause is over, to the next full minute. @type {Date | null} */
  #until = null;
  #opened = -Infinity;

  /**
   * @param {Document} document
   * @param {(category: Category) => void} onTell
   */
  constructor(document, onTell) {
    this.#document = document;
    for (const part of /** @type {const} */ (['report-title', 'report-text', 'report-close', 'paused-text', 'cooling-kind'])) {
      this.#one(part).textContent = words[part];
    }
    const dialog = this.#dialog;
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-category]'))) {
      const category = /** @type {Category} */ (button.dataset.category);
      button.textContent = words[`category.${category}`];
      button.addEventListener('click', ({ detail, timeStamp }) => {
        if (detail > 1 && timeStamp - this.#opened < DOUBLE_MS) return;
        dialog.close();
        onTell(category);
      });
    }
    this.#control.textContent = words.report;
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
    const time = this.#until?.toLocaleString([], {
      hour: '2-digit', minute: '2-digit', ...(pause > DAY_MS && { weekday: 'long' }),
    }) ?? '';
    const title = words[category ? 'cooling-title' : 'paused-title'].replace('{time}', time);
    this.#one(category ? 'cooling-title' : 'paused-title').textContent = title;
    this.#one('cooling-text').textContent = category ? words['cooling-text'].replace('{category}', words[`category.${category}`]) : '';
    const reportable = name === 'talking' || name === 'rejoining' || past !== null;
    if (!reportable && this.#dialog.open) this.#dialog.close();
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
