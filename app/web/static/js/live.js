// What happens in a project, as it happens. A browser opens at most six connections to a host, so
// only one tab of a project holds an event stream, and tells the others; none while all are hidden.
// Tabs of many projects share four streams: whoever gets none looks again now and then instead.
import { href } from "./api.js";

const KINDS = ["label", "prompts", "plan", "ledger"];
const RETRY_MS = 15_000;
const STREAMS = 4;
const LOOK_MS = 10_000;

/** Call `onEvent(kind, data)` for each event, and `onState(isLive)` when the stream comes or goes. */
export function watch(project, onEvent, onState = () => {}) {
  const name = `ab:live:${href("/")}:${project}`;
  const channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(name) : null;
  const take = ({ kind, data, isLive }) => (kind ? onEvent(kind, data) : onState(isLive));
  const tell = (message) => {
    take(message);
    channel?.postMessage(message);
  };
  if (channel) channel.onmessage = ({ data }) => take(data);
  let stop = null;
  let wasAway = false;

  function begin() {
    if (stop || document.hidden) return;
    const abort = new AbortController();
    const lead = (isLate) => leadTabs(project, tell, abort.signal, isLate);
    stop = () => abort.abort();
    if (!navigator.locks) return void lead(wasAway);
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => (lock ? lead(wasAway) : null))
      .then(() => navigator.locks.request(name, { signal: abort.signal }, () => lead(true)))
      .catch(() => {});
  }

  function end() {
    stop?.();
    stop = null;
    wasAway = true;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  addEventListener("pagehide", end);
  addEventListener("pageshow", begin);
  begin();
}

/** Be the tab that tells all others of the project, until the signal ends it. */
async function leadTabs(project, tell, signal, isLate) {
  if (!navigator.locks) return follow(project, tell, signal, isLate);
  while (!signal.aborted) {
    if (await withStream(() => follow(project, tell, signal, isLate))) return;
    isLate = true;
    tell({ isLive: true });
    tellAll(tell);
    await pause(LOOK_MS, signal);
  }
}

/** Anything may have changed. */
function tellAll(tell) {
  for (const kind of KINDS) tell({ kind, data: {} });
}

/** Do something with one of this browser's streams; gives whether one was free. */
async function withStream(act) {
  for (let stream = 0; stream < STREAMS; stream += 1) {
    const name = `ab:stream:${href("/")}:${stream}`;
    const had = await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock) await act();
      return lock !== null;
    });
    if (had) return true;
  }
  return false;
}

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

/**
 * Hold the stream until the signal ends it; open it again where it breaks for good. `isLate`: it
 * follows one that has ended, and something may have happened in between.
 */
function follow(project, tell, signal, isLate) {
  return new Promise((resolve) => {
    let stream = null;
    let timer = 0;
    const open = () => {
      stream = new EventSource(href(`/events?project=${encodeURIComponent(project)}`));
      stream.onopen = () => {
        tell({ isLive: true });
        if (isLate) tellAll(tell);
        isLate = true;
      };
      stream.onerror = () => {
        tell({ isLive: false });
        if (stream.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MS);
      };
      for (const kind of KINDS) {
        stream.addEventListener(kind, ({ data }) => tell({ kind, data: JSON.parse(data) }));
      }
    };
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      stream?.close();
      resolve();
    });
    open();
  });
}
