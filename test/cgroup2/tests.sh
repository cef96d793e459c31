# The test files that `npm run test:cgroup2` runs on a real cgroup v2, one a line. An empty list
# leaves its run out.

# As root.
as_root="
test/process/sandbox.test.ts
test/hostile/processes.test.ts
test/hostile/memory.test.ts
test/hostile/cpu.test.ts
test/hostile/files.test.ts
test/hostile/endings.test.ts
test/hostile/siblings.test.ts
test/hostile/privileges.test.ts
test/hostile/network.test.ts
test/hostile/grants.test.ts
"

# As uid 1000, in a cgroup subtree that is delegated to it.
as_user="
test/process/sandbox.test.ts
test/hostile/processes.test.ts
test/hostile/memory.test.ts
test/hostile/cpu.test.ts
test/hostile/endings.test.ts
"
