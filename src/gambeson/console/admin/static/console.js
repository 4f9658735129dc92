// What the console adds to pages that work without it: live figures, the icon's state, keys. No page needs it.
"use strict";

const live = document.body.dataset.live;
const announce = document.querySelector("[data-announce]");

function show(state) {
  const icon = document.getElementById("icon");
  icon.href = icon.dataset[state.alarm] || icon.dataset.ok;
  const count = document.querySelector("[data-bell-count]");
  if (count && count.textContent !== String(state.grave)) {
    count.textContent = state.grave;
    document.title = document.title.replace(/^\(\d+\) /, "");
    if (state.grave) document.title = `(${state.grave}) ${document.title}`;
    if (state.said) announce.textContent = state.said;
  }
}

if (live && window.EventSource) {
  const stream = new EventSource(live);
  stream.addEventListener("state", (event) => show(JSON.parse(event.data)));
  // Parts of a page that say hx-trigger="live from:body" ask for themselves again.
  stream.addEventListener("events", () => document.body.dispatchEvent(new Event("live")));
  stream.addEventListener("error", () => {
    const icon = document.getElementById("icon");
    icon.href = icon.dataset.blind;
  });
  addEventListener("pagehide", () => stream.close());
}

// Keys: / goes to the search field, g and a letter to a page, ? says which.
let waits = 0;
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const search = document.querySelector("[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  } else if (event.key === "g") {
    waits = Date.now();
  } else if (waits && Date.now() - waits < 1500) {
    const link = document.querySelector(`nav.side a[href$="/${{ t: "today", d: "doors", p: "people", f: "findings", a: "audit" }[event.key]}"]`);
    waits = 0;
    if (link) link.click();
  }
});

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
