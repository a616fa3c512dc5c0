// Descriptions: what leaves a real browser's SDP, and the one template that everything is built from.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { candidate, compose, extract, iceServer, relayedPort } from '../../static/js/description.js';
import { write } from '../../static/js/protocol.js';

const CALL = '0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a';
const sample = (name) => readFileSync(new URL(`../fixtures/sdp/${name}.sdp`, import.meta.url), 'utf8');

/** As Chromium 156 and Firefox 153 made them. */
const SAMPLES = {
  'chromium-offer': { ufrag: 'JIi/', pwd: 'azt+TrL/Z5aF5DuDUGJA8DaM', fingerprint: 'b91dffdcf0d6a2047bd9b4e1a7b289883520' + '80810df6d00b09b19e1ad07c25b7', setup: 'actpass', payload_type: 111 },
  'chromium-answer': { ufrag: 'dTJp', pwd: 'nmvr77w/8fW1w9kaC5+/ZCFq', fingerprint: 'b4ab944a6caadce2c61d86214e2395fc9aefe75500a3f56956cd6bd5d2493fb9', setup: 'active', payload_type: 111 },
  'firefox-offer': { ufrag: 'fdf4ad49', pwd: '44ca1a1aa769d6cd16eb15653b402ea6', fingerprint: 'c7b12aba4363a17e8d694a00117ea29cfd8c9ac47c77578e2eb3703592983879', setup: 'actpass', payload_type: 109 },
  'firefox-answer': { ufrag: '5206835b', pwd: 'cf46afd0834c366e7901451241c9e732', fingerprint: 'c6eda713f6a53fe6b98c666a2f0052d17c78d0b8fffbc9b3fddd1fb442730d70', setup: 'active', payload_type: 109 },
};

for (const [name, expected] of Object.entries(SAMPLES)) {
  test(`extracts from ${name}`, () => {
    const description = extract(sample(name));
    assert.deepEqual(description, expected);
    assert.doesNotThrow(() => write({ type: 'describe', call: CALL, description }));
  });

  test(`what is composed from ${name} carries the same and nothing else of it`, () => {
    const sdp = compose(expected, 1);
    assert.deepEqual(extract(sdp), expected);
    assert.doesNotMatch(sdp, /extmap|msid|ssrc|cname|rtcp-fb|a=candidate|mozilla|WMS/);
  });
}

test('two descriptions differ in the template only where they have to', () => {
  const [one, other] = [SAMPLES['chromium-offer'], SAMPLES['firefox-offer']].map((description) => compose(description, 1).split('\r\n'));
  const differing = one.filter((line, index) => line !== other[index]);
  assert.ok(differing.every((line) => /^(m=audio|a=ice-ufrag|a=ice-pwd|a=fingerprint|a=rtpmap|a=fmtp)/.test(line)), differing.join('\n'));
});

test('the template says how Opus is sent', () => {
  const sdp = compose(SAMPLES['firefox-offer'], 3);
  assert.match(sdp, /^o=- 1 3 IN IP4 0\.0\.0\.0\r$/m);
  assert.match(sdp, /^a=fmtp:109 minptime=10;cbr=1;usedtx=0;stereo=0;useinbandfec=1;maxaveragebitrate=32000\r$/m);
  assert.match(sdp, /^a=ptime:20\r$/m);
  assert.match(sdp, /^a=group:BUNDLE 0 1\r$/m);
  assert.match(sdp, /^a=rtcp-mux\r$/m);
  assert.ok(sdp.endsWith('\r\n'));
  assert.equal(sdp.replaceAll('\r\n', '').includes('\n'), false);
});

const offer = sample('chromium-offer');
for (const [name, sdp] of Object.entries({
  nothing: '',
  'video first': offer.replace('m=audio', 'm=video'),
  'no fingerprint': offer.replace(/a=fingerprint.*\r\n/g, ''),
  'two fingerprints': offer.replace(/(a=fingerprint:sha-256) (..)(.*\r\n)/, '$1 $2$3$1 00$3'),
  'a second hash': offer.replace(/(a=fingerprint.*\r\n)/, '$1a=fingerprint:sha-1 00:11\r\n'),
  'another fingerprint in another section': `${offer.replaceAll('a=setup', 'a=x')}a=fingerprint:sha-256 ${Array(32).fill('00').join(':')}\r\n`,
  'a weaker hash': offer.replaceAll('sha-256', 'sha-1'),
  'a short fingerprint': offer.replaceAll(/:[0-9A-F]{2}\r\na=setup/g, '\r\na=setup'),
  'no Opus': offer.replace('opus/48000/2', 'PCMU/8000'),
  'no DTLS role': offer.replace(/a=setup.*\r\n/g, ''),
  'holdconn': offer.replace(/a=setup:actpass/g, 'a=setup:holdconn'),
})) {
  test(`refuses to extract from: ${name}`, () => assert.throws(() => extract(sdp), TypeError));
}

test('tells the ports of relayed candidates, and nothing of any other', () => {
  const port = (line, sdpMid = '0') => relayedPort({ candidate: line, sdpMid });
  assert.equal(port('candidate:2 1 udp 41885439 192.0.2.1 49153 typ relay raddr 0.0.0.0 rport 0 generation 0 ufrag x network-id 1 network-cost 50'), 49153);
  assert.equal(port('candidate:5 1 UDP 8331263 192.0.2.1 60000 typ relay raddr 192.0.2.1 rport 60000'), 60000);
  assert.equal(port('candidate:5 2 UDP 8331262 192.0.2.1 60001 typ relay raddr 192.0.2.1 rport 60001'), null);
  assert.equal(port('candidate:1 1 udp 2122260223 10.0.0.7 50000 typ host generation 0'), null);
  assert.equal(port('candidate:3 1 udp 1686052607 203.0.113.9 50000 typ srflx raddr 10.0.0.7 rport 50000'), null);
  assert.equal(port('candidate:4 1 udp 41885439 203.0.113.9 50000 typ relay raddr 0.0.0.0 rport 0'), null);
  assert.equal(port('candidate:2 1 udp 41885439 192.0.2.1 49153 typ relay', '1'), null);
  assert.equal(port(''), null);
});

test('builds the partner\'s candidates from the port alone', () => {
  assert.deepEqual(candidate(49153, 'abcd', 0), {
    candidate: 'candidate:1 1 udp 16777215 192.0.2.1 49153 typ relay raddr 0.0.0.0 rport 0 ufrag abcd',
    sdpMid: '0',
    sdpMLineIndex: 0,
    usernameFragment: 'abcd',
  });
  assert.match(candidate(49154, 'abcd', 1).candidate, /^candidate:2 1 udp 16776959 /);
});

const relay = { transports: ['udp'], username: 'u', credential: 'c' };
for (const [page, host, expected] of [
  ['http://talk.example.org:8080', undefined, 'turn:talk.example.org:8080?transport=udp'],
  ['http://talk.example.org', undefined, 'turn:talk.example.org:80?transport=udp'],
  ['https://talk.example.org', undefined, 'turn:talk.example.org:443?transport=udp'],
  ['http://[::1]:8080', undefined, 'turn:[::1]:8080?transport=udp'],
  ['https://[2001:db8::1]', undefined, 'turn:[2001:db8::1]:443?transport=udp'],
  ['https://talk.example.org', 'relay.example.org:3478', 'turn:relay.example.org:3478?transport=udp'],
  ['https://talk.example.org', 'relay.example.org', 'turn:relay.example.org:443?transport=udp'],
  ['https://talk.example.org', '[2001:db8::1]:3478', 'turn:[2001:db8::1]:3478?transport=udp'],
  ['https://talk.example.org:8443', '[2001:db8::1]', 'turn:[2001:db8::1]:8443?transport=udp'],
]) {
  test(`finds the relay of ${page}${host ? `, which is at ${host}` : ''}`, () => {
    const server = iceServer({ ...relay, ...(host && { host }) }, new URL(page));
    assert.deepEqual(server, { urls: [expected], username: 'u', credential: 'c' });
  });
}

test('gives every transport its own URL, in the order of the server', () => {
  const everywhere = { ...relay, transports: ['udp', 'tcp', 'tls'] };
  assert.deepEqual(iceServer(everywhere, new URL('https://talk.example.org')).urls, [
    'turn:talk.example.org:443?transport=udp',
    'turn:talk.example.org:443?transport=tcp',
    'turns:talk.example.org:443?transport=tcp',
  ]);
});
