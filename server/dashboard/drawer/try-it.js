/** A call to try: a command or a function, in a pool of one's choice. */
import { useEffect, useState } from "preact/hooks";
import { json, child as operations } from "../net/api.js";
import { forbidden } from "../net/session.js";
import { argvOf } from "../text/argv.js";
import { harmless } from "../text/harmless.js";
import { html } from "../view/html.js";
import { Action } from "../view/parts.js";
import { Artifacts } from "./artifacts.js";
import { Ending } from "./child-panel.js";
import { Output } from "./output.js";
import { Snippets } from "./snippets.js";
import { useStream } from "./stream.js";

const COMMAND = `sh -c 'for n in 1 2 3 4 5; do echo "$n from $POOL_MEMBER"; sleep 0.5; done'`;
const SOURCES = {
  node: "(a, b) => a + b",
  bun: "(a, b) => a + b",
  python: "def add(a, b):\n    return a + b",
};

/** The spec of the form. @throws {SyntaxError} where it makes none. */
function specOf({ kind, line, source, args, runtime }) {
  if (kind === "command") return { command: argvOf(line) };
  const values = args.trim() === "" ? [] : JSON.parse(args);
  if (!Array.isArray(values)) throw new SyntaxError("expected the arguments as a JSON array");
  return { function: { source, args: values, runtime } };
}

function checked(form) {
  try {
    return { spec: specOf(form) };
  } catch (error) {
    return { trouble: error.message };
  }
}

/** The runtimes of the pool. A token that may not ask for them gets two that most pools have. */
function useRuntimes(pool) {
  const [runtimes, keep] = useState(["node", "python"]);
  useEffect(() => {
    if (pool && !forbidden(["observe"], { pool }))
      json(`/pools/${pool}`).then(
        ({ runtimes }) => runtimes.length > 0 && keep(runtimes),
        () => {},
      );
  }, [pool]);
  return runtimes;
}

export function TryIt({ page }) {
  const { members } = page.store;
  const pools = [...new Set([...members.values()].flatMap(({ pools }) => Object.keys(pools)))];
  const [form, change] = useState({
    kind: "command",
    line: COMMAND,
    source: SOURCES.node,
    args: "[1211, 1]",
    runtime: "node",
  });
  const [call, start] = useState();
  const stream = useStream(call);
  const pool = form.pool ?? pools.sort()[0];
  const runtimes = useRuntimes(pool);
  const runtime = runtimes.includes(form.runtime) ? form.runtime : runtimes[0];
  const { spec, trouble } = checked({ ...form, runtime });
  const set = (fields) => change({ ...form, ...fields });
  const runs = call !== undefined && !stream.ending && !stream.trouble;
  const why =
    (pool === undefined ? "there is no pool" : forbidden(["call"], { pool })) ??
    (trouble && harmless(trouble)) ??
    (runs ? "the call before still runs" : undefined);
  const [refused, refuse] = useState("");
  // A call that still waits for a slot ends with its request.
  const stop = () =>
    stream.id === undefined
      ? start(undefined)
      : operations.stop(stream.id, 1_000).catch((error) => refuse(harmless(error.message)));
  return html`<h2 id="drawer-title">Try it</h2>
    <form class="try" onSubmit=${(event) => {
      event.preventDefault();
      refuse("");
      if (why === undefined) start({ pool, spec: { ...spec, labels: { from: "dashboard" } } });
    }}>
      <div class="try-head"><label>Pool <select value=${pool}
        onChange=${({ target }) => set({ pool: target.value })}>
        ${pools.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
        <div class="choice" role="group" aria-label="Kind">${["command", "function"].map(
          (kind) => html`<button type="button" aria-pressed=${form.kind === kind}
            onClick=${() => set({ kind })}>${kind}</button>`,
        )}</div></div>
      ${
        form.kind === "command"
          ? html`<${CommandField} form=${form} set=${set} spec=${spec} />`
          : html`<${FunctionFields} form=${{ ...form, runtime }} set=${set}
            runtimes=${runtimes} />`
      }
      ${
        (trouble || refused) &&
        html`<p class="trouble" role="alert">
        ${harmless(trouble ?? refused)}</p>`
      }
      <${Buttons} page=${page} stream=${stream} why=${why} stop=${runs && stop} />
    </form>
    ${call && html`<${Answer} stream=${stream} />`}
    ${spec && pool && html`<${Snippets} call=${{ pool, spec }} />`}`;
}

function Buttons({ page, stream, why, stop }) {
  return html`<div class="try-head"><${Action} why=${why} type="submit" class="is-main">Run<//>
    ${stop && html`<button type="button" class="button is-danger" onClick=${stop}>Stop</button>`}
    ${
      stream.id &&
      html`<button type="button" class="button is-quiet"
      onClick=${() => page.open({ child: stream.id })}>Open the child</button>`
    }</div>`;
}

function Answer({ stream }) {
  return html`<${Output} terminal=${stream.terminal} version=${stream.version}
      state=${stream.word} />
    ${stream.trouble && html`<p class="trouble" role="alert">${stream.trouble}</p>`}
    <${Ending} ending=${stream.ending} />
    <${Artifacts} id=${stream.id} ending=${stream.ending} />`;
}

function CommandField({ form, set, spec }) {
  return html`<label>Command<textarea rows="3" spellcheck=${false} value=${form.line}
      onInput=${({ target }) => set({ line: target.value })}></textarea></label>
    <p class="argv" aria-label="Arguments">${spec?.command.map(
      (word) => html`<code>${harmless(word, 80)}</code>`,
    )}</p>`;
}

function FunctionFields({ form, set, runtimes }) {
  const choose = ({ target: { value: runtime } }) => {
    const isOurs = Object.values(SOURCES).includes(form.source);
    set({ runtime, ...(isOurs && SOURCES[runtime] && { source: SOURCES[runtime] }) });
  };
  return html`<label>Runtime <select value=${form.runtime} onChange=${choose}>
      ${runtimes.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
    <label>Function<textarea rows="5" spellcheck=${false} value=${form.source}
      onInput=${({ target }) => set({ source: target.value })}></textarea></label>
    <label>Arguments<input spellcheck=${false} value=${form.args}
      onInput=${({ target }) => set({ args: target.value })} /></label>`;
}
