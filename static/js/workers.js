// @ts-check
/** Starts workers: these scripts and no other. The server's policy names this rule, `src/web.rs`. */

const POLICY = 'sotto-worker';
const SCRIPTS = ['/js/padding-worker.js', '/js/puzzle-worker.js'];

/**
 * What of a browser is needed; some of it is newer than TypeScript's library.
 * @typedef {object} Browser
 * @property {new (url: string, options: WorkerOptions) => Worker} Worker
 * @property {{ createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string } }} [trustedTypes]
 */

/**
 * One for a page: browsers that know trusted types let a worker's address pass only by such a policy, made once.
 * @param {Browser} browser
 * @returns {(script: 'padding-worker' | 'puzzle-worker') => Worker}
 */
export function workers({ Worker, trustedTypes }) {
  const trust = trustedTypes?.createPolicy(POLICY, { createScriptURL: only }) ?? { createScriptURL: only };
  return (script) => new Worker(trust.createScriptURL(`/js/${script}.js`), { type: 'module' });
}

/** @param {string} url */
function only(url) {
  if (!SCRIPTS.includes(url)) throw new TypeError('not a script of ours');
  return url;
}
