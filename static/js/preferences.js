// @ts-check
/**
 * The few choices that outlive a visit. Nothing else is ever stored, and where the browser refuses to store
 * (private windows) they last as long as the page.
 */

import { primary } from './languages.js';

/** @typedef {import('./types.js').Preferences} Preferences */

const KEY = 'sotto';

/** @type {Preferences} */
const DEFAULTS = { still: false, muteKey: true, vanishKey: true, languages: null, page: null };

/**
 * @param {() => Storage} storage reading the property alone can throw
 * @returns {{ value: Readonly<Preferences>, change: (changes: Partial<Preferences>) => void }}
 */
export function openPreferences(storage) {
  const kept = {
    value: load(storage),
    /** @param {Partial<Preferences>} changes */
    change(changes) {
      kept.value = { ...kept.value, ...changes };
      try {
        storage().setItem(KEY, JSON.stringify(kept.value));
      } catch {
        // It lasts as long as the page.
      }
    },
  };
  return kept;
}

/**
 * @param {() => Storage} storage
 * @returns {Preferences}
 */
function load(storage) {
  try {
    const { still, muteKey, vanishKey, languages, page } = JSON.parse(storage().getItem(KEY) ?? '{}');
    return {
      still: still === true,
      muteKey: muteKey !== false,
      vanishKey: vanishKey !== false,
      languages: Array.isArray(languages) && languages.length > 0 ? primary(languages.map(String)) : null,
      page: typeof page === 'string' ? page : null,
    };
  } catch {
    return DEFAULTS;
  }
}
