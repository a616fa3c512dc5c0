// The first page is small: 40 kB compressed with everything, 25 kB of it scripts.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const root = new URL('../../static/', import.meta.url);
const size = (path) => gzipSync(readFileSync(new URL(path, root))).length;

test('the first page keeps to its budget', () => {
  const html = readFileSync(new URL('index.html', root), 'utf8');
  const paths = ['index.html', ...[...html.matchAll(/<(?:link|script) [^>]*(?:src|href)="\/([^"]+)"/g)].map(([, path]) => path)];
  const sizes = paths.map((path) => [path, size(path)]);
  const sum = (list) => list.reduce((total, [, bytes]) => total + bytes, 0);
  const scripts = sum(sizes.filter(([path]) => path.endsWith('.js')));
  assert.ok(scripts <= 25_000, `${scripts} bytes of scripts`);
  assert.ok(sum(sizes) <= 40_000, `${sum(sizes)} bytes`);
});
