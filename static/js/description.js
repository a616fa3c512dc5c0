// @ts-check
/**
 * Session descriptions: out of the local one comes only what the partner's page cannot know, and the remote
 * one is built from the single template below. So nothing of the partner's browser's making (extensions,
 * stream names, addresses, options) can reach this browser, and nothing of this browser's can reach theirs. Pure.
 */

import { RELAYED_ADDRESS } from './protocol.js';

/** @typedef {import('./types.js').Description} Description */

/**
 * How the sender on the other end of this description encodes Opus (RFC 7587 §6.1): one constant size and
 * rhythm, whatever is said (`cbr`, no `usedtx`), mono, with repair data in case of loss.
 */
const OPUS = 'minptime=10;cbr=1;usedtx=0;stereo=0;useinbandfec=1;maxaveragebitrate=32000';

/**
 * Reduces a local description. Throws where it is not what this page makes.
 * @param {string} sdp
 * @returns {Description}
 */
export function extract(sdp) {
  const [session = '', ...media] = sdp.split(/^(?=m=)/m);
  const audio = media[0] ?? '';
  if (!audio.startsWith('m=audio ')) throw new TypeError('the first m-line is not audio');

  /** @param {string} name */
  const attribute = (name) => {
    const pattern = new RegExp(`^a=${name}:(.*?)\\r?$`, 'gm');
    const values = [audio, session].map((part) => [...part.matchAll(pattern)].map((match) => match[1] ?? ''));
    return values.find((found) => found.length > 0) ?? [];
  };

  const opus = attribute('rtpmap').map((value) => /^([0-9]+) opus\/48000\/2$/i.exec(value)?.[1]).find(Boolean);
  if (!opus) throw new TypeError('no Opus');

  const [ufrag = ''] = attribute('ice-ufrag');
  const [pwd = ''] = attribute('ice-pwd');
  const [setup] = attribute('setup');
  if (setup !== 'actpass' && setup !== 'active' && setup !== 'passive') throw new TypeError('no DTLS role');

  return {
    ufrag,
    pwd,
    fingerprint: fingerprintOf(sdp),
    setup,
    payload_type: Number(opus),
  };
}

/**
 * The one SHA-256 fingerprint (RFC 8122 §5) that every section of a description names, in hexadecimal. Throws where
 * there is none, or another besides: a second is a second certificate that would do.
 * @param {string} sdp
 */
export function fingerprintOf(sdp) {
  const all = new Set([...sdp.matchAll(/^a=fingerprint:(.*?)\r?$/gm)].map(([, value = '']) => value.toLowerCase()));
  const [fingerprint = ''] = all;
  if (all.size !== 1 || !/^sha-256 ([0-9a-f]{2}:){31}[0-9a-f]{2}$/.test(fingerprint)) {
    throw new TypeError('not exactly one SHA-256 fingerprint');
  }
  return fingerprint.slice('sha-256 '.length).replaceAll(':', '');
}

/**
 * The partner's session description: audio with Opus alone and one data channel, bundled, no header
 * extension, no name of a stream or source.
 * @param {Description} description
 * @param {number} version grows with every description of a call (RFC 8866 §5.2)
 */
export function compose({ ufrag, pwd, fingerprint, setup, payload_type: opus }, version) {
  const transport = [
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${(fingerprint.toUpperCase().match(/../g) ?? []).join(':')}`,
    `a=setup:${setup}`,
  ];
  return [
    'v=0',
    `o=- 1 ${version} IN IP4 0.0.0.0`,
    's=-',
    't=0 0',
    'a=group:BUNDLE 0 1',
    `m=audio 9 UDP/TLS/RTP/SAVPF ${opus}`,
    ...transport,
    'a=mid:0',
    'a=sendrecv',
    'a=rtcp-mux',
    `a=rtpmap:${opus} opus/48000/2`,
    `a=fmtp:${opus} ${OPUS}`,
    'a=ptime:20',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    ...transport,
    'a=mid:1',
    'a=sctp-port:5000',
    'a=max-message-size:16384',
    '',
  ].join('\r\n');
}

/**
 * The virtual port of a local relay candidate, or `null` where there is nothing to tell the partner: another
 * component (Firefox gathers one for RTCP), another m-line, or anything but a relayed address.
 * @param {{ candidate: string, sdpMid: string | null }} candidate
 */
export function relayedPort({ candidate, sdpMid }) {
  if (sdpMid !== '0') return null;
  const [, component, , , address, port, , type] = candidate.split(' ');
  return component === '1' && address === RELAYED_ADDRESS && type === 'relay' ? Number(port) : null;
}

/**
 * A remote candidate (RFC 8839 §5.1).
 * @param {number} port
 * @param {string} ufrag the partner's, which tells the candidates of one ICE generation from the next
 * @param {number} index how many came before; earlier ones are preferred
 * @returns {RTCIceCandidateInit}
 */
export function candidate(port, ufrag, index) {
  // RFC 8445 §5.1.2.1 with the type preference of relayed candidates, 0.
  const priority = (65535 - index) * 256 + 255;
  return {
    candidate: `candidate:${index + 1} 1 udp ${priority} ${RELAYED_ADDRESS} ${port} typ relay raddr 0.0.0.0 rport 0 ufrag ${ufrag}`,
    sdpMid: '0',
    sdpMLineIndex: 0,
    usernameFragment: ufrag,
  };
}

/** The ways there (RFC 7065). @type {Record<import('./types.js').Transport, (authority: string) => string>} */
const URLS = {
  udp: (authority) => `turn:${authority}?transport=udp`,
  tcp: (authority) => `turn:${authority}?transport=tcp`,
  tls: (authority) => `turns:${authority}?transport=tcp`,
};

/**
 * Where the relay listens.
 * @param {import('./types.js').Relay} relay
 * @param {{ protocol: string, hostname: string, port: string }} page the location that the page was loaded from
 * @returns {RTCIceServer}
 */
export function iceServer({ host, transports, username, credential }, { protocol, hostname, port }) {
  const pagePort = port || (protocol === 'https:' ? '443' : '80');
  const place = host ?? hostname;
  const authority = /(^[^:]+|\]):[0-9]+$/.test(place) ? place : `${place}:${pagePort}`;
  return { urls: transports.map((transport) => URLS[transport](authority)), username, credential };
}
