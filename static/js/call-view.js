// @ts-check
/**
 * What of the page only a call needs, drawn: the rest of `view.js`, so that the first page does not wait for it.
 * Decides nothing.
 */

import { EMOJI } from './emoji.js';

export class CallView {
  #document;
  #words;

  /**
   * @param {Document} document
   * @param {import('./words.js').Words} words
   */
  constructor(document, words) {
    this.#document = document;
    this.#words = words;
  }

  /**
   * Puts the six emoji where they can be compared, or takes them away. Nothing announces them: that would talk over the
   * partner.
   * @param {number[] | null} emoji
   */
  compare(emoji) {
    for (const part of ['emoji-title', 'emoji-list', 'emoji-how', 'emoji-about']) this.#one(part).hidden = !emoji;
    this.#one('emoji-list').replaceChildren(...(emoji ?? []).map((number) => {
      const item = this.#make('li', '');
      item.dataset.emoji = String(number);
      const picture = this.#make('span', EMOJI[number] ?? '');
      picture.ariaHidden = 'true';
      item.append(picture, this.#make('span', this.#words.emoji(number)));
      return item;
    }));
  }

  /**
   * @param {string} tag
   * @param {string} text
   */
  #make(tag, text) {
    const element = this.#document.createElement(tag);
    element.textContent = text;
    return element;
  }

  /** @param {string} part */
  #one(part) {
    const element = this.#document.querySelector(`[data-part="${part}"]`);
    if (!(element instanceof HTMLElement)) throw new TypeError(`no ${part}`);
    return element;
  }
}
