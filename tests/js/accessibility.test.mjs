// The page /accessibility: what it says was tested is what is tested, with what it says.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MS } from '../../static/js/conversation.js';
import { assertHeld, assertPlain, read, textOf } from './points.mjs';

const html = read('static/accessibility.html');
const body = html.slice(html.indexOf('<main'));
const text = textOf(body);

test('every point names what holds it, and that is there', () => assertHeld(body));

test('the page stands by itself', () => assertPlain(html));

test('the versions are those that the tests install', () => {
  const packages = /^packages=\(([^)]+)\)/m.exec(read('tests/run'))[1];
  const named = [
    [/axe-core ([\d.]+\d)/, 'axe-core'],
    [/Nu Html Checker ([\d.]+\d)/, 'vnu-jar'],
    [/Lighthouse ([\d.]+\d)/, 'lighthouse'],
    [/Virtual Screen Reader ([\d.]+\d)/, '@guidepup/virtual-screen-reader'],
  ];
  for (const [pattern, name] of named) {
    const version = pattern.exec(text)[1];
    assert.ok(packages.split(/\s+/).includes(`${name}@${version}`), `${name} ${version} in ${packages}`);
  }
});

test('the time to answer is the one in the code', () => {
  assert.equal(Number(/you have (\d+) seconds to answer/.exec(text)[1]) * 1_000, MS.offer);
});
