# A member in a container. Build: docker build -t distributed-pool .
#
# Children run under bubblewrap, which makes user namespaces, and in control groups. The defaults
# of container engines forbid both. The container needs a seccomp and an AppArmor profile that
# allow unshare and mount, an unmasked /proc, and writable control groups (Docker 28 or newer):
#
#   --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
#   --security-opt systempaths=unconfined --security-opt writable-cgroups=true
#
# The member runs as root, so that each child gets a user of its own; children are never root. A
# member whose sandbox does not hold says so and does not start. The first process, tini, reaps the
# processes that children leave behind, so `--init` is not needed. In a container's network a
# member has to listen beyond loopback: --host 0.0.0.0, --token-file, and --advertise with an
# address that the other members reach.

FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY sdk/typescript/package.json sdk/typescript/
# Not `npm ci`, which refuses a lock file without the optional packages of other platforms.
# `npm install` uses the locked versions too.
RUN npm install --no-save --no-audit --no-fund
COPY tsconfig.json ./
COPY .dev/*.mjs .dev/
COPY openapi openapi
COPY sdk sdk
COPY server server
RUN npm run build && npm prune --omit=dev --no-save --no-audit --no-fund

FROM node:26-slim
# The versions are those of the base image's Debian.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends bubblewrap tini util-linux \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV NODE_ENV=production
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/sdk/typescript/package.json sdk/typescript/
COPY --from=build /app/sdk/typescript/dist sdk/typescript/dist
COPY --from=build /app/dist dist
COPY --from=build /app/openapi/openapi.json openapi/openapi.json
COPY package.json LICENSE ./
RUN ln -s /app/dist/cli.js /usr/local/bin/dpool
EXPOSE 7400
ENTRYPOINT ["tini", "--", "dpool"]
CMD ["--help"]
