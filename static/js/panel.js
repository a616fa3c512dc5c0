// @ts-check
/**
 * The panel of the text line, drawn from the state as `view.js` draws the rest of the page. Apart from it because only a
 * conversation needs it.
 */

import { MAX_CHARACTERS } from './text.js';

/** @typedef {import('./types.js').Line} Line */

/** Who has read to within so many pixels of the end is shown what comes. */
const NEAR_END = 48;

export class Panel {
  #document;
  #say;
  #details;
  #title;
  #log;
  #input;
  /** What is in the log. @type {readonly Line[]} */
  #lines = [];

  /**
   * @param {Document} document
   * @param {object} options
   * @param {(word: import('./types.js').Word) => string} options.say
   * @param {(open: boolean) => void} options.onOpen
   * @param {(text: string) => void} options.onType
   */
  constructor(document, { say, onOpen, onType }) {
    this.#document = document;
    this.#say = say;
    const { details, title, log, form, input } = parts(document);
    this.#details = details;
    this.#title = title;
    this.#log = log;
    this.#input = input;
    details.addEventListener('toggle', () => {
      if (details.open) form.scrollIntoView({ block: 'nearest' });
      onOpen(details.open);
    });
    // Enter and the button alike; not the Enter that ends a composition (Input Method Editors).
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      onType(input.value);
    });
    input.addEventListener('input', () => this.#shorten());
  }

  /** @param {import('./types.js').State} state */
  render({ name, match, unread, lines }) {
    this.#details.hidden = !match?.text_line || name === 'connecting' || name === 'offered';
    this.#details.toggleAttribute('data-unread', unread);
    const word = unread ? 'type.unread' : 'type';
    if (this.#title.dataset.word !== word) {
      this.#title.dataset.word = word;
      this.#title.textContent = this.#say(word);
    }
    if (match) this.#append(lines);
    else this.#forget();
  }

  /** All of it goes with the call, what was about to be typed as well. */
  #forget() {
    this.#details.open = false;
    this.#input.value = '';
    this.#log.replaceChildren();
    this.#lines = [];
  }

  /** @param {readonly Line[]} lines */
  #append(lines) {
    const last = this.#lines.at(-1);
    const fresh = last ? lines.slice(lines.lastIndexOf(last) + 1) : lines;
    this.#lines = lines;
    if (fresh.length === 0) return;
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < NEAR_END;
    this.#log.append(...fresh.map((line) => this.#entry(line)));
    while (this.#log.childElementCount > lines.length) this.#log.firstElementChild?.remove();
    if (fresh.some(({ who }) => who === 'me')) this.#input.value = '';
    if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** @param {Line} line */
  #entry({ who, text }) {
    const entry = this.#document.createElement('p');
    const name = this.#document.createElement('span');
    name.className = 'quiet';
    name.dataset.word = `type.${who}`;
    name.textContent = this.#say(`type.${who}`);
    // Whichever way it is written, it turns nothing around it.
    const words = this.#document.createElement('bdi');
    words.textContent = text;
    // Nobody needs to be told what they have typed themselves.
    if (who === 'me') entry.setAttribute('aria-live', 'off');
    entry.append(name, ' ', words);
    return entry;
  }

  /** No more than a line may have. The attribute for it would count some characters twice. */
  #shorten() {
    const characters = [...this.#input.value];
    if (characters.length > MAX_CHARACTERS) this.#input.value = characters.slice(0, MAX_CHARACTERS).join('');
  }
}

/** @param {Document} document */
function parts(document) {
  const [details, title, log, form, input] = ['typing', 'typing-title', 'log', 'type', 'line']
    .map((part) => document.querySelector(`[data-part="${part}"]`));
  if (details instanceof HTMLDetailsElement && title instanceof HTMLElement && log instanceof HTMLElement
    && form instanceof HTMLFormElement && input instanceof HTMLInputElement) return { details, title, log, form, input };
  throw new TypeError('the page has no panel for the text line');
}
