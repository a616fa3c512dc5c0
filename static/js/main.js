// @ts-check
/** Wires the parts to each other, and carries out what the machine has decided. Decides nothing. */

import { Helplines } from './help.js';
import { listenForKeys } from './keys.js';
import { primary, region } from './languages.js';
import { FIRST, INITIAL, machine } from './machine.js';
import { Microphone } from './microphone.js';
import { openPreferences } from './preferences.js';
import { View } from './view.js';
import { onGivenBack } from './webkit.js';
import { Words } from './words.js';

/** @typedef {import('./types.js').Event} Event */
/** @typedef {import('./types.js').Effect} Effect */
/** @typedef {import('./types.js').Timer} Timer */

const words = new Words(navigator.languages);
const preferences = openPreferences(() => window.localStorage);
/**
 * The rest of a call's scripts, asked for with it: as each names the next, they would take a slow line several times as
 * long.
 */
const WITH_TALK = ['allowance', 'beat', 'call', 'call-view', 'channel', 'description', 'device', 'disguise', 'emoji', 'guide',
  'guide-view', 'hear-view', 'meter', 'minutes', 'openers-view', 'panel', 'protocol', 'safety-view', 'sas', 'shaper', 'solver', 'summons', 'text',
  'verification', 'workers'];
let state = INITIAL;
/** With the rest of its rows as soon as they are here. */
let reduce = machine(FIRST);
/**
 * What only a conversation needs, fetched at the press while the browser asks for the microphone.
 * @type {Promise<import('./talk.js').Talk> | null}
 */
let talk = null;
/**
 * The socket, fetched with that.
 * @type {import('./connection.js').Connection | null}
 */
let connection = null;
/** Whether it is to be open, once it is here. */
let connecting = false;
/**
 * When people come here: fetched where the operator has said so, and with a conversation.
 * @type {Promise<import('./hours.js').Hours> | null}
 */
let hours = null;
/** @type {Map<Timer, number>} */
const timers = new Map();
/** @type {Event[]} */
const events = [];
let busy = false;

const view = new View(document, {
  words,
  languages: talkIn(),
  helplines: new Helplines(() => fetch('/helplines.json').then((answer) => answer.json())),
  region: region(navigator.languages),
  preferences: preferences.value,
  onPreferences: preferences.change,
  onVoice: (voice) => dispatch({ type: 'voice', voice }),
  onLanguage: (page) => {
    preferences.change({ page });
    if (!preferences.value.languages) view.preset(talkIn());
    speak(page).catch(() => {
      // It did not come. The page stays as it was; the next visit asks for it again.
    });
  },
  onAction: (action) => dispatch(action === 'start' ? { type: action, wishes: view.wishes, agreed: view.agreed, short: view.short } : { type: action }),
});

const microphone = new Microphone(navigator, {
  onGranted: () => dispatch({ type: 'granted' }),
  onRefused: (problem) => dispatch({ type: 'refused', problem }),
  onTrack: () => inTalk((it) => it.microphoneChanged()),
  onDoubt: () => dispatch({ type: 'doubt' }),
});

listenForKeys(window, {
  enabled: () => preferences.value,
  onMute: () => dispatch({ type: 'mute' }),
  onVanish: () => dispatch({ type: 'vanish' }),
});

const onVisibility = () => dispatch({ type: document.hidden ? 'hidden' : 'visible' });
document.addEventListener('visibilitychange', () => {
  onVisibility();
  if (!document.hidden) cameBack();
});
onGivenBack(navigator, cameBack);
window.addEventListener('online', () => dispatch({ type: 'online' }));
window.addEventListener('pagehide', () => dispatch({ type: 'pagehide' }));
navigator.mediaDevices?.addEventListener('devicechange', () => {
  dispatch({ type: 'devices' });
  dispatch({ type: 'doubt' });
});

/** What the system may have taken meanwhile is looked after: the screen, the sound, the microphone. */
function cameBack() {
  view.play();
  inTalk((it) => it.seen());
  dispatch({ type: 'doubt' });
}

/** The languages to talk in: those chosen, or else the page's where that was chosen, and the browser's. */
function talkIn() {
  const { languages, page } = preferences.value;
  return languages ?? primary([...(page ? [page] : []), ...navigator.languages]);
}

/** @param {string} language */
async function speak(language) {
  await words.speak(language);
  view.translate();
}

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
      return fetchTalk();
    case 'fetch':
      return fetchTalk();
    case 'ask':
      void microphone.ask();
      return;
    case 'release':
      microphone.release();
      return inTalk((it) => it.rest());
    case 'check':
      return inTalk(async (it) => {
        await it.checkMicrophone(effect.aloud);
        if (effect.aloud) dispatch({ type: 'checked' });
      });
    case 'connect':
      connecting = true;
      return connection?.open();
    case 'hurry':
      return connection?.hurry();
    case 'renew':
      return connection?.renew();
    case 'disconnect':
      connecting = false;
      return connection?.close();
    case 'send':
      return connection?.send(effect.frame);
    case 'begin':
      microphone.mute(effect.muted);
      return inTalk((it) => it.begin(effect), () => dispatch({ type: 'broken', call: effect.match.call }));
    case 'pass':
      return inTalk((it) => it.receive(effect.frame));
    case 'restart':
      return inTalk((it) => it.restart());
    case 'hangUp':
      return inTalk((it) => {
        it.hangUp(effect.bye, effect.atOnce);
        hold(false);
      });
    case 'mute':
      microphone.mute(effect.on);
      return inTalk((it) => it.muted(effect.on));
    case 'hold':
      return hold(effect.on);
    case 'breathe':
      return inTalk((it) => it.breathe(effect.on));
    case 'goOn':
      return inTalk((it) => it.goOn());
    case 'type':
      return inTalk((it) => it.type(effect.text));
    case 'speakAs':
      return inTalk((it) => it.speakAs(effect.voice));
    case 'wake':
      return inTalk((it) => it.wake(effect.on));
    case 'say':
      return view.announce(effect.word, 'then' in effect ? effect.then : undefined);
    case 'summon':
      view.summon(true);
      return inTalk((it) => it.summon());
    case 'dismiss':
      view.summon(false);
      return inTalk((it) => it.dismiss());
    case 'vanish':
      view.clear();
      // The call is closed as soon as what has been said to it is done.
      return state.ready ? inTalk(leave, leave) : leave();
    case 'askToAgree':
      return view.askToAgree();
    case 'startTimer':
      return startTimer(effect.timer, effect.ms);
    case 'stopTimer':
      return stopTimer(effect.timer);
    case 'solve':
      return inTalk((it) => it.solve(effect.puzzle));
    case 'stopTimers':
      [...timers.keys()].forEach(stopTimer);
      // Belongs to the state that began it, too.
      return inTalk((it) => it.solve(null));
  }
}

/** In place of this page, so that the way back does not lead here. Nothing is asked of anybody for it. */
function leave() {
  location.replace('about:blank');
}

/** Neither is heard by the other. @param {boolean} on */
function hold(on) {
  microphone.hold(on);
  view.hush(on);
}

function fetchHours() {
  hours ??= import('./hours.js').then(({ Hours }) => {
    const part = new Hours(window, words);
    view.add(part);
    return part;
  });
  hours.catch(() => { hours = null; });
  return hours;
}

function fetchTalk() {
  if (!talk) {
    // The socket opens as soon as it can, while the rest is on its way.
    const line = import('./connection.js').then(connect);
    for (const name of WITH_TALK) import(`./${name}.js`).catch(() => {});
    void fetchHours();
    talk = Promise.all([import('./talk.js'), import('./conversation.js'), words.forCall(), line]).then(([{ Talk }, { CONVERSATION }]) => {
      reduce = machine(FIRST, CONVERSATION);
      view.translate();
      return Talk.open({ window, view, microphone, words, dispatch, random: Math.random });
    });
    talk.then(() => dispatch({ type: 'ready' }), () => {
      // The network went in this very moment. A browser fetches anew what did not come.
      talk = null;
      dispatch({ type: 'missing' });
    });
  }
  inTalk((it) => it.unlock());
}

/** @param {typeof import('./connection.js')} module */
function connect({ Connection }) {
  connection ??= new Connection(
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
    },
  );
  if (connecting) connection.open();
}

/**
 * In order, and at once when it is here.
 * @param {(it: import('./talk.js').Talk) => void | Promise<void>} run
 * @param {() => void} [failed]
 */
function inTalk(run, failed) {
  talk?.then(run).catch((error) => {
    console.error(error);
    failed?.();
  });
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

/** What the operator has decided of the first page; where it does not come, that is as it is in `index.html`. */
async function settle() {
  const { age, ask_rules: asks, openings } = await (await fetch('/settings.json')).json();
  if (Number.isInteger(age) && typeof asks === 'boolean') view.settle({ age, ask_rules: asks });
  if (openings) (await fetchHours()).open(openings);
}

if (document.hidden) onVisibility();
settle().catch(() => {});
view.render(state);
// English is in the page, whatever comes.
speak(view.wanted).catch(() => speak('en')).catch(() => view.translate());
