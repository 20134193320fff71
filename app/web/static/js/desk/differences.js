// Words that stand on one side only, painted with the CSS Custom Highlight API: the text itself is
// never changed. Long runs are joined; under a quarter in common, marks would cover everything.
const MAX_TABLE = 4e6;
const LEAST_IN_COMMON = 0.25;

/** Mark the words of two elements that the other lacks. Gives a sentence where it does not. */
export function markDifferences(left, right) {
  clearDifferences();
  if (!CSS.highlights) return "This browser cannot mark differences.";
  const a = wordsOf(left);
  const b = wordsOf(right);
  if (a.length * b.length > MAX_TABLE) return "These are too long to compare word by word.";
  const { shared, count } = longestCommon(a, b);
  if (count / Math.max(1, Math.min(a.length, b.length)) < LEAST_IN_COMMON) {
    return "These two share little: marks would cover everything, so they are off.";
  }
  const ranges = [a, b].flatMap((words) => runs(words, shared)).map(toRange);
  CSS.highlights.set("only-here", new Highlight(...ranges));
  return "";
}

export function clearDifferences() {
  CSS.highlights?.delete("only-here");
}

function wordsOf(element) {
  const words = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const match of node.data.matchAll(/[\p{L}\p{N}]+/gu)) {
      const end = match.index + match[0].length;
      words.push({ word: match[0].toLowerCase(), node, start: match.index, end });
    }
  }
  return words;
}

function longestCommon(a, b) {
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i * width + j] =
        a[i].word === b[j].word
          ? table[(i + 1) * width + j + 1] + 1
          : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const shared = new Set();
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i].word === b[j].word) {
      shared.add(a[i]).add(b[j]);
      i += 1;
      j += 1;
    } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return { shared, count: table[0] };
}

/** Stretches of words that only stand here; one or two small shared words do not break one. */
function runs(words, shared) {
  const isOwn = words.map((word) => !shared.has(word));
  for (let from = 0; from < words.length; ) {
    let to = from;
    while (to < words.length && isOwn[to] === isOwn[from]) to += 1;
    const isSmallGap =
      !isOwn[from] &&
      from > 0 &&
      to < words.length &&
      to - from <= 2 &&
      words.slice(from, to).every(({ word }) => word.length <= 4 && !/\d/.test(word));
    if (isSmallGap) isOwn.fill(true, from, to);
    from = to;
  }
  const found = [];
  for (let i = 0; i < words.length; i += 1) {
    if (!isOwn[i]) continue;
    const first = words[i];
    while (isOwn[i + 1] && words[i + 1].node === first.node) i += 1;
    found.push([first, words[i]]);
  }
  return found;
}

function toRange([first, last]) {
  const range = new Range();
  range.setStart(first.node, first.start);
  range.setEnd(last.node, last.end);
  return range;
}
