// @ts-check
/**
 * Gives what is sent one shape: has the worker pad every packet (`padding-worker.js`), where the browser can.
 */

/**
 * What of a browser is needed; newer than TypeScript's library.
 * @typedef {object} Browser
 * @property {new (worker: Worker) => object} [RTCRtpScriptTransform]
 */

export class Shaper {
  #browser;
  #workers;
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Promise<void> | null} */
  #starting = null;

  /**
   * @param {Browser} browser
   * @param {(script: 'padding-worker') => Worker} workers
   */
  constructor(browser, workers) {
    this.#browser = browser;
    this.#workers = workers;
  }

  /** Whether what is sent will have one size. */
  get ready() {
    return this.#worker !== null;
  }

  /** Has the worker running, if there is something for it to do. Never fails. */
  start() {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #start() {
    if (this.#worker || !this.#browser.RTCRtpScriptTransform) return;
    try {
      const worker = this.#workers('padding-worker');
      await new Promise((resolve, reject) => {
        worker.onmessage = resolve;
        worker.onerror = reject;
      });
      worker.onerror = () => {
        // What it shaped is silent now; the next press starts another.
        if (this.#worker === worker) this.#worker = null;
      };
      this.#worker = worker;
    } catch (error) {
      console.warn('shaper:', error);
    }
  }

  /**
   * Whether what this sender sends is padded from now on.
   * @param {RTCRtpSender} sender
   */
  shape(sender) {
    const { RTCRtpScriptTransform: Transform } = this.#browser;
    if (!this.#worker || !Transform) return false;
    /** @type {any} */ (sender).transform = new Transform(this.#worker);
    return true;
  }
}
