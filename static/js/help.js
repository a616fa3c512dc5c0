// @ts-check
/** Which help lines to show, and how to reach them. Pure; works with the network down. */

import { HELPLINES } from './helplines.js';

/** @typedef {import('./types.js').Helpline} Helpline */

/** The countries that have a line here. */
export const COUNTRIES = [...new Set(HELPLINES.map(({ country }) => country))];

/** @param {string} country */
export const linesOf = (country) => HELPLINES.filter((line) => line.country === country);

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
