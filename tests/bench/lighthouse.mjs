// How fast the first page is there for a phone on a slow line, as Lighthouse reckons it: node tests/bench/lighthouse.mjs [runs]
// The server as it is built for use, over HTTP on this machine; `./tests/run` has installed Lighthouse.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const runs = Number(process.argv[2] ?? 5);

const server = spawn(path('target/release/sotto'), { env: { ...process.env, SOTTO_LISTEN: '127.0.0.1:0' }, stdio: ['ignore', 'pipe', 'inherit'] });
let port = '';
for await (const line of createInterface(server.stdout)) {
  port = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(line)?.[1] ?? '';
  if (port) break;
}

const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];
const chromium = execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
const found = [];
try {
  // On a busy machine Lighthouse loses its own trace now and then, and says so.
  for (let tries = 0; found.length < runs && tries < runs * 2; tries++) {
    const { stdout } = spawnSync('node', [
      path('target/tools/node_modules/lighthouse/cli/index.js'), `http://localhost:${port}/`, '--quiet', '--output=json',
      '--only-categories=performance', '--chrome-flags=--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage',
    ], { env: { ...process.env, CHROME_PATH: chromium }, encoding: 'utf8', maxBuffer: 64 << 20 });
    const report = JSON.parse(stdout);
    if (report.runtimeError) {
      console.log(report.runtimeError.code);
      continue;
    }
    const ms = (audit) => Math.round(report.audits[audit].numericValue);
    found.push({
      score: Math.round(report.categories.performance.score * 100),
      'first paint, ms': ms('first-contentful-paint'),
      'interactive, ms': ms('interactive'),
      'blocked, ms': ms('total-blocking-time'),
      'layout shift': report.audits['cumulative-layout-shift'].numericValue,
    });
  }
} finally {
  server.kill();
  await once(server, 'exit');
}
console.table(found);
assert.equal(found.length, runs, 'too many runs failed');
const score = median(found.map((one) => one.score));
console.log(`performance: ${score} of 100, the median of ${runs}`);
assert.ok(score >= 99, `${score} is under 99`);
