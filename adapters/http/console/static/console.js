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

// <div data-live="URL">: its content comes as server-sent events while somebody looks. A part that
// says that it is final has ended: the page around it is loaded anew.
function keepFresh(part) {
  let source = null;
  let waiting = null;
  let failures = 0;

  function open() {
    if (source || document.hidden) return; // a browser has few connections to one server
    source = new EventSource(part.dataset.live);
    source.onmessage = (event) => {
      failures = 0;
      waiting = event.data;
      show();
    };
    source.addEventListener("signed-out", () => end("Signed out: load the page again."));
    source.onerror = () => {
      failures += 1;
      if (source.readyState === EventSource.CLOSED) end("This part is as old as the page: load it again.");
      else if (failures === 3) tell("The server does not answer; this part may be old.");
    };
  }
  function close() {
    source?.close();
    source = null;
  }
  function end(words) {
    close();
    document.removeEventListener("visibilitychange", look);
    tell(words);
  }
  function show() {
    // Nobody's place is taken away: not while the keyboard is in it, or something is unfolded.
    if (waiting === null || part.contains(document.activeElement)) return;
    if (part.querySelector("details[open]")) return;
    part.innerHTML = waiting; // drawn by our own server, which escapes everything
    waiting = null;
    tell("");
    tellLocalTimes(part);
    if (part.querySelector("[data-final]")) location.reload();
  }
  function tell(words) {
    let note = part.previousElementSibling;
    if (!note?.classList.contains("live-note")) {
      if (!words) return;
      note = document.createElement("p");
      note.className = "live-note flash problem";
      note.setAttribute("role", "status");
      part.before(note);
    }
    if (words) note.textContent = words;
    else note.remove();
  }
  function look() {
    if (document.hidden) close();
    else open();
  }
  document.addEventListener("visibilitychange", look);
  setInterval(show, 1000);
  open();
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
