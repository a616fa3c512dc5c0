// The first page is small, whatever language it is read in: 40 kB compressed with everything, 25 kB of it scripts. By
// Brotli, as every browser gets it on an encrypted page; `files.rs` holds the server to it.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';

const root = new URL('../../static/', import.meta.url);
const size = (path) => brotliCompressSync(readFileSync(new URL(path, root))).length;

const html = readFileSync(new URL('index.html', root), 'utf8');
const languages = readdirSync(new URL('js/words/', root)).filter((name) => !name.includes('-'));

for (const language of languages) test(`the first page keeps to its budget with ${language}`, (it) => {
  const named = [...html.matchAll(/<(?:link|script) [^>]*(?:src|href)="\/([^"]+)"/g)].map(([, path]) => path);
  const paths = ['index.html', ...named, `js/words/${language}`];
  const sizes = paths.map((path) => [path, size(path)]);
  const sum = (list) => list.reduce((total, [, bytes]) => total + bytes, 0);
  const scripts = sum(sizes.filter(([path]) => path.endsWith('.js')));
  it.diagnostic(`${scripts} of scripts, ${sum(sizes)} of everything`);
  assert.ok(scripts <= 25_000, `${scripts} bytes of scripts`);
  assert.ok(sum(sizes) <= 40_000, `${sum(sizes)} bytes`);
});
