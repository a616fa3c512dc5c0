// @ts-check
/**
 * The visitor's microphone: asked for, looked after, let go. Says what went wrong in terms a visitor can act on.
 */

import { speak } from './webkit.js';

/** @typedef {import('./types.js').MicProblem} MicProblem */

/** No `deviceId`: the browser and the system know which microphone somebody means. */
const CONSTRAINTS = {
  audio: { echoCancellation: { ideal: 'all' }, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
};

/**
 * Which of the problems a refusal of `getUserMedia` is.
 * @param {{ name: string, message: string }} error
 * @param {string} permission what the Permissions API says, or `unknown`
 * @returns {MicProblem}
 */
export function classify({ name, message }, permission) {
  switch (name) {
    case 'NotAllowedError':
      // Chromium: "Permission dismissed", "Permission denied by system", "Permission denied".
      if (/system|platform permission/i.test(message) && !/user agent or the platform/i.test(message)) return 'system';
      return permission === 'denied' ? 'site' : 'dismissed';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'none';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    default:
      return 'unsupported';
  }
}

export class Microphone {
  #navigator;
  #devices;
  #permissions;
  #handlers;
  /** @type {MediaStream | null} */
  #stream = null;
  /** Whether anybody still waits for the answer; letting go makes a late one void. */
  #wanted = false;
  /** Whether the last question has not been answered. */
  #owing = false;
  #muted = false;
  /** Silent for another reason than that it is muted; it stays muted, or not, when that is over. */
  #held = false;
  /** @type {MediaStreamTrack[]} */
  #copies = [];
  /** @type {Promise<void> | null} */
  #renewing = null;

  /**
   * @param {Pick<Navigator, 'mediaDevices' | 'permissions'>} navigator
   * @param {import('./types.js').MicrophoneHandlers} handlers
   */
  constructor(navigator, handlers) {
    const { mediaDevices, permissions } = navigator;
    this.#navigator = navigator;
    this.#devices = /** @type {MediaDevices | undefined} */ (mediaDevices);
    this.#permissions = /** @type {Permissions | undefined} */ (permissions);
    this.#handlers = handlers;
  }

  get stream() {
    return this.#stream;
  }

  get track() {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  /**
   * A track of another name (Media Capture §4.3.1), for one call: what is sent has nothing in common with what an
   * earlier partner got. It is muted and let go with the microphone; whoever has it may stop it before that.
   */
  copy() {
    const copy = this.track?.clone() ?? null;
    this.#copies = this.#copies.filter(({ readyState }) => readyState === 'live').concat(copy ?? []);
    return copy;
  }

  /** Asks the browser, which may ask the visitor. To be called in the press of a button. */
  async ask() {
    this.#wanted = this.#owing = true;
    this.#muted = false;
    if (this.track?.readyState === 'live') return this.#grant();
    // One that has died and could not be replaced is in nobody's way.
    this.#drop();
    try {
      const stream = await this.#get();
      // A second question was answered first, or the visitor has gone back.
      if (!this.#wanted || this.#stream) stop(stream);
      else this.#take(stream);
      this.#grant();
    } catch (error) {
      const problem = await this.#explain(error);
      if (this.#wanted && !this.#stream) this.#handlers.onRefused(problem);
    }
  }

  /** The answer, once to each question. */
  #grant() {
    if (!this.#wanted || !this.#owing) return;
    this.#owing = false;
    this.#handlers.onGranted();
  }

  /** Replaces a microphone that has died: a phone call or another headset can take it away silently. */
  async renew() {
    if (!this.#wanted) return;
    this.#renewing ??= this.#replace().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #replace() {
    try {
      const stream = await this.#get();
      if (!this.#wanted) return stop(stream);
      this.#drop();
      this.#take(stream);
      if (this.track) this.#handlers.onTrack(this.track);
    } catch (error) {
      const problem = await this.#explain(error);
      if (this.#wanted) this.#handlers.onRefused(problem);
    }
  }

  /**
   * Muting keeps the track, and what is sent keeps its rhythm: silence in place of the voice.
   * @param {boolean} on
   */
  mute(on) {
    this.#muted = on;
    this.#quiet();
  }

  /** As silent as muted, for as long as one of the two takes a breath. @param {boolean} on */
  hold(on) {
    this.#held = on;
    this.#quiet();
  }

  #quiet() {
    for (const track of this.#tracks) track.enabled = !this.#muted && !this.#held;
  }

  release() {
    this.#wanted = false;
    this.#drop();
    speak(this.#navigator, false);
  }

  /** The microphone's own and all copies. */
  get #tracks() {
    return [...this.#stream?.getTracks() ?? [], ...this.#copies];
  }

  #drop() {
    this.#tracks.forEach(end);
    this.#stream = null;
    this.#copies = [];
  }

  #get() {
    if (!this.#devices) throw new DOMException('no microphones on this page', 'NotSupportedError');
    speak(this.#navigator, true);
    // `echoCancellation: "all"` is newer than TypeScript's library.
    return this.#devices.getUserMedia(/** @type {MediaStreamConstraints} */ (/** @type {unknown} */ (CONSTRAINTS)));
  }

  /** @param {MediaStream} stream */
  #take(stream) {
    this.#stream = stream;
    const { track } = this;
    if (!track) return;
    this.#quiet();
    track.onended = track.onunmute = () => this.#handlers.onDoubt();
  }

  /** @param {unknown} error */
  async #explain(error) {
    let permission = 'unknown';
    try {
      const name = /** @type {PermissionName} */ ('microphone');
      permission = (await this.#permissions?.query({ name }))?.state ?? permission;
    } catch {
      // This browser does not tell.
    }
    return classify(error instanceof Error || error instanceof DOMException ? error : { name: '', message: '' }, permission);
  }
}

/** @param {MediaStream} stream */
function stop(stream) {
  stream.getTracks().forEach(end);
}

/** @param {MediaStreamTrack} track */
function end(track) {
  track.onended = track.onunmute = null;
  track.stop();
}
