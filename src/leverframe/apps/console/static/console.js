// The pages work without this file. It adds: the theme switch, copy buttons, and a refresh when the record grows.
"use strict";

function switchTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
}

function offerCopies(root) {
  for (const button of root.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    });
  }
}

function someoneIsTyping() {
  const main = document.getElementById("main");
  return [...main.querySelectorAll("input:not([type=hidden])")].some((i) => i === document.activeElement || i.value !== i.defaultValue);
}

async function redraw() {
  const main = document.getElementById("main");
  const open = [...main.querySelectorAll("details")].map((d) => d.open);
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (!fresh || someoneIsTyping()) return;
  main.replaceChildren(...fresh.childNodes);
  [...main.querySelectorAll("details")].forEach((d, i) => { d.open = Boolean(open[i]); });
  offerCopies(main);
  document.dispatchEvent(new Event("redrawn"));
}

function follow() {
  const live = document.getElementById("live");
  let waiting = null;
  const events = new EventSource("/events");
  events.onopen = () => { live.textContent = "live"; };
  events.onerror = () => { live.textContent = "not live: reconnecting"; };
  events.addEventListener("audit", () => {
    if (waiting) return;
    waiting = setTimeout(() => { waiting = null; redraw(); }, 500);
  });
}

const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", switchTheme);
offerCopies(document);
if (new URLSearchParams(location.search).get("verify") === null) follow();
