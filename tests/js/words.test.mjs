// Words: every language has the same ones, every one that is used exists and the other way round, and none is unkind.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { Words } from '../../static/js/words.js';
import { NAMES } from '../../static/js/conversation.js';

const root = new URL('../../static/', import.meta.url);
const html = readFileSync(new URL('index.html', root), 'utf8');
const read = (folder) => readdirSync(new URL(folder, root)).filter((name) => name.endsWith('.js'))
  .map((name) => [name, readFileSync(new URL(folder + name, root), 'utf8')]);
const scripts = read('js/');
const catalogues = read('js/words/');

const inHtml = [...html.matchAll(/data-word="([^"]+)"[^>]*>([^<]*)</g)].map(([, word, text]) => ({ word, text }));
const languages = [...html.matchAll(/ lang="(\w+)"[^>]* data-language="(\w+)"/g)].map(([, lang, language]) => {
  assert.equal(lang, language);
  return language;
});

/** Each language's words, those of both parts, and its emoji. */
const all = new Map(await Promise.all(languages.map(async (language) => {
  const [landing, call] = await Promise.all(['', '-call'].map((part) => import(`../../static/js/words/${language}${part}.js`)));
  return [language, { landing: landing.words, call: call.words, words: { ...landing.words, ...call.words }, emoji: call.emoji }];
})));
const { words: english, landing, call } = all.get('en');
const translated = languages.filter((language) => language !== 'en');
/** The text or the texts of one word. */
const forms = (text) => (typeof text === 'string' ? [text] : Object.values(text));
const texts = (language) => Object.entries(all.get(language).words).flatMap(([word, text]) => forms(text).map((form) => [word, form]));

test('the page carries the English words as the catalogue has them', () => {
  assert.ok(inHtml.length > 40);
  for (const { word, text } of inHtml) assert.equal(text, english[word], word);
});

describe('languages', () => {
  test('those to choose from, those looked for and those there are words of are the same', () => {
    const looked = /const languages = \[(.*)\];/.exec(readFileSync(new URL('js/first.js', root), 'utf8'));
    assert.deepEqual(looked[1].split(', ').map((quoted) => quoted.slice(1, -1)), languages);
    assert.deepEqual(catalogues.map(([name]) => name).sort(), languages.flatMap((language) => [`${language}-call.js`, `${language}.js`]).sort());
    for (const needed of ['en', 'de', 'es', 'fr', 'pt', 'ar']) assert.ok(languages.includes(needed), needed);
  });

  test('each is named in itself', () => {
    for (const language of languages) {
      const [, name] = new RegExp(`data-language="${language}"[^>]*>([^<]+)<`).exec(html);
      assert.equal(name.toLowerCase(), new Intl.DisplayNames([language], { type: 'language' }).of(language).toLowerCase());
    }
  });

  test('no word is in both parts', () => {
    for (const word of Object.keys(landing)) assert.equal(word in call, false, word);
  });

  for (const language of translated) {
    const its = all.get(language);

    test(`${language} has every word, and no other, in the same part`, () => {
      assert.deepEqual(Object.keys(its.landing), Object.keys(landing));
      assert.deepEqual(Object.keys(its.call), Object.keys(call));
    });

    test(`${language} fills in the same values`, () => {
      const values = (text) => [...new Set(text.match(/\{\w+\}/g))].sort();
      for (const [word, text] of Object.entries(its.words)) {
        assert.equal(typeof text, typeof english[word], word);
        if (typeof text === 'string') assert.deepEqual(values(text), values(english[word]), word);
        // Some languages have a form that is the number.
        else for (const form of Object.values(text)) assert.ok(values(form).every((name) => values(english[word].other).includes(name)), word);
        if (typeof text !== 'string') assert.deepEqual(values(text.other), values(english[word].other), word);
      }
    });

    test(`${language} is not left in English`, () => {
      for (const [word, text] of texts(language)) {
        if (!['dir', 'name', 'help.whatsapp'].includes(word)) assert.equal(forms(english[word]).includes(text), false, word);
      }
    });
  }

  test('whatever is counted has a form for every number', () => {
    for (const [language, { words }] of all) {
      const rules = new Intl.PluralRules(language);
      const used = new Set(Array.from({ length: 201 }, (_, count) => rules.select(count)));
      for (const [word, text] of Object.entries(words)) {
        if (typeof text !== 'string') assert.deepEqual(Object.keys(text).sort(), [...used].sort(), `${language}: ${word}`);
      }
    }
    assert.deepEqual(Object.keys(all.get('ar').words['wishes.count']).length, 6);
  });

  test('each writes as it is written', () => {
    const right = new Set(['ar']);
    for (const [language, { words }] of all) {
      assert.equal(words.dir, right.has(language) ? 'rtl' : 'ltr', language);
      for (const [word, text] of texts(language)) {
        const at = `${language}: ${word}: ${text}`;
        assert.equal(text, text.trim(), at);
        assert.equal(text, text.normalize('NFC'), at);
        assert.doesNotMatch(text, /'|"|\.\.\.| {2}/, `${at}: a typographic apostrophe, quote or ellipsis`);
        // A sentence ends, and is not run into the next.
        assert.doesNotMatch(text, /[.,;:؟،؛](?=[^\s\d}.])/u, at);
        if (/\.$/.test(forms(english[word])[0])) assert.match(text, /\.$/, at);
        else assert.doesNotMatch(text, /\.$/, at);
      }
    }
    for (const [word, text] of texts('fr')) assert.doesNotMatch(text, /(?<!\u202f)[?;]|(?<!\u00a0)[:»]|«(?!\u00a0)/, `fr: ${word}: a space that does not break`);
    for (const [word, text] of texts('es')) assert.equal(text.split('¿').length, text.split('?').length, `es: ${word}`);
    for (const [word, text] of texts('ar')) {
      if (word === 'dir' || word === 'name') continue;
      assert.doesNotMatch(text.replace(/\{\w+\}|Sotto|Shift|https|WebRTC|TCP|\bM\b/g, ''), /[A-Za-z?,;]/, `ar: ${word}`);
    }
  });
});

describe('the 64 emoji', () => {
  for (const [language, { emoji }] of all) {
    test(`have names of their own in ${language}`, () => {
      assert.equal(emoji.length, 64);
      assert.equal(new Set(emoji.map((name) => name.toLowerCase())).size, 64);
      for (const name of emoji) assert.match(name, language === 'ar' ? /^[\u0621-\u064a ]+$/ : /^\p{Lu}[\p{L}’ -]+$/u);
    });
  }

  test('are in the order of Matrix', () => {
    for (const [index, name] of [[0, 'Dog'], [7, 'Rabbit'], [17, 'Cactus'], [38, 'Hourglass'], [47, 'Key'], [63, 'Pin']]) {
      assert.equal(all.get('en').emoji[index], name);
    }
    assert.deepEqual([...all.values()].map(({ emoji }) => emoji[16]), ['Tree', 'Baum', 'Árbol', 'Arbre', 'Árvore', 'شجرة']);
    assert.deepEqual([...all.values()].map(({ emoji }) => emoji[60]), ['Anchor', 'Anker', 'Ancla', 'Ancre', 'Âncora', 'مرساة']);
  });
});

test('every word that is used exists', () => {
  for (const [name, source] of scripts) {
    for (const [, word] of source.matchAll(/(?:#?say|announce)\('([^']+)'/g)) assert.ok(word in english, `${name}: ${word}`);
    for (const [, word] of source.matchAll(/word: '([^']+)'/g)) assert.ok(word in english, `${name}: ${word}`);
  }
  for (const name of ['connecting', 'talking', 'rejoining']) assert.ok(`${name}.title` in english);
  for (const problem of ['dismissed', 'site', 'system', 'none', 'busy', 'ignored', 'unsupported', 'calls']) {
    assert.ok(`mic.${problem}.title` in english && `mic.${problem}.text` in english, problem);
  }
  for (const ending of ['self', 'left', 'lost', 'closing', 'missed', 'unverified', 'reported', 'told']) assert.ok(`ended.${ending}` in english, ending);
});

test('every word that exists is used', () => {
  const page = html + scripts.map(([, source]) => source).join('\n');
  const built = /^(mic\..+\.(title|text)|ended\.|connecting\.title|talking\.title|rejoining\.title|type\.(me|them)$|opener\.\d+$|guide\.(in|out)$)/;
  for (const word of Object.keys(english)) assert.ok(built.test(word) || page.includes(`'${word}'`) || page.includes(`"${word}"`), word);
});

test('the words of the specification are there as they were written', () => {
  for (const [word, text] of Object.entries({
    'landing.title': 'Talk with someone, one to one.',
    'landing.terms': 'No name, no account. You can leave at any time.',
    'landing.start': 'Find someone to talk to',
    'landing.stranger': 'The other person is a stranger, not a counsellor.',
    'waiting.title': 'You\'re here. We\'ll let you know when someone joins.',
    'waiting.long': 'Nobody\'s here just yet. It\'s quiet, and that isn\'t about you. You can wait, or come back.',
    'offered.title': 'Someone\'s here. Ready?',
    'offered.accept': 'Say hello',
    'offered.decline': 'Not now',
    'talking.title': 'Hello is enough. So is silence.',
    'muted': 'They can\'t hear you right now.',
    'rejoining.title': 'The line is thin. Holding on.',
    'ended.left': 'The conversation has ended. People leave for all kinds of reasons.',
    'ended.lost': 'We lost the line, and can\'t tell why.',
    'ended.self': 'You\'ve left. Thank you for being here.',
    'again': 'Find someone else',
    'rest': 'That\'s enough for now',
    'help': 'Need help now?',
  })) assert.equal(english[word].replaceAll('’', '\''), text);
});

/** What no page of ours says, in any language: blame, faults, gloom; and counts of persons. */
const UNKIND = {
  en: /skipped|disconnected|banned|sorry|oops|error|failed|invalid|denied|users? online|\d+ people/i,
  de: /übersprungen|getrennt|gesperrt worden|verbannt|leider|hoppla|fehler|fehlgeschlagen|ungültig|verweigert|abgelehnt|\bSie\b|\bIhr(e[nmrs]?)?\b(?! hört)/,
  es: /desconectad|expulsad|baneo|lo siento|ups\b|error|fallad|fallo|inválid|denegad|\busted/i,
  fr: /déconnecté|banni|désolé|oups|erreur|échou|échec|invalide|refusé|\btu\b|\btoi\b|\bton\b/i,
  pt: /desconectad|banid|desculp|ops\b|erro\b|falh|inválid|negad/i,
  ar: /حظرك|عذرا|آسف|خطأ|فشل|غير صالح|مرفوض|تم رفض/,
};

test('no word shouts, blames, counts or pretends', () => {
  for (const language of languages) {
    for (const [word, text] of texts(language)) {
      assert.doesNotMatch(text, /[!¡]/, `${language}: ${word}`);
      assert.doesNotMatch(text, UNKIND[language], `${language}: ${word}`);
    }
  }
});

describe('what is said', () => {
  /** Words whose parts come when the test lets them, or not. */
  const setUp = (tags = ['de-AT', 'en']) => {
    const it = { asked: [], missing: new Set() };
    it.words = new Words(tags, (file) => {
      it.asked.push(file);
      if (it.missing.has(file)) return Promise.reject(new TypeError(file));
      return import(`../../static/js/words/${file}.js`);
    });
    return it;
  };

  test('is nothing before the words are here', () => {
    const { words } = setUp();
    assert.equal(words.language, 'en');
    assert.equal(words.say('help.close'), '');
    assert.equal(words.emoji(0), '');
  });

  test('is in one language, of which the second part comes with a call', async () => {
    const { words, asked } = setUp();
    await words.speak('de');
    assert.equal(words.say('help.close'), 'Schließen');
    assert.equal(words.say('help.hours', { from: '8:00', to: '20:00' }), '8:00 bis 20:00 Uhr');
    assert.equal(words.say('mute'), '');
    await words.forCall();
    assert.equal(words.say('mute'), 'Stumm');
    assert.equal(words.emoji(0), 'Hund');
    assert.equal(words.emoji(64), '');
    assert.deepEqual(asked, ['de', 'de-call']);
    await words.speak('fr');
    assert.equal(words.say('mute'), 'Couper le micro');
    await words.speak('de');
    assert.deepEqual(asked, ['de', 'de-call', 'fr', 'fr-call'], 'what is here is not asked for again');
  });

  test('counts as each language does, with its digits', async () => {
    const { words } = setUp(['ar-EG', 'de']);
    const count = (count) => words.say('wishes.count', { count });
    await words.speak('ar');
    assert.equal(words.locale, 'ar-EG');
    assert.deepEqual([1, 2, 3, 11].map(count), ['يمكنك الحديث بلغة واحدة.', 'يمكنك الحديث بلغتين.', 'يمكنك الحديث بعدد ٣ لغات.', 'يمكنك الحديث بعدد ١١ لغة.']);
    await words.speak('de');
    assert.deepEqual([1, 2].map(count), ['Du kannst in 1 Sprache reden.', 'Du kannst in 2 Sprachen reden.']);
    await words.speak('fr');
    assert.equal(words.locale, 'fr', 'where the browser has no variant');
    assert.deepEqual([0, 1, 2].map(count), ['Vous pouvez parler dans 0 langue.', 'Vous pouvez parler dans 1 langue.', 'Vous pouvez parler dans 2 langues.']);
  });

  test('is said where a browser names its language in no way that is a tag', async () => {
    const { words } = setUp(['en-US@posix', 'en_GB', 'C', '', 'en-IE']);
    await words.speak('en');
    assert.equal(words.locale, 'en-IE');
    assert.equal(setUp(['en-US@posix']).words.locale, 'en');
    assert.equal(words.say('wishes.count', { count: 2 }), 'You can talk in 2 languages.');
  });

  test('stays what it was where a language does not come', async () => {
    const { words, missing } = setUp();
    await words.speak('de');
    missing.add('fr');
    await assert.rejects(words.speak('fr'));
    assert.equal(words.language, 'de');
    missing.clear();
    await words.speak('fr');
    assert.equal(words.language, 'fr');
  });

  test('is the last that was asked for', async () => {
    const { words } = setUp();
    await Promise.all([words.speak('de'), words.speak('ar'), words.speak('es')]);
    assert.equal(words.language, 'es');
  });

  test('is whole when the language changes while a call comes', async () => {
    for (let before = 0; before < 8; before += 1) {
      const { words } = setUp();
      await words.speak('de');
      const speaking = words.speak('fr');
      for (let turn = 0; turn < before; turn += 1) await Promise.resolve();
      await words.forCall();
      assert.notEqual(words.say('mute'), '', `${before}`);
      await speaking;
      assert.equal(words.language, 'fr');
      assert.equal(words.say('mute'), 'Couper le micro', `${before}`);
    }
  });

  test('is English in a call whose words do not come, and nothing where those do not either', async () => {
    const { words, missing } = setUp();
    await words.speak('de');
    missing.add('de-call');
    await words.forCall();
    assert.equal(words.language, 'en');
    assert.equal(words.say('help.close'), 'Close');
    assert.equal(words.say('mute'), 'Mute');

    const none = setUp();
    none.missing.add('en').add('en-call');
    await assert.rejects(none.words.forCall());
    none.missing.clear();
    await none.words.forCall();
    assert.equal(none.words.say('mute'), 'Mute');
  });
});

describe('the language that the page begins in', () => {
  const begin = (tags, stored) => {
    const links = [];
    const documentElement = { dataset: {} };
    runInNewContext(readFileSync(new URL('js/first.js', root), 'utf8'), {
      navigator: { languages: tags },
      addEventListener() {},
      document: { documentElement, createElement: () => ({}), head: { append: ({ rel, href }) => links.push(`${rel} ${href}`) } },
      localStorage: { getItem: (key) => {
        assert.equal(key, 'sotto');
        if (stored === 'forbidden') throw new DOMException('no', 'SecurityError');
        return stored ?? null;
      } },
    });
    assert.deepEqual(links, [`modulepreload /js/words/${documentElement.dataset.words}.js`]);
    return documentElement.dataset.words;
  };

  for (const [tags, stored, expected] of [
    [['de-CH', 'fr-CH'], null, 'de'],
    [['nl-BE', 'fr', 'en'], null, 'fr'],
    [['AR-eg'], null, 'ar'],
    [['pt_BR'], null, 'pt'],
    [['zh', 'ja'], null, 'en'],
    [[], null, 'en'],
    [['de'], '{"page":"es"}', 'es'],
    [['de'], '{"page":"xx"}', 'de'],
    [['de'], '{"page":null,"languages":["fr"]}', 'de'],
    [['de'], 'null', 'de'],
    [['de'], '{', 'de'],
    [['de'], 'forbidden', 'de'],
  ]) {
    test(`${tags.join(' ') || 'none'}${stored ? `, and ${stored} kept` : ''}: ${expected}`, () => assert.equal(begin(tags, stored), expected));
  }
});

test('every state has a section with a heading that can take the focus', () => {
  const sections = [...html.matchAll(/<section data-in="([^"]+)"[^>]*>\s*<h1 tabindex="-1"/g)].flatMap(([, names]) => names.split(' '));
  assert.deepEqual([...sections].sort(), [...NAMES].sort());
});

test('the hooks that tests rely on are there', () => {
  for (const action of ['start', 'retry', 'stop', 'accept', 'decline', 'mute', 'end', 'again', 'rest', 'help', 'report', 'breath', 'go-on', 'vanish']) {
    assert.match(html, new RegExp(`data-action="${action}"`));
  }
  for (const lamp of ['me', 'them']) assert.equal(html.split(`data-level="${lamp}"`).length, 2);
  assert.deepEqual([...html.matchAll(/role="status">([^<]*)</g)].map(([, text]) => text), ['']);
  assert.match(html, /<audio autoplay>/);
  assert.match(html, /<html [^>]*data-state="landing"/);
});

test('nothing inline, nothing from elsewhere, no markup from scripts', () => {
  assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc="\/js\/)/);
  assert.doesNotMatch(html, /(?:src|href)="(?!\/)/);
  for (const [name, source] of [...scripts, ...catalogues]) {
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|cookie|https?:\/\//, name);
  }
});

test('every module is type-checked, and every one the first page needs is asked for at once', () => {
  for (const [name, source] of [...scripts, ...catalogues]) assert.ok(source.startsWith('// @ts-check\n'), name);
  const preloaded = [...html.matchAll(/rel="modulepreload" href="\/js\/([^"]+)"/g)].map(([, name]) => name);
  assert.deepEqual(preloaded, needs('main.js').sort());
});

/** What a module leads to, itself not included. */
function needs(...names) {
  const needed = new Set();
  const follow = (name) => {
    if (needed.has(name)) return;
    needed.add(name);
    const source = readFileSync(new URL(`js/${name}`, root), 'utf8');
    for (const [, next] of source.matchAll(/^import .* from '\.\/(.+)';$/gm)) follow(next);
  };
  names.forEach(follow);
  return [...needed].filter((name) => !names.includes(name));
}

test('every module that a call needs besides is asked for at the press', () => {
  const [, list] = /const WITH_TALK = \[([^\]]+)\]/.exec(readFileSync(new URL('js/main.js', root), 'utf8'));
  const here = ['main.js', ...needs('main.js')];
  const needed = needs('talk.js', 'connection.js', 'conversation.js').filter((name) => !here.includes(name));
  assert.deepEqual([...list.matchAll(/'([^']+)'/g)].map(([, name]) => `${name}.js`).sort(), needed.sort());
});
