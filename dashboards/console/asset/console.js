// Asks for the page again and changes in place what differs: focus, selection,
// scrolling and opened details stay. Without script the page reloads itself.
"use strict";

const every = 2000;
const late = 8000; // without an answer for so long the page says so
let last = Date.now();
let over = false;

function attributes(a, b) {
  for (const { name } of [...a.attributes]) {
    if (!b.hasAttribute(name) && name !== "open") a.removeAttribute(name);
  }
  for (const { name, value } of b.attributes) {
    if (name !== "open" && a.getAttribute(name) !== value) a.setAttribute(name, value);
  }
}

function morph(a, b) {
  if (a.nodeType === Node.TEXT_NODE || a.nodeType === Node.COMMENT_NODE) {
    if (a.data !== b.data) a.data = b.data;
    return;
  }
  if (a.nodeType !== Node.ELEMENT_NODE || a.isEqualNode(b)) return;
  if (a.nodeName === "INPUT" || a.nodeName === "SELECT") return;
  attributes(a, b);
  children(a, b);
}

// Elements with an id are the same thing wherever they stand; others are told
// by their place.
function children(a, b) {
  const named = new Map([...a.children].filter((x) => x.id).map((x) => [x.id, x]));
  let at = a.firstChild;
  for (const n of [...b.childNodes]) {
    const own = n.id && named.get(n.id);
    if (own) {
      if (own === at) at = at.nextSibling;
      else a.insertBefore(own, at);
      morph(own, n);
    } else if (at && !at.id && !n.id && at.nodeName === n.nodeName) {
      const x = at;
      at = at.nextSibling;
      morph(x, n);
    } else {
      a.insertBefore(document.importNode(n, true), at);
    }
  }
  while (at) {
    const x = at;
    at = at.nextSibling;
    x.remove();
  }
}

// Whatever keeps answers from coming, the page does not stand still in silence.
function watch() {
  const silent = Date.now() - last;
  if (over || document.hidden || silent < late) return;
  const live = document.getElementById("live");
  const held = document.querySelector("[data-hold][open]");
  live.textContent = (held ? "held while you decide" : "not live") + ": as of " + live.dataset.since + ", " + Math.round(silent / 1000) + " s ago";
  live.className = "warn";
  document.body.classList.toggle("stale", !held);
}

async function refresh() {
  // Nothing moves while a person is about to decide something.
  if (document.hidden || document.querySelector("[data-hold][open]")) return;
  try {
    const res = await fetch(location.pathname + location.search, { signal: AbortSignal.timeout(8000) });
    const next = new DOMParser().parseFromString(await res.text(), "text/html");
    if (!next.getElementById("live")) throw new Error("no page of ours");
    last = Date.now();
    document.title = next.title;
    morph(document.body, next.body);
    over = !next.body.hasAttribute("data-live");
  } catch {
    // watch says so
  }
}

async function keep() {
  await refresh();
  if (!over) setTimeout(keep, every);
}

// A link to an event or a span opens it.
function reveal() {
  const at = document.getElementById(location.hash.slice(1));
  if (at?.nodeName === "DETAILS") {
    at.open = true;
    at.querySelector("summary").focus({ preventScroll: true });
  }
}

addEventListener("hashchange", reveal);
document.addEventListener("visibilitychange", refresh);
reveal();
if (document.body.hasAttribute("data-live")) {
  setTimeout(keep, every);
  setInterval(watch, 1000);
}
