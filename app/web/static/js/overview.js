// The overview moves by itself: what an event may have changed is asked for again, at most once a
// second. Charts wait longer: they are read, not watched.
import { watch } from "./live.js";

const PAUSES = { now: 1000, recent: 1000, annotators: 5000, budget: 15_000, curve: 15_000, similarity: 15_000 };
const PARTS = {
  label: ["now", "recent", "annotators", "curve"],
  ledger: ["now", "budget"],
  plan: ["similarity"],
  prompts: ["now"],
};
const timers = new Map();
const live = document.getElementById("live");

function refreshSoon(part) {
  if (timers.has(part)) return;
  const refresh = () => {
    timers.delete(part);
    const element = document.getElementById(`part-${part}`);
    // A table that somebody has opened, or a link that has the focus, is not taken away.
    const isInUse = element.querySelector("details[open]") || element.contains(document.activeElement);
    if (isInUse) refreshSoon(part);
    else window.htmx.trigger(element, "refresh");
  };
  timers.set(part, setTimeout(refresh, PAUSES[part]));
}

watch(
  live.dataset.project,
  (kind) => PARTS[kind].forEach(refreshSoon),
  (isLive) => {
    live.firstElementChild.className = isLive ? "dot dot-on live" : "dot";
    live.lastElementChild.textContent = isLive ? "Live" : "Paused, trying again";
  },
);
