// @ts-check
/**
 * What the six emoji of a call are about: gives their run (`sas.js`) the certificates that this page has agreed to, a
 * nonce and the time, and shows them only where the partner's certificate is the one that was described. There is one
 * run for each connection; an ICE restart leaves certificates, channel and emoji as they are, which is checked.
 */

import { fingerprintOf } from './description.js';
import { Sas, VALUE_BYTES } from './sas.js';

/** @typedef {import('./types.js').SasFailure} SasFailure */

/** How long a run may take, from when the line is up; it is two round trips. */
const SECONDS = 20;

export class Verification {
  #pc;
  #offerer;
  #handlers;
  /** @type {Sas | null} */
  #sas = null;
  /** @type {{ own: string, partners: string } | null} what the run is about */
  #fingerprints = null;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #clock = null;
  #left = SECONDS;
  #closed = false;

  /**
   * @param {RTCPeerConnection} pc
   * @param {boolean} offerer whether this side is
   * @param {import('./types.js').SasHandlers} handlers
   */
  constructor(pc, offerer, handlers) {
    this.#pc = pc;
    this.#offerer = offerer;
    this.#handlers = handlers;
  }

  /**
   * The time runs from now on, and not from when the channel opens: whoever swallows the channel would never be
   * noticed. It runs in seconds that this page has lived through: after a sleep, what came meanwhile is read first.
   */
  lineUp() {
    if (this.#clock !== null || this.#left < SECONDS) return;
    const tick = () => {
      this.#left -= 1;
      if (this.#left > 0) this.#clock = setTimeout(tick, 1_000);
      else if (this.#sas) this.#sas.expire();
      else this.#fail('late');
    };
    this.#clock = setTimeout(tick, 1_000);
  }

  /** The channel is open. */
  begin() {
    if (this.#closed || this.#sas) return;
    this.lineUp();
    const fingerprints = this.#inForce();
    if (!fingerprints) return this.#fail('fingerprint');
    this.#fingerprints = fingerprints;
    this.#sas = new Sas({
      subtle: crypto.subtle,
      offerer: this.#offerer,
      own: bytesOf(fingerprints.own),
      partners: bytesOf(fingerprints.partners),
      nonce: crypto.getRandomValues(new Uint8Array(VALUE_BYTES)),
    }, {
      onSend: this.#handlers.onSend,
      onEmoji: (emoji) => void this.#show(emoji),
      onFailed: (failure) => this.#fail(failure),
    });
  }

  /** What the partner has sent. @param {Uint8Array<ArrayBuffer>} bytes */
  receive(bytes) {
    if (this.#closed) return;
    if (this.#sas) this.#sas.receive(bytes);
    else this.#fail('order');
  }

  /** New descriptions are in force. They name the certificates that the run is about, or the call is over. */
  async check() {
    if (this.#closed || !this.#fingerprints) return;
    const { own, partners } = this.#fingerprints;
    const now = this.#inForce();
    if (now?.own !== own || now.partners !== partners) return this.#fail('fingerprint');
    // Not every browser tells; those that do not have compared it themselves (RFC 8827 §6.5).
    const transport = this.#pc.sctp?.transport;
    const [certificate] = transport?.getRemoteCertificates?.() ?? [];
    if (!certificate) return;
    const digest = await crypto.subtle.digest('SHA-256', certificate);
    if (hexOf(new Uint8Array(digest)) !== partners) this.#fail('certificate');
  }

  /** Nothing happens any more. */
  close() {
    this.#closed = true;
    this.#stopClock();
  }

  /** @param {number[]} emoji */
  async #show(emoji) {
    this.#stopClock();
    await this.check().catch(() => this.#fail('crypto'));
    if (!this.#closed) this.#handlers.onEmoji(emoji);
  }

  #inForce() {
    try {
      return {
        own: fingerprintOf(this.#pc.currentLocalDescription?.sdp ?? ''),
        partners: fingerprintOf(this.#pc.currentRemoteDescription?.sdp ?? ''),
      };
    } catch {
      return null;
    }
  }

  /** @param {SasFailure} failure */
  #fail(failure) {
    if (this.#closed) return;
    this.close();
    this.#handlers.onFailed(failure);
  }

  #stopClock() {
    if (this.#clock !== null) clearTimeout(this.#clock);
    this.#clock = null;
    this.#left = 0;
  }
}

/** @param {string} hex */
const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));

/** @param {Uint8Array} bytes */
const hexOf = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
