// @ts-check
/**
 * The page, drawn from the state: the only file that touches the document, but for what is only needed in a call and
 * comes with it (`call-view.js`, `safety-view.js`, `panel.js`). It decides nothing; what is pressed goes to `onAction`.
 */

import { link, opening } from './help.js';
import { clock, date, MAX_LANGUAGES, namer, OFFERED } from './languages.js';
import { keepPlaying } from './webkit.js';

/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Wishes} Wishes */
/** @typedef {import('./types.js').Preferences} Preferences */
/** @typedef {import('./types.js').Word} Word */
/** @typedef {'start' | 'retry' | 'stop' | 'accept' | 'decline' | 'mute' | 'end' | 'again' | 'rest' | 'own-voice' | 'try-voice' | 'hear-yourself' | 'done' | 'breath' | 'go-on' | 'vanish'} Action */

/** How many steps a level has where motion is reduced. */
const STEPS = 3;

/** The second press of a double one is not meant for what the first has brought under the finger. */
export const DOUBLE_MS = 400;

/** A live region is read when it changes, not when it comes: it has been in its place for this long by then. */
const TELL_MS = 100;

export class View {
  #document;
  #words;
  #say;
  #name = { language: namer('en', 'language'), region: namer('en', 'region') };
  #changePreferences;
  /** @type {State | null} */
  #drawn = null;
  /** Whether the state has changed behind an open dialog. */
  #arrived = false;
  /** When the state last changed, on the clock of events. */
  #since = -Infinity;
  #telling = 0;
  /** @type {import('./types.js').Part[]} */
  #parts = [];
  #country;
  #helplines;
  #summoned = false;
  /** Whether the visitor has said that they are struggling badly. */
  #struggles = false;
  /** From which age on somebody may come; what the page says until the server has said it. */
  #age = 18;

  /**
   * @param {Document} document
   * @param {object} options
   * @param {import('./words.js').Words} options.words
   * @param {string[]} options.languages preset to talk in
   * @param {import('./help.js').Helplines} options.helplines
   * @param {string | null} options.region whose help lines come first
   * @param {Preferences} options.preferences
   * @param {(changes: Partial<Preferences>) => void} options.onPreferences
   * @param {(language: string) => void} options.onLanguage the page is to be read in
   * @param {(voice: State['voice']) => void} options.onVoice
   * @param {(action: Action) => void} options.onAction
   */
  constructor(document, { words, languages, helplines, region, preferences, onPreferences, onLanguage, onVoice, onAction }) {
    this.#document = document;
    this.#words = words;
    this.#say = words.say;
    this.#helplines = helplines;
    this.#country = region ?? '';
    this.#changePreferences = onPreferences;

    /** Has the partner be heard, if there is one to be heard and the system has paused it. */
    this.play = keepPlaying(this.#audio, document);
    document.addEventListener('click', ({ target, detail, timeStamp }) => {
      const control = target instanceof Element ? target.closest('[data-action]') : null;
      const action = control instanceof HTMLElement ? control.dataset.action : undefined;
      if (action === 'help') this.#openHelp();
      else if (action === 'struggling') this.#struggle();
      // The other dialog is `safety-view.js`'s.
      else if (action && action !== 'report' && !(detail > 1 && timeStamp - this.#since < DOUBLE_MS)) {
        // It can be started from there.
        if (action === 'start') this.#help.close();
        onAction(/** @type {Action} */ (action));
      }
    });

    for (const control of this.#voices) {
      control.addEventListener('change', () => onVoice(/** @type {State['voice']} */ (control.value)));
    }
    for (const button of this.#tongues) button.addEventListener('click', () => onLanguage(button.lang));
    this.#listenToLanguages();
    this.#drawPreferences(preferences);
    this.#listenToHelp();
    this.preset(languages);
    this.#drawHelp();
    this.#loadHelp();
  }

  /** The language the page is to be read in, as `first.js` has found. */
  get wanted() {
    return this.#document.documentElement.dataset.words ?? 'en';
  }

  /** Draws every word anew, in the language that is spoken now. Nothing is announced, and the focus stays. */
  translate() {
    const root = this.#document.documentElement;
    const { language, locale } = this.#words;
    root.lang = language;
    root.dir = this.#say('dir') || 'ltr';
    this.#name = { language: namer(locale, 'language'), region: namer(locale, 'region') };
    // What is in a log would be read aloud again.
    for (const element of this.#all('[data-word]:not([role="log"] *)')) this.#write(element, this.#say(/** @type {Word} */ (element.dataset.word)));
    for (const item of this.#all('[data-emoji]')) {
      if (item.lastElementChild) item.lastElementChild.textContent = this.#words.emoji(Number(item.dataset.emoji));
    }
    for (const button of this.#tongues) button.setAttribute('aria-pressed', String(button.lang === language));
    // What was said before was said in another language.
    this.#status.textContent = '';
    this.#one('[data-part="rules"]').setAttribute('href', `/rules#${language}`);
    this.#drawTerms();
    this.#drawLanguages();
    this.#drawHelp();
    this.summon(this.#summoned);
    if (this.#drawn) {
      this.#draw(this.#drawn);
      for (const part of this.#parts) part.render(this.#drawn);
    }
    delete root.dataset.words;
  }

  /**
   * What the operator has decided of this page.
   * @param {{ age: number, ask_rules: boolean }} settings
   */
  settle({ age, ask_rules: asks }) {
    this.#age = age;
    this.#one('[data-part="agree"]').hidden = !asks;
    this.#one('[data-part="terms"]').hidden = asks;
    // A browser may have kept the tick of the last visit.
    this.#agreement.checked = false;
    this.#drawTerms();
  }

  /** Whether the visitor has ticked the box, where there is one. */
  get agreed() {
    return this.#one('[data-part="agree"]').hidden || this.#agreement.checked;
  }

  /** What the start waits for. */
  askToAgree() {
    this.#agreement.focus();
    this.announce('agree.first');
  }

  #drawTerms() {
    this.#write(this.#one('[data-part="terms"]'), this.#say('landing.age', { age: this.#age }));
    this.#write(this.#one('[data-part="agree-text"]'), this.#say('agree', { age: this.#age }));
  }

  get #agreement() {
    return /** @type {HTMLInputElement} */ (this.#one('[data-part="agree"] input'));
  }

  /**
   * The languages to talk in, until the visitor chooses.
   * @param {string[]} languages
   */
  preset(languages) {
    this.#one('[data-part="languages"]').replaceChildren(...languages.map((code) => this.#language(code)));
    this.#drawLanguages();
  }

  /** What the visitor would like, as the form has it. @returns {Wishes} */
  get wishes() {
    const languages = this.#boxes.filter(({ checked }) => checked).map(({ value }) => value).slice(0, MAX_LANGUAGES);
    const role = /** @type {HTMLInputElement | null} */ (this.#document.querySelector('[name="role"]:checked'));
    const same = /** @type {HTMLInputElement | null} */ (this.#document.querySelector('[data-part="same"]'));
    return { languages, role: /** @type {Wishes['role']} */ (role?.value ?? 'either'), avoid_recent: !same?.checked, ...(this.#struggles && { struggling: true }) };
  }

  /** Whether they would like to talk for ten minutes. */
  get short() {
    return /** @type {HTMLInputElement} */ (this.#one('[data-part="short"]')).checked;
  }

  /** @param {State} state */
  render(state) {
    const before = this.#drawn;
    this.#drawn = state;
    this.#document.documentElement.dataset.state = state.name;
    for (const section of this.#all('[data-in]')) {
      section.hidden = !(section.dataset.in ?? '').split(' ').includes(state.name);
    }
    this.#draw(state);
    for (const part of this.#parts) part.render(state);
    if (!before) return;
    // What `ended` and `mic-problem` say can change while they are shown.
    if (before.name !== state.name || before.ending !== state.ending || before.problem !== state.problem) {
      this.#since = performance.now();
      this.#arrive();
    // The control that had the focus has gone.
    } else if (this.#document.activeElement?.closest('[hidden]')) this.#heading?.focus();
  }

  /** From now on drawn with the rest. @param {import('./types.js').Part} part */
  add(part) {
    this.#parts.push(part);
    if (this.#drawn) part.render(this.#drawn);
  }

  /**
   * Said once by a screen reader, where the focus does not move.
   * @param {Word} word
   * @param {Word} [then] in the same breath
   */
  announce(word, then) {
    this.#tell(this.#say(word) + (then ? ` ${this.#say(then)}` : ''));
  }

  /** @param {string} text empty to say nothing, and no longer what was to be said */
  #tell(text) {
    clearTimeout(this.#telling);
    const [status, place] = [this.#status, this.#dialog ?? this.#document.body];
    status.textContent = '';
    if (!text) return;
    // Nothing outside an open dialog is read.
    if (status.parentElement !== place) place.append(status);
    this.#telling = setTimeout(() => {
      if (place === (this.#dialog ?? this.#document.body)) status.textContent = text;
      else this.#tell(text);
    }, TELL_MS);
  }

  /**
   * @param {'me' | 'them'} who
   * @param {number} level from 0 to 1
   */
  level(who, level) {
    const lamp = this.#one(`[data-level="${who}"]`);
    lamp.style.setProperty('--level', level.toFixed(3));
    lamp.dataset.step = String(Math.ceil(level * STEPS));
  }

  /**
   * A window that may not use the microphone, to make calls from. Chromium shows the networks of a device to whoever
   * may, and from then on each connectivity check tells the partner which kind of network it took.
   */
  get secluded() {
    const frame = /** @type {HTMLIFrameElement} */ (this.#one('iframe'));
    return /** @type {(Window & typeof globalThis) | null} */ (frame.contentWindow);
  }

  /** In a press, so that the partner may be heard later without one. */
  unlock() {
    this.#audio.srcObject ??= new MediaStream();
    this.play();
  }

  /** @param {MediaStream | null} stream */
  hear(stream) {
    this.#audio.srcObject = stream;
    this.play();
  }

  /** Whether the partner is not to be heard for now. @param {boolean} on */
  hush(on) {
    this.#audio.muted = on;
  }

  /** Nothing is to be seen any more, however long the next page takes. */
  clear() {
    this.#document.documentElement.hidden = true;
    this.#document.title = '';
  }

  /** @param {boolean} on */
  summon(on) {
    this.#summoned = on;
    this.#document.title = on ? `${this.#say('offered.tab')} · ${this.#say('name')}` : this.#say('name') || this.#document.title;
  }

  /** @param {State} state */
  #draw(state) {
    const { problem, ending } = state;
    if (problem) {
      this.#put('problem-title', `mic.${problem}.title`);
      this.#put('problem-text', `mic.${problem}.text`);
    }
    this.#put('asking-text', state.alone ? 'hear.asking' : 'asking.text');
    if (ending) this.#put('ending', `ended.${ending}`);
    this.#put('ending-text', ending === 'unverified' ? 'ended.unverified.text' : null);
    this.#one('[data-part="ending-text"]').hidden = ending !== 'unverified';
    this.#put('offline-title', state.closing ? 'offline.closing' : 'offline.title');
    this.#put('waiting-title', state.puzzled ? 'waiting.puzzle' : state.long ? 'waiting.long' : 'waiting.title');
    this.#one('[data-action="mute"]').setAttribute('aria-pressed', String(state.muted));
    this.#put('unpadded', state.padded ? null : 'unpadded');
    this.#one('[data-part="struggling"]').hidden = !this.#struggles || state.name !== 'landing';
    this.#document.documentElement.toggleAttribute('data-muted', state.muted || state.unheard);
    this.#document.documentElement.toggleAttribute('data-unheard', state.unheard);
    this.#drawVoice(state);
  }

  /** @param {State} state */
  #drawVoice({ voice, unheard }) {
    for (const control of this.#voices) {
      if (control instanceof HTMLInputElement) control.checked = control.value === voice;
      else control.value = voice;
    }
    const [wish, remedy] = [this.#one('[data-part="voice"]'), this.#one('[data-part="unheard"]')];
    const [going, coming] = unheard ? [wish, remedy] : [remedy, wish];
    const left = going.contains(this.#document.activeElement);
    going.hidden = true;
    coming.hidden = false;
    // One takes the other's place, and the focus if it was there.
    if (left) /** @type {HTMLElement} */ (coming.querySelector('button, select')).focus();
  }

  /** A new state: what was said is over, and the focus goes to its heading. */
  #arrive() {
    const heading = this.#heading;
    // A dialog keeps the focus, and so does a section that goes on with other words: in the middle of a call somebody
    // may be at a button, or type. Their reader hears the news all the same.
    const stays = this.#dialog !== null || this.#isAt(heading);
    this.#tell(stays ? heading?.textContent ?? '' : '');
    this.#arrived = this.#dialog !== null;
    if (!stays) heading?.focus();
  }

  /** Whether the focus is in the section of this heading. @param {HTMLElement | undefined} heading */
  #isAt(heading) {
    return heading?.closest('section')?.contains(this.#document.activeElement) ?? false;
  }

  /** Said with a press, and taken back with another. It is known as long as the page is there, and kept nowhere. */
  #struggle() {
    this.#struggles = !this.#struggles;
    this.#one('[data-action="struggling"]').setAttribute('aria-pressed', String(this.#struggles));
    if (this.#drawn) this.#draw(this.#drawn);
    if (this.#struggles) this.#openHelp();
  }

  #openHelp() {
    this.#help.showModal();
    this.#loadHelp();
  }

  #listenToHelp() {
    this.#one('[data-part="help-close"]').addEventListener('click', () => this.#help.close());
    // Of whichever dialog: it does not bubble.
    this.#document.addEventListener('close', () => {
      if (!this.#arrived || this.#dialog) return;
      this.#arrived = false;
      if (!this.#isAt(this.#heading)) this.#heading?.focus();
    }, true);
    const select = this.#countries;
    select.addEventListener('change', () => {
      this.#country = select.value;
      this.#drawLines();
    });
  }

  /** The lines come with the page; where they did not, when they are wanted. */
  #loadHelp() {
    if (this.#helplines.countries.length === 0) void this.#helplines.load().then(() => this.#drawHelp());
  }

  #drawHelp() {
    const { countries } = this.#helplines;
    const byName = countries.map((code) => ({ code, name: this.#name.region(code) }))
      .sort((one, other) => one.name.localeCompare(other.name, this.#words.locale));
    this.#countries.replaceChildren(...byName.map(({ code, name }) => new Option(name, code)), new Option(this.#say('help.elsewhere'), ''));
    this.#countries.value = countries.includes(this.#country) ? this.#country : '';
    this.#drawLines();
  }

  #drawLines() {
    const { locale } = this.#words;
    const lines = this.#helplines.of(this.#country).map((line) => {
      const item = this.#make('li', 'line');
      const name = this.#make('h3');
      name.append(this.#make('bdi', '', line.name));
      item.append(name);
      const numbers = this.#make('p', 'numbers');
      const calls = [line.call, ...line.call_alternatives ?? []];
      numbers.append(`${this.#say('help.call')} `);
      calls.forEach((number, index) => {
        if (index > 0) numbers.append(` ${this.#say('help.or')} `);
        numbers.append(this.#number('tel', number));
      });
      item.append(numbers);
      if (line.text) {
        const text = this.#make('p', 'numbers', `${this.#say('help.text')} `);
        text.append(this.#number('sms', line.text));
        item.append(text);
      }
      if (line.whatsapp) {
        const whatsapp = this.#make('p', 'numbers', `${this.#say('help.whatsapp')} `);
        const number = this.#make('bdi', '', line.whatsapp);
        number.dir = 'ltr';
        whatsapp.append(number);
        item.append(whatsapp);
      }
      const hours = opening(line.hours);
      const facts = [
        hours === 'always' ? this.#say('help.always')
          : hours === 'unknown' ? this.#say('help.unknown')
            : this.#say('help.hours', { from: clock(locale, hours.from), to: clock(locale, hours.to) }),
        ...(line.language ? [this.#say('help.language', { language: this.#name.language(line.language) })] : []),
        ...(line.chat ? [this.#say('help.chat')] : []),
      ];
      item.append(
        this.#make('p', 'quiet', facts.join(' · ')),
        this.#make('p', 'quiet', line.verified_on ? this.#say('help.checked', { date: date(locale, line.verified_on) }) : this.#say('help.change')),
      );
      return item;
    });
    const elsewhere = this.#make('li', 'line');
    elsewhere.append(this.#make('p', '', this.#say('help.elsewhere.text')));
    const list = this.#one('[data-part="lines"]');
    const links = () => [...list.querySelectorAll('a')];
    const focused = links().findIndex((anchor) => anchor === this.#document.activeElement);
    list.replaceChildren(...(lines.length > 0 ? lines : [elsewhere]));
    links()[focused]?.focus();
  }

  /**
   * @param {'tel' | 'sms'} scheme
   * @param {string} number
   */
  #number(scheme, number) {
    const anchor = this.#document.createElement('a');
    anchor.href = link(scheme, number);
    anchor.textContent = number;
    anchor.dir = 'ltr';
    return anchor;
  }

  #listenToLanguages() {
    const select = this.#others;
    select.addEventListener('change', () => {
      if (!select.value) return;
      this.#one('[data-part="languages"]').append(this.#language(select.value));
      this.#drawLanguages();
      this.#languagesChanged();
    });
  }

  /** Names those that are there, and offers the others. */
  #drawLanguages() {
    for (const box of this.#boxes) {
      if (box.nextElementSibling) box.nextElementSibling.textContent = this.#name.language(box.value);
    }
    const taken = this.#boxes.map(({ value }) => value);
    const others = OFFERED.filter((code) => !taken.includes(code))
      .map((code) => ({ code, name: this.#name.language(code) }))
      .sort((one, other) => one.name.localeCompare(other.name, this.#words.locale));
    const choose = this.#others.options[0];
    this.#others.replaceChildren(...(choose ? [choose] : []), ...others.map(({ code, name }) => new Option(name, code)));
    this.#others.value = '';
    this.#limitLanguages();
  }

  /** @param {string} code */
  #language(code) {
    const label = this.#make('label', 'choice');
    const box = this.#document.createElement('input');
    box.type = 'checkbox';
    box.value = code;
    box.checked = true;
    box.addEventListener('change', () => {
      if (this.wishes.languages.length === 0) {
        box.checked = true;
        this.announce('wishes.one');
      } else this.#languagesChanged();
    });
    label.append(box, this.#make('span'));
    return label;
  }

  #languagesChanged() {
    this.#limitLanguages();
    const { languages } = this.wishes;
    this.#tell(this.#say('wishes.count', { count: languages.length }));
    this.#changePreferences({ languages });
  }

  /** No more than one frame may carry. */
  #limitLanguages() {
    const full = this.wishes.languages.length >= MAX_LANGUAGES;
    this.#others.disabled = full;
    for (const box of this.#boxes) box.disabled = full && !box.checked;
  }

  /** @param {Preferences} preferences */
  #drawPreferences(preferences) {
    const still = this.#one('[data-part="still"]');
    /** @param {boolean} on */
    const drawStill = (on) => {
      still.setAttribute('aria-pressed', String(on));
      this.#document.documentElement.toggleAttribute('data-still', on);
    };
    drawStill(preferences.still);
    still.addEventListener('click', () => {
      const on = still.getAttribute('aria-pressed') !== 'true';
      drawStill(on);
      this.#changePreferences({ still: on });
    });
    for (const key of /** @type {const} */ (['muteKey', 'vanishKey'])) {
      const box = /** @type {HTMLInputElement} */ (this.#one(`[data-part="${key}"]`));
      box.checked = preferences[key];
      box.addEventListener('change', () => this.#changePreferences({ [key]: box.checked }));
    }
  }

  get #boxes() {
    return /** @type {HTMLInputElement[]} */ (this.#all('[data-part="languages"] input'));
  }

  get #voices() {
    return /** @type {(HTMLInputElement | HTMLSelectElement)[]} */ (this.#all('[name="voice"]'));
  }

  get #others() {
    return /** @type {HTMLSelectElement} */ (this.#one('[data-part="add-language"]'));
  }

  get #countries() {
    return /** @type {HTMLSelectElement} */ (this.#one('[data-part="country"]'));
  }

  get #tongues() {
    return this.#all('[data-language]');
  }

  get #audio() {
    return /** @type {HTMLAudioElement} */ (this.#one('audio'));
  }

  get #help() {
    return /** @type {HTMLDialogElement} */ (this.#one('dialog'));
  }

  /** The one in front, if any: help can be opened from within another, and nothing from within help. */
  get #dialog() {
    return this.#help.open ? this.#help : /** @type {HTMLDialogElement | null} */ (this.#document.querySelector('dialog[open]'));
  }

  /** Of what is shown. */
  get #heading() {
    return this.#all('main h1').find((element) => element.offsetParent !== null);
  }

  get #status() {
    return this.#one('[role="status"]');
  }

  /**
   * @param {string} part
   * @param {Word | null} word
   */
  #put(part, word) {
    const element = this.#one(`[data-part="${part}"]`);
    if (word) this.#write(element, this.#say(word));
    else element.textContent = '';
  }

  /**
   * A word that is not here leaves the one that is.
   * @param {HTMLElement} element
   * @param {string} text
   */
  #write(element, text) {
    if (text && element.textContent !== text) element.textContent = text;
  }

  /**
   * @param {string} tag
   * @param {string} [className]
   * @param {string} [text]
   */
  #make(tag, className = '', text = '') {
    const element = this.#document.createElement(tag);
    if (className) element.className = className;
    element.textContent = text;
    return element;
  }

  /** @param {string} selector */
  #one(selector) {
    const element = this.#document.querySelector(selector);
    if (!(element instanceof HTMLElement)) throw new TypeError(`nothing fits ${selector}`);
    return element;
  }

  /** @param {string} selector */
  #all(selector) {
    return /** @type {HTMLElement[]} */ ([...this.#document.querySelectorAll(selector)]);
  }
}
