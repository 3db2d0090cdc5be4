//go:build real

package console_test

// widest names what sticks out on the right.
const widest = `[...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, pre")).slice(0, 5).map(e => e.outerHTML.slice(0, 90))`

// contrast lists texts whose colour is too near to the one behind them: below
// 4.5, as WCAG 2.2 computes it (AA, 1.4.3).
const contrast = `(() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const seen = new Map();
  const rgba = (c) => {
    if (!seen.has(c)) { pen.clearRect(0, 0, 1, 1); pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); const d = pen.getImageData(0, 0, 1, 1).data; seen.set(c, [d[0], d[1], d[2], d[3] / 255]); }
    return seen.get(c);
  };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));
  const behind = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.unshift(rgba(getComputedStyle(e).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (c) => c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement;
    if (!n.data.trim() || !e.checkVisibility() || e.closest("noscript, title, script, .skip")) continue;
    const style = getComputedStyle(e), below = behind(e);
    const ink = over(rgba(e.namespaceURI.endsWith("svg") ? style.fill : style.color), below);
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.add(ratio.toFixed(2) + " " + n.data.trim().slice(0, 40));
  }
  return [...faint];
})()`

// follow remembers what takes the focus and whether it is seen to, and tells how
// much there is to be reached. missed lists what was not.
const follow = `(() => {
  const all = [...document.querySelectorAll("a[href], button, summary, select, input:not([type=hidden]), [tabindex='0']")].filter((e) => e.checkVisibility());
  const met = new Set();
  document.addEventListener("focusin", (e) => {
    const style = getComputedStyle(e.target);
    if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) met.add(e.target);
  });
  window.missed = () => all.filter((e) => e.isConnected && !met.has(e)).map((e) => e.outerHTML.slice(0, 100));
  return all.length;
})()`
