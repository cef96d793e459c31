/**
 * Node's own modules for http and https, each loaded when it is first used. An `import` of them in
 * an ES module also loads Node's `fetch` and `WebSocket`, which takes 45 ms of processor time.
 */
export const httpModule = () => process.getBuiltinModule("node:http");
export const httpsModule = () => process.getBuiltinModule("node:https");
