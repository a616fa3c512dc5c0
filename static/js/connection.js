// @ts-check
/**
 * The WebSocket: says hello, comes back after a loss, and hands over whole, checked frames. It knows nothing
 * of what they mean. Time and chance are passed in.
 */

import { read, write } from './protocol.js';

/** @typedef {import('./types.js').ClientFrame} ClientFrame */
/** @typedef {import('./types.js').ServerFrame} ServerFrame */

/** Waits between attempts are drawn from zero up to a bound that doubles from the first to the second. */
export const FIRST_WAIT_MS = 500;
export const LONGEST_WAIT_MS = 15_000;

/** An attempt that has brought no `welcome` by then is given up: some networks swallow the first packet. */
export const WELCOME_WITHIN_MS = 10_000;

/** For how long the server takes a report of a call that is over: `REPORT_WITHIN` in `src/visitor.rs`. */
export const REPORT_WITHIN_MS = 600_000;

/** Frames of a call that are kept while the socket is away; a restart with its candidates is under ten. */
const MAX_KEPT = 64;

export class Connection {
  #url;
  #surroundings;
  #handlers;
  /** @type {WebSocket | null} */
  #socket = null;
  #up = false;
  /** @type {number | null} */
  #timer = null;
  #failures = 0;
  /** @type {string | undefined} single use, in memory only */
  #resume;
  /** @type {(ClientFrame & { call: string })[]} */
  #kept = [];
  /** Whether it is closed for its owner, and still there for a report that is to go out. */
  #lingering = false;
  /** @type {number | null} */
  #farewell = null;

  /**
   * @param {string} url
   * @param {import('./types.js').Surroundings} surroundings
   * @param {import('./types.js').ConnectionHandlers} handlers
   */
  constructor(url, surroundings, handlers) {
    this.#url = url;
    this.#surroundings = surroundings;
    this.#handlers = handlers;
  }

  /** Opens the socket, and keeps it open until `close`. Harmless when it is. */
  open() {
    this.#stopLingering();
    if (!this.#socket) this.#attempt();
  }

  /**
   * Closes the socket for good. The token stays: it keeps two who have just talked apart the next time, too. A report
   * that waits for the socket is sent first, unheard by anybody here, or given up when the server would not take it.
   */
  close() {
    this.#kept = this.#kept.filter(({ type }) => type === 'report');
    if (this.#kept.length === 0) return this.#end();
    this.#lingering = true;
    this.#farewell ??= this.#surroundings.setTimer(() => this.#end(), REPORT_WITHIN_MS);
  }

  #end() {
    this.#stopLingering();
    this.#stopTimer();
    this.#drop();
    this.#failures = 0;
    this.#kept = [];
  }

  #stopLingering() {
    this.#lingering = false;
    if (this.#farewell !== null) this.#surroundings.clearTimer(this.#farewell);
    this.#farewell = null;
  }

  /** The moment is good for an attempt (the page is seen again): do not sit out the wait. */
  hurry() {
    if (!this.#socket && this.#timer !== null) this.#attempt();
  }

  /** The network has changed: the old socket is most likely dead without knowing. */
  renew() {
    if (!this.#socket && this.#timer === null) return;
    const wasUp = this.#up;
    this.#drop();
    if (wasUp) this.#handlers.onDown();
    this.#attempt();
  }

  /**
   * Sends now. Without a socket, frames of a call wait for it; all others are dropped, since a new
   * `welcome` starts afresh.
   * @param {ClientFrame} frame
   */
  send(frame) {
    const data = write(frame);
    if (this.#up) {
      this.#socket?.send(data);
    } else if ('call' in frame && (frame.type === 'report' || this.#kept.length < MAX_KEPT)) {
      // New ICE credentials make what was gathered for the old ones void.
      if (frame.type === 'restart') {
        if (this.#kept.some((other) => other.type === 'restart' && other.ufrag === frame.ufrag)) return;
        this.#kept = this.#kept.filter(({ type }) => type !== 'restart' && type !== 'candidate');
      }
      this.#kept.push(frame);
    }
  }

  #attempt() {
    this.#stopTimer();
    const socket = this.#surroundings.socket(this.#url);
    this.#socket = socket;
    this.#timer = this.#surroundings.setTimer(() => this.#lost(), WELCOME_WITHIN_MS);
    socket.onopen = () => {
      const resume = this.#resume;
      socket.send(write(resume === undefined ? { type: 'hello' } : { type: 'hello', resume }));
    };
    socket.onmessage = ({ data }) => {
      const frame = read(data);
      if (!frame) return;
      if (frame.type === 'welcome') this.#welcomed(frame);
      if (!this.#lingering) this.#handlers.onFrame(frame);
      else if (frame.type === 'welcome') this.#end();
    };
    socket.onclose = () => this.#lost();
  }

  /** @param {{ resume: string, call?: string }} frame */
  #welcomed({ resume, call }) {
    this.#stopTimer();
    this.#up = true;
    this.#failures = 0;
    this.#resume = resume;
    // A report is about a call that is over.
    const kept = this.#kept.filter((frame) => frame.call === call || frame.type === 'report');
    this.#kept = [];
    kept.forEach((frame) => this.send(frame));
  }

  #lost() {
    this.#stopTimer();
    this.#drop();
    const bound = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = this.#surroundings.setTimer(() => this.#attempt(), this.#surroundings.random() * bound);
    if (!this.#lingering) this.#handlers.onDown();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#up = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #stopTimer() {
    if (this.#timer !== null) this.#surroundings.clearTimer(this.#timer);
    this.#timer = null;
  }
}
