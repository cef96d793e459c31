/** Starts the page: the feed, the history, and the drawing. */
import { render } from "preact";
import { json } from "./net/api.js";
import { followFeed } from "./net/feed.js";
import { onSession, session } from "./net/session.js";
import { NO_FILTER } from "./state/filter.js";
import { Frames } from "./state/frames.js";
import { seed } from "./state/history.js";
import { Store } from "./state/store.js";
import { App } from "./view/app.js";
import { html } from "./view/html.js";

const HISTORY_MS = 10_000;
const THEME = "dpool-theme";
const root = document.getElementById("page");
/** 5 times a second: at 200 calls a second, each drawing replaces most rows of the table. */
const DATA_MS = 200;
const frames = new Frames(() => render(html`<${App} page=${page} />`, root), DATA_MS);
const dark = matchMedia("(prefers-color-scheme: dark)");

const page = {
  store: new Store(() => frames.later()),
  history: undefined,
  historyTrouble: undefined,
  ui: { filter: NO_FILTER, opened: openedOf(location.hash), chartPool: "" },
  draw: () => frames.soon(),
  /** Changes what the page shows, and draws it. */
  set(fields) {
    Object.assign(page.ui, fields);
    frames.soon();
  },
  /** Opens the drawer: `{ child }`, `{ tryIt }` or undefined. The address keeps it. */
  open(opened) {
    const hash = opened?.child ? `#child=${opened.child}` : opened?.tryIt ? "#try" : "";
    history.replaceState(null, "", `${location.pathname}${hash}`);
    page.set({ opened, ...(opened?.child && { active: opened.child }) });
  },
  isDark: () => document.documentElement.dataset.theme === "dark",
  turnTheme() {
    localStorage.setItem(THEME, page.isDark() ? "light" : "dark");
    applyTheme();
  },
};

function openedOf(hash) {
  if (hash === "#try") return { tryIt: true };
  const id = /^#child=([\w-]+\.[0-9a-f]{32})$/.exec(hash)?.[1];
  return id && { child: id };
}

async function keepHistory(signal) {
  let isFirst = true;
  while (!signal.aborted) {
    if (!document.hidden && session.caller) {
      const answer = await json("/history").catch((error) => ({ trouble: error.message }));
      // An answer for the token before is not for the one of now.
      if (signal.aborted) return;
      page.historyTrouble = answer.trouble;
      if (!answer.trouble) {
        page.history = answer;
        if (isFirst) seed(page.store.minute, answer);
        isFirst = false;
      }
      frames.later();
    }
    const waitMs = session.caller ? HISTORY_MS : 200;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** One feed and one history run at a time: a new token begins both anew. */
let running;
function start() {
  frames.soon();
  if (session.needsLogin !== undefined) {
    running?.abort();
    running = undefined;
    return;
  }
  if (running) return;
  running = new AbortController();
  page.store = new Store(() => frames.later());
  page.history = undefined;
  Object.assign(page.ui, { held: undefined, active: undefined, filter: NO_FILTER, chartPool: "" });
  void followFeed(page.store, running.signal);
  void keepHistory(running.signal);
}

/** The colours that someone chose here, or those of the system. */
function applyTheme() {
  const isDark = (localStorage.getItem(THEME) ?? (dark.matches ? "dark" : "light")) === "dark";
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  frames.soon();
}

applyTheme();
dark.addEventListener("change", applyTheme);
addEventListener("hashchange", () => page.set({ opened: openedOf(location.hash) }));
setInterval(() => document.hidden || frames.later(), 1_000);
onSession(start);
start();
