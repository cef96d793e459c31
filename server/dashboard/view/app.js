/** The whole page. */

import { Drawer } from "../drawer/drawer.js";
import { session } from "../net/session.js";
import { Charts } from "./charts.js";
import { Children } from "./children.js";
import { Figures, Header } from "./header.js";
import { html } from "./html.js";
import { Login } from "./login.js";
import { Pools } from "./pools.js";

export function App({ page }) {
  if (session.needsLogin !== undefined) return html`<${Login} />`;
  const { opened } = page.ui;
  return html`<div class=${opened ? "shell has-drawer" : "shell"}>
    <a class="skip" href="#children-title">To the children</a>
    <${Header} page=${page} />
    <main>
      <h1 class="unseen">Dashboard of the pools</h1>
      <${Figures} page=${page} />
      <h2 class="unseen">Pools</h2>
      <${Pools} page=${page} />
      <${Charts} page=${page} />
      <${Children} page=${page} />
    </main>
    ${opened && html`<${Drawer} page=${page} opened=${opened} key=${opened.child ?? "try"} />`}
  </div>`;
}
