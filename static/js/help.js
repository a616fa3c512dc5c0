// @ts-check
/** Which help lines to show, and how to reach them. Pure; works with the network down. */

/** @typedef {import('./types.js').Helpline} Helpline */

/**
 * The help lines by country: data that come with the page, since the network may be down when they are needed.
 */
export class Helplines {
  /** @type {readonly Helpline[]} */
  #lines = [];

  /** @param {() => Promise<readonly Helpline[]>} fetch asked again until it has them */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  #fetch;

  /** Resolves once they are here, or with none where they do not come. */
  async load() {
    if (this.#lines.length === 0) this.#lines = await this.#fetch().catch(() => []);
  }

  /** The countries that have a line here. */
  get countries() {
    return [...new Set(this.#lines.map(({ country }) => country))];
  }

  /** @param {string} country */
  of(country) {
    return this.#lines.filter((line) => line.country === country);
  }
}

/**
 * `tel:` or `sms:` for a number as people write it. A remark in brackets is not part of it.
 * @param {'tel' | 'sms'} scheme
 * @param {string} number
 */
export const link = (scheme, number) => `${scheme}:${number.replace(/\(.*\)/, '').replace(/[^0-9+]/g, '')}`;

/**
 * `24/7` is always, `8-20` from and to, anything else is not known.
 * @param {string} hours
 * @returns {'always' | { from: number, to: number } | 'unknown'}
 */
export function opening(hours) {
  if (hours === '24/7') return 'always';
  const [, from, to] = /^(\d{1,2})-(\d{1,2})$/.exec(hours) ?? [];
  return from && to ? { from: Number(from), to: Number(to) } : 'unknown';
}
