// A clock that is moved by hand.

export function clockByHand() {
  const it = { now: 0, timers: new Map() };
  let next = 0;
  it.clock = {
    now: () => it.now,
    setTimer: (run, ms) => { it.timers.set(++next, { at: it.now + ms, run }); return next; },
    clearTimer: (timer) => it.timers.delete(timer),
  };
  it.pass = (ms) => {
    for (const end = it.now + ms; ;) {
      const due = [...it.timers].filter(([, { at }]) => at <= end).sort(([, one], [, other]) => one.at - other.at)[0];
      if (!due) { it.now = end; return; }
      it.timers.delete(due[0]);
      it.now = due[1].at;
      due[1].run();
    }
  };
  return it;
}
