/** The filters of the table of children. */
import { NO_FILTER } from "../state/filter.js";
import { html } from "./html.js";

const STATUSES = [
  ["", "All"],
  ["running", "Running"],
  ["stopping", "Stopping"],
  ["ended", "Ended"],
  ["failed", "Failed"],
];

export function Filters({ page }) {
  const { store, ui } = page;
  const { filter } = ui;
  // The filter of now: what this drawing shows may be older than the last click.
  const set = (fields) => page.set({ filter: { ...page.ui.filter, ...fields } });
  const pools = new Set([...store.members.values()].flatMap(({ pools }) => Object.keys(pools)));
  const option = (value) => html`<option value=${value}>${value}</option>`;
  const onInput = (name) => (event) => set({ [name]: event.target.value });
  return html`<div class="filters" role="search" aria-label="Filters of the children">
    <div class="choice" role="group" aria-label="Status">${STATUSES.map(
      ([value, name]) => html`<button type="button" aria-pressed=${filter.status === value}
        onClick=${() => set({ status: value })}>${name}</button>`,
    )}</div>
    <input type="search" placeholder="Search: id, command, caller, label" aria-label="Text"
      value=${filter.text} onInput=${onInput("text")} />
    <input type="search" class="is-narrow" placeholder="label=value" aria-label="Label"
      value=${filter.label} onInput=${onInput("label")} />
    <select aria-label="Pool" value=${filter.pool} onChange=${onInput("pool")}>
      <option value="">All pools</option>${[...pools].sort().map(option)}</select>
    <select aria-label="Code" value=${filter.code} onChange=${onInput("code")}>
      <option value="">All codes</option>${[...store.codes].sort().map(option)}</select>
    ${
      filter !== NO_FILTER &&
      html`<button type="button" class="button is-quiet"
      onClick=${() => page.set({ filter: NO_FILTER })}>Clear</button>`
    }
  </div>`;
}
