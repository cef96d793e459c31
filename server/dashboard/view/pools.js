/** One card for each pool, with a row for each of its members. */
import { now } from "../net/session.js";
import { recent } from "../state/history.js";
import { keyOf } from "../state/store.js";
import { age, compact, duration, plural } from "../text/format.js";
import { html } from "./html.js";
import { MemberRow } from "./member-row.js";
import { Virtual } from "./virtual.js";

/** A pool with more slots shows bars, and one with more members shows short rows. */
const MAX_SQUARES = 600;
const MAX_ROWS = 12;
const SHORT_ROW = 36;

const ORDER = { up: 0, draining: 1, sick: 2, lost: 3 };
const names = new Intl.Collator("en", { numeric: true });

/** The pools by name, each with its members and their loads. */
function poolsOf({ members, loads, busy }) {
  const pools = new Map();
  for (const member of members.values()) {
    for (const [pool, slots] of Object.entries(member.pools)) {
      const key = keyOf(pool, member.member);
      const load = { active: 0, queued: 0, ...loads.get(key) };
      const row = { key, pool, member, load, max: slots, busy: busy.get(key) };
      if (!pools.has(pool)) pools.set(pool, []);
      pools.get(pool).push(row);
    }
  }
  for (const rows of pools.values())
    rows.sort(
      ({ member: a }, { member: b }) =>
        ORDER[a.state] - ORDER[b.state] || names.compare(a.member, b.member),
    );
  return [...pools].sort(([a], [b]) => (a < b ? -1 : 1));
}

export function Pools({ page }) {
  const pools = poolsOf(page.store);
  if (pools.length === 0)
    return html`<p class="empty">${
      page.store.isSynced
        ? "No pool has a member that this token may see."
        : "Waiting for the state of the pools…"
    }</p>`;
  return html`<div class="pools"
    onClick=${({ target }) => {
      const id = target.dataset?.child;
      if (id) page.open({ child: id });
    }}>${pools.map(
      ([pool, rows]) => html`<${Card} key=${pool} pool=${pool} rows=${rows} page=${page} />`,
    )}</div>`;
}

function totals(rows) {
  const found = { active: 0, max: 0, queued: 0, warm: undefined, oldest: undefined };
  for (const { load, max, member } of rows) {
    if (member.state === "lost") continue;
    if (member.state === "up") {
      found.active += load.active;
      found.max += max;
    }
    found.queued += load.queued;
    if (load.warm !== undefined) found.warm = (found.warm ?? 0) + load.warm;
    if (load.queued > 0 && load.oldestAt && !(found.oldest < load.oldestAt))
      found.oldest = load.oldestAt;
  }
  return found;
}

function Card({ page, pool, rows }) {
  const { active, max, queued, warm, oldest } = totals(rows);
  const { waits = [], runs = [] } = recent(page.history, pool);
  const isLarge = rows.reduce((sum, row) => sum + row.max, 0) > MAX_SQUARES;
  const isShort = isLarge || rows.length > MAX_ROWS;
  const both = ([p50, p95]) =>
    html`<b>${duration(p50)}</b> <span title="95 % took less">/ ${duration(p95)}</span>`;
  const stats = [
    [
      "Queue",
      html`<b>${compact(queued)}</b> ${
        oldest && html`<span>oldest ${age(now() - Date.parse(oldest))}</span>`
      }`,
    ],
    ["Wait p50 / p95", both(waits)],
    ["Run p50 / p95", both(runs)],
    ["Warm", html`<b>${warm ?? "–"}</b>`],
  ];
  return html`<section class="card pool" aria-label=${`Pool ${pool}`}>
    <div class="pool-head"><h3>${pool}</h3><span class="grow"></span>
      <span class="used"><b>${compact(active)}</b> of ${compact(max)} slots</span></div>
    <dl class="stats">${stats.map(
      ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
    )}</dl>
    ${
      isShort
        ? html`<${Virtual} class="members is-short" rows=${rows} height=${SHORT_ROW} tabindex="0"
          role="list" aria-label=${`${plural(rows.length, "member")} of ${pool}`}
          keyOf=${({ key }) => key} rowProps=${() => ({ role: "listitem" })}
          row=${(row) => html`<${MemberRow} page=${page} isShort ...${row} />`} />`
        : html`<ul class="members">${rows.map(
            (row) => html`<li key=${row.key}><${MemberRow} page=${page} ...${row} /></li>`,
          )}</ul>`
    }
  </section>`;
}
