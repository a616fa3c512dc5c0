// @ts-check
/** Wires the parts to each other, and carries out what the machine has decided. Decides nothing. */

import { Call } from './call.js';
import { Connection } from './connection.js';
import { Device } from './device.js';
import { listenForKeys } from './keys.js';
import { primary, region } from './languages.js';
import { INITIAL, reduce } from './machine.js';
import { Meter } from './meter.js';
import { Microphone } from './microphone.js';
import { openPreferences } from './preferences.js';
import { Summons } from './summons.js';
import { View } from './view.js';
import { english, speaker } from './words.js';

/** @typedef {import('./machine.js').Event} Event */
/** @typedef {import('./machine.js').Effect} Effect */
/** @typedef {import('./machine.js').Timer} Timer */

/** A microphone that gives nothing but zeros for this long has been taken away. */
const DEAD_MS = 1_000;

const say = speaker(english);
const preferences = openPreferences(() => window.localStorage);
let state = INITIAL;
/** @type {Call | null} */
let call = null;
/** @type {Map<Timer, number>} */
const timers = new Map();
/** @type {Event[]} */
const events = [];
let busy = false;

const view = new View(document, {
  say,
  languages: preferences.value.languages ?? primary(navigator.languages),
  region: region(navigator.languages),
  preferences: preferences.value,
  onPreferences: preferences.change,
  onAction: (action) => dispatch(action === 'start' ? { type: action, wishes: view.wishes } : { type: action }),
});

const microphone = new Microphone(navigator, {
  onGranted: () => dispatch({ type: 'granted' }),
  onRefused: (problem) => dispatch({ type: 'refused', problem }),
  onTrack: (track) => {
    call?.replaceTrack(track);
    meter.listen('me', microphone.stream);
  },
  onDoubt: () => dispatch({ type: 'doubt' }),
});

const connection = new Connection(
  `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`,
  {
    socket: (url) => new WebSocket(url),
    setTimer: (run, ms) => window.setTimeout(run, ms),
    clearTimer: (timer) => window.clearTimeout(timer),
    random: Math.random,
  },
  {
    onFrame: (frame) => dispatch({ type: 'frame', frame }),
    onDown: () => dispatch({ type: 'down' }),
    inCall: () => state.match !== null,
  },
);

const meter = new Meter(window, (who, level) => view.level(who, level));
const summons = new Summons();
const device = new Device(navigator, {
  onMute: () => dispatch({ type: 'mute' }),
  onHangUp: () => dispatch({ type: 'end' }),
});

listenForKeys(window, {
  enabled: () => preferences.value,
  onMute: () => dispatch({ type: 'mute' }),
  onVanish: () => dispatch({ type: 'vanish' }),
});

const onVisibility = () => dispatch({ type: document.hidden ? 'hidden' : 'visible' });
document.addEventListener('visibilitychange', () => {
  onVisibility();
  if (document.hidden) return;
  device.refresh();
  dispatch({ type: 'doubt' });
});
window.addEventListener('online', () => dispatch({ type: 'online' }));
window.addEventListener('pagehide', () => dispatch({ type: 'pagehide' }));
navigator.mediaDevices?.addEventListener('devicechange', () => {
  dispatch({ type: 'devices' });
  dispatch({ type: 'doubt' });
});

/**
 * One event after the other, each with its effects, the page drawn last: what goes over the line is not kept
 * waiting for the paint.
 * @param {Event} event
 */
function dispatch(event) {
  events.push(event);
  if (busy) return;
  busy = true;
  for (let next = events.shift(); next; next = events.shift()) {
    const step = reduce(state, next);
    state = step.state;
    for (const effect of step.effects) {
      try {
        carryOut(effect);
      } catch (error) {
        // One part that fails must not keep the others from being let go of.
        console.error(error);
      }
    }
  }
  busy = false;
  view.render(state);
}

/** @param {Effect} effect */
function carryOut(effect) {
  switch (effect.do) {
    case 'unlock':
      view.unlock();
      return meter.unlock();
    case 'ask':
      void microphone.ask();
      return;
    case 'release':
      microphone.release();
      return meter.listen('me', null);
    case 'check':
      void check();
      return;
    case 'connect':
      return connection.open();
    case 'hurry':
      return connection.hurry();
    case 'renew':
      return connection.renew();
    case 'disconnect':
      return connection.close();
    case 'send':
      return connection.send(effect.frame);
    case 'begin':
      return begin(effect.match);
    case 'pass':
      return call?.receive(effect.frame);
    case 'restart':
      return call?.restart();
    case 'hangUp':
      return hangUp(effect.bye);
    case 'mute':
      microphone.mute(effect.on);
      return device.mute(effect.on);
    case 'wake':
      return device.wake(effect.on);
    case 'say':
      return view.announce(effect.word);
    case 'summon':
      view.summon(true);
      return summons.call(meter.context, say('name'), say('offered.title'));
    case 'dismiss':
      view.summon(false);
      return summons.dismiss();
    case 'vanish':
      return location.replace('about:blank');
    case 'startTimer':
      return startTimer(effect.timer, effect.ms);
    case 'stopTimer':
      return stopTimer(effect.timer);
    case 'stopTimers':
      return [...timers.keys()].forEach(stopTimer);
  }
}

/** @param {import('./protocol.js').Matched} match */
function begin(match) {
  call?.close(false);
  microphone.mute(false);
  device.mute(false);
  const mine = new Call(match, microphone.track, location, {
    onDescribed: (description) => dispatch({ type: 'described', description }),
    onRenewed: (credentials) => dispatch({ type: 'renewed', ...credentials }),
    onGathered: (port) => dispatch({ type: 'gathered', port }),
    onStream: (stream) => {
      if (call !== mine) return;
      view.hear(stream);
      meter.listen('them', stream);
    },
    onConnected: () => dispatch({ type: 'connected' }),
    onWeak: () => dispatch({ type: 'weak' }),
    onFailed: () => dispatch({ type: 'failed' }),
    onBye: () => dispatch({ type: 'bye' }),
  });
  call = mine;
  meter.listen('me', microphone.stream);
}

/** @param {boolean} bye */
function hangUp(bye) {
  call?.close(bye);
  call = null;
  view.hear(null);
  meter.listen('them', null);
}

/** After a phone call or a change of headset a track can be live and yet silent. */
async function check() {
  const { track } = microphone;
  if (!track || track.readyState === 'ended') return microphone.renew();
  if (track.enabled && await meter.dead('me', DEAD_MS)) await microphone.renew();
}

/**
 * @param {Timer} timer
 * @param {number} ms
 */
function startTimer(timer, ms) {
  stopTimer(timer);
  timers.set(timer, window.setTimeout(() => {
    timers.delete(timer);
    dispatch({ type: 'timeout', timer });
  }, ms));
}

/** @param {Timer} timer */
function stopTimer(timer) {
  window.clearTimeout(timers.get(timer));
  timers.delete(timer);
}

if (document.hidden) onVisibility();
view.render(state);
