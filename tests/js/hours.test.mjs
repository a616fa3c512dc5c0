// When people come here, and how it usually is: what is said of it, and what is not.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Hours, howUsually, MINUTES_MS, nextChange, readOpenings, whenOpen } from '../../static/js/hours.js';
import { INITIAL } from '../../static/js/machine.js';
import { Words } from '../../static/js/words.js';

const HOUR = 3600;
/** Sunday, 22 November 2026, at noon in Greenwich. */
const NOON = Date.UTC(2026, 10, 22, 12) / 1000;
const opening = (hours, length = 3) => [NOON + hours * HOUR, NOON + (hours + length) * HOUR];
/** Without the marks that keep directions apart. */
const plain = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.replace(/[\u2068\u2069]/g, '').replace(/\s/g, ' ')]));
const said = (openings, zone, locale = 'en-US', now = NOON) => {
  const when = whenOpen(openings, now * 1000, locale, zone);
  return when && [when.word, plain(when.values), when.open];
};

test('hours are told in the visitor’s own time', () => {
  const evening = [opening(7)];
  assert.deepEqual(said(evening, 'Europe/Berlin', 'de'), ['hours.today', { from: '20:00', to: '23:00' }, false]);
  assert.deepEqual(said(evening, 'America/New_York'), ['hours.today', { from: '2:00 PM', to: '5:00 PM' }, false]);
  // In Tokyo it is the next day, and in Auckland so it is now.
  assert.deepEqual(said(evening, 'Asia/Tokyo'), ['hours.next', { when: 'Monday, 4:00 – 7:00 AM' }, false]);
  assert.deepEqual(said(evening, 'Pacific/Auckland'), ['hours.today', { from: '8:00 AM', to: '11:00 AM' }, false]);
});

test('what is open is said until it is over, and then what comes next', () => {
  const openings = [opening(-1), opening(54)];
  assert.deepEqual(said(openings, 'UTC', 'en-GB'), ['hours.today', { from: '11:00', to: '14:00' }, true]);
  assert.deepEqual(said(openings, 'UTC', 'en-GB', NOON + 2 * HOUR), ['hours.next', { when: 'Tuesday, 18:00–21:00' }, false]);
  assert.equal(said(openings, 'UTC', 'en-GB', NOON + 57 * HOUR), null);
  assert.equal(said([], 'UTC'), null);
  // A night is the evening's.
  assert.deepEqual(said([opening(34, 4)], 'UTC', 'en-GB'), ['hours.next', { when: 'Monday 22:00 – 02:00' }, false]);
  // Always is nothing to say, and a whole day says when it begins.
  assert.equal(said([opening(-1, 200)], 'UTC'), null);
  assert.deepEqual(said([opening(36, 24)], 'UTC', 'en-GB'), ['hours.next', { when: 'Tuesday 00:00' }, false]);
});

test('what a server could not have meant is nothing', () => {
  const good = [opening(1, 1), opening(3, 1)];
  assert.deepEqual(readOpenings(good), good);
  assert.deepEqual(readOpenings([]), []);
  for (const wrong of [
    undefined, null, 'always', {}, [[1]], [[1, 2, 3]], [[2, 1]], [[1, 1]], [['1', '2']], [[1, 2.5]], [[-1, 2]], [[1, 1e12]], [[1, null]],
    [[3, 4], [1, 2]], [[1, 3], [2, 4]], [[1, 3], [1, 3]], [{ 0: 1, 1: 2, length: 2 }],
    Array.from({ length: 9 }, (_, index) => [2 * index, 2 * index + 1]),
  ]) assert.deepEqual(readOpenings(wrong), [], JSON.stringify(wrong));
});

test('how it usually is, is said to whoever waits, and never that others were quicker', () => {
  const waiting = { ...INITIAL, name: 'waiting' };
  for (const [state, waited, word] of [
    [{}, 0, null],
    [{ usual: 'soon' }, 0, 'usual.soon'],
    [{ usual: 'soon', long: true }, 60_000, null],
    [{ usual: 'minutes', long: true }, 60_000, 'usual.minutes'],
    [{ usual: 'minutes', long: true }, MINUTES_MS, null],
    [{ usual: 'quiet', long: true }, 10 * MINUTES_MS, 'usual.quiet'],
    [{ usual: 'soon', name: 'landing' }, 0, null],
    [{ usual: 'soon', name: 'talking' }, 0, null],
  ]) assert.equal(howUsually({ ...waiting, ...state }, waited), word, JSON.stringify(state));
  const rust = readFileSync(new URL('../../src/matchmaking/usual.rs', import.meta.url), 'utf8');
  assert.match(rust, /pub const MINUTES: Duration = Duration::from_secs\(10 \* 60\);/);
  assert.equal(MINUTES_MS, 600_000);
});

test('it is drawn anew when an opening begins or ends, or a day', () => {
  const now = new Date(2026, 10, 22, 12).getTime();
  const at = (hours) => now / 1000 + hours * HOUR;
  assert.equal(nextChange([[at(-1), at(2)]], now), now + 2 * HOUR * 1000);
  assert.equal(nextChange([[at(1), at(2)]], now), now + HOUR * 1000);
  assert.equal(nextChange([], now), now + 12 * HOUR * 1000);
});

/** A page that has the two lines, and a clock that only the test moves. */
async function page(it, now) {
  it.mock.timers.enable({ apis: ['setTimeout', 'Date'], now });
  const lines = [{ textContent: '' }, { textContent: '' }];
  const window = { document: { querySelectorAll: () => lines }, setTimeout, clearTimeout };
  const words = new Words(['en-GB'], (file) => import(`../../static/js/words/${file}.js`));
  await words.speak('en');
  await words.forCall();
  return { hours: new Hours(window, words), text: () => lines[0].textContent.replace(/[\u2068\u2069]/g, ''), lines };
}

test('one line, which changes with the time and goes with what is over', async (it) => {
  // Midnight and midday are those of whoever runs this.
  const noon = new Date(2026, 10, 22, 12).getTime();
  const { hours, text, lines } = await page(it, noon);
  const at = (value) => noon / 1000 + value * HOUR;
  hours.render({ ...INITIAL });
  assert.equal(text(), '');
  hours.open([[at(2), at(4)], [at(26), at(28)]]);
  assert.equal(text(), 'People come here between 14:00 and 16:00.');
  assert.equal(lines[1].textContent, lines[0].textContent);
  it.mock.timers.tick(4 * HOUR * 1000 + 10);
  assert.equal(text(), 'The next time people come here: Monday, 14:00–16:00.');
  it.mock.timers.tick(8 * HOUR * 1000);
  assert.equal(text(), 'People come here between 14:00 and 16:00.', 'it is Monday');
  // Whoever waits outside of them reads when people come, and inside of them how it usually is.
  const waiting = { ...INITIAL, name: 'waiting', usual: 'minutes' };
  hours.render(waiting);
  assert.equal(text(), 'People come here between 14:00 and 16:00.');
  it.mock.timers.tick(14 * HOUR * 1000);
  hours.render({ ...INITIAL });
  hours.render(waiting);
  assert.equal(text(), 'At this hour, people usually find someone within ten minutes.');
  it.mock.timers.tick(MINUTES_MS + 10);
  assert.equal(text(), 'People come here between 14:00 and 16:00.', 'it took longer');
  hours.render({ ...waiting, usual: 'quiet', long: true });
  assert.equal(text(), 'At this hour it is often quiet here, for everyone.');
  it.mock.timers.tick(3 * HOUR * 1000);
  hours.render({ ...waiting, usual: null });
  assert.equal(text(), '', 'there is nothing left to say');
});
