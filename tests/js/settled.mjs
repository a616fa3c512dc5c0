// Hashes are computed elsewhere and in their own time: a test waits for them, and not for a while.

let pending = 0;
const { subtle } = crypto;
for (const name of ['digest', 'importKey', 'deriveBits']) {
  const real = subtle[name].bind(subtle);
  subtle[name] = (...all) => {
    pending += 1;
    return real(...all).finally(() => { pending -= 1; });
  };
}

/** Until nothing is being computed, and nothing follows from what has been. */
export async function settled() {
  for (let quiet = 0; quiet < 3; quiet = pending > 0 ? 0 : quiet + 1) await new Promise(setImmediate);
}
