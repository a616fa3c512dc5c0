// @ts-check
/**
 * How loud the two voices are, for the lamps. WebAudio only listens here: what is heard comes from the
 * `<audio>` element, so that echo cancellation knows it.
 */

/** A voice lights its lamp quickly and lets it fade: milliseconds for about two thirds of the way. */
const UP_MS = 120;
const DOWN_MS = 400;

/** From a quiet room to a raised voice, in dB of full scale. */
const FLOOR_DB = -54;
const TOP_DB = -18;

/**
 * From samples to 0 to 1, even in decibels as ears are.
 * @param {ArrayLike<number>} samples
 */
export function loudness(samples) {
  let sum = 0;
  for (let index = 0; index < samples.length; index += 1) sum += (samples[index] ?? 0) ** 2;
  return level(sum / Math.max(1, samples.length));
}

/**
 * The same from a mean square.
 * @param {number} power
 */
export const level = (power) => Math.min(1, Math.max(0, (10 * Math.log10(power) - FLOOR_DB) / (TOP_DB - FLOOR_DB)));

/**
 * The level a moment later.
 * @param {number} level
 * @param {number} target
 * @param {number} ms
 */
export function follow(level, target, ms) {
  const next = target + (level - target) * Math.exp(-ms / (target > level ? UP_MS : DOWN_MS));
  return Math.abs(next - target) < 0.002 ? target : next;
}

/** @typedef {import('./types.js').Who} Who */

export class Meter {
  #window;
  #onLevel;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {Map<Who, { source: AudioNode, analyser: AnalyserNode, samples: Float32Array<ArrayBuffer>, level: number }>} */
  #ears = new Map();
  #running = false;
  #last = 0;

  /**
   * @param {Window & typeof globalThis} window
   * @param {(who: Who, level: number) => void} onLevel
   */
  constructor(window, onLevel) {
    this.#window = window;
    this.#onLevel = onLevel;
  }

  /** Browsers let audio begin only in a press; after that it may. */
  unlock() {
    try {
      this.#context ??= new this.#window.AudioContext();
      // Whatever its state: a pause may still be on its way.
      this.#context.resume().catch(() => {});
    } catch {
      // Without WebAudio the lamps stay still; a call needs none of it.
    }
  }

  /** Goes on after the system had stopped it, if there is somebody to listen to. */
  wake() {
    if (this.#ears.size > 0) this.unlock();
  }

  /** Costs a device nothing until the next press. */
  rest() {
    this.#context?.suspend().catch(() => {});
  }

  get context() {
    return this.#context;
  }

  /**
   * @param {Who} who
   * @param {MediaStream | null} stream
   */
  listen(who, stream) {
    this.#ears.get(who)?.source.disconnect();
    this.#ears.delete(who);
    this.#onLevel(who, 0);
    if (!stream || stream.getAudioTracks().length === 0 || !this.#context) return;
    const source = this.#hear(stream);
    if (!source) return;
    const analyser = source.context.createAnalyser();
    analyser.fftSize = 1024;
    source.connect(analyser);
    this.#ears.set(who, { source, analyser, samples: new Float32Array(analyser.fftSize), level: 0 });
    if (!this.#running) this.#start();
  }

  /** @param {MediaStream} stream */
  #hear(stream) {
    try {
      return this.#context?.createMediaStreamSource(stream);
    } catch {
      // A lamp stays still. That is no reason not to call.
    }
  }

  /**
   * Whether there is nothing at all: not a quiet room, but zeros, for as long as asked. It may begin after something has
   * been heard for a while.
   * @param {Who} who
   * @param {number} ms
   * @param {number} [after] how long that may be
   * @returns {Promise<boolean>}
   */
  async dead(who, ms, after = 0) {
    const { performance, setTimeout } = this.#window;
    const begun = performance.now();
    let since = begun;
    do {
      const ear = this.#ears.get(who);
      if (!ear || this.#context?.state !== 'running') return false;
      ear.analyser.getFloatTimeDomainData(ear.samples);
      if (ear.samples.some((sample) => sample !== 0)) {
        since = performance.now();
        if (since >= begun + after) return false;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    } while (performance.now() < since + ms);
    return true;
  }

  /**
   * How bright a lamp is, 0 to 1; nothing where it is not listened to.
   * @param {Who} who
   */
  level(who) {
    return this.#context?.state === 'running' ? this.#ears.get(who)?.level ?? null : null;
  }

  #start() {
    this.#running = true;
    this.#last = this.#window.performance.now();
    const frame = (/** @type {number} */ now) => {
      if (this.#ears.size === 0) {
        this.#running = false;
        return;
      }
      const ms = Math.max(0, now - this.#last);
      this.#last = now;
      for (const [who, ear] of this.#ears) {
        ear.analyser.getFloatTimeDomainData(ear.samples);
        const level = follow(ear.level, loudness(ear.samples), ms);
        if (level !== ear.level) this.#onLevel(who, level);
        ear.level = level;
      }
      this.#window.requestAnimationFrame(frame);
    };
    this.#window.requestAnimationFrame(frame);
  }
}
