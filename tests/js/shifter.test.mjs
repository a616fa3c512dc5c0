// A changed voice, on tones, a vowel made by hand and synthetic speech: what has to move moves by the ratio, and
// nothing else is to be noticed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RATIOS } from '../../static/js/disguise.js';
import { Shifter } from '../../static/worklet/shifter.js';
import { envelope, espeak, flite, formants, median, moved, pitches, power, resampled, shifted, wav } from './speech.mjs';

const ALL = [...RATIOS.deeper, ...RATIOS.higher];
const TEXT = 'The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well.';
const SPOKEN = {
  'a man (flite rms)': flite('rms', TEXT),
  'a woman (flite slt)': flite('slt', TEXT),
  'a Scot (flite awb)': flite('awb', TEXT),
  'a machine (espeak-ng)': espeak('en-gb', TEXT),
  'another machine (espeak-ng f3)': espeak('en-us+f3', TEXT),
};

const tone = (hertz, rate, seconds = 1) => ({
  rate,
  samples: Float32Array.from({ length: rate * seconds }, (_, index) => 0.5 * Math.sin((2 * Math.PI * hertz * index) / rate)),
});

/** Pulses through three resonators. */
function vowel(hertz, peaks, rate = 48_000) {
  let samples = Float32Array.from({ length: 2 * rate }, (_, index) => (Math.floor((index * hertz) / rate) > Math.floor(((index - 1) * hertz) / rate) ? 1 : 0));
  for (const peak of peaks) {
    const radius = Math.exp((-Math.PI * 80) / rate);
    const [last, before] = [2 * radius * Math.cos((2 * Math.PI * peak) / rate), -radius * radius];
    let [y1, y2] = [0, 0];
    samples = samples.map((sample) => {
      const y = (1 - last - before) * sample + last * y1 + before * y2;
      [y2, y1] = [y1, y];
      return y;
    });
  }
  const top = Math.max(...samples);
  return { rate, samples: samples.map((sample) => (0.5 * sample) / top) };
}

/** @param {number} actual @param {number} wanted @param {number} percent */
const near = (actual, wanted, percent, what = '') =>
  assert.ok(Math.abs(actual / wanted - 1) <= percent / 100, `${what}: ${actual} is not within ${percent} % of ${wanted}`);

describe('what moves', () => {
  test('a tone, at every rate a browser may have', () => {
    for (const rate of [16_000, 44_100, 48_000, 96_000]) {
      for (const hertz of [110, 220, 440, 1_000]) {
        for (const ratio of ALL) {
          const { samples } = shifted(tone(hertz, rate), ratio);
          const settled = samples.subarray(rate / 10, rate);
          // From the first to the last: a count in a window is right to one only.
          const crossings = [];
          for (let index = 1; index < settled.length; index += 1) if (settled[index - 1] < 0 && settled[index] >= 0) crossings.push(index);
          near((crossings.length - 1) / ((crossings.at(-1) - crossings[0]) / rate), hertz * ratio, 1, `${hertz} Hz at ${rate} by ${ratio}`);
          near(power(settled), 0.125, 2, `power of ${hertz} Hz at ${rate} by ${ratio}`);
        }
      }
    }
  });

  test('the fundamental and the formants of a vowel, all by the same', () => {
    for (const [hertz, peaks] of [[110, [700, 1_220, 2_600]], [95, [530, 1_840, 2_480]], [85, [500, 1_500, 2_500]]]) {
      for (const ratio of ALL) {
        const out = shifted(vowel(hertz, peaks), ratio);
        near(median(pitches(out)), hertz * ratio, 0.5, `fundamental by ${ratio}`);
        // Held against the vowel as somebody with that pitch and those formants speaks it.
        const other = vowel(hertz * ratio, peaks.map((peak) => peak * ratio));
        const [found, wanted] = [out, other].map((sound) => formants({ rate: 10_000, samples: resampled(wav(sound), 10_000).samples.subarray(5_000, 10_000) }, 12));
        for (const peak of wanted.slice(0, 3)) {
          near(found.reduce((best, one) => (Math.abs(one - peak) < Math.abs(best - peak) ? one : best), Infinity), peak, 3, `formant of ${hertz} Hz by ${ratio} among ${found}`);
        }
      }
    }
  });

  for (const [who, file] of Object.entries(SPOKEN)) {
    test(`the voice of ${who}`, () => {
      const voice = resampled(file, 48_000);
      const [pitch, shape] = [median(pitches(voice)), envelope(voice)];
      for (const ratio of ALL) {
        const out = shifted(voice, ratio);
        near(median(pitches(out)), pitch * ratio, 4, `fundamental by ${ratio}`);
        near(moved(shape, envelope(out)), ratio, 3, `formants by ${ratio}`);
      }
    });
  }

  test('a whisper', () => {
    const voice = resampled(espeak('en-gb+whisper', TEXT), 48_000);
    for (const ratio of ALL) near(moved(envelope(voice), envelope(shifted(voice, ratio))), ratio, 3, `formants by ${ratio}`);
  });
});

describe('what stays', () => {
  for (const [who, file] of Object.entries({ ...SPOKEN, 'a whisper': espeak('en-gb+whisper', TEXT) })) {
    test(`the loudness of ${who}, and no click comes in`, () => {
      const voice = resampled(file, 48_000);
      // How sharply the samples bend: a splice that does not fit would be the sharpest bend of all.
      const sharpest = ({ samples }) => samples.reduce((most, sample, index) =>
        Math.max(most, Math.abs(sample - 2 * (samples[index - 1] ?? 0) + (samples[index - 2] ?? 0))), 0);
      for (const ratio of ALL) {
        const out = shifted(voice, ratio);
        const decibels = 10 * Math.log10((power(out.samples) * out.samples.length) / (power(voice.samples) * voice.samples.length));
        assert.ok(Math.abs(decibels) < 0.5, `${decibels} dB by ${ratio}`);
        assert.ok(sharpest(out) <= 1.5 * Math.max(1, ratio) ** 2 * sharpest(voice), `${sharpest(out)} where there was ${sharpest(voice)}, by ${ratio}`);
      }
    });
  }

  test('silence is silence, before a voice and 25 ms after it', () => {
    for (const ratio of ALL) {
      const shifter = new Shifter(ratio, 48_000);
      const out = new Float32Array(128);
      const quiet = () => {
        shifter.process(new Float32Array(128), out);
        return out.every((sample) => sample === 0);
      };
      for (let block = 0; block < 100; block += 1) assert.ok(quiet(), 'before');
      const { samples } = tone(220, 48_000, 1);
      for (let at = 0; at + 128 <= samples.length; at += 128) shifter.process(samples.subarray(at, at + 128), out);
      for (let block = 0; block < 9; block += 1) quiet();
      for (let block = 0; block < 1_000; block += 1) assert.ok(quiet(), 'after');
    }
  });

  test('the same comes out whatever the size of the blocks', () => {
    const voice = resampled(SPOKEN['a woman (flite slt)'], 48_000);
    for (const ratio of [RATIOS.deeper[0], RATIOS.higher[1]]) {
      const whole = shifted(voice, ratio).samples;
      for (const block of [1, 441, 1_024]) {
        const { samples } = shifted(voice, ratio, block);
        assert.ok(whole.subarray(0, voice.samples.length).every((sample, index) => sample === samples[index]), `blocks of ${block}`);
      }
    }
  });

  test('whatever comes in, numbers come out, and then silence', () => {
    const garbage = {
      NaN: () => NaN,
      infinite: () => Infinity,
      'minus infinite': (index) => (index % 2 ? -Infinity : Infinity),
      denormal: (index) => (index % 2 ? 1e-40 : -1e-40),
      enormous: (index) => (index % 3 ? 3e38 : -3e38),
      'full scale': (index) => (index % 2 ? 1 : -1),
      'all of it': (index) => [NaN, 0.5, -Infinity, 1e-40, -1, 3e38, Infinity][index % 7],
    };
    for (const ratio of ALL) {
      for (const [what, make] of Object.entries(garbage)) {
        const { samples } = shifted({ rate: 48_000, samples: Float32Array.from({ length: 9_600 }, (_, index) => make(index)) }, ratio);
        assert.ok(samples.every(Number.isFinite), what);
        assert.ok(samples.every((sample) => Math.abs(sample) <= 16), what);
        assert.ok(samples.subarray(-480).every((sample) => sample === 0), what);
      }
      // A block that has nothing in it, as while there is no microphone.
      const out = new Float32Array(128).fill(1);
      new Shifter(ratio, 48_000).process(new Float32Array(0), out);
      assert.ok(out.every((sample) => sample === 0));
    }
  });

  test('no ratio leaves a voice as it is', () => {
    for (const ratio of [1, 0.98, 1.04, 0, -1, 3, NaN, undefined]) assert.throws(() => new Shifter(ratio, 48_000), RangeError);
    for (const rate of [0, NaN, undefined, 1e9]) assert.throws(() => new Shifter(1.2, rate), RangeError);
  });
});

test('nothing is more than 20 ms late, and on average 16 at most', () => {
  for (const ratio of ALL) {
    const late = [];
    // Bursts at all distances from the splices before them, after a hum that keeps those going.
    for (let pause = 0; pause < 97; pause += 1) {
      const onset = 24_000 + pause * 53;
      const { samples } = tone(143, 48_000, 1);
      for (let index = 0; index < samples.length; index += 1) {
        samples[index] *= 0.02;
        if (index >= onset && index < onset + 960) samples[index] += 0.9 * Math.sin((index - onset) ** 2);
      }
      const out = shifted({ rate: 48_000, samples }, ratio).samples;
      late.push((out.findIndex((sample) => Math.abs(sample) > 0.2) - onset) / 48);
    }
    const mean = late.reduce((sum, one) => sum + one) / late.length;
    assert.ok(late.every((one) => one > 0 && one <= 20), `${Math.min(...late)} to ${Math.max(...late)} ms by ${ratio}`);
    assert.ok(mean <= 16, `${mean} ms by ${ratio}`);
  }
});
