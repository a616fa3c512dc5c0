// @ts-check
/**
 * Stands between this browser's encoder and its encryption (WebRTC Encoded Transform) and makes every packet of the
 * voice the same size. In a worker, because browsers give encoded frames to workers alone.
 */

import { PACKET_BYTES, pad } from './padding.js';

/** Newer than TypeScript's library. @type {any} */
const scope = self;

/** @param {{ transformer: { readable: ReadableStream, writable: WritableStream } }} event */
scope.onrtctransform = ({ transformer: { readable, writable } }) => {
  const padding = new TransformStream({
    transform(frame, out) {
      frame.data = pad(new Uint8Array(frame.data), PACKET_BYTES).buffer;
      out.enqueue(frame);
    },
  });
  // Ends with the call, one way or the other.
  readable.pipeThrough(padding).pipeTo(writable).catch(() => {});
};

scope.postMessage('ready');
