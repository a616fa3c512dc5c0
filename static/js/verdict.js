// @ts-check
/**
 * Hear yourself: from what a browser has measured to what the visitor is told. Pure.
 */

/** @typedef {import('./types.js').Found} Found */

/**
 * @typedef {object} Figures
 * @property {number} listened for how long the line has been up, in ms
 * @property {number | null} spoken how loud the microphone was at its loudest, 0 to 1 as the lamps; nothing where this
 *   browser does not tell
 * @property {number | null} since how long ago it was first loud enough, in ms; nothing where it was not
 * @property {number} returned how loud at its loudest what came back was, 0 to 1
 * @property {boolean} unheard whether a changed voice was wanted and did not come about
 * @property {Line} line
 */

/**
 * @typedef {object} Line
 * @property {number} received packets
 * @property {number} loss in the worse of the two directions, 0 to 1
 * @property {number} jitter of what comes, in ms (RFC 3550 §6.4.1)
 * @property {number} roundTrip to the server's caller and back, in ms; 0 where this browser does not tell
 * @property {string} way to the relay: `udp`, `tcp`, `tls`, or nothing where this browser does not tell
 */

/** A voice, and not a quiet room: about 50 dB below full scale. */
export const AUDIBLE = 0.1;

/** So long a microphone has been listened to before it is called silent: time to begin to speak, in ms. */
export const LISTEN_MS = 4_000;

/** So long after the first word it has to have come back: the second that it takes, and another for the line, in ms. */
export const RETURN_MS = 2_500;

/** More is not mended by Opus, whose packets carry some of the one before: words go missing. */
export const MOST_LOSS = 0.05;

/** More than a browser's buffer takes without an ear noticing, in ms. */
export const MOST_JITTER = 60;

/**
 * From here to the server and back, in ms. In a call the partner has a way of their own to it, and half of both is what
 * a word takes: people begin to interrupt each other when that is over 400 ms (ITU-T G.114).
 */
export const MOST_ROUND_TRIP = 400;

/**
 * @param {Figures} figures
 * @returns {Found}
 */
export function judge({ listened, spoken, since, returned, unheard, line }) {
  const back = returned >= AUDIBLE;
  const waited = since !== null ? since >= RETURN_MS : spoken === null && listened >= LISTEN_MS;
  return {
    // What came back has been through the microphone.
    microphone: since !== null || back ? 'fine' : spoken !== null && listened >= LISTEN_MS ? 'silent' : 'unknown',
    sound: back ? 'fine' : unheard ? 'unheard' : waited ? 'none' : 'unknown',
    line: line.received === 0 ? 'none'
      : line.loss > MOST_LOSS || line.jitter > MOST_JITTER || line.roundTrip > MOST_ROUND_TRIP ? 'thin'
        : line.way === 'tcp' || line.way === 'tls' ? 'tcp' : 'fine',
  };
}

/**
 * What of `getStats` (W3C webrtc-stats) says something of the line. Chromium and Firefox tell it in different places.
 * @param {ReadonlyMap<string, any>} report
 * @returns {Line}
 */
export function line(report) {
  const all = [...report.values()];
  const of = (/** @type {string} */ type) => all.find((one) => one.type === type && (one.kind ?? 'audio') === 'audio');
  const [coming, going, arrived] = [of('inbound-rtp'), of('outbound-rtp'), of('remote-inbound-rtp')];
  const pair = report.get(of('transport')?.selectedCandidatePairId)
    ?? all.find(({ type, selected, nominated, state }) => type === 'candidate-pair' && (selected ?? (nominated && state === 'succeeded')));
  const lost = (/** @type {number | undefined} */ count, /** @type {number | undefined} */ of) =>
    of ? Math.min(1, Math.max(0, count ?? 0) / of) : 0;
  const received = coming?.packetsReceived ?? 0;
  return {
    received,
    loss: Math.max(lost(coming?.packetsLost, received + Math.max(0, coming?.packetsLost ?? 0)), lost(arrived?.packetsLost, going?.packetsSent)),
    jitter: 1_000 * (coming?.jitter ?? 0),
    roundTrip: 1_000 * ((pair?.responsesReceived ? pair.totalRoundTripTime / pair.responsesReceived : null)
      ?? pair?.currentRoundTripTime ?? arrived?.roundTripTime ?? 0),
    way: report.get(pair?.localCandidateId)?.relayProtocol ?? '',
  };
}

/**
 * How much sound there was between two reports of one track, as a mean square; nothing where it is not told.
 * @param {{ totalAudioEnergy?: number, totalSamplesDuration?: number } | undefined} before
 * @param {{ totalAudioEnergy?: number, totalSamplesDuration?: number } | undefined} now
 */
export function power(before, now) {
  if (now?.totalAudioEnergy === undefined || now.totalSamplesDuration === undefined) return null;
  const seconds = now.totalSamplesDuration - (before?.totalSamplesDuration ?? 0);
  return seconds > 0 ? Math.max(0, now.totalAudioEnergy - (before?.totalAudioEnergy ?? 0)) / seconds : 0;
}
