// @ts-check
/** Has one puzzle at a time solved by a worker (`puzzle-worker.js`), and stops it when nobody wants it any more. */

/** By then somebody would ask themself what is going on. */
export const NOTICED_MS = 1_000;

/** A puzzle is good for a minute: what takes longer than this is not going to be in time. */
export const GIVE_UP_MS = 45_000;

export class Solver {
  #workers;
  #clock;
  #handlers;
  /** @type {{ worker: Worker, timers: number[] } | null} */
  #running = null;

  /**
   * @param {(script: 'puzzle-worker') => Worker} workers
   * @param {Pick<import('./types.js').Clock, 'setTimer' | 'clearTimer'>} clock
   * @param {import('./types.js').SolverHandlers} handlers
   */
  constructor(workers, clock, handlers) {
    this.#workers = workers;
    this.#clock = clock;
    this.#handlers = handlers;
  }

  /**
   * In place of what was to be solved before.
   * @param {import('./types.js').Puzzle} puzzle
   */
  solve({ challenge, target, most }) {
    this.stop();
    const { onSolved, onLong, onFailed } = this.#handlers;
    const fail = () => {
      this.stop();
      onFailed();
    };
    try {
      const worker = this.#workers('puzzle-worker');
      this.#running = {
        worker,
        timers: [this.#clock.setTimer(onLong, NOTICED_MS), this.#clock.setTimer(fail, GIVE_UP_MS)],
      };
      worker.onerror = fail;
      worker.onmessage = ({ data }) => {
        if (data === null) return fail();
        this.stop();
        onSolved({ challenge, number: data });
      };
      worker.postMessage({ challenge, target, most });
    } catch (error) {
      console.warn('solver:', error);
      fail();
    }
  }

  stop() {
    this.#running?.worker.terminate();
    this.#running?.timers.forEach((timer) => this.#clock.clearTimer(timer));
    this.#running = null;
  }
}
