/**
 * Continues at another member when this page's own one is gone. That is another origin: the browser
 * keeps the token from it, and so does this page. The page there asks for one.
 */

const PROBE_MS = 2_000;
const MAX_PROBES = 20;

/**
 * Opens the page of the first other member that answers. The policy of the page allows no more than
 * this probe, whose answer it cannot read.
 */
export async function continueElsewhere(members) {
  const origins = new Set();
  for (const { url, state } of members)
    if (state === "up" && /^https?:/.test(url) && URL.canParse(url))
      origins.add(new URL(url).origin);
  origins.delete(location.origin);
  const probes = [...origins].slice(0, MAX_PROBES).map(async (origin) => {
    const signal = AbortSignal.timeout(PROBE_MS);
    await fetch(`${origin}/livez`, { mode: "no-cors", cache: "no-store", signal });
    return origin;
  });
  const origin = await Promise.any(probes).catch(() => undefined);
  if (origin !== undefined) location.assign(`${origin}/${location.hash}`);
}
