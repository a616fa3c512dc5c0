// @ts-check
/** A guide for breathing: four seconds in, six out. Pure; the time is passed in. */

const IN_MS = 4_000;
const OUT_MS = 6_000;

/**
 * What to do after so many milliseconds, and for how many more. `style.css` moves the ring by the same times.
 * @param {number} ms since the first breath began
 * @returns {{ breathe: 'in' | 'out', left: number }}
 */
export function phase(ms) {
  const at = Math.max(0, ms) % (IN_MS + OUT_MS);
  return at < IN_MS ? { breathe: 'in', left: IN_MS - at } : { breathe: 'out', left: IN_MS + OUT_MS - at };
}
