// @ts-check
/** Solves what it is given, and says what the number is. In a worker, so that the page goes on meanwhile. */

import { solve } from './puzzle.js';

self.onmessage = ({ data }) => self.postMessage(solve(data));
