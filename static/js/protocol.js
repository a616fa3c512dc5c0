// @ts-check
/**
 * The wire, as the page reads and writes it: the twin of `src/protocol.rs`, which says what each frame is
 * for. Pure. What is not exactly a frame of this protocol is refused, in both directions: a server could
 * lie, and what a partner's page sent comes through it.
 */

import { MAX_LANGUAGES } from './languages.js';

/** @typedef {import('./types.js').ClientFrame} ClientFrame */
/** @typedef {import('./types.js').ServerFrame} ServerFrame */

/** The most bytes a frame may have, either way. */
export const MAX_MESSAGE_BYTES = 8 * 1024;

/** The relayed address of every allocation: a name, not a place (RFC 5737). Only ports differ. */
export const RELAYED_ADDRESS = '192.0.2.1';

/** @typedef {(value: unknown) => boolean} Check */

/** @type {(pattern: RegExp) => Check} */
const text = (pattern) => (value) => typeof value === 'string' && pattern.test(value);
/** @type {(least: number, most: number) => Check} */
const whole = (least, most) => (value) =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
/** @type {(...words: string[]) => Check} */
const oneOf = (...words) => (value) => typeof value === 'string' && words.includes(value);
/** @type {(least: number, most: number, check: Check) => Check} */
const distinct = (least, most, check) => (value) =>
  Array.isArray(value) && value.length >= least && value.length <= most && value.every(check)
  && new Set(value).size === value.length;
/** @type {Check} */
const flag = (value) => typeof value === 'boolean';
/** Said where it is so, and nowhere else. @type {Check} */
const on = (value) => value === true;

/**
 * An object with exactly these fields; a name that ends in `?` may be missing.
 * @param {Record<string, Check>} fields
 * @returns {Check}
 */
const object = (fields) => {
  const checks = new Map(Object.entries(fields).map(([name, check]) => [name.replace(/\?$/, ''), check]));
  const needed = Object.keys(fields).filter((name) => !name.endsWith('?'));
  return (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
    && needed.every((name) => Object.hasOwn(value, name))
    && Object.entries(value).every(([name, inner]) => checks.get(name)?.(inner) ?? false);
};

const call = text(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const resume = text(/^[0-9a-f]{32}$/);
const ufrag = text(/^[A-Za-z0-9+/]{4,32}$/);
const pwd = text(/^[A-Za-z0-9+/]{22,64}$/);
const category = oneOf('sexual', 'hateful', 'asking', 'young', 'other');
const port = whole(49152, 65535);
const hash = text(/^[0-9a-f]{64}$/);
const description = object({
  ufrag,
  pwd,
  fingerprint: hash,
  setup: oneOf('actpass', 'active', 'passive'),
  payload_type: whole(96, 127),
});
const relay = object({
  'host?': text(/^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$/),
  transports: distinct(1, 3, oneOf('udp', 'tcp', 'tls')),
  username: text(/^[0-9]{1,20}:[0-9a-f-]{36}:[ab]$/),
  credential: text(/^[A-Za-z0-9+/]{1,128}={0,2}$/),
});

/** @type {Record<string, Record<string, Check>>} */
const betweenPages = {
  describe: { call, description },
  candidate: { call, port },
  restart: { call, ufrag, pwd },
};

/** @param {Record<string, Record<string, Check>>} frames */
const schema = (frames) =>
  new Map(Object.entries(frames).map(([type, fields]) => [type, object({ type: oneOf(type), ...fields })]));

const client = schema({
  hello: { 'resume?': resume },
  join: {
    languages: distinct(1, MAX_LANGUAGES, text(/^[a-z]{2,3}$/)),
    role: oneOf('talk', 'listen', 'either'),
    avoid_recent: flag,
    'struggling?': on,
    'proof?': object({ challenge: hash, number: whole(0, 0xffffffff) }),
  },
  hear_yourself: {},
  leave: {},
  connected: { call },
  report: { call, category },
  ...betweenPages,
});

const server = schema({
  welcome: { resume, 'call?': call },
  waiting: { 'usual?': oneOf('soon', 'minutes', 'quiet') },
  cool_down: { retry_after: whole(1, 86400), category },
  slow_down: { retry_after: whole(1, 60) },
  work: { challenge: hash, target: hash, most: whole(1, 1_000_000) },
  matched: { call, side: oneOf('a', 'b'), offerer: flag, relay, 'text_line?': on },
  ended: { call, why: oneOf('left', 'lost', 'vanished') },
  problem: {
    code: oneOf('bad_message', 'unexpected_hello', 'already_waiting', 'already_in_call', 'unexpected_description', 'too_many'),
    text: text(/^/),
  },
  closing: { in: whole(0, 0xffffffff) },
  ...betweenPages,
});

/**
 * @param {Map<string, Check>} frames
 * @param {unknown} value
 */
const fits = (frames, value) =>
  typeof value === 'object' && value !== null && 'type' in value
  && typeof value.type === 'string' && (frames.get(value.type)?.(value) ?? false);

/**
 * Whether a page may send this.
 * @param {unknown} value
 * @returns {value is ClientFrame}
 */
export const isClientFrame = (value) => fits(client, value);

/**
 * Whether a server may send this.
 * @param {unknown} value
 * @returns {value is ServerFrame}
 */
export const isServerFrame = (value) => fits(server, value);

/**
 * Reads a frame of the server's; `null` when it is none.
 * @param {unknown} data
 * @returns {ServerFrame | null}
 */
export function read(data) {
  if (typeof data !== 'string' || data.length > MAX_MESSAGE_BYTES) return null;
  try {
    const value = JSON.parse(data);
    return isServerFrame(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * Writes a frame of the page's. A frame that breaks a rule is a mistake of ours and throws.
 * @param {ClientFrame} frame
 */
export function write(frame) {
  if (!isClientFrame(frame)) throw new TypeError('not a frame of the protocol');
  return JSON.stringify(frame);
}
