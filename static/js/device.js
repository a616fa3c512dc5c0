// @ts-check
/** What the device is told while a call lasts: keep the screen on, and let headset buttons work. */

export class Device {
  #navigator;
  #awake = false;
  /** @type {WakeLockSentinel | null} */
  #lock = null;
  /** One request after the other: two at once would each get a lock, and one of them would be forgotten. */
  #queue = Promise.resolve();

  /**
   * @param {Navigator} navigator
   * @param {{ onMute: () => void, onHangUp: () => void }} handlers
   */
  constructor(navigator, { onMute, onHangUp }) {
    this.#navigator = navigator;
    this.#handle('togglemicrophone', onMute);
    this.#handle('hangup', onHangUp);
  }

  /** @param {boolean} on */
  wake(on) {
    this.#awake = on;
    this.refresh();
  }

  /** The system takes the lock away with the tab; this asks for it again. */
  refresh() {
    this.#queue = this.#queue.then(() => this.#settle());
  }

  async #settle() {
    try {
      if (!this.#awake) {
        await this.#lock?.release();
        this.#lock = null;
      } else if (!this.#lock || this.#lock.released) {
        const lock = await this.#navigator.wakeLock.request('screen');
        if (this.#awake) this.#lock = lock;
        else await lock.release();
      }
    } catch {
      // Low on battery, hidden, or not known here: the call goes on.
    }
  }

  /** @param {boolean} on */
  mute(on) {
    // Newer than TypeScript's library.
    const session = /** @type {{ setMicrophoneActive?: (active: boolean) => unknown } | undefined} */ (
      /** @type {unknown} */ (this.#navigator.mediaSession));
    try {
      session?.setMicrophoneActive?.(!on);
    } catch {
      // Not known here.
    }
  }

  /**
   * @param {string} action
   * @param {() => void} run
   */
  #handle(action, run) {
    try {
      this.#navigator.mediaSession?.setActionHandler(/** @type {MediaSessionAction} */ (action), run);
    } catch {
      // Not known here.
    }
  }
}
