// Brings the server's events to the panels, and people's wishes (pause, range) with them.

import { byId, text } from "./dom.js";
import { duration, task } from "./format.js";
import { Model } from "./model.js";
import { Decisions, Glance, Health, Provisioned, Saved, Scores, Waits, Ways } from "./panels.js";
import { Stream } from "./stream.js";

const model = new Model();
const panels = [Glance, Provisioned, Saved, Ways, Scores, Waits, Health, Decisions].map((Panel) => new Panel());
const page = { minutes: 5, paused: false, link: "connecting" };

const LINKS = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
  draining: "Server is draining",
  refused: "Signed out",
};

function link(state) {
  page.link = state;
  byId("link").dataset.state = state;
  const words = state === "live" && page.paused ? "Live, view paused" : LINKS[state];
  text(byId("link-text"), words);
  document.title = state === "live" ? "Model router" : `${words} · Model router`;
}

function draw() {
  if (!model.now || page.paused) return;
  const { config, started_ms: started, at_ms: at, version, observe, forced, draining } = model.now;
  text(byId("fact-config"), config.version.slice(0, 8));
  byId("fact-config").title = config.version;
  text(byId("fact-uptime"), duration(Math.max(0, at - started)));
  text(byId("fact-version"), version);
  byId("observe").hidden = !observe;
  byId("forced").hidden = !forced;
  if (forced) text(byId("forced"), `All to ${task(forced)}`);
  const notice = byId("notice");
  notice.hidden = !config.fault;
  if (config.fault) text(notice, "The configuration file has faults: the last good one goes on. The log names them all.");
  link(draining ? "draining" : "live");
  for (const panel of panels) panel.update(model, page.minutes);
}

const stream = new Stream({
  path: "/dashboard/events",
  event(name, value) {
    if (name === "state") model.state(value);
    else if (!model.tick(value)) return stream.start();
    draw();
    if (page.paused) link(value.draining ? "draining" : "live");
  },
  told(state) {
    link(state);
    if (state !== "refused") return;
    byId("notice").hidden = false;
    text(byId("notice"), "The server no longer takes the key that this page was opened with. Load the page anew to enter another.");
  },
});

byId("pause").addEventListener("click", () => {
  page.paused = !page.paused;
  byId("pause").setAttribute("aria-pressed", String(page.paused));
  if (page.link === "live") link("live");
  draw();
});

for (const button of document.querySelectorAll(".range button")) {
  button.addEventListener("click", () => {
    page.minutes = Number(button.dataset.minutes);
    for (const other of document.querySelectorAll(".range button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    const { paused } = page;
    page.paused = false;
    draw();
    page.paused = paused;
  });
}

stream.start();
