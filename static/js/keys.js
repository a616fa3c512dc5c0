// @ts-check
/**
 * Two keys: `M` mutes, Shift three times leaves at once. Neither while typing, and both can be switched off
 * (WCAG 2.1.4).
 */

/** Three taps within this are meant. */
const TAPS_WITHIN_MS = 1_500;
const TAPS = 3;

/**
 * Tells three taps of Shift from Shift held for something else.
 * @returns {(event: { type: string, key: string, timeStamp: number }) => boolean} true at the third tap
 */
export function shiftTaps() {
  /** @type {number[]} */
  let taps = [];
  let alone = false;
  return ({ type, key, timeStamp }) => {
    if (type === 'keydown') {
      alone = key === 'Shift';
      if (!alone) taps = [];
      return false;
    }
    if (type !== 'keyup' || key !== 'Shift' || !alone) {
      if (type !== 'keyup') taps = [];
      return false;
    }
    taps = [...taps.filter((tap) => timeStamp - tap < TAPS_WITHIN_MS), timeStamp];
    if (taps.length < TAPS) return false;
    taps = [];
    return true;
  };
}

/**
 * @param {{ key: string, code: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean, repeat: boolean }} event
 */
export function isMuteKey({ key, code, ctrlKey, metaKey, altKey, repeat }) {
  if (ctrlKey || metaKey || altKey || repeat) return false;
  // On a keyboard without Latin letters, the key in the same place.
  return key.toLowerCase() === 'm' || (code === 'KeyM' && /^[^\u0000-\u024f]$/u.test(key));
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button'].includes(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement;
}

/**
 * @param {Window} window
 * @param {{ enabled: () => { muteKey: boolean, vanishKey: boolean }, onMute: () => void, onVanish: () => void }} handlers
 */
export function listenForKeys(window, { enabled, onMute, onVanish }) {
  const taps = shiftTaps();
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    const third = taps(event);
    if (isTyping(event.target)) return;
    if (third && enabled().vanishKey) onVanish();
    // A letter finds an entry of a list.
    if (event.target instanceof HTMLSelectElement) return;
    if (event.type === 'keydown' && isMuteKey(event) && enabled().muteKey) onMute();
  };
  window.addEventListener('keydown', onKey);
  window.addEventListener('keyup', onKey);
  window.addEventListener('pointerdown', ({ timeStamp }) => taps({ type: 'pointerdown', key: '', timeStamp }));
}
