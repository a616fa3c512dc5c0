// @ts-check
/**
 * What a server asks of a browser when too many come at once: to find a number by trying (`src/guard/work.rs` says why,
 * and makes them). SHA-256 (FIPS 180-4) of the challenge and the number is to be the target. Written here, since each
 * hash of `crypto.subtle` goes through a promise: it tries a tenth as many. Pure.
 */

const primes = [2];
for (let next = 3; primes.length < 64; next += 2) if (primes.every((prime) => next % prime)) primes.push(next);
/** The first 32 bits behind the point. @param {number} root */
const fraction = (root) => (root - Math.floor(root)) * 2 ** 32 | 0;
const K = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
const H = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

/** Of the challenge and the number, in bits. */
const LENGTH = 288;

/** @param {string} hex */
const words = (hex) => Array.from(hex.match(/.{8}/g) ?? [], (word) => parseInt(word, 16) | 0);

/**
 * The number, or nothing where there is none. Takes as long as it takes: for a worker.
 * @param {{ challenge: string, target: string, most: number }} puzzle
 * @returns {number | null}
 */
export function solve({ challenge, target, most }) {
  const wanted = words(target);
  // One block: the challenge, the number, and the padding.
  const w = new Int32Array(64);
  w.set(words(challenge));
  w[9] = 1 << 31;
  w[15] = LENGTH;
  for (let number = 0; number < most; number += 1) {
    w[8] = number;
    for (let i = 16; i < 64; i += 1) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = (w[i - 16] + w[i - 7] | 0)
        + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3)
        + ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10) | 0;
    }
    let a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
    for (let i = 0; i < 64; i += 1) {
      const t = (h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) | 0)
        + (e & f ^ ~e & g) + (K[i] + w[i] | 0) | 0;
      const u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
      h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
    }
    if ([a, b, c, d, e, f, g, h].every((word, i) => (word + H[i] | 0) === wanted[i])) return number;
  }
  return null;
}
