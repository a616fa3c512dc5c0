// @ts-check
/** Calls somebody back to a hidden tab: a soft chime, and a notification where that was allowed before. */

/** A fifth, as soft as it can be and still be heard: hertz, and seconds from the start. */
const NOTES = [{ hertz: 392, at: 0 }, { hertz: 587.33, at: 0.22 }];
const LOUDNESS = 0.06;
const SECONDS = 0.9;

export class Summons {
  /** @type {Notification | null} */
  #notification = null;

  /**
   * @param {AudioContext | null} context
   * @param {string} title
   * @param {string} text
   */
  call(context, title, text) {
    this.#chime(context);
    try {
      if (Notification.permission === 'granted') {
        this.#notification = new Notification(title, { body: text, tag: 'sotto', silent: true });
        this.#notification.onclick = () => window.focus();
      }
    } catch {
      // Not known here, or only through a service worker: the title and the chime have to do.
    }
  }

  dismiss() {
    this.#notification?.close();
    this.#notification = null;
  }

  /** @param {AudioContext | null} context */
  #chime(context) {
    if (context?.state !== 'running') return;
    for (const { hertz, at } of NOTES) {
      const start = context.currentTime + at;
      const tone = context.createOscillator();
      const gain = context.createGain();
      tone.frequency.value = hertz;
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(LOUDNESS, start + 0.03);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + SECONDS);
      tone.connect(gain).connect(context.destination);
      tone.start(start);
      tone.stop(start + SECONDS);
    }
  }
}
