/** A panel of output: it follows, searches, and shows only the lines in sight. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, plural } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { attributesOf } from "../text/sgr.js";
import { textOf } from "../text/terminal.js";
import { html } from "../view/html.js";
import { showRow, Virtual } from "../view/virtual.js";

const LINE = 18;
const ENDED = new Set(["ended", "failed", "stopped", "no output"]);

/** The places of the lines that have the text. */
function found(lines, query) {
  if (query === "") return [];
  const wanted = query.toLowerCase();
  return lines.flatMap((line, at) => (textOf(line).toLowerCase().includes(wanted) ? [at] : []));
}

/** @param version changes with the terminal. @param state a word on the stream. */
export function Output({ terminal, version, state }) {
  const box = useRef();
  const [follows, follow] = useState(true);
  const [query, search] = useState("");
  const [at, goTo] = useState(0);
  const hits = useMemo(() => found(terminal.lines, query), [query, version]);
  const hitSet = useMemo(() => new Set(hits), [hits]);
  const current = hits[Math.min(at, hits.length - 1)];
  useLayoutEffect(() => {
    if (follows) box.current.scrollTop = box.current.scrollHeight;
  }, [version, follows]);
  const step = (by) => {
    if (hits.length === 0) return;
    const next = (Math.min(at, hits.length - 1) + by + hits.length) % hits.length;
    follow(false);
    goTo(next);
    showRow(box.current, hits[next], LINE);
  };
  const onMove = ({ scrollTop, scrollHeight, clientHeight }) =>
    follow(scrollTop + clientHeight >= scrollHeight - LINE);
  const onKeyDown = (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    if (event.key !== "Escape" || query === "") return;
    event.preventDefault();
    search("");
  };
  const dropped = terminal.dropped > 0 && ` · ${count(terminal.dropped)} earlier ones dropped`;
  const isSilent = terminal.lines.length === 0 && ENDED.has(state);
  return html`<div class=${isSilent ? "output is-silent" : "output"}>
    <div class="output-bar">
      <span class="muted"><span role="status">${state}</span> · ${plural(
        terminal.lines.length,
        "line",
      )}${dropped}</span>
      <span class="grow"></span>
      <input type="search" aria-label="Search in the output" placeholder="Search" value=${query}
        onInput=${({ target }) => search(target.value)} onKeyDown=${onKeyDown} />
      ${
        query !== "" &&
        html`<span class="hits" role="status">
        ${hits.length === 0 ? "0" : `${Math.min(at, hits.length - 1) + 1} of ${hits.length}`}</span>
        <button type="button" class="button is-small" aria-label="Previous hit"
          onClick=${() => step(-1)}>↑</button>
        <button type="button" class="button is-small" aria-label="Next hit"
          onClick=${() => step(1)}>↓</button>`
      }
      <button type="button" class="button is-small" aria-pressed=${follows}
        onClick=${() => follow(!follows)}>Follow</button>
    </div>
    <${Virtual} class="screen" box=${box} rows=${terminal.lines} height=${LINE} onMove=${onMove}
      keyOf=${(_, place) => place + terminal.dropped} tabindex="0" role="region"
      aria-label="Output" dir="ltr" row=${(line, place) => html`<${Line} line=${line}
        length=${line.length + line.cut}
        look=${place === current ? "is-hit is-current" : hitSet.has(place) ? "is-hit" : ""} />`} />
  </div>`;
}

function Line({ line, look }) {
  return html`<span class=${`line is-${line.stream} ${look}`}>${line.spans.map(
    ({ text, style }) => html`<span ...${attributesOf(style)}>${harmless(text, 5_000)}</span>`,
  )}${
    line.cut > 0 &&
    html`<span class="cut">
    ${` … ${count(line.cut)} more characters`}</span>`
  }</span>`;
}
