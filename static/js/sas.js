// @ts-check
/**
 * The short authentication string (RFC 6189 §4.3): six emoji that both pages show, and that are the same only if nobody
 * has put certificates of their own between them. What goes over the line, and why it is enough, is drawn at the head
 * of its twin, `src/caller/sas.rs`; both are held to the same vectors.
 *
 * What each frame leads to is decided at once, so that none can slip in while a hash is being computed. Everything
 * that is not exactly as it has to be ends the run, and with it the call. Knows of no document, connection or clock.
 */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {import('./types.js').SasFailure} SasFailure */

/** Bytes of a fingerprint, a nonce and a commitment. */
export const VALUE_BYTES = 32;

/** The first byte of a frame. */
export const KIND = { commitment: 1, answer: 2, opening: 3 };

const LABEL = new TextEncoder().encode('sotto-sas-v1');
const INFO = new TextEncoder().encode('sotto-sas-v1 emoji');

export class Sas {
  #subtle;
  #transcript;
  #nonce;
  #handlers;
  /** @type {'commitment' | 'answer' | 'opening' | 'nothing'} */
  #next;
  /** @type {Bytes} the offerer's */
  #commitment = new Uint8Array();
  /** Whether it has come to its end, good or bad. */
  #over = false;
  #failed = false;

  /**
   * @param {object} run
   * @param {SubtleCrypto} run.subtle
   * @param {boolean} run.offerer whether this side is
   * @param {Bytes} run.own the SHA-256 fingerprint of this side's certificate
   * @param {Bytes} run.partners the partner's
   * @param {Bytes} run.nonce 32 random bytes, used once
   * @param {import('./types.js').SasHandlers} handlers
   */
  constructor({ subtle, offerer, own, partners, nonce }, handlers) {
    this.#subtle = subtle;
    this.#transcript = join(LABEL, Uint8Array.of(0), ...(offerer ? [own, partners] : [partners, own]));
    this.#nonce = nonce;
    this.#handlers = handlers;
    this.#next = offerer ? 'nothing' : 'commitment';
    // Then this side would talk to itself.
    if (same(own, partners)) this.#fail('fingerprint');
    else if (offerer) this.#then(() => this.#commit());
  }

  /** What the partner has sent. After the run, bytes of an unknown kind are nothing. @param {Bytes} bytes */
  receive(bytes) {
    const [kind] = bytes;
    const value = bytes.slice(1);
    if (kind !== KIND.commitment && kind !== KIND.answer && kind !== KIND.opening) {
      if (!this.#over) this.#fail('kind');
      return;
    }
    if (value.length !== VALUE_BYTES) return this.#fail('length');
    if (kind !== (this.#next === 'nothing' ? null : KIND[this.#next])) return this.#fail('order');
    if (same(value, this.#nonce) || (this.#next === 'answer' && same(value, this.#commitment))) return this.#fail('echo');
    switch (this.#next) {
      case 'commitment':
        this.#next = 'opening';
        this.#commitment = value;
        return this.#send(KIND.answer, this.#nonce);
      case 'answer':
        this.#next = 'nothing';
        this.#send(KIND.opening, this.#nonce);
        return this.#then(() => this.#show(this.#nonce, value));
      case 'opening':
        this.#next = 'nothing';
        return this.#then(() => this.#open(value));
    }
  }

  /** The time is up. */
  expire() {
    if (!this.#over) this.#fail('late');
  }

  async #commit() {
    this.#commitment = await this.#hash(1, this.#nonce);
    if (this.#over) return;
    this.#next = 'answer';
    this.#send(KIND.commitment, this.#commitment);
  }

  /** @param {Bytes} nonce the offerer's */
  async #open(nonce) {
    // Both are known to whoever sent them: there is nothing that the time of this could tell.
    if (same(await this.#hash(1, nonce), this.#commitment)) await this.#show(nonce, this.#nonce);
    else this.#fail('commitment');
  }

  /**
   * @param {Bytes} offerers nonce
   * @param {Bytes} answerers nonce
   */
  async #show(offerers, answerers) {
    const salt = await this.#hash(2, this.#commitment);
    const key = await this.#subtle.importKey('raw', join(offerers, answerers), 'HKDF', false, ['deriveBits']);
    const okm = new Uint8Array(await this.#subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info: INFO }, key, 48));
    if (this.#over) return;
    this.#over = true;
    // Forty-eight bits, which a number holds; six at a time, from the top.
    const bits = okm.reduce((before, byte) => before * 256 + byte, 0);
    this.#handlers.onEmoji(Array.from({ length: 6 }, (_, index) => Math.floor(bits / 2 ** (42 - 6 * index)) % 64));
  }

  /**
   * @param {number} purpose
   * @param {Bytes} value
   */
  async #hash(purpose, value) {
    return new Uint8Array(await this.#subtle.digest('SHA-256', join(Uint8Array.of(purpose), this.#transcript, value)));
  }

  /**
   * @param {number} kind
   * @param {Bytes} value
   */
  #send(kind, value) {
    this.#handlers.onSend(join(Uint8Array.of(kind), value));
  }

  /** @param {() => Promise<void>} step */
  #then(step) {
    step().catch(() => this.#fail('crypto'));
  }

  /** @param {SasFailure} failure */
  #fail(failure) {
    if (this.#failed) return;
    this.#failed = true;
    this.#over = true;
    this.#next = 'nothing';
    this.#handlers.onFailed(failure);
  }
}

/** @param {Bytes[]} parts */
function join(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * @param {Bytes} one
 * @param {Bytes} other
 */
const same = (one, other) => one.length === other.length && one.every((byte, index) => byte === other[index]);
