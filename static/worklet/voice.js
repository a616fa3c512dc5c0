// @ts-check
/** The audio thread's side of a changed voice. It knows one voice only, the changed one. */

import { Shifter } from './shifter.js';

const { AudioWorkletProcessor, registerProcessor, sampleRate } =
  /** @type {import('../js/types.js').WorkletScope} */ (/** @type {unknown} */ (globalThis));

registerProcessor('voice', class extends AudioWorkletProcessor {
  #shifter;
  #silence = new Float32Array(0);
  #begun = false;

  /** @param {{ processorOptions: { ratio: number } }} options */
  constructor({ processorOptions: { ratio } }) {
    super();
    this.#shifter = new Shifter(ratio, sampleRate);
  }

  /**
   * @param {Float32Array[][]} inputs none while there is no microphone
   * @param {Float32Array[][]} outputs
   */
  process([[voice = this.#silence] = []], [[out]]) {
    if (out) this.#shifter.process(voice, out);
    if (!this.#begun) this.port.postMessage(null);
    this.#begun = true;
    return true;
  }
});
