// What the desk shows. No decision is made here.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const FOLD_OVER = 4; // turns
const STRENGTHS = ["", "slightly", "clearly", "much"];
const OTHERS = { tie: "Tie", both_bad: "Both bad", skip: "Skipped" };

export const isSide = (choice) => choice === "left" || choice === "right";

/** An answer in words: "1 is clearly better". */
export function inWords({ choice, strength }) {
  if (!isSide(choice)) return OTHERS[choice];
  return `${choice === "left" ? 1 : 2} is ${STRENGTHS[strength]} better`;
}

export const bodyOf = (side) => $(`#${side} .resp-body`);
export const proseOf = (side) => $(`#${side} .resp-body > .prose`);

function turn({ who, html }, isLast) {
  const item = document.createElement("li");
  item.className = `turn ${isLast ? "turn-last" : "turn-past"}`;
  item.innerHTML = `<span class="turn-who"></span><div class="prose" dir="auto">${html}</div>`;
  item.firstChild.textContent = who;
  return item;
}

/** The turns of a prompt; of more than four, those in the middle are folded. */
function showPrompt(turns) {
  const items = turns.map((each, index) => turn(each, index === turns.length - 1));
  const list = $("#turns");
  if (items.length > FOLD_OVER) {
    const hidden = items.slice(1, -2);
    const fold = document.createElement("li");
    fold.className = "turn";
    fold.innerHTML = '<button class="btn btn-quiet btn-sm turn-more" type="button"></button>';
    fold.firstChild.textContent = `${hidden.length} earlier turns`;
    fold.firstChild.addEventListener("click", () => fold.replaceWith(...hidden), { once: true });
    items.splice(1, hidden.length, fold);
  }
  list.replaceChildren(...items);
  $("#prompt").scrollTop = 0;
}

/** The HTML of prompt and responses comes cleaned from the service. */
export function showPair(pair) {
  showPrompt(pair.prompt);
  for (const side of ["left", "right"]) {
    const prose = document.createElement("div");
    prose.className = "prose";
    prose.dir = "auto";
    prose.innerHTML = pair[side].html;
    bodyOf(side).replaceChildren(prose);
    bodyOf(side).scrollTop = 0;
  }
  showOnly("pair");
  requestAnimationFrame(showWhatIsBelow);
}

/** One of the three states of the middle: `pair`, `nothing`, `loading`. */
export function showOnly(id) {
  for (const each of ["pair", "nothing", "loading"]) $(`#${each}`).hidden = each !== id;
  $("#foot").hidden = id !== "pair" && $("#undo").disabled;
  $("#foot").toggleAttribute("data-idle", id !== "pair");
  if (id !== "pair") $("#turns").replaceChildren();
}

export function showNothing({ icon, title, why, actions }) {
  $("#nothing-icon").replaceChildren($(`#icon-${icon}`).content.cloneNode(true));
  $("#nothing-title").textContent = title;
  $("#nothing-why").textContent = why;
  $("#nothing-acts").replaceChildren(...actions);
  showOnly("nothing");
}

/** Fades at the foot of a text that goes on, until it has been read to its end. */
export function showWhatIsBelow() {
  for (const body of $$(".resp-body")) {
    $(".resp-more", body)?.remove();
    if (isLong(body)) body.append(Object.assign(document.createElement("div"), { className: "resp-more" }));
    showReadState(body);
  }
}

const isLong = (body) => body.scrollHeight > body.clientHeight + 8;

export function showReadState(body) {
  const isAtEnd = body.scrollTop + body.clientHeight > body.scrollHeight - 24;
  const note = isAtEnd ? "read to the end" : "more below ↓";
  $(".meta", body.parentElement).textContent = isLong(body) ? note : "";
}

export function showArmed(armed) {
  for (const side of ["left", "right"]) {
    $(`#${side}`).toggleAttribute("data-chosen", armed?.choice === side);
  }
  for (const button of $$("[data-choice]")) {
    const isIt =
      armed?.choice === button.dataset.choice &&
      (armed.strength ?? 0) === Number(button.dataset.strength ?? 0);
    button.setAttribute("aria-pressed", String(isIt));
  }
}

export function showLast(answer) {
  $("#undo").disabled = !answer;
  $("#last").replaceChildren();
  if (!answer) return;
  $("#last").innerHTML = '<span class="long">Last: </span><b></b>';
  $("#last b").textContent = inWords(answer);
}

export function say(text) {
  $("#said").textContent = text;
}

export function showToday(count) {
  $("#mine").textContent = count;
  $("#fact-today").textContent = count;
}

export function showLedger(ledger) {
  const { unit, limit, spent, reserved, remaining } = ledger;
  const format = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });
  const share = (value) => (limit ? Math.min(100, (100 * value) / limit) : 0);
  $("#meter").toggleAttribute("hidden", limit === null);
  $("#meter .m-held").setAttribute("width", `${share(spent + reserved)}%`);
  $("#meter .m-spent").setAttribute("width", `${share(spent)}%`);
  const words = limit === null ? "" : `${format(spent)} of ${format(limit)} ${unit} spent`;
  $("#meter").setAttribute("aria-label", words);
  const left = limit === null ? `${format(spent)} ${unit} spent` : `${unit} left of ${format(limit)}`;
  $("#left-over").replaceChildren();
  if (remaining !== null) {
    $("#left-over").append(Object.assign(document.createElement("b"), { textContent: format(remaining) }), " ");
  }
  $("#left-over").append(left);
  $("[data-left-short]").textContent = remaining === null ? "" : `${format(remaining)} left`;
}

export function banner(id, isShown) {
  if ($(`#${id}`).hidden === !isShown) return;
  $(`#${id}`).hidden = !isShown;
  showWhatIsBelow();
}
