// @ts-check
/**
 * Something that one may say, for whoever asks for it: one thing at a time, drawn from the state. Nobody else sees it, and
 * nothing of it leaves the page. Decides nothing.
 */

export class OpenersView {
  #say;
  #details;
  #text;

  /**
   * @param {Document} document
   * @param {object} options
   * @param {import('./words.js').Words['say']} options.say
   * @param {() => void} options.onWanted the visitor asks for one, or for another
   */
  constructor(document, { say, onWanted }) {
    this.#say = say;
    const [details, text, another] = ['openers', 'opener', 'another'].map((part) => document.querySelector(`[data-part="${part}"]`));
    if (!(details instanceof HTMLDetailsElement && text instanceof HTMLElement && another instanceof HTMLElement)) {
      throw new TypeError('the page has no place for openers');
    }
    this.#details = details;
    this.#text = text;
    details.addEventListener('toggle', () => {
      if (!details.open) return;
      onWanted();
      details.scrollIntoView({ block: 'nearest' });
    });
    another.addEventListener('click', onWanted);
  }

  /** @param {import('./types.js').State} state */
  render({ name, openers }) {
    const talking = name === 'talking' || name === 'rejoining';
    this.#details.hidden = !talking;
    // Put away with the call.
    if (!talking) this.#details.open = false;
    const word = openers.at(-1);
    this.#text.textContent = word ? this.#say(word) : '';
  }
}
