// @ts-check
/**
 * Stands between this browser's encoder and its encryption (WebRTC Encoded Transform) and makes every packet of the
 * voice the same size, and the times between them the same too. In a worker, because browsers give encoded frames to
 * workers alone.
 */

import { PACKET_BYTES, pad } from './padding.js';
import { Rhythm } from './rhythm.js';

/** Newer than TypeScript's library. @type {any} */
const scope = self;

/** @param {{ transformer: { readable: ReadableStream, writable: WritableStream } }} event */
scope.onrtctransform = ({ transformer: { readable, writable } }) => {
  const rhythm = new Rhythm();
  const padding = new TransformStream({
    async transform(frame, out) {
      const due = rhythm.next(performance.now());
      frame.data = pad(new Uint8Array(frame.data), PACKET_BYTES).buffer;
      const early = due - performance.now();
      if (early > 0) await new Promise((sent) => setTimeout(sent, early));
      out.enqueue(frame);
    },
  });
  // Ends with the call, one way or the other.
  readable.pipeThrough(padding).pipeTo(writable).catch(() => {});
};

scope.postMessage('ready');
