// @ts-check
/** The languages to talk in: which the browser suggests, and which there are to choose from. Pure. */

/** The most that one visitor may bring: `src/protocol.rs` has the same. */
export const MAX_LANGUAGES = 8;

/** Those with the most speakers, and those of the places that people come here from. */
export const OFFERED = [
  'am', 'ar', 'bg', 'bn', 'ca', 'cs', 'da', 'de', 'el', 'en', 'es', 'et', 'eu', 'fa', 'fi', 'fil', 'fr', 'ga', 'gl',
  'gu', 'ha', 'he', 'hi', 'hr', 'hu', 'hy', 'id', 'ig', 'is', 'it', 'ja', 'ka', 'kk', 'km', 'kn', 'ko', 'ku', 'lt', 'lv',
  'ml', 'mn', 'mr', 'ms', 'my', 'ne', 'nl', 'no', 'pa', 'pl', 'ps', 'pt', 'ro', 'ru', 'si', 'sk', 'sl', 'so', 'sq',
  'sr', 'sv', 'sw', 'ta', 'te', 'th', 'tr', 'uk', 'ur', 'uz', 'vi', 'yo', 'yue', 'zh', 'zu',
];

/** Old codes, and codes for what is one language when it is spoken. */
/** @type {Record<string, string>} */
const SAME = { iw: 'he', in: 'id', tl: 'fil', nb: 'no', nn: 'no', ji: 'yi' };

/**
 * Primary subtags, each once, in the order of preference.
 * @param {readonly string[]} tags language tags (RFC 5646), as in `navigator.languages`
 */
export function primary(tags) {
  const subtags = tags.map((tag) => tag.split(/[-_]/)[0]?.toLowerCase() ?? '')
    .filter((subtag) => /^[a-z]{2,3}$/.test(subtag))
    .map((subtag) => SAME[subtag] ?? subtag);
  const chosen = [...new Set(subtags)].slice(0, MAX_LANGUAGES);
  return chosen.length > 0 ? chosen : ['en'];
}

/**
 * The region that somebody's language settings suggest, or `null`. Nobody is located.
 *
 * Browsers put `en-US` at the end of nearly every list (a German Firefox comes with `de, en-US, en`): where something
 * else comes first it says nothing of where somebody is.
 * @param {readonly string[]} tags
 */
export function region(tags) {
  const english = tags[0]?.toLowerCase().split('-')[0] === 'en';
  for (const tag of tags) {
    try {
      const locale = new Intl.Locale(tag);
      if (locale.region && (english || locale.baseName !== 'en-US')) return locale.region;
    } catch {
      // Not a language tag.
    }
  }
  try {
    return new Intl.Locale(tags[0] ?? '').maximize().region ?? null;
  } catch {
    return null;
  }
}

/**
 * Names things in the language of the page.
 * @param {string} lang
 * @param {'language' | 'region'} type
 * @returns {(code: string) => string}
 */
export function namer(lang, type) {
  const names = new Intl.DisplayNames([lang], { type });
  return (code) => names.of(code) ?? code;
}

/**
 * An hour of the day as clocks there have it.
 * @param {string} locale
 * @param {number} hour from 0 to 24
 */
export const clock = (locale, hour) =>
  new Intl.DateTimeFormat(locale, { timeStyle: 'short', timeZone: 'UTC' }).format(hour * 3_600_000);

/**
 * A day as people there write it.
 * @param {string} locale
 * @param {string} day as `2026-11-21`
 */
export const date = (locale, day) => new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' }).format(new Date(day));
