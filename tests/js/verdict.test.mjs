// Hear yourself: what is said of what was measured, and where both browsers say it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AUDIBLE, judge, line, LISTEN_MS, MOST_JITTER, MOST_LOSS, MOST_ROUND_TRIP, power, RETURN_MS,
} from '../../static/js/verdict.js';

const LINE = { received: 400, loss: 0, jitter: 3, roundTrip: 40, way: 'udp' };
const FINE = { listened: 8_000, spoken: 0.6, since: 6_000, returned: 0.6, unheard: false, line: LINE };
const told = (changes) => judge({ ...FINE, ...changes });

test('all is well', () => {
  assert.deepEqual(told(), { microphone: 'fine', sound: 'fine', line: 'fine' });
});

test('a microphone without a sound is named once it was listened to for long enough', () => {
  const quiet = { spoken: AUDIBLE / 2, since: null, returned: 0 };
  assert.deepEqual(told(quiet), { microphone: 'silent', sound: 'unknown', line: 'fine' });
  assert.equal(told({ ...quiet, listened: LISTEN_MS - 1 }).microphone, 'unknown');
  assert.equal(told({ ...quiet, spoken: null }).microphone, 'unknown', 'where the browser does not tell');
  // A voice that came back has been through the microphone, whatever the meter says.
  assert.equal(told({ ...quiet, spoken: null, returned: AUDIBLE }).microphone, 'fine');
});

test('that nothing came back is said when it had time to', () => {
  assert.deepEqual(told({ returned: 0 }), { microphone: 'fine', sound: 'none', line: 'fine' });
  assert.equal(told({ returned: 0, since: RETURN_MS - 1 }).sound, 'unknown', 'a word that is still on its way');
  assert.equal(told({ returned: 0, spoken: null, since: null }).sound, 'none');
  assert.equal(told({ returned: 0, unheard: true }).sound, 'unheard');
});

test('a line is thin by any of three figures', () => {
  for (const [figure, most] of [['loss', MOST_LOSS], ['jitter', MOST_JITTER], ['roundTrip', MOST_ROUND_TRIP]]) {
    assert.equal(told({ line: { ...LINE, [figure]: most } }).line, 'fine', figure);
    assert.equal(told({ line: { ...LINE, [figure]: most * 1.01 } }).line, 'thin', figure);
  }
  for (const way of ['tcp', 'tls']) {
    assert.equal(told({ line: { ...LINE, way } }).line, 'tcp');
    assert.equal(told({ line: { ...LINE, way, loss: 1 } }).line, 'thin');
  }
  assert.equal(told({ line: { ...LINE, way: '' } }).line, 'fine', 'where the browser does not tell');
  assert.equal(told({ line: { ...LINE, received: 0 } }).line, 'none');
});

const report = (...all) => new Map(all.map((one) => [one.id, one]));

test('Chromium tells of the line in these places', () => {
  assert.deepEqual(line(report(
    { id: 'T', type: 'transport', selectedCandidatePairId: 'P2' },
    { id: 'P1', type: 'candidate-pair', nominated: true, state: 'succeeded', localCandidateId: 'L1', totalRoundTripTime: 9, responsesReceived: 1 },
    { id: 'P2', type: 'candidate-pair', nominated: true, state: 'succeeded', localCandidateId: 'L2', totalRoundTripTime: 0.3, responsesReceived: 10, currentRoundTripTime: 5 },
    { id: 'L1', type: 'local-candidate', relayProtocol: 'udp' }, { id: 'L2', type: 'local-candidate', relayProtocol: 'tls' },
    { id: 'I', type: 'inbound-rtp', kind: 'audio', packetsReceived: 190, packetsLost: 10, jitter: 0.004 },
    { id: 'O', type: 'outbound-rtp', kind: 'audio', packetsSent: 200 },
    { id: 'R', type: 'remote-inbound-rtp', kind: 'audio', packetsLost: 40, roundTripTime: 7 },
  )), { received: 190, loss: 0.2, jitter: 4, roundTrip: 30, way: 'tls' });
});

test('and Firefox in these', () => {
  assert.deepEqual(line(report(
    { id: 'P1', type: 'candidate-pair', selected: false, nominated: true, state: 'succeeded', localCandidateId: 'L1' },
    { id: 'P2', type: 'candidate-pair', selected: true, nominated: true, state: 'succeeded', localCandidateId: 'L2' },
    { id: 'L1', type: 'local-candidate', relayProtocol: 'udp' }, { id: 'L2', type: 'local-candidate', relayProtocol: 'tcp' },
    { id: 'I', type: 'inbound-rtp', kind: 'audio', packetsReceived: 90, packetsLost: 10, jitter: 0.02 },
    { id: 'O', type: 'outbound-rtp', kind: 'audio', packetsSent: 100 },
    { id: 'R', type: 'remote-inbound-rtp', kind: 'audio', packetsLost: -1, roundTripTime: 0.25 },
  )), { received: 90, loss: 0.1, jitter: 20, roundTrip: 250, way: 'tcp' });
});

test('where nothing is told, nothing is made up', () => {
  assert.deepEqual(line(report()), { received: 0, loss: 0, jitter: 0, roundTrip: 0, way: '' });
  assert.equal(power(undefined, undefined), null);
  assert.equal(power(undefined, { totalAudioEnergy: 1 }), null);
});

test('sound is what has come since the last look', () => {
  const at = (totalAudioEnergy, totalSamplesDuration) => ({ totalAudioEnergy, totalSamplesDuration });
  assert.equal(power(undefined, at(0.5, 2)), 0.25);
  assert.equal(power(at(0.5, 2), at(0.6, 2.5)).toFixed(3), '0.200');
  assert.equal(power(at(0.5, 2), at(0.5, 2)), 0, 'nothing has been played since');
});
