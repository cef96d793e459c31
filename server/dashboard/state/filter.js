/** Chooses the children of the table. */

export const NO_FILTER = { text: "", pool: "", status: "", code: "", label: "" };

/** By entry: its texts. An entry does not change. */
const texts = new WeakMap();

function textsOf(child) {
  if (!texts.has(child)) texts.set(child, joined(child));
  return texts.get(child);
}

const joined = (child) =>
  [child.id, child.name, child.owner, child.member, child.code, child.progress?.message]
    .concat(child.command ?? [])
    .concat(Object.entries(child.labels).map(([name, value]) => `${name}=${value}`))
    .join("\n")
    .toLowerCase();

const STATUSES = {
  running: ({ status }) => status === "running",
  stopping: ({ status }) => status === "stopping",
  ended: ({ status }) => status === "ended",
  failed: ({ code }) => code !== null && code !== undefined,
};

/** A test for the filter; undefined where all children pass. */
export function testOf({ text, pool, status, code, label }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const [, name, value] = /^([^=]*)(?:=(.*))?$/s.exec(label.trim()) ?? [];
  const tests = [
    pool && ((child) => child.pool === pool),
    status && STATUSES[status],
    code && ((child) => child.code === code),
    name &&
      (({ labels }) =>
        Object.hasOwn(labels, name) && (value === undefined || labels[name] === value)),
    words.length > 0 &&
      ((child) => {
        const text = textsOf(child);
        return words.every((word) => text.includes(word));
      }),
  ].filter(Boolean);
  return tests.length === 0 ? undefined : (child) => tests.every((passes) => passes(child));
}

/** The entries that pass, the newest first. */
export function chosen(store, filter) {
  const passes = testOf(filter);
  const found = [];
  const all = store.sorted();
  for (let at = all.length - 1; at >= 0; at--) {
    const child = store.fresh(all[at]);
    if (!passes || passes(child)) found.push(child);
  }
  return found;
}
