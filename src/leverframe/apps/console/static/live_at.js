// The slider over an endpoint's past: who answered at the moment it points at. Without this file the strip's blocks are links.
"use strict";

function showLiveAt(slider) {
  const at = Number(slider.value);
  const periods = [...document.querySelectorAll("#live-periods > li")];
  const period = periods.findLast((p) => Number(p.dataset.from) <= at);
  const moment = new Date(at * 1000).toISOString().slice(0, 19);
  const words = period ? period.textContent : "nobody";
  document.getElementById("live-at-words").textContent = `${moment.replace("T", " ")} UTC: ${words}`;
  slider.setAttribute("aria-valuetext", `${moment}: ${words}`);
  document.querySelector("form.inline input[name=at]").value = `${moment}Z`;
}

function offerSlider() {
  const slider = document.getElementById("live-at");
  if (slider) slider.hidden = false;
}

document.addEventListener("input", (event) => { if (event.target.id === "live-at") showLiveAt(event.target); });
document.addEventListener("redrawn", offerSlider);
offerSlider();
