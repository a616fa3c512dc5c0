// @ts-check
/**
 * When each packet of the voice is sent: every 20 ms, however long the encoder had. Speech takes longer to encode than
 * silence does, and on a busy machine that could be told from the times between packets (the README has the figures).
 * Pure: the time is passed in.
 */

/** How long a packet of the voice lasts, in ms (`a=ptime`, RFC 8866 §6.4). */
const PACKET_MS = 20;

/**
 * How long a packet is held if it came when it was expected, in ms: a quarter of the time between two, so that it goes
 * while neither this one nor the next is worked on (browsers take sound in by 10 ms). What is taken here, the partner's
 * jitter buffer needs less of.
 */
export const HOLD_MS = 5;

/**
 * Of how many packets the lateness is averaged, about five seconds: who begins to speak, and is 1 ms later from then on,
 * moves what follows by 4 µs a packet.
 */
const OVER = 256;

/** The microphone has been away, or another has come, if a packet is this far off, in ms. */
const ASTRAY_MS = 100;

export class Rhythm {
  /** When the last packet was expected to come, in ms. @type {number | null} */
  #expected = null;
  /** Packets so far, up to those that are averaged. */
  #packets = 0;

  /**
   * @param {number} came when a packet came from the encoder, in ms
   * @returns {number} when it is to be sent; a time that is over means at once
   */
  next(came) {
    const expected = (this.#expected ?? came - PACKET_MS) + PACKET_MS;
    const late = came - expected;
    if (Math.abs(late) > ASTRAY_MS) this.#packets = 0;
    this.#packets = Math.min(this.#packets + 1, OVER);
    this.#expected = expected + late / this.#packets;
    return this.#expected + HOLD_MS;
  }
}
