/** The generated client has its URL built in. */
export default {
  pool: {
    input: process.env.DOCUMENT,
    output: { target: "client/index.ts", client: "fetch", baseUrl: process.env.POOL_URL },
  },
};
