// Puts the page into any situation without a server, a partner or a wait: the page's own machine is told what would have
// happened, and its own view draws what comes of it. `looks.rs` runs this in the page, with `main.js` kept out of it, and
// uses `window.stage`.

const [{ FIRST, INITIAL, machine }, { CONVERSATION, NAMES }, { View }, { Words }, { Helplines }, { Talk }, { CallView }, { Hours }, { words: first }, { words: call }] = await Promise.all(
  ['machine', 'conversation', 'view', 'words', 'help', 'talk', 'call-view', 'hours', 'words/en', 'words/en-call'].map((file) => import(`/js/${file}.js`)),
);
/** What the page can say. */
const KEYS = Object.keys({ ...first, ...call });

let state = INITIAL;
const reduce = machine(FIRST, CONVERSATION);
const words = new Words([document.documentElement.dataset.words]);
const dispatch = (event) => {
  const step = reduce(state, event);
  state = step.state;
  for (const effect of step.effects) {
    if (effect.do === 'say') view.announce(effect.word, effect.then);
    if (effect.do === 'summon' || effect.do === 'dismiss') view.summon(effect.do === 'summon');
  }
  view.render(state);
};
const helplines = new Helplines(() => fetch('/helplines.json').then((answer) => answer.json()));
await helplines.load();
const view = new View(document, {
  words,
  helplines,
  languages: ['en', 'de'],
  region: 'US',
  preferences: { still: false, muteKey: true, vanishKey: true, languages: null, page: null },
  onPreferences: () => {},
  onLanguage: () => {},
  onVoice: (voice) => dispatch({ type: 'voice', voice }),
  onAction: (action) => dispatch(action === 'start' ? { type: action, wishes: view.wishes, agreed: view.agreed, short: view.short } : { type: action }),
});
// It brings all the parts of the view that a conversation needs; nobody speaks.
new Talk({ window, view, microphone: { stream: null, track: null, copy: () => null }, words, dispatch, random: () => 0 });
const callView = new CallView(document, words);
const hours = new Hours(window, words);
view.add(hours);
await words.speak(view.wanted);
await words.forCall();
view.translate();

const one = (selector) => document.querySelector(selector);
const open = (selector) => () => { one(selector).open = true; };
const press = (action) => () => one(`[data-action="${action}"], [data-part="${action}"]`).click();
/** What the server says. */
const frame = (type, rest) => ({ type: 'frame', frame: { type, ...rest } });
/** How loud the two are. */
const levels = (me, them) => () => { view.level('me', me); view.level('them', them); };

const relay = { transports: ['udp'], username: '', credential: '' };
const matched = (rest) => frame('matched', { call: 'one', side: 'a', offerer: false, relay, ...rest });
const start = { type: 'start', wishes: view.wishes, agreed: true, short: false };
const refused = (problem) => [start, { type: 'refused', problem }];
const waiting = [start, { type: 'granted' }, { type: 'ready' }, frame('welcome', { resume: '' }), frame('waiting')];
const connecting = [...waiting, matched()];
const compared = () => callView.compare([3, 22, 41, 8, 57, 30]);
const talking = [...connecting, { type: 'connected' }, compared, levels(.2, .6)];
const typing = [...waiting, matched({ text_line: true }), { type: 'connected' }, compared];
const said = (who, text) => ({ type: 'line', line: { who, text } });
const hearing = [{ type: 'hear-yourself' }, { type: 'granted' }, { type: 'ready' }, frame('welcome', { resume: '' })];
const sounding = [...hearing, matched(), { type: 'connected' }];
const heard = (microphone, sound, line) => [...sounding, { type: 'found', found: { microphone, sound, line } }, { type: 'done' }];
const ended = (...events) => [...connecting, { type: 'connected' }, ...events];
const HOUR = 3600;
/** People come here at so many hours from now. */
const opens = (...at) => () => hours.open(at.map((from) => [Math.floor(Date.now() / 1000) + from * HOUR, Math.floor(Date.now() / 1000) + (from + 3) * HOUR]));

/**
 * What a visitor can see, by name: what has happened until then. `NAMES` and the catalogues say whether any is missing.
 */
const SCENES = {
  'landing': [],
  'landing, wishes': [open('[data-in=landing] details')],
  'landing, help': [press('help')],
  'landing, struggling': [press('struggling')],
  'landing, struggling and help closed': [press('struggling'), press('help-close')],
  'landing, a box to tick': [() => view.settle({ age: 21, ask_rules: true })],
  'landing, hours': [opens(-1)],
  'landing, hours on another day': [opens(50)],
  'landing, incomplete': [() => { one('[data-part=incomplete]').hidden = false; }],
  'asking': [start],
  'asking, to hear yourself': [{ type: 'hear-yourself' }],
  'hearing': hearing,
  'hearing, sounding': sounding,
  'heard, well': heard('fine', 'fine', 'fine'),
  'heard, silent': heard('silent', 'unknown', 'thin'),
  'heard, nothing back': heard('fine', 'none', 'tcp'),
  'heard, unheard': heard('fine', 'unheard', 'fine'),
  'heard, no line': heard('unknown', 'unknown', 'none'),
  'heard, later': [...hearing, frame('slow_down', { retry_after: 60 })],
  'mic-problem, dismissed': refused('dismissed'),
  'mic-problem, site': refused('site'),
  'mic-problem, system': refused('system'),
  'mic-problem, none': refused('none'),
  'mic-problem, busy': refused('busy'),
  'mic-problem, ignored': [start, { type: 'timeout', timer: 'prompt' }],
  'mic-problem, unsupported': refused('unsupported'),
  'mic-problem, calls': [...connecting, { type: 'broken', call: 'one' }],
  'waiting': waiting,
  'waiting, still': [...waiting, press('still')],
  'waiting, guided': [...waiting, press('guide')],
  'waiting, long': [...waiting, { type: 'timeout', timer: 'quiet' }],
  'waiting, usually soon': [...waiting, frame('waiting', { usual: 'soon' })],
  'waiting, usually minutes': [...waiting, { type: 'timeout', timer: 'quiet' }, frame('waiting', { usual: 'minutes' })],
  'waiting, usually quiet': [...waiting, { type: 'timeout', timer: 'quiet' }, frame('waiting', { usual: 'quiet' })],
  'waiting, hours on another day': [opens(50), ...waiting],
  'waiting, a puzzle': [...waiting, { type: 'puzzled' }],
  'waiting, help': [...waiting, press('help')],
  'paused': [...waiting, frame('slow_down', { retry_after: 60 })],
  'cooling': [...waiting, frame('cool_down', { retry_after: HOUR, category: 'asking' })],
  'cooling, a day': [...waiting, frame('cool_down', { retry_after: 24 * HOUR, category: 'hateful' })],
  'offered': [...waiting, { type: 'hidden' }, matched(), { type: 'visible' }],
  'connecting': connecting,
  'talking, before the emoji': [...connecting, { type: 'connected' }],
  'talking': talking,
  'talking, both loud': [...talking, levels(1, 1)],
  'talking, the six explained': [...talking, open('[data-part=emoji-about]')],
  'talking, something to say': [...talking, open('[data-part=openers]')],
  'talking, muted': [...talking, { type: 'mute' }, levels(0, .6)],
  'talking, a breath': [...talking, { type: 'breath' }],
  'talking, their breath': [...talking, { type: 'their-breath', on: true }],
  'talking, both breathe': [...talking, { type: 'breath' }, { type: 'their-breath', on: true }],
  'connecting, meant for ten minutes': [{ ...start, short: true }, ...connecting.slice(1)],
  'talking, meant for ten minutes': [...talking, { type: 'minutes', minutes: 'few' }],
  'talking, ten minutes have gone by': [...talking, { type: 'minutes', minutes: 'over' }],
  'talking, would like to go on': [...talking, { type: 'minutes', minutes: 'asked' }],
  'talking, both would like to go on': [...talking, { type: 'minutes', minutes: 'on' }],
  'talking, changed voice': [...talking, { type: 'voice', voice: 'deeper' }],
  'talking, changed voice fails': [...talking, { type: 'voice', voice: 'deeper' }, { type: 'disguised', ok: false }],
  'talking, unpadded': [...talking, { type: 'shaped', padded: false }],
  'talking, typed and unread': [...typing, said('them', 'Hello')],
  'talking, typing': [
    ...typing, open('[data-part=typing]'), { type: 'typing', open: true },
    said('me', 'I can’t speak just now.'), said('them', 'That’s fine. I’m here, and I can listen as long as you like.'),
    said('me', 'Thank you'),
  ],
  'talking, report': [...talking, press('report')],
  'talking, help': [...talking, press('help')],
  'rejoining': [...talking, { type: 'weak' }, { type: 'timeout', timer: 'weak' }, levels(.2, 0)],
  'ended, self': ended({ type: 'end' }),
  'ended, left': ended(frame('ended', { call: 'one', why: 'left' })),
  'ended, lost': ended(frame('ended', { call: 'one', why: 'lost' })),
  'ended, closing': ended(frame('closing', { in: 3 }), frame('ended', { call: 'one', why: 'lost' })),
  'ended, missed': [...waiting, { type: 'hidden' }, matched(), { type: 'timeout', timer: 'offer' }, { type: 'visible' }],
  'ended, unverified': ended({ type: 'unverified' }),
  'ended, reported': ended({ type: 'tell', category: 'other' }),
  'ended, report': [...ended({ type: 'end' }), press('report')],
  'ended, told': ended({ type: 'end' }, { type: 'tell', category: 'other' }),
  'resting': ended({ type: 'end' }, { type: 'rest' }),
  'offline': [...waiting, { type: 'down' }, { type: 'timeout', timer: 'unreachable' }],
  'offline, closing': [...waiting, frame('closing', { in: 3 })],
};

/** As it was when the page had just come. */
function clear() {
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  for (const details of document.querySelectorAll('details[open]')) details.open = false;
  if (one('[data-part=still]').ariaPressed === 'true') press('still')();
  if (one('[data-action=struggling]').ariaPressed === 'true') press('struggling')();
  view.settle({ age: 18, ask_rules: false });
  hours.open([]);
  one('[data-part=incomplete]').hidden = true;
  callView.compare(null);
  levels(0, 0)();
  state = INITIAL;
  view.render(state);
  one('[role=status]').textContent = '';
  scrollTo(0, 0);
}

/** Which parts of the page some scene has shown. */
const seen = new Set();
/** Where the way to help was when it was first looked at. */
let help = null;

const PARTS = '[data-action], [data-part], [data-word]';
const shown = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
const name = ({ tagName, className, dataset, textContent }) =>
  `${tagName}.${className} ${dataset.action ?? dataset.part ?? dataset.word ?? textContent.slice(0, 20)}`;
const moving = () => document.getAnimations().filter(({ playState }) => playState === 'running');
const endless = ({ effect }) => effect.getComputedTiming().iterations === Infinity;

/** What is wrong with what is to be seen now. */
function faults() {
  const { clientWidth } = document.documentElement;
  const wrong = [];
  for (const element of shown('body *:not(.unseen)')) {
    const { left, right, height } = element.getBoundingClientRect();
    if (right > clientWidth + 1 || left < -1) wrong.push(`${name(element)} stands out: ${left} to ${right}`);
    if (element.matches('button, summary, h1, h2, p:not(.lamp), label, legend') && element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
      && getComputedStyle(element).display !== 'inline') wrong.push(`${name(element)} is cut`);
    if (element.matches('button, select, summary, .choice, input[type=text]') && height < 44) wrong.push(`${name(element)} is ${height} high`);
  }
  for (const { effect, animationName } of moving().filter(endless)) {
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches || 'still' in document.documentElement.dataset;
    if (still || !effect.target.matches('[data-state="waiting"] .me .shape')) wrong.push(`${name(effect.target)} moves: ${animationName}`);
  }
  const { top, left, right } = one('header [data-action="help"]').getBoundingClientRect();
  const place = [top + scrollY, document.dir === 'rtl' ? left : right].join();
  help ??= place;
  if (place !== help) wrong.push(`the way to help is at ${place}, and was at ${help}`);
  return wrong;
}

window.stage = {
  scenes: Object.keys(SCENES),
  /** Draws everything in another language. */
  async speak(language) {
    help = null;
    await words.speak(language);
    view.translate();
  },
  /** Plays a scene to its rest, and says in which state it ends, what is wrong with it, and how high the page is. */
  async play(scene, withAxe) {
    clear();
    for (const step of SCENES[scene]) {
      if (typeof step === 'function') step();
      else dispatch(step);
    }
    await new Promise(requestAnimationFrame);
    for (const animation of moving()) if (!endless(animation)) animation.finish();
    await new Promise(requestAnimationFrame);
    for (const part of shown(PARTS)) seen.add(part);
    const wrong = faults();
    if (withAxe) {
      const { violations } = await axe.run(document, { resultTypes: ['violations'], preload: false });
      wrong.push(...violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(' ')}`));
    }
    const { dataset: { state: ends }, scrollHeight } = document.documentElement;
    return { ends, wrong, height: scrollHeight };
  },
  /** The document as it is now, for who checks it; without the one attribute that is no standard's, but iOS wants. */
  html: () => `<!doctype html>\n${document.documentElement.outerHTML.replace(' playsinline=""', '')}`,
  /** What no scene has shown, of the page's parts and of what the machine and the catalogues know. */
  missing() {
    const ends = new Set(Object.keys(SCENES).map((scene) => scene.split(',')[0]));
    const titles = KEYS.flatMap((key) => {
      const [, problem, ending] = /^(?:mic\.(\w+)\.title|ended\.(\w+))$/.exec(key) ?? [];
      return problem ? [`mic-problem, ${problem}`] : ending ? [`ended, ${ending}`] : [];
    });
    return [
      ...NAMES.filter((state) => !ends.has(state)),
      ...titles.filter((scene) => !(scene in SCENES)),
      ...[...document.querySelectorAll(PARTS)].filter((part) => !seen.has(part) && !part.matches('option, noscript *')).map(name),
    ];
  },
};
