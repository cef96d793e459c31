/** The operations that every member serves. The handlers stand in the server's routes. */
import * as children from "./routes/children.ts";
import * as feed from "./routes/feed.ts";
import * as pools from "./routes/pools.ts";
import * as slots from "./routes/slots.ts";
import * as thisMember from "./routes/this-member.ts";

export * from "./routes/children.ts";
export * from "./routes/feed.ts";
export * from "./routes/pools.ts";
export * from "./routes/slots.ts";
export * from "./routes/this-member.ts";

/** Every operation, in the order of the reference page. */
export const ROUTES = [
  pools.callInPool,
  pools.runInPool,
  pools.pipeInPool,
  pools.placeChildInPool,
  pools.listPools,
  pools.getPool,
  pools.listPoolChildren,
  feed.feed,
  feed.history,
  thisMember.call,
  thisMember.run,
  thisMember.pipe,
  thisMember.placeChild,
  thisMember.listChildren,
  thisMember.countChildren,
  slots.requestSlot,
  slots.changeSlotRequest,
  slots.releaseSlot,
  thisMember.listTasks,
  children.getChild,
  children.stopChild,
  children.childEvents,
  children.childResult,
  children.writeStdin,
  children.signalChild,
  children.resizeTty,
  children.getChildFile,
  thisMember.drain,
  thisMember.caller,
  thisMember.livez,
  thisMember.readyz,
  thisMember.metrics,
] as const;

/** An operation of the contract. */
export type Route = (typeof ROUTES)[number];
