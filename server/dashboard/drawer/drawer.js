/** The panel at the side: one child, or a call to try. Escape closes it. */
import { useEffect, useRef } from "preact/hooks";
import { html } from "../view/html.js";
import { ChildPanel } from "./child-panel.js";
import { TryIt } from "./try-it.js";

export function Drawer({ page, opened }) {
  const box = useRef();
  useEffect(() => {
    const before = document.activeElement;
    box.current.focus();
    const onKey = (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) page.open(undefined);
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      if (before?.isConnected) before.focus();
    };
  }, []);
  return html`<aside class="drawer" role="dialog" aria-labelledby="drawer-title" tabindex="-1"
    ref=${box}>
    <button type="button" class="button is-quiet close" aria-label="Close"
      onClick=${() => page.open(undefined)}>✕</button>
    ${
      opened.child
        ? html`<${ChildPanel} page=${page} id=${opened.child} />`
        : html`<${TryIt} page=${page} />`
    }
  </aside>`;
}
