// The pages work without this script. It writes local times beside UTC, and keeps live parts fresh.
"use strict";

const LOCAL = { dateStyle: "medium", timeStyle: "long" };
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

function tellLocalTimes(within) {
  if (["UTC", "Etc/UTC", "GMT"].includes(ZONE)) return;
  for (const element of within.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(element.getAttribute("datetime"));
    if (Number.isNaN(at.getTime()) || at.getTimezoneOffset() === 0) continue;
    element.dataset.local = "";
    const local = document.createElement("span");
    local.className = "local";
    local.textContent = at.toLocaleString(undefined, LOCAL);
    local.title = ZONE;
    element.append(local);
  }
}

// <div data-live="URL" data-every="SECONDS">: its content is fetched anew while somebody looks. A
// part that is final has no data-every in its answer's first element, and is left alone.
function keepFresh(part) {
  const pause = 1000 * Number(part.dataset.every || 5);
  let failures = 0;
  async function look() {
    // Nobody's place is taken away: not while the keyboard is in it, or something is unfolded.
    const isInUse = part.contains(document.activeElement) || part.querySelector("details[open]");
    if (document.hidden || isInUse) return later();
    try {
      const answer = await fetch(part.dataset.live, { credentials: "same-origin" });
      if (answer.redirected || answer.status === 403) return tell("Signed out: load the page again.");
      if (!answer.ok) throw new Error(answer.status);
      part.innerHTML = await answer.text(); // drawn by our own server, which escapes everything
      failures = 0;
      tellLocalTimes(part);
      if (part.querySelector("[data-final]")) return location.reload();
    } catch {
      failures += 1;
      if (failures === 3) tell("The server does not answer; this part may be old.");
    }
    later();
  }
  function tell(words) {
    let note = part.previousElementSibling;
    if (!note?.classList.contains("live-note")) {
      note = document.createElement("p");
      note.className = "live-note flash problem";
      note.setAttribute("role", "status");
      part.before(note);
    }
    note.textContent = words;
  }
  function later() {
    setTimeout(look, pause * (1 + Math.min(failures, 5)));
  }
  later();
}

// "/" goes to the first search field, as elsewhere.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const search = document.querySelector("form.search input:not([type=hidden])");
  if (search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

tellLocalTimes(document);
for (const part of document.querySelectorAll("[data-live]")) keepFresh(part);
