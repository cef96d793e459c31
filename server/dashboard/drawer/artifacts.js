/** The files that a child left. */
import { useEffect, useState } from "preact/hooks";
import { download, child as operations } from "../net/api.js";
import { bytes } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { html } from "../view/html.js";

/** The list shows the first 200 files. */
const MAX_SHOWN = 200;

export function Artifacts({ id, ending }) {
  const [asked, keep] = useState([]);
  const [trouble, tell] = useState("");
  const artifacts = ending?.partial ? asked : (ending?.artifacts ?? []);
  useEffect(() => {
    // The stream leaves a long list out, and the result has it.
    if (ending?.partial)
      operations.result(id).then(
        (result) => keep(result?.artifacts ?? []),
        (error) => tell(harmless(error.message)),
      );
  }, [ending]);
  const save = (path) => {
    tell("");
    download(id, path).catch((error) => tell(harmless(error.message)));
  };
  if (artifacts.length === 0) return null;
  return html`<section class="artifacts"><h3>Artifacts</h3><ul>
    ${artifacts.slice(0, MAX_SHOWN).map(
      ({ path, bytes: size }) => html`<li><code>${harmless(path)}</code>
        <span class="muted">${bytes(size)}</span>
        <button type="button" class="button is-small" aria-label=${`Save ${harmless(path)}`}
          onClick=${() => save(path)}>Save</button></li>`,
    )}</ul>
    ${
      artifacts.length > MAX_SHOWN &&
      html`<p class="muted">
      ${`and ${artifacts.length - MAX_SHOWN} more`}</p>`
    }
    ${trouble && html`<p class="trouble" role="alert">${trouble}</p>`}</section>`;
}
