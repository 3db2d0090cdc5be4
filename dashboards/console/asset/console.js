// Asks for the page again and changes in place what differs: focus, selection,
// scrolling and opened details stay. Without script the page reloads itself.
"use strict";

const every = 2000;
let failures = 0;

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

function stale() {
  const live = document.getElementById("live");
  live.textContent = "not live: no answer since " + live.dataset.since;
  live.className = "warn";
}

async function refresh() {
  // Nothing moves while a person is about to decide something.
  if (document.hidden || document.querySelector("[data-hold][open]")) return;
  try {
    const res = await fetch(location.pathname + location.search, { signal: AbortSignal.timeout(8000) });
    const next = new DOMParser().parseFromString(await res.text(), "text/html");
    if (!next.getElementById("live")) throw new Error("no page of ours");
    failures = 0;
    document.title = next.title;
    morph(document.body, next.body);
    if (!next.body.hasAttribute("data-live")) return "over";
  } catch {
    if (++failures > 1) stale();
  }
}

async function keep() {
  if ((await refresh()) !== "over") setTimeout(keep, every);
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
if (document.body.hasAttribute("data-live")) setTimeout(keep, every);
