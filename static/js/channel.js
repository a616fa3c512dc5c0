// @ts-check
/**
 * The one data channel of a call, negotiated by both pages alike (id 0, RFC 8831). What goes over it is between the
 * two pages: the server relays it encrypted.
 *
 * A message is the text `bye`, or bytes whose first one says what they are. Any other text is nothing.
 *
 * | first byte | length | what |
 * |---|---|---|
 * | 1, 2, 3 | 33 | the six emoji, `sas.js` |
 * | 4 | 2,003 | a line of text, `text.js` |
 * | 5 | 3 | whether this side takes a breath, and how long it would like to talk, `beat.js` |
 */

/** The whole of a farewell. */
const BYE = 'bye';

/** For the farewell to get out of the door before it closes. */
export const BYE_MS = 200;

export class Channel {
  #channel;

  /**
   * @param {RTCPeerConnection} pc
   * @param {import('./types.js').ChannelHandlers} handlers
   */
  constructor(pc, handlers) {
    this.#channel = pc.createDataChannel('', { negotiated: true, id: 0 });
    this.#channel.binaryType = 'arraybuffer';
    this.#channel.onopen = () => handlers.onOpen();
    this.#channel.onmessage = ({ data }) => {
      if (data === BYE) handlers.onBye();
      // Not asked whether it is an ArrayBuffer: one of the frame that calls are made from is none of this page's.
      else if (typeof data !== 'string') handlers.onBytes(new Uint8Array(data));
    };
  }

  /** Nothing, while the channel is not open. @param {Uint8Array<ArrayBuffer>} bytes */
  send(bytes) {
    if (this.#channel.readyState === 'open') this.#channel.send(bytes);
  }

  /** Hears nothing from now on. */
  close() {
    this.#channel.onopen = this.#channel.onmessage = null;
  }

  /** Says farewell. Whether it could be said; it needs `BYE_MS` to get out of the door. */
  bye() {
    if (this.#channel.readyState !== 'open') return false;
    this.#channel.send(BYE);
    return true;
  }
}
