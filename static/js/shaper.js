// @ts-check
/**
 * Gives what is sent one shape: has the worker pad every packet (`padding-worker.js`), where the browser can.
 */

/** The one script that may run as a worker. The server's policy names this rule, `src/web.rs`. */
const WORKER = '/js/padding-worker.js';
const POLICY = 'sotto-worker';

/**
 * What of a browser is needed; all of it is newer than TypeScript's library.
 * @typedef {object} Browser
 * @property {new (url: string, options: WorkerOptions) => Worker} Worker
 * @property {new (worker: Worker) => object} [RTCRtpScriptTransform]
 * @property {{ createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string } }} [trustedTypes]
 */

export class Shaper {
  #browser;
  #trust;
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Promise<void> | null} */
  #starting = null;

  /** @param {Browser} browser */
  constructor(browser) {
    this.#browser = browser;
    // Browsers that know trusted types let a worker's address pass only by such a policy, once.
    this.#trust = browser.trustedTypes?.createPolicy(POLICY, { createScriptURL: only }) ?? { createScriptURL: only };
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
      const worker = new this.#browser.Worker(this.#trust.createScriptURL(WORKER), { type: 'module' });
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

/** @param {string} url */
function only(url) {
  if (url !== WORKER) throw new TypeError('not a script of ours');
  return url;
}
