// @ts-check
/**
 * One call's peer connection, from the match to the end; never used again, so that its certificate and names
 * are not either. What is done to it is done in order, one thing after the other.
 */

import { Beat, KIND as BEAT } from './beat.js';
import { BYE_MS, Channel } from './channel.js';
import { candidate, compose, extract, iceServer, relayedPort } from './description.js';
import { KIND as TEXT, TextLine } from './text.js';
import { Verification } from './verification.js';

/** @typedef {import('./types.js').Description} Description */
/** @typedef {import('./types.js').PartnerFrame} PartnerFrame */

/** @type {import('./types.js').Clock} */
const CLOCK = {
  now: () => performance.now(),
  setTimer: (run, ms) => setTimeout(run, ms),
  clearTimer: (timer) => clearTimeout(timer),
};

/** More candidates than a browser makes. */
const MAX_EARLY = 32;

export class Call {
  #handlers;
  #offerer;
  #pc;
  #channel;
  #verification;
  #beat;
  /** @type {TextLine | null} where the two may type */
  #text;
  #track;
  #shaper;
  /** @type {Promise<void>} */
  #queue = Promise.resolve();
  /** @type {RTCRtpSender | null} */
  #sender = null;
  /** @type {Description | null} the partner's, as it is in force */
  #partner = null;
  #version = 1;
  #candidates = 0;
  /** @type {number[]} ports that came before the description they belong to */
  #early = [];
  /** @type {number[] | null} own ports that wait until the description they belong to is out */
  #unsent = [];
  #closed = false;

  /**
   * @param {import('./types.js').Matched} match
   * @param {boolean} short whether the visitor would like to talk for ten minutes
   * @param {MediaStreamTrack | null} track what is sent, nothing without one; this call's own from now on, and stopped
   *   at its end
   * @param {import('./shaper.js').Shaper} shaper
   * @param {Location} page where the page was loaded from, and the relay is
   * @param {import('./types.js').CallHandlers} handlers
   * @param {typeof RTCPeerConnection} Connection that of the window to call from
   */
  constructor({ offerer, relay, text_line: typing }, short, track, shaper, page, handlers, Connection) {
    this.#handlers = handlers;
    this.#offerer = offerer;
    this.#track = track;
    this.#shaper = shaper;
    const pc = new Connection({
      iceServers: [iceServer(relay, page)],
      iceTransportPolicy: 'relay',
      bundlePolicy: 'max-bundle',
    });
    this.#pc = pc;
    if (offerer) this.#offerAudio();
    this.#verification = new Verification(pc, offerer, {
      onSend: (bytes) => this.#channel.send(bytes),
      onEmoji: handlers.onEmoji,
      onFailed: (failure) => {
        console.warn('six emoji:', failure);
        handlers.onUnverified();
      },
    });
    this.#text = typing ? new TextLine(CLOCK, {
      onFrame: (frame) => this.#channel.send(frame),
      onLine: handlers.onLine,
    }) : null;
    this.#beat = new Beat(CLOCK, short, {
      onFrame: (frame) => this.#channel.send(frame),
      onBreath: handlers.onBreath,
      onMinutes: handlers.onMinutes,
    });
    this.#channel = new Channel(pc, {
      onOpen: () => {
        this.#verification.begin();
        this.#beat.open();
        this.#text?.open();
      },
      onBytes: (bytes) => this.#receiveBytes(bytes),
      onBye: handlers.onBye,
    });
    pc.onicecandidate = ({ candidate: gathered }) => {
      const port = gathered && relayedPort(gathered);
      if (!port) return;
      if (this.#unsent) this.#unsent.push(port);
      else handlers.onGathered(port);
    };
    // The template names no stream, so the track comes without one.
    pc.ontrack = ({ track: voice }) => handlers.onStream(new MediaStream([voice]));
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'connected') {
        handlers.onConnected();
        this.#verification.lineUp();
      }
      if (pc.connectionState === 'disconnected') handlers.onWeak();
      if (pc.connectionState === 'failed') handlers.onFailed();
    };
    if (offerer) this.#do(() => this.#describe());
  }

  /** What came from the partner's page. @param {PartnerFrame} frame */
  receive(frame) {
    this.#do(() => {
      switch (frame.type) {
        case 'describe':
          return this.#partner ? undefined : this.#meet(frame.description);
        case 'restart':
          return this.#partner ? this.#meetAgain(this.#partner, frame) : undefined;
        case 'candidate':
          return this.#add(frame.port);
      }
    });
  }

  /**
   * An ICE restart (RFC 8839 §4.4.1.1). Only the offerer may begin one; the answerer asks for it, with the credentials that
   * are in force.
   */
  restart() {
    this.#do(async () => {
      // Before the first answer there is nothing to restart.
      if (!this.#partner) return;
      if (!this.#offerer) return this.#tellRenewed();
      this.#unsent = [];
      await this.#pc.setLocalDescription(await this.#pc.createOffer({ iceRestart: true }));
      this.#tellRenewed();
    });
  }

  /**
   * Another one is sent, or nothing, and the one before is stopped.
   * @param {MediaStreamTrack | null} track
   * @param {boolean} [atOnce] the one before is over from this moment on, however long the other takes, and nothing that
   *   unmutes brings it back
   */
  replaceTrack(track, atOnce = false) {
    const before = this.#track;
    if (atOnce) before?.stop();
    this.#track = track;
    void this.#do(() => this.#sender?.replaceTrack(track)).then(() => before?.stop());
  }

  /** What the browser has measured. */
  stats() {
    return this.#pc.getStats();
  }

  /** Types to the partner, where that is possible. @param {string} text */
  type(text) {
    this.#text?.type(text);
  }

  /** Whether this side takes a breath, which the partner's page is told. @param {boolean} on */
  breathe(on) {
    this.#beat.take(on);
  }

  /** The visitor would like to go on, after the ten minutes. */
  goOn() {
    this.#beat.goOn();
  }

  /**
   * Ends it. A farewell tells "left" from "line lost" on the other side, even when the server is gone.
   * @param {boolean} bye
   * @param {boolean} [atOnce] the farewell may be lost
   */
  close(bye, atOnce = false) {
    if (this.#closed) return;
    this.#closed = true;
    this.#pc.onicecandidate = this.#pc.ontrack = this.#pc.onconnectionstatechange = null;
    this.#channel.close();
    this.#verification.close();
    this.#beat.close();
    this.#text?.close();
    this.#track?.stop();
    if (bye && this.#channel.bye() && !atOnce) setTimeout(() => this.#pc.close(), BYE_MS);
    else this.#pc.close();
  }

  /** From the partner's page. The first byte says whose they are. @param {Uint8Array<ArrayBuffer>} bytes */
  #receiveBytes(bytes) {
    if (bytes[0] === TEXT) this.#text?.receive(bytes);
    else if (bytes[0] === BEAT) this.#beat.receive(bytes);
    // What nobody else knows is the emoji's to judge: while they are being found, it ends the call.
    else this.#verification.receive(bytes);
  }

  #offerAudio() {
    const transceiver = this.#pc.addTransceiver(this.#track ?? 'audio', { direction: 'sendrecv' });
    this.#send(transceiver.sender);
    const opus = RTCRtpReceiver.getCapabilities('audio')?.codecs.filter(({ mimeType }) => /^audio\/opus$/i.test(mimeType));
    if (opus?.length) transceiver.setCodecPreferences(opus);
  }

  /** Nothing has been sent yet by this one. @param {RTCRtpSender} sender */
  #send(sender) {
    this.#sender = sender;
    this.#handlers.onShaped(this.#shaper.shape(sender));
  }

  /** Makes the local description and tells the partner's page what it cannot know of it. */
  async #describe() {
    await this.#pc.setLocalDescription();
    if (this.#closed) return;
    this.#handlers.onDescribed(this.#local());
    this.#flush();
  }

  /** The partner's description is here. @param {Description} description */
  async #meet(description) {
    this.#partner = description;
    await this.#applyPartner(description);
    if (this.#offerer) return;
    // The transceiver that the offer made: one of our own would leave this side receiving only.
    const [transceiver] = this.#pc.getTransceivers();
    if (transceiver) {
      transceiver.direction = 'sendrecv';
      this.#send(transceiver.sender);
      if (this.#track) await transceiver.sender.replaceTrack(this.#track);
    }
    await this.#describe();
  }

  /**
   * The partner has new ICE credentials. The fingerprint stays what it was.
   * @param {Description} partner
   * @param {{ ufrag: string, pwd: string }} credentials
   */
  async #meetAgain(partner, { ufrag, pwd }) {
    // Asked for one; or an answer to an offer that a later one had replaced was taken for the answer to the later one.
    if (this.#offerer && (ufrag === partner.ufrag || this.#pc.signalingState !== 'have-local-offer')) return this.restart();
    this.#partner = { ...partner, ufrag, pwd };
    this.#candidates = 0;
    if (!this.#offerer) this.#unsent = [];
    await this.#applyPartner(this.#partner);
    if (!this.#offerer) {
      await this.#pc.setLocalDescription();
      this.#tellRenewed();
    }
    await this.#verification.check();
  }

  #tellRenewed() {
    if (this.#closed) return;
    const { ufrag, pwd } = this.#local();
    this.#handlers.onRenewed({ ufrag, pwd });
    this.#flush();
  }

  /** @param {Description} description */
  async #applyPartner(description) {
    await this.#pc.setRemoteDescription({
      type: this.#offerer ? 'answer' : 'offer',
      sdp: compose(description, this.#version++),
    });
    const early = this.#early;
    this.#early = [];
    for (const port of early) await this.#add(port);
  }

  /** @param {number} port */
  async #add(port) {
    if (!this.#partner) {
      if (this.#early.length < MAX_EARLY) this.#early.push(port);
      return;
    }
    // One that does not fit (of an ICE generation that is over) is no loss.
    await this.#pc.addIceCandidate(candidate(port, this.#partner.ufrag, this.#candidates++)).catch(() => {});
  }

  #flush() {
    const unsent = this.#unsent ?? [];
    this.#unsent = null;
    unsent.forEach((port) => this.#handlers.onGathered(port));
  }

  #local() {
    return extract(this.#pc.localDescription?.sdp ?? '');
  }

  /** @param {() => Promise<unknown> | unknown} step */
  #do(step) {
    this.#queue = this.#queue.then(async () => {
      if (!this.#closed) await step();
    }).catch((error) => {
      if (this.#closed) return;
      console.warn('call:', error);
      // A line that is up stays so, and nothing would say later that it is.
      if (this.#pc.connectionState !== 'connected') this.#handlers.onFailed();
    });
    return this.#queue;
  }
}
