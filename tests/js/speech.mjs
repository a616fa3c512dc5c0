// Voices to try things on, and what can be measured of them.

import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Shifter } from '../../static/worklet/shifter.js';

/** @typedef {{ rate: number, samples: Float32Array }} Sound */

/** A WAV file of 16 bits, mono. @param {Buffer} file @returns {Sound} */
export function parse(file) {
  let rate = 0;
  for (let at = 12; at + 8 <= file.length;) {
    const name = file.toString('latin1', at, at + 4);
    // What is written to a pipe does not know its length.
    const length = Math.min(file.readUInt32LE(at + 4), file.length - at - 8);
    if (name === 'fmt ') rate = file.readUInt32LE(at + 12);
    if (name === 'data') {
      const samples = new Float32Array(length >> 1);
      for (let index = 0; index < samples.length; index += 1) samples[index] = file.readInt16LE(at + 8 + 2 * index) / 32_768;
      return { rate, samples };
    }
    at += 8 + length;
  }
  throw new TypeError('no sound in it');
}

/** @param {Sound} sound @returns {Buffer} */
export function wav({ rate, samples }) {
  const file = Buffer.alloc(44 + 2 * samples.length);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + 2 * samples.length, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rate, 24);
  file.writeUInt32LE(2 * rate, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36);
  file.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((sample, index) => file.writeInt16LE(Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768))), 44 + 2 * index));
  return file;
}

/** A sound at another rate, by sox. @param {Buffer} file @param {number} rate @param {string[]} effects */
export const resampled = (file, rate, effects = []) =>
  parse(execFileSync('sox', ['-t', 'wav', '-', '-t', 'wav', '-r', String(rate), '-', ...effects], { input: file, maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'ignore'] }));

/** @param {string} voice @param {string} text */
export const espeak = (voice, text) => execFileSync('espeak-ng', ['-v', voice, '--stdout', text], { maxBuffer: 1 << 28 });

/** @param {string} voice @param {string} text */
export function flite(voice, text) {
  // It goes back to write the length, which a pipe does not let it.
  const file = join(tmpdir(), `sotto-${process.pid}.wav`);
  execFileSync('flite', ['-voice', voice, '-t', text, '-o', file]);
  const bytes = readFileSync(file);
  rmSync(file);
  return bytes;
}

/**
 * What comes out of a shifter, in blocks as the audio thread has them, until it is empty.
 * @param {Sound} sound @param {number} ratio @param {number} block
 * @returns {Sound}
 */
export function shifted({ rate, samples }, ratio, block = 128) {
  const shifter = new Shifter(ratio, rate);
  const padded = new Float32Array(Math.ceil((samples.length + 0.05 * rate) / block) * block);
  padded.set(samples);
  const output = new Float32Array(padded.length);
  for (let at = 0; at < padded.length; at += block) shifter.process(padded.subarray(at, at + block), output.subarray(at, at + block));
  return { rate, samples: output };
}

/** @param {Float32Array} samples */
export const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

/**
 * How fast the voice swings in each stretch of 40 ms in which it does, in hertz, by autocorrelation.
 * @param {Sound} sound
 */
export function pitches({ rate, samples }, lowest = 60, highest = 500) {
  const length = Math.round(0.04 * rate);
  const [nearest, farthest] = [Math.floor(rate / highest), Math.ceil(rate / lowest)];
  const loud = power(samples) / 4;
  const found = [];
  for (let start = 0; start + length + farthest + 1 < samples.length; start += length) {
    if (power(samples.subarray(start, start + length)) < loud) continue;
    const alike = [];
    for (let lag = nearest; lag <= farthest; lag += 1) {
      let [product, one, other] = [0, 1e-12, 1e-12];
      for (let index = start; index < start + length; index += 1) {
        product += samples[index] * samples[index + lag];
        one += samples[index] ** 2;
        other += samples[index + lag] ** 2;
      }
      alike.push(product / Math.sqrt(one * other));
    }
    const best = Math.max(...alike);
    if (best < 0.8) continue;
    // The first of the peaks that are about as high: not a multiple of the period.
    const at = alike.findIndex((value, index) => index > 0 && value > 0.93 * best && value >= alike[index - 1] && value >= (alike[index + 1] ?? -1));
    if (at < 1) continue;
    const [before, here, after] = [alike[at - 1], alike[at], alike[at + 1] ?? alike[at]];
    const bend = before - 2 * here + after;
    found.push(rate / (nearest + at + (bend < 0 ? 0.5 * (before - after) / bend : 0)));
  }
  return found;
}

/** @param {number[]} values */
export const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];

/**
 * The poles of a linear prediction (autocorrelation method, Levinson's recursion) as a spectral envelope's peaks, in hertz.
 * @param {Sound} sound @param {number} order
 */
export function formants({ rate, samples }, order) {
  const shaped = samples.map((sample, index) => (sample - 0.97 * (samples[index - 1] ?? 0)) * (0.54 - 0.46 * Math.cos((2 * Math.PI * index) / samples.length)));
  const auto = Array.from({ length: order + 1 }, (_, lag) => {
    let sum = 0;
    for (let index = lag; index < shaped.length; index += 1) sum += shaped[index] * shaped[index - lag];
    return sum;
  });
  let error = auto[0];
  let taps = [1];
  for (let step = 1; step <= order; step += 1) {
    const reflection = -taps.reduce((sum, tap, index) => sum + tap * auto[step - index], 0) / error;
    taps = Array.from({ length: step + 1 }, (_, index) => (taps[index] ?? 0) + reflection * (taps[step - index] ?? 0));
    error *= 1 - reflection * reflection;
  }
  const gain = (hertz) => {
    const turn = (2 * Math.PI * hertz) / rate;
    const [real, imaginary] = taps.reduce(([x, y], tap, index) => [x + tap * Math.cos(turn * index), y - tap * Math.sin(turn * index)], [0, 0]);
    return 1 / (real * real + imaginary * imaginary);
  };
  const peaks = [];
  for (let hertz = 100; hertz < rate / 2 - 100; hertz += 2) {
    if (gain(hertz) > gain(hertz - 2) && gain(hertz) >= gain(hertz + 2)) peaks.push(hertz);
  }
  return peaks;
}

/**
 * The mean spectrum in steps of 1/48 octave from 200 Hz to 5 kHz, in dB, smoothed over half an octave: formants, and
 * noise, without the harmonics.
 * @param {Sound} sound
 */
export function envelope({ rate, samples }) {
  const size = 2 ** Math.round(Math.log2(0.04 * rate));
  const sums = new Float64Array(size / 2);
  for (let start = 0; start + size <= samples.length; start += size / 2) {
    const frame = samples.subarray(start, start + size).map((sample, index) => sample * (0.5 - 0.5 * Math.cos((2 * Math.PI * index) / size)));
    spectrum(frame).forEach((value, bin) => { sums[bin] += value; });
  }
  const bin = (hertz) => (hertz * size) / rate;
  return Array.from({ length: 224 }, (_, step) => {
    const middle = 200 * 2 ** (step / 48);
    let [sum, weight] = [0, 0];
    for (let at = Math.ceil(bin(middle / 2 ** 0.25)); at <= bin(middle * 2 ** 0.25); at += 1) {
      const near = 0.5 + 0.5 * Math.cos(Math.PI * Math.log2((at * rate) / size / middle) / 0.25);
      sum += near * sums[at];
      weight += near;
    }
    return 10 * Math.log10(sum / weight + 1e-12);
  });
}

/**
 * By how much a spectral envelope has moved along the frequencies to become another: where the two are most alike.
 * @param {number[]} before @param {number[]} after
 */
export function moved(before, after) {
  let best = { alike: -Infinity, ratio: 1 };
  for (let steps = -24; steps <= 24; steps += 0.5) {
    const pairs = [];
    for (let index = 0; index < before.length; index += 1) {
      const at = index + steps;
      const [low, high] = [after[Math.floor(at)], after[Math.ceil(at)]];
      if (low !== undefined && high !== undefined) pairs.push([before[index], low + (high - low) * (at - Math.floor(at))]);
    }
    const means = [0, 1].map((side) => pairs.reduce((sum, pair) => sum + pair[side], 0) / pairs.length);
    const [product, one, other] = pairs.reduce(([p, x, y], [a, b]) => [p + (a - means[0]) * (b - means[1]), x + (a - means[0]) ** 2, y + (b - means[1]) ** 2], [0, 0, 0]);
    const alike = product / Math.sqrt(one * other);
    if (alike > best.alike) best = { alike, ratio: 2 ** (steps / 48) };
  }
  return best.ratio;
}

/** Power in each bin (radix 2). @param {Float32Array} frame */
function spectrum(frame) {
  const size = frame.length;
  const real = Float64Array.from(frame);
  const imaginary = new Float64Array(size);
  for (let index = 1, other = 0; index < size; index += 1) {
    let bit = size >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (index < other) [real[index], real[other]] = [real[other], real[index]];
  }
  for (let length = 2; length <= size; length *= 2) {
    for (let start = 0; start < size; start += length) {
      for (let index = 0; index < length / 2; index += 1) {
        const turn = (-2 * Math.PI * index) / length;
        const [one, other] = [start + index, start + index + length / 2];
        const x = real[other] * Math.cos(turn) - imaginary[other] * Math.sin(turn);
        const y = real[other] * Math.sin(turn) + imaginary[other] * Math.cos(turn);
        [real[other], imaginary[other]] = [real[one] - x, imaginary[one] - y];
        [real[one], imaginary[one]] = [real[one] + x, imaginary[one] + y];
      }
    }
  }
  return Array.from({ length: size / 2 }, (_, bin) => real[bin] ** 2 + imaginary[bin] ** 2);
}
