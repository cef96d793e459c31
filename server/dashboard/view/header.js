/** The header: the connection, the caller, the theme; and the figures of all pools. */
import { forbidden, now, session, signOut } from "../net/session.js";
import { compact, count } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { html } from "./html.js";

const LINKS = {
  opening: ["draining", "Connecting"],
  live: ["up", "Live"],
  waiting: ["lost", "Reconnecting"],
};

export function Header({ page }) {
  const { link } = page.store;
  const [state, word] = LINKS[link.state];
  const { caller, token } = session;
  return html`<header class="top">
    <a class="brand" href="/" aria-label="distributed-pool, the dashboard">
      <img src="/dashboard/icon.svg" alt="" width="26" height="26" />
      <span class="wide">distributed-pool</span></a>
    <span class=${`pill is-${state}`} role="status" title=${link.detail ?? ""}>
      <i aria-hidden="true"></i>${word}</span>
    <span class="grow"></span>
    ${
      caller &&
      html`<span class="who" title=${`Scopes: ${caller.scopes.join(", ")}`}>
      ${harmless(caller.name, 40)}</span>`
    }
    <button type="button" class="button is-main" onClick=${() => page.open({ tryIt: true })}>
      Try it</button>
    <a class="button is-quiet" href="/docs">Contract</a>
    <button type="button" class="button is-quiet" onClick=${page.turnTheme}
      aria-label=${`Use ${page.isDark() ? "light" : "dark"} colours`}>
      <span aria-hidden="true">${page.isDark() ? "☀" : "☾"}</span>
      <span class="wide">${page.isDark() ? "Light" : "Dark"}</span></button>
    ${
      token &&
      html`<button type="button" class="button is-quiet"
      onClick=${() => signOut("You signed out.")}>Sign out</button>`
    }
    ${
      link.state === "waiting" &&
      html`<p class="strip" role="status">
      ${`No contact: ${harmless(link.detail)}. The page shows the last known state.`}</p>`
    }
  </header>`;
}

/** The sums over all members and pools. */
function sums({ members, loads, minute }) {
  const found = { up: 0, draining: 0, lost: 0, used: 0, slots: 0, queued: 0 };
  const pools = new Set();
  for (const { state, pools: slots } of members.values()) {
    if (state === "up") found.up++;
    else if (state === "draining") found.draining++;
    else found.lost++;
    for (const [pool, max] of Object.entries(slots)) {
      pools.add(pool);
      if (state === "up") found.slots += max;
    }
  }
  for (const { active = 0, queued = 0, member } of loads.values()) {
    const { state = "lost" } = members.get(member) ?? {};
    if (state === "lost") continue;
    if (state === "up") found.used += active;
    found.queued += queued;
  }
  return { ...found, pools: pools.size, ...minute.sums(now()) };
}

export function Figures({ page }) {
  const found = sums(page.store);
  const share = found.slots > 0 ? Math.min(1, found.used / found.slots) : 0;
  const minute = `${forbidden(["observe"]) ? "of yours " : ""}in the last minute`;
  const all = [
    ["Pools", count(found.pools)],
    ["Members", count(found.up), memberDetail(found), found.lost > 0 ? "bad" : ""],
    ["Slots used", compact(found.used), `of ${compact(found.slots)}`, "", share],
    ["Queued", compact(found.queued), "callers wait", found.queued > 0 ? "warm" : ""],
    ["Calls", compact(found.ended), minute],
    ["Failures", compact(found.failed), minute, found.failed > 0 ? "bad" : ""],
  ];
  return html`<dl class="figures" aria-label="All pools">
    ${all.map(
      ([name, value, detail, look = "", share]) => html`<div class=${`figure ${look}`}>
        <dt>${name}</dt>
        <dd><b>${value}</b> <span>${detail}</span>
        ${
          share !== undefined &&
          html`<span class="meter" aria-hidden="true">
          <i style=${{ transform: `scaleX(${share})` }}></i></span>`
        }</dd></div>`,
    )}</dl>`;
}

function memberDetail({ draining, lost }) {
  const parts = [draining > 0 && `${draining} draining`, lost > 0 && `${lost} lost`];
  return ["up", ...parts.filter(Boolean)].join(" · ");
}
