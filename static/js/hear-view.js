// @ts-check
/** What the page shows to somebody who hears themself, and what was found: drawn when it is needed. Decides nothing. */

/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Word} Word */

/** @satisfies {{ [part in keyof import('./types.js').Found]: Record<import('./types.js').Found[part], Word | null> }} */
const WORDS = {
  microphone: { fine: 'hear.microphone.fine', silent: 'hear.microphone.silent', unknown: null },
  sound: { fine: 'hear.sound.fine', none: 'hear.sound.none', unheard: 'hear.sound.unheard', unknown: null },
  line: { fine: 'hear.line.fine', thin: 'hear.line.thin', tcp: 'hear.line.tcp', none: 'hear.line.none' },
};

export class HearView {
  #document;
  #say;

  /**
   * @param {Document} document
   * @param {import('./words.js').Words['say']} say
   */
  constructor(document, say) {
    this.#document = document;
    this.#say = say;
  }

  /** @param {State} state */
  render({ name, sounding, found }) {
    if (name === 'hearing') this.#write(this.#one('hear-title'), sounding ? 'hear.title' : 'hear.moment');
    if (name !== 'heard') return;
    const well = found?.microphone === 'fine' && found.sound === 'fine' && found.line === 'fine';
    this.#write(this.#one('heard-title'), !found ? 'hear.later' : well ? 'hear.well' : 'hear.found');
    const list = this.#one('heard');
    const words = found ? [WORDS.microphone[found.microphone], WORDS.sound[found.sound], WORDS.line[found.line]] : [];
    list.hidden = words.length === 0;
    list.replaceChildren(...words.flatMap((word) => {
      if (!word) return [];
      const item = this.#document.createElement('li');
      this.#write(item, word);
      return [item];
    }));
  }

  /**
   * @param {HTMLElement} element
   * @param {Word} word
   */
  #write(element, word) {
    element.dataset.word = word;
    element.textContent = this.#say(word);
  }

  /** @param {string} part */
  #one(part) {
    const element = this.#document.querySelector(`[data-part="${part}"]`);
    if (!(element instanceof HTMLElement)) throw new TypeError(`nothing fits ${part}`);
    return element;
  }
}
