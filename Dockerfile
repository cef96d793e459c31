# A member in a container. Build: docker build -t distributed-pool .
#
# Children run under bubblewrap, which makes user namespaces. A container engine's defaults forbid that: the container
# needs a seccomp and an AppArmor profile that allow unshare and mount, and an unmasked /proc. With Docker:
#
#   --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined
#
# A member whose sandbox does not work says so and does not start. `--init` gives the container a first process that
# reaps what children leave behind. Inside a network of its own a member has to listen beyond loopback, which wants
# --host 0.0.0.0 with --token-file (or --insecure), and --advertise with an address that the other members reach.

FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Not `npm ci`: it refuses a lock file without the optional packages of other platforms. The locked versions are used all the same.
RUN npm install --no-save --no-audit --no-fund
COPY tsconfig.json ./
COPY openapi openapi
COPY sdk sdk
COPY server server
RUN npm run build && npm prune --omit=dev --no-save --no-audit --no-fund

FROM node:26-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends bubblewrap util-linux \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV NODE_ENV=production
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/openapi/openapi.json openapi/openapi.json
COPY package.json LICENSE ./
RUN ln -s /app/dist/cli.js /usr/local/bin/dpool
USER node
EXPOSE 7400
ENTRYPOINT ["dpool"]
CMD ["--help"]
