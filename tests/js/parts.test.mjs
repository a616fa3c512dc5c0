// The small parts: keys, microphone, meter, languages, help, preferences.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Device } from '../../static/js/device.js';
import { Helplines, link, opening } from '../../static/js/help.js';
import { isMuteKey, listenForKeys, shiftTaps } from '../../static/js/keys.js';
import { clock, date, namer, OFFERED, primary, region } from '../../static/js/languages.js';
import { follow, loudness, Meter } from '../../static/js/meter.js';
import { classify, Microphone } from '../../static/js/microphone.js';
import { openPreferences } from '../../static/js/preferences.js';
import { keepPlaying, onGivenBack, speak } from '../../static/js/webkit.js';

describe('keys', () => {
  const taps = (...events) => {
    const tap = shiftTaps();
    return events.map(([type, key, timeStamp]) => tap({ type, key, timeStamp })).filter(Boolean).length;
  };
  const shift = (at) => [['keydown', 'Shift', at], ['keyup', 'Shift', at + 50]];

  test('three taps of Shift', () => {
    assert.equal(taps(...shift(0), ...shift(200), ...shift(400)), 1);
    assert.equal(taps(...shift(0), ...shift(200)), 0);
    assert.equal(taps(...shift(0), ...shift(1000), ...shift(2000)), 0, 'too slow');
  });

  test('Shift held for something else is not meant', () => {
    const backTab = (at) => [['keydown', 'Shift', at], ['keydown', 'Tab', at + 10], ['keyup', 'Tab', at + 20], ['keyup', 'Shift', at + 30]];
    assert.equal(taps(...backTab(0), ...backTab(100), ...backTab(200)), 0);
    assert.equal(taps(...shift(0), ...shift(100), ['pointerdown', '', 150], ...shift(200)), 0);
    assert.equal(taps(...shift(0), ['keydown', 'a', 100], ['keyup', 'a', 110], ...shift(200), ...shift(300)), 0);
  });

  test('M, on any keyboard, and only alone', () => {
    const press = (changes) => isMuteKey({ key: 'm', code: 'KeyM', ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...changes });
    assert.equal(press({}), true);
    assert.equal(press({ key: 'M' }), true);
    assert.equal(press({ key: 'ь' }), true, 'where M is on a Russian keyboard');
    assert.equal(press({ key: ',', code: 'KeyM' }), false, 'a comma on a French keyboard');
    assert.equal(press({ key: 'm', code: 'Semicolon' }), true, 'M on a French keyboard');
    assert.equal(press({ ctrlKey: true }), false);
    assert.equal(press({ repeat: true }), false);
    assert.equal(press({ key: 'n', code: 'KeyN' }), false);
  });
});

describe('typing', () => {
  class Element {}
  class Input extends Element {
    constructor(type) { super(); this.type = type; }
  }
  class Select extends Element {}
  class Area extends Element {}

  test('neither key does anything while somebody types', () => {
    Object.assign(globalThis, { HTMLElement: Element, HTMLInputElement: Input, HTMLSelectElement: Select, HTMLTextAreaElement: Area });
    const page = new EventTarget();
    const done = [];
    listenForKeys(page, { enabled: () => ({ muteKey: true, vanishKey: true }), onMute: () => done.push('mute'), onVanish: () => done.push('vanish') });
    const key = (target, type, name) => {
      const event = Object.assign(new Event(type), { key: name, code: '', ctrlKey: false, metaKey: false, altKey: false, repeat: false });
      Object.defineProperty(event, 'target', { value: target });
      page.dispatchEvent(event);
    };
    const press = (target) => {
      done.length = 0;
      for (const name of ['m', 'Shift', 'Shift', 'Shift']) {
        key(target, 'keydown', name);
        key(target, 'keyup', name);
      }
      return [...done];
    };
    for (const target of [new Input('text'), new Area(), Object.assign(new Element(), { isContentEditable: true })]) {
      assert.deepEqual(press(target), []);
    }
    assert.deepEqual(press(new Select()), ['vanish'], 'a letter finds an entry of a list');
    for (const target of [null, new Element(), new Input('checkbox')]) assert.deepEqual(press(target), ['mute', 'vanish']);
  });
});

describe('device', () => {
  test('no lock is left, however often it was asked for at once', async () => {
    const locks = [];
    const request = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      const lock = { released: false, release: async () => { lock.released = true; } };
      locks.push(lock);
      return lock;
    };
    const device = new Device({ wakeLock: { request } }, { onMute() {}, onHangUp() {} });
    device.wake(true);
    for (let time = 0; time < 3; time += 1) device.refresh();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(locks.map(({ released }) => released), [false], 'one is enough');
    locks[0].released = true;
    device.refresh();
    device.refresh();
    device.wake(false);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(locks.every(({ released }) => released), 'after the end there is none');
  });
});

describe('microphone', () => {
  for (const [name, message, permission, expected] of [
    ['NotAllowedError', 'Permission dismissed', 'prompt', 'dismissed'],
    ['NotAllowedError', 'Permission denied', 'prompt', 'dismissed'],
    ['NotAllowedError', 'Permission denied', 'denied', 'site'],
    ['NotAllowedError', 'Permission denied by system', 'granted', 'system'],
    ['NotAllowedError', 'The request is not allowed by the user agent or the platform in the current context.', 'unknown', 'dismissed'],
    ['NotAllowedError', 'The request is not allowed by the user agent or the platform in the current context.', 'denied', 'site'],
    ['NotFoundError', 'Requested device not found', 'granted', 'none'],
    ['OverconstrainedError', '', 'granted', 'none'],
    ['NotReadableError', 'Could not start audio source', 'granted', 'busy'],
    ['AbortError', 'Starting audioinput failed', 'granted', 'busy'],
    ['NotSupportedError', '', 'unknown', 'unsupported'],
    ['SecurityError', '', 'unknown', 'unsupported'],
    ['TypeError', '', 'unknown', 'unsupported'],
  ]) {
    test(`${name} ${message} (${permission}) is ${expected}`, () => assert.equal(classify({ name, message }, permission), expected));
  }

  /** A browser whose answers are in the test's hands. */
  const setUp = () => {
    const it = { said: [], answers: [] };
    const getUserMedia = () => new Promise((grant, refuse) => it.answers.push({ grant, refuse }));
    it.microphone = new Microphone({ mediaDevices: { getUserMedia }, permissions: { query: async () => ({ state: 'prompt' }) } }, {
      onGranted: () => it.said.push('granted'),
      onRefused: (problem) => it.said.push(problem),
      onTrack: () => it.said.push('track'),
      onDoubt: () => it.said.push('doubt'),
    });
    it.stream = () => {
      const live = (enabled) => ({ readyState: 'live', enabled, stop() { this.readyState = 'ended'; }, clone() { return live(this.enabled); } });
      const track = live(true);
      return { track, getTracks: () => [track], getAudioTracks: () => [track] };
    };
    it.settle = () => new Promise((resolve) => setImmediate(resolve));
    return it;
  };

  test('a copy for a call is muted, let go and replaced with the microphone', async () => {
    const it = setUp();
    void it.microphone.ask();
    it.answers[0].grant(it.stream());
    await it.settle();
    const [first, second] = [it.microphone.copy(), it.microphone.copy()];
    assert.ok(new Set([it.microphone.track, first, second]).size === 3, 'each has a name of its own');
    it.microphone.mute(true);
    assert.deepEqual([first.enabled, second.enabled], [false, false]);
    assert.equal(it.microphone.copy().enabled, false, 'made while muted');
    it.microphone.mute(false);
    assert.deepEqual([first.enabled, second.enabled], [true, true]);
    first.stop();
    void it.microphone.renew();
    it.answers[1].grant(it.stream());
    await it.settle();
    assert.equal(second.readyState, 'ended', 'with the one it was copied from');
    const third = it.microphone.copy();
    it.microphone.release();
    assert.equal(third.readyState, 'ended');
    assert.equal(it.microphone.copy(), null);
  });

  test('is granted, muted, doubted and let go', async () => {
    const it = setUp();
    void it.microphone.ask();
    const stream = it.stream();
    it.answers[0].grant(stream);
    await it.settle();
    it.microphone.mute(true);
    assert.equal(stream.track.enabled, false);
    stream.track.onunmute();
    it.microphone.release();
    assert.equal(stream.track.readyState, 'ended');
    assert.deepEqual(it.said, ['granted', 'doubt']);
    assert.equal(it.microphone.stream, null);
  });

  test('is as silent while it is held as while it is muted, and muted afterwards if it was', async () => {
    const it = setUp();
    void it.microphone.ask();
    it.answers[0].grant(it.stream());
    await it.settle();
    const copy = it.microphone.copy();
    const heard = (change) => {
      change();
      return [it.microphone.track.enabled, copy.enabled];
    };
    assert.deepEqual(heard(() => it.microphone.hold(true)), [false, false]);
    assert.deepEqual(heard(() => it.microphone.mute(true)), [false, false]);
    assert.deepEqual(heard(() => it.microphone.hold(false)), [false, false]);
    assert.deepEqual(heard(() => it.microphone.mute(false)), [true, true]);
    it.microphone.hold(true);
    assert.deepEqual(heard(() => it.microphone.mute(false)), [false, false], 'unmuting is no coming back');
    void it.microphone.renew();
    it.answers[1].grant(it.stream());
    await it.settle();
    assert.equal(it.microphone.track.enabled, false, 'another one is held as well');
    it.microphone.hold(false);
    assert.equal(it.microphone.track.enabled, true);
  });

  test('comes too late: it is let go without a word', async () => {
    const it = setUp();
    void it.microphone.ask();
    it.microphone.release();
    const stream = it.stream();
    it.answers[0].grant(stream);
    await it.settle();
    assert.equal(stream.track.readyState, 'ended');
    assert.deepEqual(it.said, []);
  });

  test('is asked for twice: the first answer counts, the second is let go', async () => {
    const it = setUp();
    void it.microphone.ask();
    void it.microphone.ask();
    const [first, second] = [it.stream(), it.stream()];
    it.answers[1].grant(second);
    await it.settle();
    it.answers[0].grant(first);
    await it.settle();
    assert.deepEqual(it.said, ['granted']);
    assert.equal(it.microphone.stream, second);
    assert.equal(first.track.readyState, 'ended');
  });

  test('is renewed as muted as it was', async () => {
    const it = setUp();
    void it.microphone.ask();
    it.answers[0].grant(it.stream());
    await it.settle();
    it.microphone.mute(true);
    void it.microphone.renew();
    const stream = it.stream();
    it.answers[1].grant(stream);
    await it.settle();
    assert.deepEqual(it.said, ['granted', 'track']);
    assert.equal(stream.track.enabled, false);
  });

  test('is renewed once, however often it is doubted', async () => {
    const it = setUp();
    void it.microphone.ask();
    it.answers[0].grant(it.stream());
    await it.settle();
    let done = 0;
    for (let time = 0; time < 2; time += 1) void it.microphone.renew().then(() => { done += 1; });
    await it.settle();
    assert.deepEqual([it.answers.length, done], [2, 0], 'the second waits for the same answer');
    it.answers[1].grant(it.stream());
    await it.settle();
    assert.deepEqual([done, it.said], [2, ['granted', 'track']]);
  });

  /** One that has died and cannot be had again. */
  const gone = async () => {
    const it = setUp();
    void it.microphone.ask();
    const stream = it.stream();
    it.answers[0].grant(stream);
    await it.settle();
    stream.track.stop();
    void it.microphone.renew();
    it.answers[1].refuse(new DOMException('', 'NotFoundError'));
    await it.settle();
    assert.deepEqual(it.said.splice(0), ['granted', 'none']);
    return it;
  };

  test('has died, is asked for again and refused again: that is said', async () => {
    const it = await gone();
    void it.microphone.ask();
    it.answers[2].refuse(new DOMException('', 'NotReadableError'));
    await it.settle();
    assert.deepEqual(it.said, ['busy']);
  });

  test('has died and is plugged in again: the new one is the microphone', async () => {
    const it = await gone();
    void it.microphone.ask();
    const stream = it.stream();
    it.answers[2].grant(stream);
    await it.settle();
    assert.deepEqual(it.said, ['granted']);
    assert.equal(stream.track.readyState, 'live');
    assert.equal(it.microphone.stream, stream);
  });

  test('is nowhere: a page without a secure address', async () => {
    const said = [];
    const microphone = new Microphone({}, { onRefused: (problem) => said.push(problem) });
    await microphone.ask();
    assert.deepEqual(said, ['unsupported']);
  });
});

describe('meter', () => {
  test('silence is 0, a raised voice is 1, and a voice lies between', () => {
    const sine = (amplitude) => Float32Array.from({ length: 1024 }, (_, index) => amplitude * Math.sin(index / 8));
    assert.equal(loudness(new Float32Array(1024)), 0);
    assert.equal(loudness(sine(0.9)), 1);
    const voice = loudness(sine(0.05));
    assert.ok(voice > 0.3 && voice < 0.9, String(voice));
    assert.equal(loudness([]), 0);
  });

  test('costs nothing when nobody talks, and is back with the next press', () => {
    const done = [];
    class AudioContext {
      state = 'running';
      async suspend() { done.push('suspend'); }
      async resume() { done.push('resume'); }
    }
    const meter = new Meter({ AudioContext }, () => {});
    meter.rest();
    meter.unlock();
    meter.rest();
    meter.unlock();
    assert.deepEqual(done, ['resume', 'suspend', 'resume']);
  });

  test('a stream without a sound is no reason not to call', () => {
    class AudioContext {
      async resume() {}
      createMediaStreamSource() { throw new DOMException('no audio', 'InvalidStateError'); }
    }
    const meter = new Meter({ AudioContext }, () => {});
    meter.unlock();
    meter.listen('me', { getAudioTracks: () => [{}] });
  });

  test('rises in about 120 ms and falls in about 400', () => {
    assert.ok(Math.abs(follow(0, 1, 120) - 0.632) < 0.01);
    assert.ok(Math.abs(follow(1, 0, 400) - 0.368) < 0.01);
    assert.equal(follow(0.001, 0, 16), 0, 'and comes to rest');
  });
});

describe('languages', () => {
  for (const [tags, expected] of [
    [['en-US', 'en', 'de-AT'], ['en', 'de']],
    [['nb-NO', 'nn', 'no'], ['no']],
    [['zh-Hant-TW', 'yue'], ['zh', 'yue']],
    [['iw', 'tl'], ['he', 'fil']],
    [[], ['en']],
    [['*', 'x-klingon', 'C'], ['en']],
    [['aa', 'bb', 'cc', 'dd', 'ee', 'ff', 'gg', 'hh', 'ii'], ['aa', 'bb', 'cc', 'dd', 'ee', 'ff', 'gg', 'hh']],
  ]) {
    test(`${tags.join(' ') || 'none'} is ${expected.join(' ')}`, () => assert.deepEqual(primary(tags), expected));
  }

  test('what can be chosen has a name and can be sent', () => {
    const name = namer('en', 'language');
    for (const code of OFFERED) {
      assert.match(code, /^[a-z]{2,3}$/);
      assert.notEqual(name(code), code);
    }
    assert.equal(new Set(OFFERED).size, OFFERED.length);
    assert.deepEqual(primary(OFFERED.slice(0, 8)), OFFERED.slice(0, 8), 'and is not renamed when it is suggested');
  });

  test('hours and days as they are written there', () => {
    const plain = (text) => text.replaceAll('\u202f', ' ');
    assert.deepEqual([8, 24].map((hour) => plain(clock('en-US', hour))), ['8:00 AM', '12:00 AM']);
    assert.deepEqual([8, 20].map((hour) => clock('de', hour)), ['08:00', '20:00']);
    assert.equal(plain(clock('ar-EG', 20)), '٨:٠٠ م');
    assert.equal(date('fr', '2026-11-21'), '21 novembre 2026');
    assert.equal(date('en-GB', '2026-11-01'), '1 November 2026');
  });

  test('the region of the language settings, or the likeliest', () => {
    assert.equal(region(['en-GB', 'de-DE']), 'GB');
    assert.equal(region(['de', 'en-US', 'en']), 'DE', 'as a German Firefox comes');
    assert.equal(region(['de', 'en-GB', 'en-US']), 'GB');
    assert.equal(region(['fr', 'en-CA', 'en-US']), 'CA');
    assert.equal(region(['en', 'en-US']), 'US');
    assert.equal(region(['en', 'de-AT']), 'AT');
    assert.equal(region(['de-AT', 'de', 'en-US', 'en']), 'AT');
    assert.equal(region(['de']), 'DE');
    assert.equal(region(['pt']), 'BR');
    assert.equal(region([]), null);
    assert.equal(region(['not a tag']), null);
  });
});

describe('help', () => {
  const HELPLINES = JSON.parse(readFileSync(new URL('../../static/helplines.json', import.meta.url), 'utf8'));

  test('each line can be called, and says when it was checked', () => {
    for (const line of HELPLINES) {
      assert.match(line.country, /^[A-Z]{2}$/);
      for (const number of [line.call, ...line.call_alternatives ?? []]) assert.match(link('tel', number), /^tel:\+?[0-9]{3,}$/);
      assert.ok(line.verified_on === null || /^\d{4}-\d{2}-\d{2}$/.test(line.verified_on));
      assert.ok(opening(line.hours));
    }
  });

  test('what must not be shipped is not', () => {
    const numbers = HELPLINES.flatMap(({ country, call, call_alternatives: others = [] }) => [call, ...others].map((number) => `${country} ${number.replaceAll(' ', '')}`));
    for (const wrong of ['SE 90101', 'ZA 0800567567', 'PL 116123']) assert.equal(numbers.includes(wrong), false, wrong);
    assert.equal(HELPLINES.some(({ name }) => /SOS Amiti|^TELL|iCall/.test(name)), false);
  });

  test('finds the lines of a country, and asks for them until they have come', async () => {
    const answers = [() => Promise.reject(new Error('no network')), () => Promise.resolve(HELPLINES), () => assert.fail('asked in vain')];
    const helplines = new Helplines(() => answers.shift()?.());
    await helplines.load();
    assert.deepEqual([helplines.countries, helplines.of('AT')], [[], []]);
    await helplines.load();
    await helplines.load();
    assert.equal(helplines.countries.length, HELPLINES.length);
    assert.deepEqual(helplines.of('AT').map(({ call }) => call), ['142']);
    assert.deepEqual(helplines.of('XX'), []);
  });

  test('leaves remarks out of what is dialled', () => {
    assert.equal(link('tel', '0800 12 13 14 (20-8)'), 'tel:0800121314');
    assert.equal(link('sms', '0477 13 11 14'), 'sms:0477131114');
  });

  test('reads hours', () => {
    assert.equal(opening('24/7'), 'always');
    assert.deepEqual(opening('10-24'), { from: 10, to: 24 });
    assert.equal(opening('not known'), 'unknown');
  });
});

describe('preferences', () => {
  const store = (initial) => {
    const values = new Map(initial ? [['sotto', initial]] : []);
    return { values, getItem: (name) => values.get(name) ?? null, setItem: (name, value) => values.set(name, value) };
  };

  test('are kept', () => {
    const storage = store();
    openPreferences(() => storage).change({ still: true, languages: ['de'] });
    assert.deepEqual(openPreferences(() => storage).value, { still: true, muteKey: true, vanishKey: true, languages: ['de'], page: null });
    assert.deepEqual([...storage.values.keys()], ['sotto']);
  });

  test('last as long as the page where the browser refuses', () => {
    const preferences = openPreferences(() => { throw new DOMException('no', 'SecurityError'); });
    preferences.change({ muteKey: false });
    assert.equal(preferences.value.muteKey, false);
  });

  test('languages that nobody can send are not kept', () => {
    assert.deepEqual(openPreferences(() => store('{"languages":["EN; x", 7, "de-AT", "de"]}')).value.languages, ['de']);
  });

  for (const text of ['', 'null', '7', '{"languages":"en"}', '{"languages":[]}', '{']) {
    test(`nonsense is nobody's preference: ${text || 'nothing'}`, () => {
      assert.deepEqual(openPreferences(() => store(text)).value, { still: false, muteKey: true, vanishKey: true, languages: null, page: null });
    });
  }
});

describe('what an iPhone needs', () => {
  class Session extends EventTarget {
    type = 'auto';
    state = 'inactive';
    now(state) {
      this.state = state;
      this.dispatchEvent(new Event('statechange'));
    }
  }

  test('a microphone is told of before it is asked for, and when it is let go', async () => {
    const audioSession = new Session();
    const types = [];
    const track = { readyState: 'live', enabled: true, stop() {} };
    const getUserMedia = async () => {
      types.push(audioSession.type);
      return { getTracks: () => [track], getAudioTracks: () => [track] };
    };
    const microphone = new Microphone({ mediaDevices: { getUserMedia }, audioSession }, { onGranted() {}, onRefused() {}, onTrack() {}, onDoubt() {} });
    await microphone.ask();
    assert.deepEqual(types, ['play-and-record']);
    microphone.release();
    assert.equal(audioSession.type, 'auto');
  });

  test('one that takes no type, or has no session, calls all the same', () => {
    speak({}, true);
    speak({ audioSession: { set type(_) { throw new TypeError(); } } }, true);
    onGivenBack({}, assert.fail);
    onGivenBack({ audioSession: { type: 'auto' } }, assert.fail);
  });

  test('sound that was taken and is given back is told of, once, and nothing else', () => {
    const audioSession = new Session();
    let given = 0;
    onGivenBack({ audioSession }, () => { given += 1; });
    for (const state of ['active', 'inactive', 'active', 'interrupted', 'interrupted']) audioSession.now(state);
    assert.equal(given, 0);
    audioSession.now('active');
    audioSession.now('inactive');
    assert.equal(given, 1);
    audioSession.now('interrupted');
    audioSession.now('inactive');
    assert.equal(given, 2, 'and then it has to be asked for');
  });

  test('what the system pauses is played again: at once, or with the next press', async () => {
    const page = new EventTarget();
    let plays = 0;
    let refused = false;
    const audio = Object.assign(new EventTarget(), {
      srcObject: null,
      attributes: [],
      setAttribute(name) { this.attributes.push(name); },
      async play() {
        plays += 1;
        if (refused) throw new DOMException('no', 'NotAllowedError');
      },
    });
    const press = () => page.dispatchEvent(new Event('pointerdown'));
    const play = keepPlaying(audio, page);
    assert.deepEqual(audio.attributes, ['playsinline']);
    audio.dispatchEvent(new Event('pause'));
    play();
    assert.equal(plays, 0, 'nobody is to be heard');
    audio.srcObject = {};
    audio.dispatchEvent(new Event('pause'));
    assert.equal(plays, 1);
    refused = true;
    play();
    await null;
    refused = false;
    press();
    assert.equal(plays, 3);
    press();
    assert.equal(plays, 3, 'once');
  });
});
