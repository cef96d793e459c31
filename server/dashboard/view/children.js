/** The table of children: filters, and rows of which only those in sight exist. */
import { useRef } from "preact/hooks";
import { forbidden, now } from "../net/session.js";
import { chosen, NO_FILTER } from "../state/filter.js";
import { bytes, count, duration, shortId } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { Filters } from "./filters.js";
import { html } from "./html.js";
import { Labels, Pill, Progress } from "./parts.js";
import { showRow, Virtual } from "./virtual.js";

const ROW = 40;
/** On a phone, a row has three lines. */
const TALL_ROW = 84;
const narrow = matchMedia("(max-width: 760px)");

const COLUMNS = ["Child", "Runs", "Member", "Caller", "Labels", "Age", "Progress", "CPU", "Memory"];

/** The rows of the table. While someone reads further down, no new rows push them away. */
function rowsOf(page) {
  const { ui, store } = page;
  if (!ui.held) return chosen(store, ui.filter);
  if (ui.held.filter !== ui.filter || !ui.held.rows)
    ui.held = { ...ui.held, filter: ui.filter, rows: chosen(store, ui.filter) };
  return ui.held.rows.map((child) => store.fresh(child));
}

/** The keys that move in the table, and open a row. */
function keysOf({ page, rows, box, height }) {
  const move = (at) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, at))];
    if (!next) return;
    page.set({ active: next.id });
    showRow(box.current, rows.indexOf(next), height);
  };
  return (event) => {
    const at = rows.findIndex(({ id }) => id === page.ui.active);
    const pageRows = Math.floor(box.current.clientHeight / height) - 1;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: pageRows, PageUp: -pageRows };
    if (event.key === "Enter" && at >= 0) page.open({ child: rows[at].id });
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(rows.length - 1);
    else if (event.key in steps) move(at + steps[event.key]);
    else return;
    event.preventDefault();
  };
}

export function Children({ page }) {
  const box = useRef();
  const { ui, store } = page;
  const rows = rowsOf(page);
  const height = narrow.matches ? TALL_ROW : ROW;
  const onKeyDown = keysOf({ page, rows, box, height });
  const hold = ({ scrollTop }) => {
    if (scrollTop > 0 !== Boolean(ui.held)) page.set({ held: scrollTop > 0 ? {} : undefined });
  };
  const isShown = rows.some(({ id }) => id === ui.active);
  return html`<section class="card children" aria-labelledby="children-title">
    <div class="section-head"><h2 id="children-title">Children</h2>
      <span class="muted" role=${ui.filter === NO_FILTER ? undefined : "status"}>
        ${count(rows.length)}
        ${ui.filter !== NO_FILTER && ` of ${count(store.children.size)}`}</span>
      ${
        ui.held &&
        html`<button type="button" class="button is-small" onClick=${() => {
          box.current.scrollTop = 0;
          page.set({ held: undefined });
        }}>Show new ones</button>`
      }
      <span class="grow"></span>
      ${
        forbidden(["observe"]) &&
        html`<span class="muted">Your own children: the token has no scope observe.</span>`
      }
    </div>
    <${Filters} page=${page} />
    <div role="grid" aria-label="Children" aria-rowcount=${rows.length + 1}
      aria-colcount=${COLUMNS.length} class="table" onKeyDown=${onKeyDown} tabindex="0"
      aria-activedescendant=${isShown ? `row-${ui.active}` : undefined}>
      <div role="rowgroup"><div role="row" class="child-row is-head" aria-rowindex="1">
        ${COLUMNS.map((name) => html`<span role="columnheader">${name}</span>`)}</div></div>
      <${Virtual} class="rows" role="rowgroup" box=${box} rows=${rows} height=${height}
        keyOf=${({ id }) => id} onMove=${hold} tabindex="-1"
        rowProps=${(child, at) => ({
          role: "row",
          id: `row-${child.id}`,
          "aria-rowindex": at + 2,
          "aria-selected": child.id === ui.active,
          onClick: () => page.open({ child: child.id }),
        })} row=${(child) => html`<${Row} child=${child} />`} />
    </div>
    ${
      rows.length === 0 &&
      html`<p class="empty">${
        store.children.size === 0
          ? "No child runs, and none ended of late. Try it makes one."
          : "No child passes the filters."
      }</p>`
    }
  </section>`;
}

/** The state of a child in a word: how it ended, where it has. */
export function wordOf({ status, code, exitCode }) {
  if (status !== "ended") return { state: status, word: status };
  if (code) return { state: "failed", word: code };
  if (exitCode) return { state: "exit", word: `exit ${exitCode}` };
  return { state: "done", word: exitCode === 0 ? "exit 0" : "returned" };
}

export const runMsOf = ({ startedAt, endedAt }) =>
  (endedAt ? Date.parse(endedAt) : now()) - Date.parse(startedAt);

/** The work of a child, in one line. */
export const workOf = ({ command, name, kind }, maxLength = 200) =>
  harmless(command && command.length > 0 ? command.join(" ") : (name ?? kind), maxLength);

function Row({ child }) {
  const { id, member, pool, owner, labels, progress, usage, kind } = child;
  const { state, word } = wordOf(child);
  const work = workOf(child);
  return html`<div class="child-row" role="presentation">
    <span role="gridcell"><${Pill} state=${state}>${word}<//>
      <code class="id">${shortId(id)}</code></span>
    <span role="gridcell" class="work" title=${work}>
      ${kind !== "command" && html`<small class="kind">${kind}</small>`}${
        work !== kind && html`<code>${work}</code>`
      }</span>
    <span role="gridcell" class="where">${member}<small>${pool}</small></span>
    <span role="gridcell" class="owner">${harmless(owner, 60)}</span>
    <span role="gridcell"><${Labels} labels=${labels} max=${2} /></span>
    <span role="gridcell" class="number">${duration(runMsOf(child))}</span>
    <span role="gridcell"><${Progress} progress=${progress} /></span>
    <span role="gridcell" class="number">${duration(usage?.cpuMs ?? undefined)}</span>
    <span role="gridcell" class="number">${bytes(usage?.maxRssBytes ?? undefined)}</span>
  </div>`;
}
