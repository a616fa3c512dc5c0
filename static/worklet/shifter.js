// @ts-check
/**
 * Pitch and formants of a voice, moved together by one ratio, a few milliseconds later: numbers in, numbers out.
 *
 * The voice is written into a ring and read faster or slower than it was written, which moves everything by
 * the ratio (F. F. Lee, "Time Compression and Expansion of Speech by the Sampling Method", J. AES 20(9), 1972).
 * Before the reading runs out of the ring's lag it goes on elsewhere, where the voice looks most like here: a whole
 * number of its periods away, found by normalised cross-correlation as in SOLA (S. Roucos and A. Wilgus, "High
 * Quality Time-Scale Modification for Speech", ICASSP 1985) and WSOLA (W. Verhelst and M. Roelands, ICASSP 1993),
 * first on a thinned copy and then among its neighbours. The two are crossfaded, and how much they are alike
 * keeps the fade's power even. No Fourier transform, so no smearing and next to no delay.
 */

/** What a ratio may be: as far as the splices carry, and never the voice as it is. */
const RATIO = { least: 0.7, nearest: 0.05, most: 1.4 };

/** Milliseconds. Splices go from 4 to 16 ms: a whole number of periods of any voice from 63 Hz up. */
const NEAREST_MS = 4;
const FARTHEST_MS = 16;
/** What is compared: at least one period. */
const WINDOW_MS = 12;
const FADE_MS = 5;
/** How far a splice looks ahead of the place it leaves or goes to. */
const AHEAD_MS = 2.5;

/** The thinned copy's rate, in hertz: enough for the first two formants. */
const THIN_HZ = 8_000;

/** The interpolation (J. O. Smith, "Digital Audio Resampling"): a windowed sinc of so many samples, in so many steps. */
const TAPS = 16;
const STEPS = 256;

/** Beyond full scale, and no microphone's: kept out, so that a sum stays a number. */
const LOUDEST = 4;
/** Under this a sample is nothing (and its arithmetic slow). */
const FAINTEST = 1e-15;

export class Shifter {
  #ratio;
  #kernel;
  /** @type {Float32Array} */
  #ring;
  #mask;
  /** How many samples were written; places are counted from the first. */
  #written = 0;
  /** Where it reads, between samples. */
  #at;
  /** Where it read before the splice, and how far that has faded. */
  #from = 0;
  #faded;
  /** How alike the two are, from 0 to 1. */
  #alike = 0;

  #thin;
  /** @type {Float32Array} */
  #thinRing;
  #thinMask;
  #thinSum = 0;

  #least;
  #most;
  #window;
  #nearest;
  #farthest;
  #ahead;
  #fade;

  /**
   * @param {number} ratio what every frequency is multiplied by
   * @param {number} sampleRate of what goes in and comes out, in hertz
   */
  constructor(ratio, sampleRate) {
    if (!(ratio >= RATIO.least && ratio <= RATIO.most && Math.abs(ratio - 1) >= RATIO.nearest)) throw new RangeError(`ratio ${ratio}`);
    if (!(sampleRate >= 8_000 && sampleRate <= 384_000)) throw new RangeError(`sample rate ${sampleRate}`);
    const samples = (/** @type {number} */ ms) => Math.round((ms * sampleRate) / 1_000);
    this.#ratio = ratio;
    this.#kernel = kernel(ratio);
    this.#nearest = samples(NEAREST_MS);
    this.#farthest = samples(FARTHEST_MS);
    this.#window = samples(WINDOW_MS);
    this.#fade = samples(FADE_MS);
    this.#ahead = Math.max(samples(AHEAD_MS), TAPS);
    this.#faded = this.#fade;
    // Rising, it catches up with the writing, and what it leaves has to last through the fade.
    this.#least = this.#ahead + Math.ceil(Math.max(0, ratio - 1) * this.#fade);
    this.#most = this.#ahead + this.#farthest;
    const length = 2 ** Math.ceil(Math.log2(this.#most + this.#farthest + this.#window + 4 * TAPS + this.#fade));
    this.#ring = new Float32Array(length);
    this.#mask = length - 1;
    this.#thin = Math.max(1, Math.round(sampleRate / THIN_HZ));
    const thinLength = 2 ** Math.ceil(Math.log2(length / this.#thin));
    this.#thinRing = new Float32Array(thinLength);
    this.#thinMask = thinLength - 1;
    this.#at = -(ratio > 1 ? this.#least + this.#nearest : this.#ahead);
  }

  /**
   * @param {Float32Array} input
   * @param {Float32Array} output as long
   */
  process(input, output) {
    for (let index = 0; index < output.length; index += 1) {
      this.#write(input[index] ?? 0);
      output[index] = this.#next();
    }
  }

  /** @param {number} sample */
  #write(sample) {
    // Neither is a NaN.
    const kept = sample > FAINTEST || sample < -FAINTEST ? Math.min(LOUDEST, Math.max(-LOUDEST, sample)) : 0;
    this.#ring[this.#written & this.#mask] = kept;
    this.#written += 1;
    this.#thinSum += kept;
    if (this.#written % this.#thin === 0) {
      this.#thinRing[(this.#written / this.#thin - 1) & this.#thinMask] = this.#thinSum / this.#thin;
      this.#thinSum = 0;
    }
  }

  #next() {
    this.#at += this.#ratio;
    const fading = this.#faded < this.#fade;
    if (!fading) {
      const delay = this.#written - this.#at;
      if (this.#ratio > 1 ? delay < this.#least : delay > this.#most) this.#splice(this.#ratio > 1 ? -1 : 1);
    } else {
      this.#from += this.#ratio;
    }
    const now = this.#read(this.#at);
    if (this.#faded >= this.#fade) return now;
    this.#faded += 1;
    const fresh = 0.5 - 0.5 * Math.cos((Math.PI * this.#faded) / (this.#fade + 1));
    const old = 1 - fresh;
    const power = fresh * fresh + old * old + 2 * fresh * old * this.#alike;
    return (fresh * now + old * this.#read(this.#from)) / Math.sqrt(power);
  }

  /** @param {number} at */
  #read(at) {
    const whole = Math.floor(at);
    const step = Math.floor((at - whole) * STEPS) * TAPS;
    const first = whole - TAPS / 2 + 1;
    const ring = this.#ring;
    const mask = this.#mask;
    const taps = this.#kernel;
    let sum = 0;
    for (let tap = 0; tap < TAPS; tap += 1) sum += ring[(first + tap) & mask] * taps[step + tap];
    return sum;
  }

  /**
   * Goes on where the voice looks most like here.
   * @param {1 | -1} way later or earlier in the voice
   */
  #splice(way) {
    this.#from = this.#at;
    const end = Math.floor(this.#at) + this.#ahead - TAPS / 2;
    const { lag, alike } = this.#search(end, way);
    this.#at += way * lag;
    this.#alike = alike;
    this.#faded = 0;
  }

  /**
   * The lag whose stretch of voice is most like the one that ends here.
   * @param {number} end
   * @param {1 | -1} way
   */
  #search(end, way) {
    const thin = this.#thin;
    const rough = most(
      (lag) => alike(this.#thinRing, this.#thinMask, Math.floor(end / thin), way * lag, Math.round(this.#window / thin)),
      Math.ceil(this.#nearest / thin), Math.floor(this.#farthest / thin));
    const about = rough.lag * thin;
    const at = (/** @type {number} */ lag) => alike(this.#ring, this.#mask, end, way * lag, this.#window);
    const found = most(at, Math.max(this.#nearest, about - thin), Math.min(this.#farthest, about + thin));
    // The peak lies between samples (a parabola through three).
    const [before, after] = [at(found.lag - 1), at(found.lag + 1)];
    const bend = before - 2 * found.alike + after;
    const aside = bend < 0 ? Math.max(-0.5, Math.min(0.5, (0.5 * (before - after)) / bend)) : 0;
    return { lag: Math.min(this.#farthest, Math.max(this.#nearest, found.lag + aside)), alike: Math.min(1, Math.max(0, found.alike)) };
  }
}

/**
 * @param {(lag: number) => number} alike
 * @param {number} nearest
 * @param {number} farthest
 */
function most(alike, nearest, farthest) {
  let best = { lag: nearest, alike: -Infinity };
  for (let lag = nearest; lag <= farthest; lag += 1) {
    const value = alike(lag);
    if (value > best.alike) best = { lag, alike: value };
  }
  return best;
}

/**
 * Normalised cross-correlation of two stretches of a ring, from -1 to 1.
 * @param {Float32Array} ring
 * @param {number} mask
 * @param {number} end of the one
 * @param {number} lag from there to the end of the other
 * @param {number} length
 */
function alike(ring, mask, end, lag, length) {
  let product = 0;
  let one = 0;
  let other = 0;
  for (let index = end - length; index < end; index += 1) {
    const a = ring[index & mask];
    const b = ring[(index + lag) & mask];
    product += a * b;
    one += a * a;
    other += b * b;
  }
  const power = one * other;
  return power > 0 ? product / Math.sqrt(power) : 0;
}

/**
 * A sinc for every step between two samples, under a Blackman window. Rising, what would fold back at the top is
 * taken away.
 * @param {number} ratio
 */
function kernel(ratio) {
  const cutoff = Math.min(1, 1 / ratio);
  const taps = new Float32Array(TAPS * STEPS);
  for (let step = 0; step < STEPS; step += 1) {
    let sum = 0;
    for (let tap = 0; tap < TAPS; tap += 1) {
      const x = tap - TAPS / 2 + 1 - (step + 0.5) / STEPS;
      const turn = (2 * Math.PI * x) / TAPS;
      const window = 0.42 + 0.5 * Math.cos(turn) + 0.08 * Math.cos(2 * turn);
      const value = (x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x)) * window;
      taps[step * TAPS + tap] = value;
      sum += value;
    }
    for (let tap = 0; tap < TAPS; tap += 1) taps[step * TAPS + tap] /= sum;
  }
  return taps;
}
