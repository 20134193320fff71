// Keys, buttons and switches of the desk. Every key has a button.
import { showReadState, showWhatIsBelow } from "./view.js";

const SIZES = ["s", "", "l", "xl"];
const SWITCHES = { diff: "diff", together: "together" };
const $ = (selector) => document.querySelector(selector);
const $$ = (selector) => [...document.querySelectorAll(selector)];
const { prefs } = window;

export function listen(desk) {
  const actions = {
    1: () => desk.choose("left", null, true),
    2: () => desk.choose("right", null, true),
    ArrowLeft: () => desk.choose("left", null, true),
    ArrowRight: () => desk.choose("right", null, true),
    t: () => desk.choose("tie", null, true),
    b: () => desk.choose("both_bad", null, true),
    s: () => desk.choose("skip", null, true),
    u: () => desk.undo(),
    Backspace: () => desk.undo(),
    d: () => flip("diff", desk),
    l: () => flip("together", desk),
    g: () => overlay("guide"),
    "?": () => overlay("help"),
    r: () => desk.pair && desk.drawer.toggle(),
    e: () => desk.pair && desk.drawer.edit(),
    w: () => desk.pair && desk.drawer.edit({ isOther: true }),
    "+": () => resize(1),
    "-": () => resize(-1),
    "−": () => resize(-1),
  };
  addEventListener("keydown", (event) => onKey(event, desk, actions));
  document.addEventListener("click", (event) => onClick(event, desk));
  for (const box of $$("[data-check]")) {
    box.addEventListener("change", () => prefs.save({ [box.dataset.check]: readCheck(box) }));
  }
  addEventListener("resize", showWhatIsBelow);
  scrollTogether();
  paintSwitches();
  greet();
}

/** "One-key shortcuts" is on unless it was turned off, so what is kept is `keys: "off"`. */
function readCheck(box) {
  if (box.dataset.check === "keys") return box.checked ? "" : "off";
  return box.checked;
}

function onKey(event, desk, actions) {
  if (event.key === "Escape") return escape(desk);
  if (document.querySelector("dialog[open]")) return;
  const isField = event.target.matches?.("textarea, input, select");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    if (desk.drawer.isOpen) {
      event.preventDefault();
      desk.sendArmed();
    }
    return;
  }
  if (isField || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!$("#help").hidden && event.key !== "?") return;
  if (event.key === "Enter" && prefs.read().enter && event.target === document.body) {
    return desk.sendArmed();
  }
  if (prefs.read().keys === "off") return;
  const isBody = event.target.closest?.(".resp-body, .prompt-zone");
  if (isBody && ["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(event.key)) return;
  if (event.shiftKey && (event.code === "Digit1" || event.code === "Digit2")) {
    event.preventDefault();
    return desk.choose(event.code === "Digit1" ? "left" : "right", 2, true);
  }
  const act = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function escape(desk) {
  const open = ["help", "guide", "prefs", "me"].filter((id) => !$(`#${id}`).hidden);
  open.forEach((id) => overlay(id, false));
  if (open.length || !desk.drawer.isOpen) return;
  desk.drawer.toggle();
}

function onClick(event, desk) {
  const button = event.target.closest("button");
  if (!event.target.closest(".anchor")) ["prefs", "me"].forEach((id) => overlay(id, false));
  if (event.target.id === "help") overlay("help", false);
  if (!button) return;
  const { choice, strength, toggle, overlay: name, pref } = button.dataset;
  if (choice) desk.choose(choice, strength ? Number(strength) : null, false);
  else if (toggle) flip(toggle, desk);
  else if (name) overlay(name);
  else if (pref) {
    const [key, value] = pref.split("=");
    prefs.save({ [key]: value });
    paintSwitches();
    showWhatIsBelow();
  } else {
    const does = {
      undo: () => desk.undo(),
      edit: () => desk.pair && desk.drawer.edit(),
      "edit-other": () => desk.pair && desk.drawer.edit({ isOther: true }),
      reason: () => desk.pair && desk.drawer.toggle(),
      send: () => desk.sendArmed(),
      another: () => desk.takeAnother(),
      retry: () => desk.retry(),
      understood: () => overlay("guide", false),
    };
    does[button.dataset.do]?.();
  }
}

let openedBy = null;
function overlay(id, isOpen = $(`#${id}`).hidden) {
  const element = $(`#${id}`);
  if (element.hidden === !isOpen) return;
  element.hidden = !isOpen;
  if (id === "guide" && !isOpen) prefs.save({ [`read:${document.body.dataset.project}`]: true });
  if (isOpen) {
    openedBy = document.activeElement;
    element.querySelector("button, [href]")?.focus();
  } else if (element.contains(document.activeElement) || document.activeElement === document.body) {
    openedBy?.focus?.();
  }
}

/** The first time here, the guidelines lie open. */
function greet() {
  if (prefs.read()[`read:${document.body.dataset.project}`] || !$("#guide .prose")) return;
  $("#first-visit").hidden = false;
  overlay("guide", true);
}

function flip(name, desk) {
  prefs.save({ [SWITCHES[name]]: !prefs.read()[SWITCHES[name]] });
  paintSwitches();
  if (name === "diff") desk.paintDifferences();
}

function resize(step) {
  const now = SIZES.indexOf(prefs.read().size ?? "");
  prefs.save({ size: SIZES[Math.max(0, Math.min(SIZES.length - 1, now + step))] });
  paintSwitches();
  showWhatIsBelow();
}

function paintSwitches() {
  const chosen = prefs.read();
  for (const name of Object.keys(SWITCHES)) {
    $(`#${name}`).setAttribute("aria-checked", String(Boolean(chosen[name])));
  }
  for (const button of $$("[data-pref]")) {
    const [key, value] = button.dataset.pref.split("=");
    button.setAttribute("aria-pressed", String((chosen[key] ?? "") === value));
  }
  $('[data-check="enter"]').checked = Boolean(chosen.enter);
  $('[data-check="keys"]').checked = chosen.keys !== "off";
}

function scrollTogether() {
  let leading = null;
  const bodies = $$(".resp-body");
  for (const body of bodies) {
    const lead = () => {
      leading = body;
    };
    body.addEventListener("pointerenter", lead);
    body.addEventListener("focus", lead);
    const follow = () => {
      showReadState(body);
      if (leading !== body || !prefs.read().together) return;
      const span = body.scrollHeight - body.clientHeight;
      const other = bodies.find((each) => each !== body);
      const share = span ? body.scrollTop / span : 0;
      other.scrollTop = share * (other.scrollHeight - other.clientHeight);
    };
    body.addEventListener("scroll", follow, { passive: true });
  }
}
