// @ts-check
/**
 * What Safari and iOS need besides: each with where it is written, and all of it here. No iPhone has run it for us: it is
 * made from the documents, tested with stand-ins, and nothing happens in a browser that has no such thing.
 *
 * Left to itself, because the system does it by now: a microphone's track that a phone call silences comes back with
 * `unmute` (bugs.webkit.org 259884), and the second microphone silences the first (179363), which we let go of anyway.
 */

/**
 * Newer than TypeScript's library: w3c.github.io/audio-session
 * @typedef {EventTarget & { type: string, state?: 'inactive' | 'active' | 'interrupted' }} AudioSession
 */

/** @param {object} navigator */
const sessionOf = (navigator) => /** @type {{ audioSession?: AudioSession }} */ (navigator).audioSession;

/**
 * To be said before a microphone is asked for, and when it is let go. Without it the sound is routed anew, at another
 * loudness, when the microphone opens; and after a phone call, the page may get its sound back without its microphone
 * (bugs.webkit.org 259884).
 * @param {object} navigator
 * @param {boolean} on
 */
export function speak(navigator, on) {
  try {
    const session = sessionOf(navigator);
    if (session) session.type = on ? 'play-and-record' : 'auto';
  } catch {
    // A call goes on with the sound as the system has it.
  }
}

/**
 * Somebody else had the sound, a phone call or Siri, and has given it back: not every page gets all of it by itself
 * (bugs.webkit.org 243249; github.com/aws/amazon-chime-sdk-js/issues/3238).
 * @param {object} navigator
 * @param {() => void} run
 */
export function onGivenBack(navigator, run) {
  const session = sessionOf(navigator);
  let taken = false;
  session?.addEventListener?.('statechange', () => {
    const given = taken && session.state !== 'interrupted';
    taken = session.state === 'interrupted';
    if (given) run();
  });
}

/**
 * What the system pauses stays paused (github.com/twilio/twilio-video.js/issues/1232): a call is not a song. Returns what
 * plays it again, if there is anything to be heard: at once, and where that is refused, with the next press of anything.
 * @param {HTMLAudioElement} audio
 * @param {EventTarget} page
 */
export function keepPlaying(audio, page) {
  // Otherwise there would be a player on top of the page; not in the standard for <audio>.
  audio.setAttribute('playsinline', '');
  const again = () => {
    if (!audio.srcObject) return;
    audio.play().catch(() => {
      page.addEventListener('pointerdown', again, { once: true });
    });
  };
  audio.addEventListener('pause', again);
  return again;
}
