/** What members promise: they end only when asked, take their children along, and leave nothing. */
import type { History } from "../history.ts";
import { memberOf, type Violation } from "./work.ts";

/** A killed member's children are gone after this time. */
const ORPHAN_MS = 5_000;
/** Connections that members and clients keep for their next requests. */
const KEPT_DESCRIPTORS = 64;
/** A process or a sandbox that waits has so many descriptors at the member. */
const WAITING_DESCRIPTORS = 8;

/** A member's death takes its children along. */
export function checkOrphans({ calls, marks, exits }: History): Violation[] {
  const begunAt = new Map(
    marks.filter(({ what }) => what === "begun").map(({ child, at }) => [child, at]),
  );
  return marks.flatMap(({ child, workId, at }) => {
    const begun = begunAt.get(child) ?? at;
    const death = exits.find(
      (exit) => exit.member === memberOf(child) && exit.at > begun && exit.at + ORPHAN_MS < at,
    );
    if (!death) return [];
    const call = calls.find((each) => each.workId === workId);
    const text = `${child} marked ${at - death.at} ms after the death of its member`;
    return [{ rule: "a child dies with its member", text, ...(call && { call }) }];
  });
}

export function checkMembers({ exits, rest }: History): Violation[] {
  const ended = exits
    .filter(({ asked }) => !asked)
    .map(({ member, detail }) => ({
      rule: "a member ends only when asked",
      text: `${member}: ${detail}`,
    }));
  const unrested = rest.flatMap((each) => {
    const { groups, files, remains, warm } = each;
    const leaks: Record<string, readonly [count: number, names?: readonly string[]]> = {
      slots: [each.active],
      waiters: [each.queued],
      groups: [groups.length - warm, groups],
      files: [files.length - warm, files],
      remains: [remains.length, remains],
      descriptors: [
        each.descriptors - each.descriptorsAtStart - KEPT_DESCRIPTORS - warm * WAITING_DESCRIPTORS,
      ],
    };
    return Object.entries(leaks)
      .filter(([, [count]]) => count > 0)
      .map(([name, [count, names = []]]) => ({
        rule: "everything is back at rest",
        text: `${each.member}: ${count} ${name} too many ${names.join(" ")}`,
      }));
  });
  return [...ended, ...unrested];
}
