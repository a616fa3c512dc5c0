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

  /** @param {import('./types.js').State} state */
  render({ name, short, muted, unheard, breath, theirs, minutes }) {
    // A line that is thin, or not there yet, comes before what happens on it.
    if (name === 'connecting' || name === 'rejoining') this.#write('call-title', `${name}.title`);
    if (name === 'talking') {
      this.#write('call-title', breath && theirs ? 'breath.both' : breath ? 'breath.mine' : theirs ? 'breath.theirs'
        : minutes === 'over' || minutes === 'asked' ? 'minutes.over' : minutes === 'on' ? 'minutes.on' : 'talking.title');
    }
    this.#write('muted', breath ? 'breath.mine.text' : theirs ? 'breath.theirs.text' : unheard ? 'voice.unheard' : muted ? 'muted' : null);
    const button = this.#one('breath');
    button.dataset.word = breath ? 'breath.back' : 'breath';
    this.#write('breath', breath ? 'breath.back' : 'breath');
    button.classList.toggle('primary', breath);
    // Whoever wished for them reads it from the start.
    const few = minutes === 'few' || minutes === 'none' && short;
    this.#one('minutes').hidden = minutes === 'none' && !few;
    this.#write('minutes-text', few ? 'minutes.few' : minutes === 'over' ? 'minutes.over.text' : minutes === 'asked' ? 'minutes.asked' : null);
    this.#one('go-on').hidden = minutes !== 'over';
    this.#document.documentElement.toggleAttribute('data-held', breath || theirs);
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

  /**
   * @param {string} part
   * @param {import('./types.js').Word | null} word
   */
  #write(part, word) {
    const element = this.#one(part);
    const text = word ? this.#words.say(word) : '';
    if (element.textContent !== text) element.textContent = text;
  }

  /** @param {string} part */
  #one(part) {
    const element = this.#document.querySelector(`[data-part="${part}"]`);
    if (!(element instanceof HTMLElement)) throw new TypeError(`no ${part}`);
    return element;
  }
}
