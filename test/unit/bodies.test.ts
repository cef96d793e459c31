/** Which body follows the head of a request. */
import { expect, test } from "vitest";
import { bodyKind, isLiveInput, uploadAt } from "../../openapi/bodies.ts";
import { ROUTES } from "../../openapi/routes.ts";

const head = (url: string, contentType?: string, spec?: string) => ({
  url,
  headers: { "content-type": contentType, "pool-spec": spec },
});

test.each([
  ["json", head("/call", "application/json")],
  ["json", head("/call?spec={}", "application/json; charset=utf-8")],
  ["json", head("/call", "application/merge-patch+json", "{}")],
  ["json", head("/call")],
  ["json", head("/call", "application/x-www-form-urlencoded")],
  ["multipart", head("/call", "multipart/form-data; boundary=b")],
  ["multipart", head("/call?spec={}", "Multipart/Form-Data; boundary=b", "{}")],
  ["input", head("/call", "application/octet-stream")],
  ["input", head("/call?spec={}", "application/x-www-form-urlencoded")],
  ["input", head("/call?a=b&spec={}")],
  ["input", head("/call", "text/plain", "{}")],
  ["input", head("/pools/pipeline/pipe?command=cat", "application/json")],
  ["input", head("http://127.0.0.1:7400/pipe", "multipart/form-data; boundary=b")],
  ["input", head("/pipe")],
  ["json", head("/pipes", "application/json")],
] as const)("a %s body is told by %j", (kind, request) => {
  expect(bodyKind(request)).toBe(kind);
});

test.each([
  [true, head("/children/m1.0/stdin")],
  [true, head("/children/m1.0/stdin?end=true", "application/json")],
  [true, head("/call?spec={}")],
  [true, head("/pools/pipeline/call", "application/octet-stream", "{}")],
  [true, head("/pools/pipeline/run?spec={}")],
  [true, head("/pools/pipeline/pipe", "application/json")],
  [false, head("/pools/pipeline/run", "application/json")],
  [false, head("/pools/pipeline/call", "application/json")],
  [false, head("/pools/pipeline/call", "multipart/form-data; boundary=b")],
  [false, head("/pools/pipeline/children", "application/octet-stream", "{}")],
  [false, head("/children", "application/octet-stream", "{}")],
  [false, head("/pools/a/b/call", "application/octet-stream", "{}")],
  [false, head("/slots", "application/octet-stream")],
])("whether the child gets the body while it is sent: %s for %j", (live, request) => {
  expect(isLiveInput(request)).toBe(live);
});

test("the operations that take a child spec are the only ones with other bodies", () => {
  const posts = ROUTES.filter(({ method }) => method === "post");
  expect(
    posts.filter(({ path }) => uploadAt(path)?.spec).map(({ operationId }) => operationId),
  ).toEqual([
    "callInPool",
    "runInPool",
    "pipeInPool",
    "placeChildInPool",
    "call",
    "run",
    "pipe",
    "placeChild",
  ]);
  expect(
    posts
      .filter(({ path }) => uploadAt(path)?.input === "streamed")
      .map(({ operationId }) => operationId),
  ).toEqual(["callInPool", "runInPool", "pipeInPool", "call", "run", "pipe", "writeStdin"]);
});
