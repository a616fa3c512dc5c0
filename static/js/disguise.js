// @ts-check
/**
 * A voice that is not the visitor's: the microphone by way of a worklet to a track that can be sent. Nothing else
 * leads to that track. Whatever fails (the script does not come, the context is refused, suspended or closed, the
 * rates do not fit, the processor throws), what is sent is silence, and the page is told.
 */

/** @typedef {import('./types.js').Voice} Voice */

/**
 * What pitch and formants are multiplied by: two to three semitones, far enough to be somebody else and near enough to
 * be understood (farther, `tests/bench/voice.mjs` loses words). Drawn anew for each call: one number for all of them
 * would be one key to all of them.
 * @type {Record<Exclude<Voice, 'own'>, readonly [number, number]>}
 */
export const RATIOS = { deeper: [0.84, 0.88], higher: [1.13, 1.17] };

/** How often a look is taken at whether sound moves. A start that takes longer is told, too. */
const LOOK_MS = 1_000;

export class Disguise {
  #window;
  #tell;
  #ratio;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {MediaStreamAudioDestinationNode | null} */
  #out = null;
  /** @type {AudioWorkletNode | null} */
  #node = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null;
  /** @type {MediaStream | null} */
  #stream = null;
  /** Whether the processor has turned a first block into another. */
  #begun = false;
  #broken = false;
  /** The context's clock when it was last looked at. */
  #clock = 0;
  /** When that was, on the clock of events. */
  #looked = -Infinity;
  /** What was told last. @type {boolean | null} */
  #told = null;
  #looking = 0;

  /**
   * @param {Window & typeof globalThis} window
   * @param {Exclude<Voice, 'own'>} voice
   * @param {(ok: boolean) => void} tell whether the voice goes out, when that changes
   */
  constructor(window, voice, tell) {
    this.#window = window;
    this.#tell = tell;
    const [least, most] = RATIOS[voice];
    this.#ratio = least + (most - least) * Math.random();
    this.#looking = window.setInterval(() => this.#look(), LOOK_MS);
    try {
      // At its own rate: Firefox connects no microphone to a context of another.
      this.#context = new window.AudioContext();
      this.#out = new window.MediaStreamAudioDestinationNode(this.#context, { channelCount: 1, channelCountMode: 'explicit' });
      this.#context.onstatechange = () => this.#judge();
      window.addEventListener('click', this.#wake);
      window.addEventListener('keydown', this.#wake);
      this.#wake();
      this.#load(this.#context, this.#out).catch(() => this.#break());
    } catch {
      this.#break();
    }
  }

  /** What may be sent in place of the microphone's; none where there is no WebAudio. */
  get track() {
    return this.#out?.stream.getAudioTracks()[0] ?? null;
  }

  /**
   * The microphone, or another one.
   * @param {MediaStream | null} stream
   */
  feed(stream) {
    this.#stream = stream;
    this.#source?.disconnect();
    this.#source = null;
    if (!this.#context || !this.#node || !stream) return;
    try {
      this.#source = this.#context.createMediaStreamSource(stream);
      this.#source.connect(this.#node);
    } catch {
      this.#break();
    }
  }

  /** Lets go of everything. The track ends. */
  close() {
    this.#window.clearInterval(this.#looking);
    this.#window.removeEventListener('click', this.#wake);
    this.#window.removeEventListener('keydown', this.#wake);
    this.#tell = () => {};
    this.feed(null);
    this.#node?.disconnect();
    this.track?.stop();
    if (!this.#context) return;
    this.#context.onstatechange = null;
    this.#context.close().catch(() => {});
  }

  /**
   * @param {AudioContext} context
   * @param {AudioNode} out
   */
  async #load(context, out) {
    await context.audioWorklet.addModule('/worklet/voice.js');
    if (context.state === 'closed') return;
    const node = new this.#window.AudioWorkletNode(context, 'voice', {
      channelCount: 1,
      channelCountMode: 'explicit',
      outputChannelCount: [1],
      processorOptions: { ratio: this.#ratio },
    });
    // From then on its output is silence (Web Audio API, AudioWorkletNode).
    node.onprocessorerror = () => this.#break();
    node.port.onmessage = () => {
      this.#begun = true;
      this.#judge();
    };
    node.connect(out);
    this.#node = node;
    this.feed(this.#stream);
  }

  /** After a phone call, or where audio may begin in a press only. */
  #wake = () => {
    if (this.#context?.state !== 'running') this.#context?.resume().catch(() => {});
  };

  #break() {
    this.#broken = true;
    this.#judge();
  }

  #look() {
    const now = this.#window.performance.now();
    // Where everything stood still for a while two of them follow at once, and no sound can have moved between them.
    if (now - this.#looked < LOOK_MS / 2) return;
    this.#looked = now;
    const clock = this.#context?.currentTime ?? 0;
    const moves = clock > this.#clock;
    this.#clock = clock;
    this.#say(moves && this.#works);
    this.#wake();
  }

  /** At once where it begins, fails or is taken; a start has until the next look. */
  #judge() {
    if (this.#works || this.#broken || this.#begun) this.#say(this.#works);
  }

  get #works() {
    return this.#begun && !this.#broken && this.#context?.state === 'running';
  }

  /** @param {boolean} ok */
  #say(ok) {
    if (this.#told === ok) return;
    this.#told = ok;
    this.#tell(ok);
  }
}
