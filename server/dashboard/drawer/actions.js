/** The actions on a child that runs: stop it, signal it, write to its input. */
import { useState } from "preact/hooks";
import { child as operations } from "../net/api.js";
import { forbidden } from "../net/session.js";
import { harmless } from "../text/harmless.js";
import { html } from "../view/html.js";
import { Action } from "../view/parts.js";

const GRACES = [
  ["", "its grace"],
  ["0", "no grace"],
  ["1000", "1 s grace"],
  ["10000", "10 s grace"],
  ["60000", "1 min grace"],
];
const SIGNALS =
  "SIGHUP SIGINT SIGQUIT SIGTERM SIGKILL SIGUSR1 SIGUSR2 SIGALRM SIGCONT SIGSTOP SIGTSTP SIGWINCH";

export function Actions({ child }) {
  const { id, pool, owner, status } = child;
  const [grace, setGrace] = useState("");
  const [signal, setSignal] = useState("SIGTERM");
  const [input, setInput] = useState("");
  const [told, tell] = useState({});
  if (status === "ended") return null;
  const why = forbidden(["call"], { pool, owner });
  const act = (asked, word) =>
    asked.then(
      () => tell({ word }),
      (error) => tell({ trouble: harmless(error.message) }),
    );
  const stop = () =>
    act(
      operations.stop(id, grace === "" ? undefined : Number(grace)),
      "The child is being stopped.",
    );
  const write = (text, end) => {
    setInput("");
    return act(operations.stdin(id, text, end), end ? "The input has ended." : "Sent.");
  };
  const option = ([value, name]) => html`<option value=${value}>${name}</option>`;
  return html`<div class="actions">
    <div class="joined"><${Action} why=${why} class="is-danger" onClick=${stop}>Stop<//>
      <select aria-label="Grace" value=${grace} onChange=${({ target }) => setGrace(target.value)}>
        ${GRACES.map(option)}</select></div>
    <div class="joined"><${Action} why=${why}
        onClick=${() => act(operations.signal(id, signal), `${signal} was sent.`)}>Signal<//>
      <select aria-label="Signal" value=${signal}
        onChange=${({ target }) => setSignal(target.value)}>
        ${SIGNALS.split(" ").map((name) => option([name, name]))}</select></div>
    <form class="joined is-input" onSubmit=${(event) => {
      event.preventDefault();
      if (why === undefined) write(`${input}\n`, false);
    }}>
      <input aria-label="A line for the child's input" placeholder="Input" value=${input}
        disabled=${why !== undefined} onInput=${({ target }) => setInput(target.value)} />
      <${Action} why=${why} type="submit">Send<//>
      <${Action} why=${why} onClick=${() => write("", true)}>End<//></form>
    <p class=${told.trouble ? "trouble" : "muted"} role="status">${
      told.trouble ?? told.word ?? ""
    }</p>
  </div>`;
}
