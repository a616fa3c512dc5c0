// @ts-check
/**
 * What the page says, in the language it is read in. Short sentences; no exclamation marks, no blame, no counters, and
 * nothing that pretends to know what it cannot. Both sides of an ending read the same.
 *
 * One catalogue for each language, in two parts: `words/de.js` for the first page and the wait, `words/de-call.js` for
 * what only a conversation needs. A visitor loads one language. `index.html` has the English words too: they are there
 * before a script is, and where no catalogue comes.
 */

/** @typedef {import('./types.js').Word} Word */
/** @typedef {import('./types.js').Values} Values */
/** @typedef {import('./types.js').Catalogue} Part */

export class Words {
  /** The language that is spoken now: what `html lang` has to say. */
  language = 'en';

  #tags;
  #load;
  /** By file name. @type {Map<string, Part>} */
  #parts = new Map();
  /** Whether what a conversation needs is needed. */
  #calling = false;
  /** Counts the wishes, since the last one holds. */
  #wish = 0;

  /**
   * @param {readonly string[]} tags the visitor's languages (RFC 5646), as in `navigator.languages`
   * @param {(file: string) => Promise<Part>} [load]
   */
  constructor(tags, load = (file) => import(`./words/${file}.js`)) {
    this.#tags = tags.filter(wellFormed);
    this.#load = load;
  }

  /** The visitor's own variant of the language, for times, numbers and names. */
  get locale() {
    return this.#tags.find((tag) => tag.split('-')[0] === this.language) ?? this.language;
  }

  /**
   * Changes the language, once all that is needed of it is here; until then, and if it does not come, nothing changes.
   * @param {string} language
   */
  async speak(language) {
    const wish = ++this.#wish;
    try {
      await this.#fetch(language);
      if (wish === this.#wish) this.language = language;
    } catch (error) {
      if (wish === this.#wish) throw error;
    }
  }

  /** Gets what a conversation needs, now and of every later language. English where this one does not come. */
  async forCall() {
    this.#calling = true;
    for (let language = ''; language !== this.language;) {
      language = this.language;
      await this.#fetch(language).catch((error) => {
        if (language === 'en') throw error;
        return this.speak('en');
      });
    }
  }

  /**
   * Empty while the word is not here.
   * @param {Word} word
   * @param {Values} values
   */
  say = (word, values = {}) => {
    const text = this.#parts.get(this.language)?.words[word] ?? this.#callPart?.words[word] ?? '';
    const form = typeof text === 'string' ? text
      : text[new Intl.PluralRules(this.locale).select(Number(values.count))] ?? text.other;
    return form.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name] ?? '';
      return typeof value === 'number' ? new Intl.NumberFormat(this.locale).format(value) : value;
    });
  };

  /**
   * The name of one of the 64 emoji that two voices compare.
   * @param {number} index from 0 to 63
   */
  emoji(index) {
    return this.#callPart?.emoji?.[index] ?? '';
  }

  get #callPart() {
    return this.#parts.get(`${this.language}-call`);
  }

  /**
   * Until nothing is missing: what is needed can grow while something comes.
   * @param {string} language
   */
  async #fetch(language) {
    for (;;) {
      const files = [language, ...(this.#calling ? [`${language}-call`] : [])].filter((file) => !this.#parts.has(file));
      if (files.length === 0) return;
      await Promise.all(files.map(async (file) => this.#parts.set(file, await this.#load(file))));
    }
  }
}

/**
 * Whether `Intl` takes it: Chromium without a locale of its own says `en-US@posix`.
 * @param {string} tag
 */
function wellFormed(tag) {
  try {
    return Intl.getCanonicalLocales(tag).length > 0;
  } catch {
    return false;
  }
}
