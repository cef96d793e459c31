/** The same for a terminal or a program, to copy. */
import { useState } from "preact/hooks";
import { session } from "../net/session.js";
import { harmless } from "../text/harmless.js";
import { callSnippets, childSnippets } from "../text/snippets.js";
import { html } from "../view/html.js";
import { Copy } from "../view/parts.js";

/** A command that the member shows in full can be called again. */
const isWhole = ({ command }) => command?.length > 0 && !command.at(-1).endsWith("…");

/** @param child a child. @param call `{ pool, spec }` in its place. */
export function Snippets({ child, call }) {
  const [chosen, choose] = useState("curl");
  const [repeats, repeat] = useState(false);
  const at = { url: location.origin, hasToken: session.token !== undefined };
  const again = call ?? (isWhole(child) && repeats && { pool: child.pool, spec: specOf(child) });
  const snippets = again
    ? callSnippets(again.spec, { ...at, pool: again.pool })
    : childSnippets(child.id, at);
  const text = snippets[chosen];
  return html`<section class="snippets"><div class="section-head"><h3>Copy as</h3>
    <div class="choice" role="group" aria-label="Language">${Object.keys(snippets).map(
      (name) => html`<button type="button" aria-pressed=${name === chosen}
        onClick=${() => choose(name)}>${name}</button>`,
    )}</div><span class="grow"></span>
    ${
      !call &&
      isWhole(child) &&
      html`<label class="check"><input type="checkbox" checked=${repeats}
      onChange=${({ target }) => repeat(target.checked)} /> call again</label>`
    }
    <${Copy} text=${() => text} class="is-small">Copy<//></div>
    <pre class="snippet" tabindex="0" role="region" aria-label="Snippet">${text
      .split("\n")
      .map((line) => harmless(line, 2_000))
      .join("\n")}</pre></section>`;
}

const specOf = ({ command, labels }) =>
  Object.keys(labels).length > 0 ? { command, labels } : { command };
