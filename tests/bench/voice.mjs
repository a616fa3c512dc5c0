// What is left of the words in a changed voice, and of the speaker: `node tests/bench/voice.mjs`. Needs what
// ./tests/run installs, and Debian's pocketsphinx and pocketsphinx-en-us.
//
// A matrix sentence test (B. Hagerman, Scandinavian Audiology 11, 1982): name, verb, number, adjective, noun, ten of each, so that
// guessing gets one in ten. Three voices of flite say twenty sentences; CMU PocketSphinx, which knows natural voices
// only, writes down what it hears. "Tape" is the same move by playing faster or slower, which leaves no splices: what is
// lost there is lost to the move, and only what is lost beyond it to how it is done.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RATIOS } from '../../static/js/disguise.js';
import { Shifter } from '../../static/worklet/shifter.js';
import { flite, median, pitches, resampled, shifted, wav } from '../js/speech.mjs';

const WORDS = [
  ['alan', 'doris', 'kathy', 'lucy', 'nina', 'peter', 'rachel', 'steven', 'thomas', 'william'],
  ['bought', 'found', 'gave', 'has', 'kept', 'ordered', 'prefers', 'sees', 'sold', 'wants'],
  ['two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'twelve'],
  ['big', 'cheap', 'dark', 'green', 'heavy', 'large', 'old', 'pretty', 'red', 'small'],
  ['beds', 'chairs', 'desks', 'flowers', 'houses', 'rings', 'ships', 'shoes', 'spoons', 'toys'],
];
const SENTENCES = 20;
const MIDDLES = [RATIOS.deeper, RATIOS.higher].map(([least, most]) => (least + most) / 2);
const VOICES = ['rms', 'awb', 'slt'];
const MODEL = '/usr/share/pocketsphinx/model/en-us';

const folder = mkdtempSync(join(tmpdir(), 'sotto-voice-'));
writeFileSync(join(folder, 'matrix.gram'), `#JSGF V1.0;\ngrammar matrix;\npublic <sentence> = ${WORDS.map((words) => `( ${words.join(' | ')} )`).join(' ')};\n`);

const said = VOICES.flatMap((voice) => Array.from({ length: SENTENCES }, (_, index) => {
  const words = WORDS.map((some, place) => some[(index * [1, 3, 7, 9, 1][place] + 2 * place + (place === 4 ? index >> 1 : 0)) % 10]);
  return { voice, words, file: wav(resampled(flite(voice, words.join(' ')), 48_000, ['pad', '0.1', '0.2'])) };
}));

/** The share of the words that are understood, for each voice. @param {(file: Buffer) => Buffer} change */
function understood(change) {
  said.forEach(({ file }, index) => writeFileSync(join(folder, `${index}.wav`), wav(resampled(change(file), 16_000))));
  writeFileSync(join(folder, 'list'), said.map((_, index) => `${index}\n`).join(''));
  const path = (name) => join(folder, name);
  execFileSync('pocketsphinx_batch', ['-hmm', `${MODEL}/en-us`, '-dict', `${MODEL}/cmudict-en-us.dict`, '-jsgf', path('matrix.gram'), '-ctl', path('list'),
    '-cepdir', folder, '-cepext', '.wav', '-adcin', 'yes', '-adchdr', '44', '-hyp', path('heard'), '-logfn', '/dev/null']);
  const heard = readFileSync(path('heard'), 'utf8').split('\n').map((line) => line.replace(/\s*\([^)]*\)$/, '').split(' '));
  return VOICES.map((voice) => {
    const right = said.map((one, index) => (one.voice === voice ? one.words.filter((word, place) => heard[index]?.[place]?.replace(/\(\d\)$/, '') === word).length : 0));
    return right.reduce((sum, one) => sum + one) / (SENTENCES * WORDS.length);
  });
}

const percent = (share) => `${Math.round(100 * share)} %`;
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);

row('words understood', ...VOICES.map((voice) => `flite ${voice}`));
row('---', ...VOICES.map(() => '---:'));
row('as it is', ...understood((file) => file).map(percent));
for (const ratio of [...RATIOS.deeper, ...RATIOS.higher]) {
  const changed = understood((file) => wav(shifted(resampled(file, 48_000), ratio)));
  const tape = understood((file) => wav(resampled(file, 48_000, ['speed', String(ratio)])));
  row(`by ${ratio.toFixed(2)} (tape)`, ...changed.map((share, index) => `${percent(share)} (${percent(tape[index])})`));
}

// Whoever knows the ratio moves the voice back.
for (const ratio of MIDDLES) {
  const found = said.filter((_, index) => index % SENTENCES < 4).map(({ file }) => {
    const voice = resampled(file, 48_000);
    return median(pitches(shifted(shifted(voice, ratio), 1 / ratio))) / median(pitches(voice)) - 1;
  });
  console.log(`\nMoved by ${ratio.toFixed(2)} and back, the pitch is within ${(100 * median(found.map(Math.abs))).toFixed(1)} % of what it was.`);
}

const voice = resampled(said[0].file, 48_000).samples;
for (const ratio of MIDDLES) {
  const shifter = new Shifter(ratio, 48_000);
  const out = new Float32Array(128);
  const taken = [];
  for (let round = 0; round < 10; round += 1) {
    for (let at = 0; at + 128 <= voice.length; at += 128) {
      const start = performance.now();
      shifter.process(voice.subarray(at, at + 128), out);
      if (round > 1) taken.push(1_000 * (performance.now() - start));
    }
  }
  taken.sort((one, other) => one - other);
  console.log(`By ${ratio.toFixed(2)}, a block of 2,667 µs takes ${(taken.reduce((sum, one) => sum + one) / taken.length).toFixed(1)} µs, one in a hundred ${taken[Math.floor(0.99 * taken.length)].toFixed(0)}.`);
}
rmSync(folder, { recursive: true });
