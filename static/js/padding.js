// @ts-check
/**
 * Opus packets of one size (RFC 6716 §3.2.5), so that nobody on the way can tell speech from silence. The padding is
 * Opus' own: any decoder leaves it out, and what it decodes is the same to the last bit. Pure; the native caller has a
 * twin in `src/caller/padding.rs`, and `tests/fixtures/opus` holds both.
 */

/**
 * Bytes of every packet. Above the largest that a browser makes of a voice under our description of Opus (the README
 * has the figures), and within what the relay lets pass (`src/relay/bucket.rs`).
 */
export const PACKET_BYTES = 176;

/** The last two bits of the first byte: how many frames follow, and how (RFC 6716 §3.1). */
const CODE = 0b11;

/** The second byte of a packet of code 3 (RFC 6716 §3.2.5): unequal frames, padding, and how many frames. */
const VBR = 0x80;
const PADDING = 0x40;
const COUNT = 0x3f;

/** In the length of the padding: 254 bytes, and the next byte says how many more. */
const MORE = 255;

/** Of an empty frame of 20 ms at full band (RFC 6716 §3.1), for what is no packet at all. */
const EMPTY = 0xf8;

/**
 * The same packet in exactly `size` bytes. One that does not fit, or is none, becomes as many empty frames, which a
 * decoder bridges as it does a lost packet (RFC 6716 §3.2.1): 20 ms of a voice are worth less than being seen.
 * @param {Uint8Array} packet
 * @param {number} size at least 2
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function pad(packet, size) {
  // Also the one case in which there is no room for a second byte and no need of it.
  if (packet.length === size) return packet.slice();
  const { toc, count, frames } = take(packet);
  const fits = frames !== null && frames.length <= size - 2;
  const padding = size - 2 - (fits ? frames.length : 0);
  const out = new Uint8Array(size);
  out[0] = toc | CODE;
  out[1] = (fits ? count : count & COUNT) | (padding > 0 ? PADDING : 0);
  let at = 2;
  if (padding > 0) {
    // The bytes that say how long it is are part of it.
    let rest = padding - 1;
    for (; rest >= MORE; rest -= MORE) out[at++] = MORE;
    out[at++] = rest;
  }
  if (fits) out.set(frames, at);
  return out;
}

/**
 * A packet as one of code 3 without padding.
 * @param {Uint8Array} packet
 * @returns {{ toc: number, count: number, frames: Uint8Array | null }} `count` is the second byte; `frames` has what
 *   follows it, or is `null` where the padding is longer than the packet
 */
function take(packet) {
  const [toc = EMPTY, count = 1] = packet;
  switch (toc & CODE) {
    case 0:
      return { toc, count: 1, frames: packet.subarray(1) };
    case 1:
      return { toc, count: 2, frames: packet.subarray(1) };
    case 2:
      return { toc, count: VBR | 2, frames: packet.subarray(1) };
  }
  let start = 2;
  let end = packet.length;
  if (count & PADDING) {
    let length = MORE;
    while (length === MORE && start < end) {
      length = packet[start++] ?? 0;
      end -= length === MORE ? MORE - 1 : length;
    }
  }
  return { toc, count: count & ~PADDING, frames: start <= end ? packet.subarray(start, end) : null };
}
