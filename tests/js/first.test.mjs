// What becomes of a page of which a part did not come.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';

const source = readFileSync(new URL('../../static/js/first.js', import.meta.url), 'utf8');

class Script {}
class Link {
  constructor(rel) { this.rel = rel; }
}

/** A page that was come to in this way, and whose events are in the test's hands. */
function open({ type = 'navigate', onLine = true, readyState = 'complete' } = {}) {
  const page = { reloads: 0, listeners: {}, shown: [], helped: 0 };
  const element = (selector) => ({
    removeAttribute: (name) => page.shown.push(`${selector} ${name}`),
    addEventListener: (_, run) => { page.listeners[selector] = [run]; },
    showModal: () => { page.helped += 1; },
  });
  runInNewContext(source, {
    HTMLScriptElement: Script,
    HTMLLinkElement: Link,
    navigator: { languages: ['en'], onLine },
    performance: { getEntriesByType: () => [{ type }] },
    location: { reload: () => { page.reloads += 1; } },
    localStorage: { getItem: () => null },
    addEventListener: (name, run) => { (page.listeners[name] ??= []).push(run); },
    document: { documentElement: { dataset: {} }, readyState, createElement: () => ({}), head: { append() {} }, querySelector: element },
  });
  page.fire = (name, event = {}) => page.listeners[name]?.forEach((run) => run(event));
  return page;
}

test('what is needed and did not come is asked for once more', () => {
  for (const target of [new Script(), new Link('stylesheet')]) {
    const page = open();
    page.fire('error', { target });
    page.fire('error', { target });
    assert.deepEqual([page.reloads, page.shown], [1, []]);
  }
});

test('without a network it waits for one', () => {
  const page = open({ onLine: false });
  page.fire('error', { target: new Script() });
  assert.equal(page.reloads, 0);
  page.fire('online');
  assert.equal(page.reloads, 1);
});

test('the second time the visitor decides, and help opens', () => {
  const page = open({ type: 'reload' });
  page.fire('error', { target: new Script() });
  assert.deepEqual([page.reloads, page.shown], [0, ['[data-part="incomplete"] hidden']]);
  page.fire('[data-action="help"]');
  assert.equal(page.helped, 1);
});

test('nothing happens before the page is there to be looked at', () => {
  const page = open({ type: 'reload', readyState: 'loading' });
  page.fire('error', { target: new Script() });
  assert.deepEqual(page.shown, []);
  page.fire('DOMContentLoaded');
  assert.equal(page.shown.length, 1);
});

test('what the page can do without changes nothing', () => {
  const page = open({ type: 'reload' });
  for (const target of [new Link('modulepreload'), new Link('icon'), {}, null]) page.fire('error', { target });
  assert.deepEqual([page.reloads, page.shown], [0, []]);
});
