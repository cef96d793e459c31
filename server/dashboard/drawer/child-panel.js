/** One child: its facts, its output, and what can be done with it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { child as operations } from "../net/api.js";
import { bytes, duration } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { runMsOf, wordOf, workOf } from "../view/children.js";
import { html } from "../view/html.js";
import { Copy, Labels, Pill, Progress } from "../view/parts.js";
import { Actions } from "./actions.js";
import { Artifacts } from "./artifacts.js";
import { Output } from "./output.js";
import { Snippets } from "./snippets.js";
import { useStream } from "./stream.js";

/** The most characters of a command that the panel shows. */
const MAX_COMMAND = 1_200;

const time = (text) => (text ? new Date(text).toLocaleTimeString() : undefined);

/** The child as the feed tells it, or as the member answers where the feed has none. */
function useChild(page, id) {
  const [asked, keep] = useState({});
  // The table forgets children that ended long ago. The panel keeps the one that it shows.
  const last = useRef();
  last.current = page.store.children.get(id) ?? last.current;
  const known = last.current;
  useEffect(() => {
    if (known) return;
    operations.get(id).then(
      (child) => keep({ child }),
      (error) => keep({ trouble: harmless(error.message) }),
    );
  }, [id]);
  return { child: known ?? asked.child, trouble: known ? undefined : asked.trouble };
}

export function ChildPanel({ page, id }) {
  const { child, trouble } = useChild(page, id);
  const stream = useStream(id);
  if (!child)
    return html`<h2 id="drawer-title">Child</h2><p class="id"><code>${harmless(id)}</code></p>
      <p class=${trouble ? "trouble" : "muted"} role="status">
        ${trouble ?? "Asking its member…"}</p>`;
  const { state, word } = wordOf(child);
  return html`
    <h2 id="drawer-title" class="child-title"><${Pill} state=${state}>${word}<//>
      <code>${harmless(child.name ?? child.kind, 60)}</code></h2>
    ${child.command && html`<p class="work-line"><code>${workOf(child, MAX_COMMAND)}</code></p>`}
    <${Facts} child=${child} waitedMs=${child.waitedMs} />
    <${Actions} page=${page} child=${child} />
    <${Output} terminal=${stream.terminal} version=${stream.version}
      state=${stream.trouble ? "no output" : stream.word} />
    ${stream.trouble && html`<p class="trouble" role="alert">${stream.trouble}</p>`}
    <${Ending} ending=${stream.ending} />
    <${Artifacts} id=${id} ending=${stream.ending} />
    <${Snippets} child=${child} />`;
}

function Facts({ child, waitedMs }) {
  const { id, pool, member, owner, labels, sandbox, startedAt, deadlineAt, usage, progress } =
    child;
  const facts = [
    [
      "Id",
      html`<code class="whole-id">${id}</code><${Copy} text=${() => id} class="is-small">Copy<//>`,
    ],
    ["Pool", `${pool} on ${member}`],
    ["Caller", harmless(owner)],
    ["Started", time(startedAt)],
    ["Ran", duration(runMsOf(child))],
    ["Waited", waitedMs === undefined ? undefined : duration(waitedMs)],
    ["Deadline", time(deadlineAt)],
    ["CPU", usage?.cpuMs != null ? duration(usage.cpuMs) : undefined],
    ["Memory", usage?.maxRssBytes != null ? bytes(usage.maxRssBytes) : undefined],
    ["Sandbox", sandbox],
    ["Progress", progress && html`<${Progress} progress=${progress} />`],
    ["Labels", Object.keys(labels).length > 0 && html`<${Labels} labels=${labels} />`],
  ];
  return html`<dl class="facts">${facts.map(
    ([name, value]) =>
      value &&
      html`<div class=${`is-${name.toLowerCase()}`}><dt>${name}</dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

/** The value of a function, or the problem of a child that failed. */
export function Ending({ ending }) {
  if (!ending) return null;
  const { problem, value, exitCode } = ending;
  if (problem)
    return html`<div class="ending is-failed" role="status"><b>${problem.code}</b>
      ${harmless(problem.detail ?? problem.title, 2_000)}</div>`;
  if (value !== undefined)
    return html`<div class="ending is-done" role="status"><b>Value</b>${" "}
      <code>${harmless(JSON.stringify(value), 4_000)}</code></div>`;
  return html`<div class=${`ending ${exitCode ? "is-exit" : "is-done"}`} role="status">
    <b>Exit code</b> ${exitCode ?? 0}</div>`;
}
