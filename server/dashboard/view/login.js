/** Asks for a token, and keeps it for this tab. */
import { useState } from "preact/hooks";
import { learnCaller } from "../net/api.js";
import { change, keepToken, session, signOut } from "../net/session.js";
import { harmless } from "../text/harmless.js";
import { html } from "./html.js";

export function Login() {
  const [trouble, tell] = useState("");
  const onSubmit = async (event) => {
    event.preventDefault();
    const token = new FormData(event.target).get("token").trim();
    if (!/^[\x21-\x7e]+$/.test(token)) return tell("Expected a token without spaces.");
    keepToken(token);
    try {
      await learnCaller();
    } catch (error) {
      const isRefused = error.status === 401;
      signOut(session.needsLogin ?? "");
      change({ needsLogin: "This pool asks for a token." });
      tell(isRefused ? "This token is not known here." : harmless(error.message));
    }
  };
  return html`<main class="login"><form class="card" onSubmit=${onSubmit}>
    <h1><img src="/dashboard/icon.svg" alt="" width="40" height="40" />distributed-pool</h1>
    <p>${session.needsLogin}</p>
    <input type="text" name="username" autocomplete="username" value="distributed-pool" hidden />
    <label for="token">Token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required
      spellcheck=${false} autofocus ref=${(element) => element?.focus()} />
    <p class="trouble" role="alert">${trouble}</p>
    <button class="button is-main is-wide">Sign in</button>
    <p class="muted">The token stays in this tab until you close it. <code>dpool token</code> makes
      one, and <a href="/docs">the contract</a> names the scopes.</p>
  </form></main>`;
}
