// Opus packets of one size, held against libopus' own padding and the rules of RFC 6716.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PACKET_BYTES, pad } from '../../static/js/padding.js';

const VECTORS = JSON.parse(readFileSync(new URL('../fixtures/opus/padding.json', import.meta.url), 'utf8'));
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));

for (const { what, packet, size, padded } of VECTORS) {
  test(`as libopus pads: ${what}, ${packet.length / 2} to ${size} bytes`, () => {
    assert.deepEqual(pad(bytes(packet), size), bytes(padded));
  });
}

/** A generator of numbers, the same every time. */
function chance(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What a decoder takes out of a packet (RFC 6716 §3.2), or null where it must take none. Written from the rules alone. */
function frames(packet) {
  if (packet.length < 1) return null;
  const configuration = packet[0] >> 2;
  const rest = [...packet.slice(1)];
  const length = () => {
    const first = rest.shift();
    if (first === undefined) return NaN;
    return first < 252 ? first : first + 4 * (rest.shift() ?? NaN);
  };
  const cut = (lengths) => (lengths.every((one) => one >= 0) && lengths.reduce((sum, one) => sum + one, 0) === rest.length
    ? { configuration, frames: lengths.map((one) => rest.splice(0, one)) } : null);
  switch (packet[0] & 3) {
    case 0: return cut([rest.length]);
    case 1: return cut([rest.length / 2, rest.length / 2].map((one) => (Number.isInteger(one) ? one : NaN)));
    case 2: {
      const first = length();
      return cut([first, rest.length - first]);
    }
  }
  const second = rest.shift();
  if (second === undefined || (second & 0x3f) === 0) return null;
  const count = second & 0x3f;
  if (second & 0x40) {
    let padding = 0;
    let more;
    do {
      more = rest.shift();
      if (more === undefined) return null;
      padding += more === 255 ? 254 : more;
    } while (more === 255);
    if (padding > rest.length) return null;
    if (padding && rest.splice(-padding).some((one) => one !== 0)) return null;
  }
  if (!(second & 0x80)) {
    const each = rest.length / count;
    return Number.isInteger(each) ? cut(Array(count).fill(each)) : null;
  }
  const lengths = Array.from({ length: count - 1 }, length);
  return cut([...lengths, rest.length - lengths.reduce((sum, one) => sum + one, 0)]);
}

/** A packet of any kind by the rules. */
function any(random) {
  const configuration = random(64) << 2;
  const frame = (most) => Array.from({ length: random(most) }, () => random(256));
  const length = (one) => (one < 252 ? [one] : [252 + ((one - 252) & 3), (one - 252 - ((one - 252) & 3)) / 4]);
  const code = random(4);
  if (code === 0) return [configuration, ...frame(600)];
  const first = frame(300);
  if (code === 1) return [configuration | 1, ...first, ...first];
  if (code === 2) return [configuration | 2, ...length(first.length), ...first, ...frame(300)];
  const count = 1 + random(6);
  const vbr = random(2) === 1;
  const all = Array.from({ length: count }, () => (vbr ? frame(280) : first));
  const padding = random(2) ? random(800) : -1;
  const lengths = padding < 0 ? [] : [...Array(Math.floor(padding / 254)).fill(255), padding % 254];
  return [configuration | 3, count | (vbr ? 0x80 : 0) | (padding < 0 ? 0 : 0x40), ...lengths,
    ...(vbr ? all.slice(0, -1).flatMap((one) => length(one.length)) : []), ...all.flat(), ...Array(Math.max(0, padding)).fill(0)];
}

test('whatever comes, it has the size; what fits keeps its frames, and what does not has empty ones', () => {
  const random = chance(1);
  const seen = { fits: 0, bridged: 0 };
  for (let time = 0; time < 20_000; time += 1) {
    const packet = Uint8Array.from(any(random));
    const before = frames(packet);
    assert.notEqual(before, null, 'the generator keeps to the rules');
    const size = 2 + random(1_200);
    const after = pad(packet, size);
    assert.equal(after.length, size);
    const needed = before.frames.flat().length;
    if (packet.length <= size) {
      seen.fits += 1;
      assert.deepEqual(frames(after), before);
    } else if (frames(after).frames.flat().length > 0) {
      // Without the padding that it had, it fits.
      assert.deepEqual(frames(after), before);
    } else {
      seen.bridged += 1;
      assert.ok(needed === 0 || needed + 2 > size - 2 * before.frames.length);
      assert.deepEqual(frames(after), { ...before, frames: before.frames.map(() => []) });
    }
  }
  assert.ok(seen.fits > 5_000 && seen.bridged > 1_000, JSON.stringify(seen));
});

test('what is no packet has the size as well, and no decoder reads beyond it', () => {
  const random = chance(2);
  for (let time = 0; time < 20_000; time += 1) {
    const noise = Uint8Array.from({ length: random(300) }, () => random(256));
    const size = 2 + random(300);
    assert.equal(pad(noise, size).length, size);
  }
  for (const nothing of [[], [0x03], [0x03, 0x41], [0x03, 0x41, 255], [0x03, 0x41, 9, 0], [0x03, 0x41, 255, 255, 255]]) {
    assert.deepEqual(frames(pad(Uint8Array.from(nothing), 40))?.frames.flat(), [], String(nothing));
  }
  assert.equal(frames(pad(new Uint8Array(), 40)).configuration >> 1, 31, '20 ms, as every packet of ours');
});

test('a padded packet is left as it is', () => {
  const random = chance(3);
  for (let time = 0; time < 1_000; time += 1) {
    const once = pad(Uint8Array.from(any(random)), PACKET_BYTES);
    assert.deepEqual(pad(once, PACKET_BYTES), once);
  }
});
