/** The operations that count as open streams of their caller. */
import { expect, test } from "vitest";
import { ROUTES } from "../../openapi/routes.ts";
import { needOf } from "../../server/access/permissions.ts";

test("an operation that streams, or waits for its child, counts as a stream", () => {
  const streams = ROUTES.flatMap((route) => {
    const { stream } = needOf(route);
    return stream ? [`${route.operationId}: ${stream}`] : [];
  });
  expect(streams).toEqual([
    "callInPool: output",
    "runInPool: output",
    "pipeInPool: output",
    "feed: output",
    "call: output",
    "run: output",
    "pipe: output",
    "requestSlot: output",
    "childEvents: output",
    "childResult: output",
    "writeStdin: input",
    "getChildFile: output",
  ]);
});
