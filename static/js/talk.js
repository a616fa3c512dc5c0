// @ts-check
/**
 * What only a conversation needs, in one place, so that the first page does not wait for it: the peer
 * connection, the voice that is sent, the meters of the two lamps, and what the device is told. Decides nothing.
 */

import { CallView } from './call-view.js';
import { SafetyView } from './safety-view.js';
import { Call } from './call.js';
import { Device } from './device.js';
import { Disguise } from './disguise.js';
import { GuideView } from './guide-view.js';
import { HearView } from './hear-view.js';
import { Meter } from './meter.js';
import { OpenersView } from './openers-view.js';
import { Panel } from './panel.js';
import { Shaper } from './shaper.js';
import { Solver } from './solver.js';
import { Summons } from './summons.js';
import { workers } from './workers.js';

/** A microphone that gives nothing but zeros for this long has been taken away. */
const DEAD_MS = 1_000;

export class Talk {
  #window;
  #view;
  #callView;
  #microphone;
  #say;
  #dispatch;
  #meter;
  #device;
  #summons;
  #shaper;
  #solver;
  /** @type {Call | null} */
  #call = null;
  /** @type {import('./types.js').Voice} */
  #voice = 'own';
  /** @type {Disguise | null} */
  #disguise = null;
  /** Whether a changed voice is wanted and does not come about. */
  #unheard = false;
  /** @type {import('./hear.js').Hearing | null} */
  #hearing = null;

  /**
   * Once the worker that shapes what is sent has started, or cannot.
   * @param {ConstructorParameters<typeof Talk>[0]} house
   */
  static async open(house) {
    const talk = new Talk(house);
    await talk.#shaper.start();
    return talk;
  }

  /**
   * @param {object} house
   * @param {Window & typeof globalThis} house.window
   * @param {import('./view.js').View} house.view
   * @param {import('./microphone.js').Microphone} house.microphone
   * @param {import('./words.js').Words} house.words
   * @param {(event: import('./types.js').Event) => void} house.dispatch
   * @param {() => number} house.random from 0 to 1
   */
  constructor({ window, view, microphone, words, dispatch, random }) {
    this.#window = window;
    this.#view = view;
    this.#callView = new CallView(window.document, words);
    view.add(this.#callView);
    view.add(new GuideView(window, words.say));
    view.add(new SafetyView(window.document, words, (category) => dispatch({ type: 'tell', category })));
    view.add(new HearView(window.document, words.say));
    view.add(new OpenersView(window.document, {
      say: words.say,
      onWanted: () => dispatch({ type: 'opener', chance: random() }),
    }));
    this.#microphone = microphone;
    this.#say = words.say;
    this.#dispatch = dispatch;
    this.#meter = new Meter(window, (who, level) => view.level(who, level));
    this.#summons = new Summons(window);
    const start = workers(window);
    this.#shaper = new Shaper(window, start);
    this.#solver = new Solver(start, {
      setTimer: (run, ms) => window.setTimeout(run, ms),
      clearTimer: (timer) => window.clearTimeout(timer),
    }, {
      onSolved: (proof) => dispatch({ type: 'solved', proof }),
      onLong: () => dispatch({ type: 'puzzled' }),
      onFailed: () => dispatch({ type: 'unsolved' }),
    });
    view.add(new Panel(window.document, {
      say: words.say,
      onOpen: (open) => dispatch({ type: 'typing', open }),
      onType: (text) => dispatch({ type: 'type', text }),
    }));
    this.#device = new Device(window.navigator, {
      onMute: () => dispatch({ type: 'mute' }),
      onHangUp: () => dispatch({ type: 'end' }),
    });
  }

  unlock() {
    this.#meter.unlock();
    // The network may have failed it the last time.
    void this.#shaper.start();
  }

  /** What the server asks for before it lets anybody join; nothing when it is not wanted any more. @param {import('./types.js').Puzzle | null} puzzle */
  solve(puzzle) {
    if (puzzle) this.#solver.solve(puzzle);
    else this.#solver.stop();
  }

  /**
   * What the partner is sent, for this call alone; nothing else chooses. Where another voice is wanted it is never the
   * microphone's own, whatever has become of the other.
   */
  #sent() {
    return this.#voice === 'own' ? this.#microphone.copy() : this.#disguise?.track?.clone() ?? null;
  }

  /**
   * @param {object} how
   * @param {import('./types.js').Matched} how.match
   * @param {import('./types.js').Voice} how.voice
   * @param {boolean} how.muted from the first packet on
   * @param {boolean} how.short meant for ten minutes
   * @param {boolean} [how.alone] with the server's own caller, to hear oneself
   */
  begin({ match, voice, muted, short, alone }) {
    const Connection = this.#view.secluded?.RTCPeerConnection;
    // That of the page itself would tell the partner which network this is.
    if (!Connection) throw new DOMException('no frame to call from', 'NotSupportedError');
    this.#call?.close(false);
    this.#dress(voice);
    this.#device.mute(muted);
    const dispatch = this.#dispatch;
    this.#call = new Call(match, short, this.#sent(), this.#shaper, this.#window.location, {
      onDescribed: (description) => dispatch({ type: 'described', description }),
      onRenewed: (credentials) => dispatch({ type: 'renewed', ...credentials }),
      onGathered: (port) => dispatch({ type: 'gathered', port }),
      onShaped: (padded) => dispatch({ type: 'shaped', padded }),
      onStream: (stream) => {
        this.#view.hear(stream);
        this.#meter.listen('them', stream);
      },
      onConnected: () => dispatch({ type: 'connected' }),
      onWeak: () => dispatch({ type: 'weak' }),
      onFailed: () => dispatch({ type: 'failed' }),
      onBye: () => dispatch({ type: 'bye' }),
      onEmoji: (emoji) => this.#callView.compare(emoji),
      onUnverified: () => dispatch({ type: 'unverified' }),
      onBreath: (on) => dispatch({ type: 'their-breath', on }),
      onMinutes: (minutes) => dispatch({ type: 'minutes', minutes }),
      onLine: (who, text) => dispatch({ type: 'line', line: { who, text } }),
    }, Connection);
    this.#meter.listen('me', this.#microphone.stream);
    if (alone) void this.#watch(this.#call);
  }

  /** Finds out how well it goes. @param {Call} call */
  async #watch(call) {
    try {
      const { Hearing } = await import('./hear.js');
      if (call !== this.#call) return;
      this.#hearing = new Hearing(this.#window, {
        call,
        meter: this.#meter,
        isUnheard: () => this.#unheard,
        onFound: (found) => this.#dispatch({ type: 'found', found }),
      });
    } catch (error) {
      // It did not come: the line has gone in this very moment.
      console.warn('hear:', error);
      if (call === this.#call) this.#dispatch({ type: 'failed' });
    }
  }

  /** @param {import('./types.js').PartnerFrame} frame */
  receive(frame) {
    this.#call?.receive(frame);
  }

  restart() {
    this.#call?.restart();
  }

  /** @param {string} text */
  type(text) {
    this.#call?.type(text);
  }

  /** Whether this side takes a breath. @param {boolean} on */
  breathe(on) {
    this.#call?.breathe(on);
  }

  /** The visitor would like to go on, after the ten minutes. */
  goOn() {
    this.#call?.goOn();
  }

  /**
   * @param {boolean} bye
   * @param {boolean} [atOnce]
   */
  hangUp(bye, atOnce) {
    this.#hearing?.close();
    this.#hearing = null;
    this.#call?.close(bye, atOnce);
    this.#call = null;
    this.#dress('own');
    this.#view.hear(null);
    this.#callView.compare(null);
    this.#meter.listen('them', null);
    this.#meter.listen('me', null);
  }

  /** Another track, or none. */
  microphoneChanged() {
    const { track, stream } = this.#microphone;
    if (this.#disguise) this.#disguise.feed(stream);
    else if (track) this.#call?.replaceTrack(this.#sent());
    this.#meter.listen('me', this.#call && stream);
  }

  /** The microphone is let go: nobody is listened to. */
  rest() {
    this.microphoneChanged();
    this.#meter.rest();
  }

  /**
   * From now on in this call, and from the first sample.
   * @param {import('./types.js').Voice} voice
   */
  speakAs(voice) {
    if (!this.#call) return;
    this.#dress(voice);
    this.#call.replaceTrack(this.#sent(), voice !== 'own');
  }

  /** @param {import('./types.js').Voice} voice */
  #dress(voice) {
    this.#voice = voice;
    this.#unheard = false;
    this.#disguise?.close();
    this.#disguise = null;
    if (voice === 'own') return;
    this.#disguise = new Disguise(this.#window, voice, (ok) => {
      this.#unheard = !ok;
      this.#dispatch({ type: 'disguised', ok });
    });
    this.#disguise.feed(this.#microphone.stream);
  }

  /**
   * After a phone call or a change of headset a track can be live and yet silent, and the news of that can come before it.
   * @param {boolean} [atOnce] somebody waits for the answer
   */
  async checkMicrophone(atOnce = false) {
    const { track } = this.#microphone;
    const dead = !track || track.readyState === 'ended' || (track.enabled && await this.#meter.dead('me', DEAD_MS, atOnce ? 0 : DEAD_MS) && track.enabled);
    if (dead) await this.#microphone.renew();
  }

  /** @param {boolean} on */
  muted(on) {
    this.#device.mute(on);
  }

  /** @param {boolean} on */
  wake(on) {
    this.#device.wake(on);
  }

  /** The tab is in sight again, or the sound is ours again. */
  seen() {
    this.#device.refresh();
    this.#meter.wake();
  }

  summon() {
    this.#summons.call(this.#meter.context, this.#say('name'), this.#say('offered.title'));
  }

  dismiss() {
    this.#summons.dismiss();
  }
}
