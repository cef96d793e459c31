/** Generated from the contract by `npm run openapi`. Do not edit. */

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        PoolEvent: components["schemas"]["QueuedEvent"] | components["schemas"]["PlacedEvent"] | components["schemas"]["StdoutEvent"] | components["schemas"]["StderrEvent"] | components["schemas"]["ProgressEvent"] | components["schemas"]["GapEvent"] | components["schemas"]["ResultEvent"] | components["schemas"]["FailedEvent"];
        /** @description The caller waits for a slot. There is no child yet, and the event carries no id. */
        QueuedEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "queued";
            /** @description 1 for the next caller to be served. */
            position: number;
        };
        /** @description The child has a slot. Always the first event with an id. */
        PlacedEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "placed";
            child: components["schemas"]["ChildReference"];
        };
        ChildReference: {
            id: components["schemas"]["ChildId"];
            pool: components["schemas"]["PoolName"];
            member: components["schemas"]["MemberName"];
            /** @description The URL of the child on its own member. */
            url: string;
        };
        /** @example m1.5f0c2c8d4b1e4f2f9a3f6f0f2d6c1b7e */
        ChildId: string;
        /** @example pipeline */
        PoolName: string;
        /** @example m1 */
        MemberName: string;
        /** @description Output of the child: `text`, or `base64` when the spec asks for it. */
        StdoutEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "stdout";
            text?: string | undefined;
            base64?: string | undefined;
            /**
             * @description True when U+FFFD replaces bytes of `text` that were not UTF-8.
             * @enum {boolean}
             */
            lossy?: true | undefined;
        };
        /** @description Output of the child: `text`, or `base64` when the spec asks for it. */
        StderrEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "stderr";
            text?: string | undefined;
            base64?: string | undefined;
            /**
             * @description True when U+FFFD replaces bytes of `text` that were not UTF-8.
             * @enum {boolean}
             */
            lossy?: true | undefined;
        };
        /** @description Progress that the child reports itself: a command by lines such as `3/10 words` on its file descriptor 3, a function by its context. Events are throttled to five a second, and to fewer after some minutes; the last report before the end always comes. */
        ProgressEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "progress";
            /** @description The amount that is done, in a unit that the child chooses. It may decrease, and may exceed a `total` that was a guess. */
            done: number;
            /** @description The whole amount, in the same unit; absent when the child did not report it. */
            total?: number | undefined;
            /** @description One line for people, without control characters. The child wrote it. */
            message?: string | undefined;
        };
        /** @description The reader missed this many bytes of output: they are no longer kept. */
        GapEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "gap";
            droppedBytes: number;
        };
        /** @description Terminal: the child ended by itself. */
        ResultEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "result";
            /** @description The value that the function returned; null for undefined. `encoding` says how. */
            value?: unknown | undefined;
            /**
             * @description How `value` is written; absent for plain JSON.
             * @enum {string}
             */
            encoding?: "devalue" | undefined;
            /** @description The command's exit code; 128 + n when signal n ended it. */
            exitCode?: number | undefined;
            usage: components["schemas"]["Usage"];
            artifacts: components["schemas"]["Artifact"][];
        };
        Usage: {
            /** @description Milliseconds from placement to the end of the process. */
            wallMs: number;
            /** @description Milliseconds of user and system time of all processes of the child, with the start of its sandbox; null when the member cannot measure it (a command without a cgroup). */
            cpuMs: number | null;
            /** @description The most memory that all processes of the child and its workspace took at any time; null when the member cannot measure it (a command without a cgroup). */
            maxRssBytes: number | null;
        };
        Artifact: {
            path: string;
            bytes: number;
        };
        /** @description Terminal: the child, or its placement, failed. */
        FailedEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "failed";
            problem: components["schemas"]["Problem"];
            /** @description The value that the function returned; null for undefined. `encoding` says how. */
            value?: unknown | undefined;
            /**
             * @description How `value` is written; absent for plain JSON.
             * @enum {string}
             */
            encoding?: "devalue" | undefined;
            /** @description The command's exit code; 128 + n when signal n ended it. */
            exitCode?: number | undefined;
            usage?: components["schemas"]["Usage"] | undefined;
            artifacts?: components["schemas"]["Artifact"][] | undefined;
        };
        /** @description RFC 9457 problem details with a stable `code`. */
        Problem: {
            /** @example urn:distributed-pool:problem:at_capacity */
            type: string;
            title: string;
            status: number;
            /** @description For people: what was expected, and what came. */
            detail: string;
            code: components["schemas"]["ErrorCode"];
            /** @description With `invalid_request`: each field at fault. */
            fields?: components["schemas"]["InvalidField"][] | undefined;
            load?: components["schemas"]["Load"] | undefined;
            error?: components["schemas"]["FunctionError"] | undefined;
        };
        /** @enum {string} */
        ErrorCode: "invalid_request" | "unauthorized" | "forbidden" | "not_found" | "pool_not_found" | "child_not_found" | "slot_not_found" | "task_not_found" | "runtime_not_found" | "method_not_allowed" | "not_acceptable" | "unsupported_media_type" | "range_not_satisfiable" | "source_unknown" | "stdin_closed" | "fetch_failed" | "events_expired" | "payload_too_large" | "request_timeout" | "too_many_requests" | "function_threw" | "at_capacity" | "all_members_at_capacity" | "no_members_available" | "queue_timeout" | "draining" | "worker_crashed" | "out_of_memory" | "cancelled" | "member_lost" | "deadline_exceeded" | "sandbox_unavailable" | "internal_error";
        InvalidField: {
            /**
             * @description JSON Pointer to the field.
             * @example /command/0
             */
            path: string;
            /** @description The expected value, and the one that came. */
            message: string;
        };
        /** @description With `at_capacity`: the member's load at that moment. */
        Load: {
            /** @description Children that hold a slot now. */
            active: number;
            /** @description Slots of this pool on this member (`maxChildren`); 0 while it drains. */
            max: number;
            /** @description Callers that wait for a slot of this pool on this member. */
            queued: number;
        };
        /** @description With `function_threw`: the error. */
        FunctionError: {
            name: string;
            message: string;
            stack?: string | undefined;
        };
        ChildSpec: {
            /**
             * @description The program and its arguments. There is no shell.
             * @example [
             *       "uname",
             *       "-a"
             *     ]
             */
            command?: string[] | undefined;
            function?: components["schemas"]["Function"] | undefined;
            task?: components["schemas"]["Task"] | undefined;
            /** @description Variables that are added to the child's minimal environment. */
            env?: {
                [key: string]: string;
            } | undefined;
            stdin?: components["schemas"]["Stdin"] | undefined;
            /**
             * @description Files for the workspace, each by a path in the workspace: relative, without empty names, . and ...
             * @example {
             *       "in.txt": {
             *         "text": "hello"
             *       }
             *     }
             */
            files?: {
                [key: string]: components["schemas"]["File"];
            } | undefined;
            /**
             * @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept.
             * @example [
             *       "*.png"
             *     ]
             */
            artifacts?: string[] | undefined;
            limits?: components["schemas"]["Limits"] | undefined;
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes: as UTF-8 text in which U+FFFD replaces invalid bytes, or as base64.
             * @default text
             * @enum {string}
             */
            outputEncoding: "text" | "base64";
            /**
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`.
             * @default 0
             */
            waitMs: number;
            /** @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. By default a call has the operator's deadline (5 minutes), and a placed child has none. */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes.
             * @default false
             */
            link: boolean;
            /** @description The caller's own names and values. Answers show them with the child. */
            labels?: {
                [key: string]: string;
            } | undefined;
        } & (unknown | unknown | unknown);
        Function: {
            /**
             * @description JavaScript or TypeScript source: one function expression, or an ES module with `export`. The function sees its arguments and the globals of its runtime, nothing else. Another runtime takes source of its own language.
             * @example (a, b) => a + b
             */
            source?: string | undefined;
            hash?: components["schemas"]["SourceHash"] | undefined;
            /** @description The function's name among the exports of a module; in Python the function's own name. */
            export?: string | undefined;
            /**
             * @description The runtime of the function: `node`, `bun`, `python`, or one that the operator configured. `GET /pools/{pool}` lists them.
             * @default node
             */
            runtime: string;
            /** @description Values that the function gets in this order, and a context object after them. `encoding` says how they are written. */
            args?: unknown[] | undefined;
            /**
             * @description How `args` and the `value` of the result are written. `devalue` is the flattened form of the npm package devalue, as JSON. It carries dates, maps, sets, big integers, typed arrays, undefined and cycles.
             * @default json
             * @enum {string}
             */
            encoding: "json" | "devalue";
        };
        /** @description The hash of the source. A member that has this source needs no `source`; another one answers `source_unknown`. A request with both must have the hash of its source. */
        SourceHash: string;
        /** @description A function that the operator installed on the members. `GET /pools/{pool}` lists them. */
        Task: {
            name: components["schemas"]["TaskName"];
            /** @description Values that the function gets in this order, and a context object after them. `encoding` says how they are written. */
            args?: unknown[] | undefined;
            /**
             * @description How `args` and the `value` of the result are written. `devalue` is the flattened form of the npm package devalue, as JSON. It carries dates, maps, sets, big integers, typed arrays, undefined and cycles.
             * @default json
             * @enum {string}
             */
            encoding: "json" | "devalue";
        };
        /** @example thumbnails */
        TaskName: string;
        /** @description The child's standard input: data, or `{open: true}` for what callers send to `/children/{id}/stdin`. By default a call's input is empty and a placed child's is open. */
        Stdin: string | {
            text: string;
        } | {
            base64: string;
        } | {
            /** @enum {boolean} */
            open: true;
            /**
             * @description One body is the whole input. A body that breaks off, or does not begin within 10 seconds, stops the child: `cancelled`.
             * @enum {boolean}
             */
            once?: true | undefined;
        };
        /** @description Text, bytes in base64, or a URL that the member fetches where its operator allows that. */
        File: string | {
            text: string;
        } | {
            base64: string;
        } | {
            /** Format: uri */
            url: string;
        };
        /** @description Limits that are tighter than the pool's own. A request for more than the pool allows is `invalid_request`. */
        Limits: {
            /** @description Memory of all processes of the child together, without swap. Its workspace and temporary files count. A child that takes more is killed: `out_of_memory`. */
            memoryBytes?: number | undefined;
            /** @description Processes and threads at the same time. Node alone takes 11. */
            processes?: number | undefined;
            /** @description Share of the processors: 1.5 is one and a half processors. */
            cpus?: number | undefined;
            /** @description Milliseconds of processor time of all processes of the child together. A child that takes more is stopped: `deadline_exceeded`. */
            cpuMs?: number | undefined;
            /** @description Bytes of the workspace, and of its largest file. */
            workspaceBytes?: number | undefined;
            /** @description Open file descriptors of each process. */
            openFiles?: number | undefined;
            /** @description Bytes of stdout and stderr together. A child that writes more is stopped: `payload_too_large`. */
            outputBytes?: number | undefined;
            /** @description Bytes of all artifacts together. */
            artifactBytes?: number | undefined;
        };
        /**
         * @description The weakest sandbox that is acceptable. Members with a weaker one are skipped.
         * @enum {string}
         */
        SandboxLevel: "full" | "no-cgroup" | "none";
        CallResult: {
            child: components["schemas"]["ChildReference"];
            stdout: string;
            stderr: string;
            /** @description True when the child wrote more output than an answer has: 1 MiB each of stdout and stderr. */
            truncated: boolean;
            /** @description The value that the function returned; null for undefined. `encoding` says how. */
            value?: unknown | undefined;
            /**
             * @description How `value` is written; absent for plain JSON.
             * @enum {string}
             */
            encoding?: "devalue" | undefined;
            /** @description The command's exit code; 128 + n when signal n ended it. */
            exitCode?: number | undefined;
            usage: components["schemas"]["Usage"];
            artifacts: components["schemas"]["Artifact"][];
        };
        /** @description A problem. When a child had been placed, the fields of a result that it left are beside it. */
        CallProblem: components["schemas"]["Problem"] & {
            error?: (components["schemas"]["FunctionError"] & unknown) | undefined;
            child?: components["schemas"]["ChildReference"] | undefined;
            stdout?: string | undefined;
            stderr?: string | undefined;
            /** @description True when the child wrote more output than an answer has: 1 MiB each of stdout and stderr. */
            truncated?: boolean | undefined;
            /** @description The value that the function returned; null for undefined. `encoding` says how. */
            value?: unknown | undefined;
            /**
             * @description How `value` is written; absent for plain JSON.
             * @enum {string}
             */
            encoding?: "devalue" | undefined;
            /** @description The command's exit code; 128 + n when signal n ended it. */
            exitCode?: number | undefined;
            usage?: components["schemas"]["Usage"] | undefined;
            artifacts?: components["schemas"]["Artifact"][] | undefined;
        };
        Child: components["schemas"]["ChildReference"] & {
            status: components["schemas"]["ChildStatus"];
            /** @enum {string} */
            kind: "command" | "function" | "task";
            /** Format: date-time */
            startedAt: string;
            /** @description The time when the child will be stopped; null if it has no deadline. */
            deadlineAt: string | null;
            /** @description The time when the child's process ended; null while it runs. */
            endedAt: string | null;
            /** @description The exit code of a command that has ended; 128 + n when signal n ended it. */
            exitCode: number | null;
            /** @description The code of the problem of a child that failed. */
            code: components["schemas"]["ErrorCode"] | null;
            labels: {
                [key: string]: string;
            };
            sandbox: components["schemas"]["SandboxLevel"] & unknown;
        };
        /** @enum {string} */
        ChildStatus: "running" | "stopping" | "ended";
        PoolList: {
            pools: {
                pool: components["schemas"]["PoolName"];
                /** @description The number of its members. */
                members: number;
                /** @description The number of slots of all its members together. */
                max: number;
            }[];
            /** @description The `cursor` of the next page; absent on the last page. */
            nextCursor?: string | undefined;
        };
        Pool: {
            pool: components["schemas"]["PoolName"];
            members: components["schemas"]["PoolMember"][];
            /** @description Tasks that at least one member of the pool has. */
            tasks: components["schemas"]["TaskName"][];
            /** @description Runtimes that at least one member of the pool has. */
            runtimes: string[];
        };
        PoolMember: {
            member: components["schemas"]["MemberName"];
            url: string;
            version: string;
            sandbox: components["schemas"]["SandboxLevel"] & unknown;
            /** @description The member's load; null when it did not answer in time. */
            load: components["schemas"]["Load"] | null;
        };
        PoolChildList: components["schemas"]["ChildList"] & {
            /** @description Members that did not answer in time. Their children are missing from the list. */
            unreachable: components["schemas"]["MemberName"][];
        };
        ChildList: {
            children: components["schemas"]["Child"][];
            /** @description The `cursor` of the next page; absent on the last page. */
            nextCursor?: string | undefined;
        };
        /** @description A child spec that names its pool, for this member only. */
        MemberChildSpec: {
            pool: components["schemas"]["PoolName"];
            /**
             * @description The program and its arguments. There is no shell.
             * @example [
             *       "uname",
             *       "-a"
             *     ]
             */
            command?: string[] | undefined;
            function?: components["schemas"]["Function"] | undefined;
            task?: components["schemas"]["Task"] | undefined;
            /** @description Variables that are added to the child's minimal environment. */
            env?: {
                [key: string]: string;
            } | undefined;
            stdin?: components["schemas"]["Stdin"] | undefined;
            /**
             * @description Files for the workspace, each by a path in the workspace: relative, without empty names, . and ...
             * @example {
             *       "in.txt": {
             *         "text": "hello"
             *       }
             *     }
             */
            files?: {
                [key: string]: components["schemas"]["File"];
            } | undefined;
            /**
             * @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept.
             * @example [
             *       "*.png"
             *     ]
             */
            artifacts?: string[] | undefined;
            limits?: components["schemas"]["Limits"] | undefined;
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes: as UTF-8 text in which U+FFFD replaces invalid bytes, or as base64.
             * @default text
             * @enum {string}
             */
            outputEncoding: "text" | "base64";
            /**
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`.
             * @default 0
             */
            waitMs: number;
            /** @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. By default a call has the operator's deadline (5 minutes), and a placed child has none. */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes.
             * @default false
             */
            link: boolean;
            /** @description The caller's own names and values. Answers show them with the child. */
            labels?: {
                [key: string]: string;
            } | undefined;
            slot?: components["schemas"]["SlotId"] | undefined;
        } & (unknown | unknown | unknown);
        /** @description A slot that this member granted to the same caller. The child takes it. */
        SlotId: string;
        /**
         * @example {
         *       "member": "m1",
         *       "pools": {
         *         "pipeline": {
         *           "active": 2,
         *           "max": 5,
         *           "queued": 0
         *         }
         *       }
         *     }
         */
        Count: {
            member: components["schemas"]["MemberName"];
            pools: {
                [key: string]: components["schemas"]["Load"];
            };
        };
        /** @description The events of a wait for a slot. They carry no id. */
        SlotEvent: components["schemas"]["QueuedEvent"] | components["schemas"]["GrantedEvent"] | components["schemas"]["FailedEvent"];
        /** @description Terminal: the slot is held until `heldUntil`. */
        GrantedEvent: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            type: "granted";
            slot: components["schemas"]["Slot"];
        };
        /** @description The right to run one child on this member. It is held for a short time. */
        Slot: {
            id: components["schemas"]["SlotId"];
            pool: components["schemas"]["PoolName"];
            member: components["schemas"]["MemberName"];
            /**
             * Format: date-time
             * @description The slot becomes free at this time unless a child has taken it.
             */
            heldUntil: string;
        };
        /** @description Asks this member for a slot in one of its pools. */
        SlotRequest: {
            pool: components["schemas"]["PoolName"];
            /**
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`.
             * @default 0
             */
            waitMs: number;
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
        };
        /** @description The tasks and runtimes of this member. */
        Tasks: {
            member: components["schemas"]["MemberName"];
            tasks: components["schemas"]["TaskName"][];
            runtimes: string[];
        };
        Written: {
            bytes: number;
        };
        Signal: {
            /** @enum {string} */
            signal: "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM" | "SIGKILL" | "SIGUSR1" | "SIGUSR2" | "SIGALRM" | "SIGCONT" | "SIGSTOP" | "SIGTSTP" | "SIGWINCH";
        };
        Health: {
            /** @enum {string} */
            status: "ok" | "unavailable";
            member: components["schemas"]["MemberName"];
            sandbox: components["schemas"]["SandboxLevel"] & unknown;
            detail?: string | undefined;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description The name of the member that answers. */
        "pool-member": string;
        /** @description The id of the child. A stream that waits for a slot has none; its event `placed` does. */
        "pool-child-id": string;
        /** @description A trailer: it follows the bytes. The terminal event of the child as JSON in ASCII, without a function's value. */
        "pool-ending": string;
        /** @description The URL of what was made. */
        location: string;
        /** @description With 206, the first byte that follows, and a last one that is never reached, because the length is not known yet: `bytes 7-9007199254740991/*`. With 416, the bytes of stdout so far: `bytes *\/13`. */
        "content-range": string;
        /** @description Seconds to wait before the next try. */
        "retry-after": number;
        /** @description The kind of token that the member requires: `Bearer`. */
        "www-authenticate": string;
        /** @description The methods that the path has, such as `GET, HEAD`. */
        allow: string;
    };
    pathItems: never;
}
export type PoolEvent = components['schemas']['PoolEvent'];
export type QueuedEvent = components['schemas']['QueuedEvent'];
export type PlacedEvent = components['schemas']['PlacedEvent'];
export type ChildReference = components['schemas']['ChildReference'];
export type ChildId = components['schemas']['ChildId'];
export type PoolName = components['schemas']['PoolName'];
export type MemberName = components['schemas']['MemberName'];
export type StdoutEvent = components['schemas']['StdoutEvent'];
export type StderrEvent = components['schemas']['StderrEvent'];
export type ProgressEvent = components['schemas']['ProgressEvent'];
export type GapEvent = components['schemas']['GapEvent'];
export type ResultEvent = components['schemas']['ResultEvent'];
export type Usage = components['schemas']['Usage'];
export type Artifact = components['schemas']['Artifact'];
export type FailedEvent = components['schemas']['FailedEvent'];
export type Problem = components['schemas']['Problem'];
export type ErrorCode = components['schemas']['ErrorCode'];
export type InvalidField = components['schemas']['InvalidField'];
export type Load = components['schemas']['Load'];
export type FunctionError = components['schemas']['FunctionError'];
export type ChildSpec = components['schemas']['ChildSpec'];
export type Function = components['schemas']['Function'];
export type SourceHash = components['schemas']['SourceHash'];
export type Task = components['schemas']['Task'];
export type TaskName = components['schemas']['TaskName'];
export type Stdin = components['schemas']['Stdin'];
export type File = components['schemas']['File'];
export type Limits = components['schemas']['Limits'];
export type SandboxLevel = components['schemas']['SandboxLevel'];
export type CallResult = components['schemas']['CallResult'];
export type CallProblem = components['schemas']['CallProblem'];
export type Child = components['schemas']['Child'];
export type ChildStatus = components['schemas']['ChildStatus'];
export type PoolList = components['schemas']['PoolList'];
export type Pool = components['schemas']['Pool'];
export type PoolMember = components['schemas']['PoolMember'];
export type PoolChildList = components['schemas']['PoolChildList'];
export type ChildList = components['schemas']['ChildList'];
export type MemberChildSpec = components['schemas']['MemberChildSpec'];
export type SlotId = components['schemas']['SlotId'];
export type Count = components['schemas']['Count'];
export type SlotEvent = components['schemas']['SlotEvent'];
export type GrantedEvent = components['schemas']['GrantedEvent'];
export type Slot = components['schemas']['Slot'];
export type SlotRequest = components['schemas']['SlotRequest'];
export type Tasks = components['schemas']['Tasks'];
export type Written = components['schemas']['Written'];
export type Signal = components['schemas']['Signal'];
export type Health = components['schemas']['Health'];
export type HeaderPoolMember = components['headers']['pool-member'];
export type HeaderPoolChildId = components['headers']['pool-child-id'];
export type HeaderPoolEnding = components['headers']['pool-ending'];
export type HeaderLocation = components['headers']['location'];
export type HeaderContentRange = components['headers']['content-range'];
export type HeaderRetryAfter = components['headers']['retry-after'];
export type HeaderWwwAuthenticate = components['headers']['www-authenticate'];
export type HeaderAllow = components['headers']['allow'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
