/** When a member takes itself for sick, and when for well again. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StartHealth } from "../../server/sandbox/start-health.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const REASON = "mkfifo: cannot create fifo '/tmp/secret/1': No space left on device";

function open() {
  const log: string[] = [];
  const state = { isBroken: true, probes: 0, changes: 0 };
  const health = new StartHealth({
    probe: async () => {
      state.probes += 1;
      if (state.isBroken) throw new Error(`Command failed\n${REASON}`);
    },
    log: (level, message) => void log.push(`${level} ${message}`),
    onChange: () => {
      state.changes += 1;
    },
  });
  const fail = async (times: number) => {
    for (let index = 0; index < times; index++) health.note(true);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { health, log, state, fail };
}

test("a few failed starts are no trouble", async () => {
  const { health, log, state, fail } = open();
  await fail(2);
  health.note(false);
  await fail(2);
  expect(health.trouble).toBeUndefined();
  expect(state.probes).toBe(0);
  expect(log).toEqual([]);
});

test("failures in a row and a probe that fails are trouble, told without paths", async () => {
  const { health, log, state, fail } = open();
  await fail(3);
  expect(health.trouble).toBe("mkfifo: cannot create fifo '…': No space left on device");
  expect(state).toMatchObject({ probes: 1, changes: 1 });
  expect(log[0]).toBe(`warn children could not be started, so none is admitted: ${REASON}`);
});

test("failures in a row and a probe that starts are none", async () => {
  const { health, state, fail } = open();
  state.isBroken = false;
  await fail(3);
  expect(health.trouble).toBeUndefined();
  expect(state).toMatchObject({ probes: 1, changes: 0 });
});

test("a probe that starts ends the trouble; probes come ever more rarely until then", async () => {
  const { health, log, state, fail } = open();
  await fail(3);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(state.probes).toBe(2);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(state.probes).toBe(2);
  state.isBroken = false;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(state).toMatchObject({ probes: 3, changes: 2 });
  expect(health.trouble).toBeUndefined();
  expect(log.at(-1)).toBe("info children can be started again");
});

test("a member that fails again soon stays away for longer", async () => {
  const { health, state, fail } = open();
  await fail(3);
  state.isBroken = false;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(health.trouble).toBeUndefined();
  state.isBroken = true;
  await fail(3);
  const { probes } = state;
  await vi.advanceTimersByTimeAsync(1_999);
  expect(state.probes).toBe(probes);
  await vi.advanceTimersByTimeAsync(1);
  expect(state.probes).toBe(probes + 1);
});

test("a closed one probes no more", async () => {
  const { health, state, fail } = open();
  await fail(3);
  health.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(state.probes).toBe(1);
});
