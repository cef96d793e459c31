/** Generated from the contract by `npm run openapi`. Do not edit. */

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description The id of a child: the name of its member, a dot, and 32 hexadecimal digits. */
        ChildId: string;
        /** @description A key of the caller's own, which starts one child at most. The same key again is answered with the same child. Another spec under the same key is refused: `idempotency_conflict`. Keys of other callers, and of other pools, are other keys. */
        IdempotencyKey: string;
        /** @description The name of a member: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit. */
        MemberName: string;
        /** @description The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit. */
        PoolName: string;
        /** @description The name of a runtime: `node`, `bun`, `python`, or one that the operator configured. */
        RuntimeName: string;
        /** @description The id of a slot: the name of its member, a dot, and 32 hexadecimal digits. */
        SlotId: string;
        /** @description The name of a source: `sha256:` and the SHA-256 of its UTF-8 bytes. */
        SourceHash: string;
        /** @description The name of a task: that of the operator's file, without its extension. */
        TaskName: string;
        /**
         * @description How `stdout` and `stderr` events carry bytes. `text`: as UTF-8 in which U+FFFD replaces invalid bytes. `base64`: as base64.
         * @enum {string}
         */
        OutputEncoding: "text" | "base64";
        /** @description A tar archive, plain or in gzip, or a zip archive: in base64, or a URL that the member fetches. */
        Archive: components["schemas"]["Base64Data"] | components["schemas"]["UrlArchive"];
        /** @description Bytes. */
        Base64Data: {
            /** @description The bytes in base64, with its padding. */
            base64: string;
        };
        /** @description An archive that the member fetches, where its operator allows the URL. */
        UrlArchive: {
            /** @description The http or https URL of the content, in ASCII. */
            url: string;
        };
        /** @description A file of bytes. */
        Base64File: {
            /** @description The bytes in base64, with its padding. */
            base64: string;
            /** @description The file's permissions as octal digits, such as `755`. Default `644`. */
            mode?: string | undefined;
        };
        /** @description The content of a file: text, bytes in base64, or a URL that the member fetches. */
        FileContent: string | components["schemas"]["TextFile"] | components["schemas"]["Base64File"] | components["schemas"]["UrlFile"];
        /** @description A file of text. */
        TextFile: {
            /** @description The text, which becomes UTF-8. */
            text: string;
            /** @description The file's permissions as octal digits, such as `755`. Default `644`. */
            mode?: string | undefined;
        };
        /** @description Content that the member fetches, where its operator allows the URL. */
        UrlFile: {
            /** @description The http or https URL of the content, in ASCII. */
            url: string;
            /** @description The file's permissions as octal digits, such as `755`. Default `644`. */
            mode?: string | undefined;
        };
        /** @description The member posts the ending to this URL once the child has ended, signed as Standard Webhooks has it. It tries 5 times in some 3 minutes. */
        Notify: {
            /**
             * Format: uri
             * @description An http or https URL that the pool's operator allows, without a user.
             */
            url: string;
        };
        /** @description Input that callers send while the child runs. */
        OpenStdin: {
            /** @description True keeps the input open for what callers send to `/children/{id}/stdin`; false makes it empty. */
            open: boolean;
            /** @description True makes one body the whole input. A body that breaks off, or does not begin within 10 seconds, stops the child: `cancelled`. Default false: the input takes any number of bodies. */
            once?: boolean | undefined;
        };
        /** @description The standard input of a child: text, bytes in base64, or what callers send while it runs. */
        Stdin: string | components["schemas"]["TextData"] | components["schemas"]["Base64Data"] | components["schemas"]["OpenStdin"];
        /** @description Text. */
        TextData: {
            /** @description The text, which becomes UTF-8. */
            text: string;
        };
        /**
         * @description The level of a sandbox. `full`: namespaces, a seccomp filter and a cgroup. `no-cgroup`: the same without limits on memory and processor time of the whole child. `none`: a plain process.
         * @enum {string}
         */
        SandboxLevel: "full" | "no-cgroup" | "none";
        /** @description Limits of a child that are tighter than the pool's own, which are the defaults. A request for more than the pool allows is `invalid_request`. */
        Limits: {
            /**
             * Format: int64
             * @description Memory of all processes of the child together in bytes, without swap. Its workspace and temporary files count. A child that takes more is killed: `out_of_memory`.
             */
            memoryBytes?: number | undefined;
            /**
             * Format: int64
             * @description Processes and threads at the same time. Node alone takes 11.
             */
            processes?: number | undefined;
            /**
             * Format: double
             * @description Share of the processors: 1.5 is one and a half processors.
             */
            cpus?: number | undefined;
            /**
             * Format: int64
             * @description Milliseconds of processor time of all processes of the child together. A child that takes more is stopped: `deadline_exceeded`.
             */
            cpuMs?: number | undefined;
            /**
             * Format: int64
             * @description Bytes of the workspace. A file may be as large as it, or as `shmBytes` if that is more.
             */
            workspaceBytes?: number | undefined;
            /**
             * Format: int64
             * @description Bytes of shared memory in `/dev/shm`, which count as the child's memory. Writing more fails with ENOSPC, and ends a program that has mapped it with SIGBUS. Default: half of `memoryBytes`.
             */
            shmBytes?: number | undefined;
            /**
             * Format: int64
             * @description Open file descriptors of each process.
             */
            openFiles?: number | undefined;
            /**
             * Format: int64
             * @description Bytes of stdout and stderr together. A child that writes more is stopped: `payload_too_large`.
             */
            outputBytes?: number | undefined;
            /**
             * Format: int64
             * @description Bytes of all artifacts together.
             */
            artifactBytes?: number | undefined;
        };
        /** @description The size of a terminal's window, in characters. */
        TerminalSize: {
            /**
             * Format: int64
             * @description The number of rows.
             */
            rows: number;
            /**
             * Format: int64
             * @description The number of columns.
             */
            columns: number;
        };
        /**
         * @description How values are written. `json`: as they are. `devalue`: in the flattened form of the npm package devalue, as JSON. It carries dates, maps, sets, big integers, typed arrays, undefined and cycles.
         * @enum {string}
         */
        ValueEncoding: "json" | "devalue";
        /** @description A function whose source the member has from an earlier call. */
        FunctionByHash: {
            /** @description The hash of a source that was sent before. A member that does not have it answers `source_unknown`. */
            hash: components["schemas"]["SourceHash"];
            /** @description The function's name among the exports of a module; in Python the function's own name. Default: the default export, or the only function. */
            export?: string | undefined;
            /**
             * @description The runtime of the function. `GET /pools/{pool}` lists those of a pool. Default `node`.
             * @default node
             */
            runtime?: components["schemas"]["RuntimeName"] | undefined;
            /** @description The arguments of the function, in this order. A context object follows them where the function declares one more parameter without a default. `encoding` says how they are written. Default: none. */
            args?: unknown[] | undefined;
            /**
             * @description How `args` and the `value` of the result are written. Default `json`.
             * @default json
             */
            encoding?: components["schemas"]["ValueEncoding"] | undefined;
        };
        /** @description A function whose source comes along. */
        FunctionBySource: {
            /** @description JavaScript or TypeScript source: one function expression, or an ES module with `export`. The function sees its arguments and the globals of its runtime, nothing else. Another runtime takes source of its own language. At most 4 MiB of JSON. */
            source: string;
            /** @description The hash of the source; another one is `invalid_request`. The member computes it when it is absent. */
            hash?: components["schemas"]["SourceHash"] | undefined;
            /** @description The function's name among the exports of a module; in Python the function's own name. Default: the default export, or the only function. */
            export?: string | undefined;
            /**
             * @description The runtime of the function. `GET /pools/{pool}` lists those of a pool. Default `node`.
             * @default node
             */
            runtime?: components["schemas"]["RuntimeName"] | undefined;
            /** @description The arguments of the function, in this order. A context object follows them where the function declares one more parameter without a default. `encoding` says how they are written. Default: none. */
            args?: unknown[] | undefined;
            /**
             * @description How `args` and the `value` of the result are written. Default `json`.
             * @default json
             */
            encoding?: components["schemas"]["ValueEncoding"] | undefined;
        };
        /** @description A function to call, by its source or by the hash of a source. */
        FunctionWork: components["schemas"]["FunctionBySource"] | components["schemas"]["FunctionByHash"];
        /** @description A task to call: a function that the operator installed on the members. */
        TaskWork: {
            /** @description The name of the task. `GET /pools/{pool}` lists them. */
            name: components["schemas"]["TaskName"];
            /** @description The arguments of the function, in this order. A context object follows them where the function declares one more parameter without a default. `encoding` says how they are written. Default: none. */
            args?: unknown[] | undefined;
            /**
             * @description How `args` and the `value` of the result are written. Default `json`.
             * @default json
             */
            encoding?: components["schemas"]["ValueEncoding"] | undefined;
        };
        /**
         * @description What a child runs: a command, a function or a task.
         * @enum {string}
         */
        ChildKind: "command" | "function" | "task";
        /** @description What to run, and how: a command, a function or a task. */
        ChildSpec: components["schemas"]["CommandSpec"] | components["schemas"]["FunctionSpec"] | components["schemas"]["TaskSpec"];
        /** @description Runs a program. */
        CommandSpec: {
            /** @description The program and its arguments. There is no shell. All arguments and variables together take at most 1048576 bytes. */
            command: string[];
            /** @description Gives the command a terminal of this size, with `TERM` set to `xterm-256color` unless `env` has it. Its stdin is typed: Ctrl-C is the byte 3, and the end of the input becomes Ctrl-D. All that the terminal shows comes as `stdout`; there is no `stderr`. Default: no terminal. */
            tty?: components["schemas"]["TerminalSize"] | undefined;
            /** @description Variables that are added to the child's minimal environment. Default: none. */
            env?: {
                [key: string]: string;
            } | undefined;
            /** @description The child's standard input. Default: empty for a call, open for a placed child. */
            stdin?: components["schemas"]["Stdin"] | undefined;
            /** @description Files for the workspace, each by a relative path in the workspace, without . and .., and with names of 1 to 255 bytes. Default: none. */
            files?: {
                [key: string]: components["schemas"]["FileContent"];
            } | undefined;
            /** @description An archive of at most 20000 files and folders for the workspace. They keep their permissions. Links and devices are refused. Default: none. */
            archive?: components["schemas"]["Archive"] | undefined;
            /** @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept. Default: none. */
            artifacts?: string[] | undefined;
            /** @description Limits that are tighter than the pool's own. Default: those of the pool. */
            limits?: components["schemas"]["Limits"] | undefined;
            /** @description The weakest sandbox that is acceptable. Members with a weaker one are skipped. Default: any. */
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes. Default `text`.
             * @default text
             */
            outputEncoding?: components["schemas"]["OutputEncoding"] | undefined;
            /**
             * Format: int64
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`. Default 0.
             * @default 0
             */
            waitMs?: number | undefined;
            /**
             * Format: int64
             * @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. Default: the pool's deadline; without it the member's for a call (5 minutes), and none for a placed child.
             */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes. Default false.
             * @default false
             */
            link?: boolean | undefined;
            /** @description A key that starts one child at most; the header `Idempotency-Key` says the same. Default: none. */
            idempotencyKey?: components["schemas"]["IdempotencyKey"] | undefined;
            /** @description The caller's own names and values, which take at most 8192 bytes together. Answers show them with the child. Default: none. */
            labels?: {
                [key: string]: string;
            } | undefined;
            /** @description Where the member posts the ending of the child. Default: nobody is notified. */
            notify?: components["schemas"]["Notify"] | undefined;
        };
        /** @description Calls a function. */
        FunctionSpec: {
            /** @description The function to call. */
            function: components["schemas"]["FunctionWork"];
            /** @description Variables that are added to the child's minimal environment. Default: none. */
            env?: {
                [key: string]: string;
            } | undefined;
            /** @description The child's standard input. Default: empty for a call, open for a placed child. */
            stdin?: components["schemas"]["Stdin"] | undefined;
            /** @description Files for the workspace, each by a relative path in the workspace, without . and .., and with names of 1 to 255 bytes. Default: none. */
            files?: {
                [key: string]: components["schemas"]["FileContent"];
            } | undefined;
            /** @description An archive of at most 20000 files and folders for the workspace. They keep their permissions. Links and devices are refused. Default: none. */
            archive?: components["schemas"]["Archive"] | undefined;
            /** @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept. Default: none. */
            artifacts?: string[] | undefined;
            /** @description Limits that are tighter than the pool's own. Default: those of the pool. */
            limits?: components["schemas"]["Limits"] | undefined;
            /** @description The weakest sandbox that is acceptable. Members with a weaker one are skipped. Default: any. */
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes. Default `text`.
             * @default text
             */
            outputEncoding?: components["schemas"]["OutputEncoding"] | undefined;
            /**
             * Format: int64
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`. Default 0.
             * @default 0
             */
            waitMs?: number | undefined;
            /**
             * Format: int64
             * @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. Default: the pool's deadline; without it the member's for a call (5 minutes), and none for a placed child.
             */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes. Default false.
             * @default false
             */
            link?: boolean | undefined;
            /** @description A key that starts one child at most; the header `Idempotency-Key` says the same. Default: none. */
            idempotencyKey?: components["schemas"]["IdempotencyKey"] | undefined;
            /** @description The caller's own names and values, which take at most 8192 bytes together. Answers show them with the child. Default: none. */
            labels?: {
                [key: string]: string;
            } | undefined;
            /** @description Where the member posts the ending of the child. Default: nobody is notified. */
            notify?: components["schemas"]["Notify"] | undefined;
        };
        /** @description A child spec that names its pool, for one member only. */
        MemberChildSpec: components["schemas"]["MemberCommandSpec"] | components["schemas"]["MemberFunctionSpec"] | components["schemas"]["MemberTaskSpec"];
        /** @description Runs a program on one member. */
        MemberCommandSpec: {
            /** @description The program and its arguments. There is no shell. All arguments and variables together take at most 1048576 bytes. */
            command: string[];
            /** @description Gives the command a terminal of this size, with `TERM` set to `xterm-256color` unless `env` has it. Its stdin is typed: Ctrl-C is the byte 3, and the end of the input becomes Ctrl-D. All that the terminal shows comes as `stdout`; there is no `stderr`. Default: no terminal. */
            tty?: components["schemas"]["TerminalSize"] | undefined;
            /** @description Variables that are added to the child's minimal environment. Default: none. */
            env?: {
                [key: string]: string;
            } | undefined;
            /** @description The child's standard input. Default: empty for a call, open for a placed child. */
            stdin?: components["schemas"]["Stdin"] | undefined;
            /** @description Files for the workspace, each by a relative path in the workspace, without . and .., and with names of 1 to 255 bytes. Default: none. */
            files?: {
                [key: string]: components["schemas"]["FileContent"];
            } | undefined;
            /** @description An archive of at most 20000 files and folders for the workspace. They keep their permissions. Links and devices are refused. Default: none. */
            archive?: components["schemas"]["Archive"] | undefined;
            /** @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept. Default: none. */
            artifacts?: string[] | undefined;
            /** @description Limits that are tighter than the pool's own. Default: those of the pool. */
            limits?: components["schemas"]["Limits"] | undefined;
            /** @description The weakest sandbox that is acceptable. Members with a weaker one are skipped. Default: any. */
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes. Default `text`.
             * @default text
             */
            outputEncoding?: components["schemas"]["OutputEncoding"] | undefined;
            /**
             * Format: int64
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`. Default 0.
             * @default 0
             */
            waitMs?: number | undefined;
            /**
             * Format: int64
             * @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. Default: the pool's deadline; without it the member's for a call (5 minutes), and none for a placed child.
             */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes. Default false.
             * @default false
             */
            link?: boolean | undefined;
            /** @description A key that starts one child at most; the header `Idempotency-Key` says the same. Default: none. */
            idempotencyKey?: components["schemas"]["IdempotencyKey"] | undefined;
            /** @description The caller's own names and values, which take at most 8192 bytes together. Answers show them with the child. Default: none. */
            labels?: {
                [key: string]: string;
            } | undefined;
            /** @description Where the member posts the ending of the child. Default: nobody is notified. */
            notify?: components["schemas"]["Notify"] | undefined;
            /** @description The pool of the child. */
            pool: components["schemas"]["PoolName"];
            /** @description A slot that this member granted to the same caller. The child takes it. Default: any free one. */
            slot?: components["schemas"]["SlotId"] | undefined;
        };
        /** @description Calls a function on one member. */
        MemberFunctionSpec: {
            /** @description The function to call. */
            function: components["schemas"]["FunctionWork"];
            /** @description Variables that are added to the child's minimal environment. Default: none. */
            env?: {
                [key: string]: string;
            } | undefined;
            /** @description The child's standard input. Default: empty for a call, open for a placed child. */
            stdin?: components["schemas"]["Stdin"] | undefined;
            /** @description Files for the workspace, each by a relative path in the workspace, without . and .., and with names of 1 to 255 bytes. Default: none. */
            files?: {
                [key: string]: components["schemas"]["FileContent"];
            } | undefined;
            /** @description An archive of at most 20000 files and folders for the workspace. They keep their permissions. Links and devices are refused. Default: none. */
            archive?: components["schemas"]["Archive"] | undefined;
            /** @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept. Default: none. */
            artifacts?: string[] | undefined;
            /** @description Limits that are tighter than the pool's own. Default: those of the pool. */
            limits?: components["schemas"]["Limits"] | undefined;
            /** @description The weakest sandbox that is acceptable. Members with a weaker one are skipped. Default: any. */
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes. Default `text`.
             * @default text
             */
            outputEncoding?: components["schemas"]["OutputEncoding"] | undefined;
            /**
             * Format: int64
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`. Default 0.
             * @default 0
             */
            waitMs?: number | undefined;
            /**
             * Format: int64
             * @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. Default: the pool's deadline; without it the member's for a call (5 minutes), and none for a placed child.
             */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes. Default false.
             * @default false
             */
            link?: boolean | undefined;
            /** @description A key that starts one child at most; the header `Idempotency-Key` says the same. Default: none. */
            idempotencyKey?: components["schemas"]["IdempotencyKey"] | undefined;
            /** @description The caller's own names and values, which take at most 8192 bytes together. Answers show them with the child. Default: none. */
            labels?: {
                [key: string]: string;
            } | undefined;
            /** @description Where the member posts the ending of the child. Default: nobody is notified. */
            notify?: components["schemas"]["Notify"] | undefined;
            /** @description The pool of the child. */
            pool: components["schemas"]["PoolName"];
            /** @description A slot that this member granted to the same caller. The child takes it. Default: any free one. */
            slot?: components["schemas"]["SlotId"] | undefined;
        };
        /** @description Calls a task on one member. */
        MemberTaskSpec: {
            /** @description The task to call. */
            task: components["schemas"]["TaskWork"];
            /** @description Variables that are added to the child's minimal environment. Default: none. */
            env?: {
                [key: string]: string;
            } | undefined;
            /** @description The child's standard input. Default: empty for a call, open for a placed child. */
            stdin?: components["schemas"]["Stdin"] | undefined;
            /** @description Files for the workspace, each by a relative path in the workspace, without . and .., and with names of 1 to 255 bytes. Default: none. */
            files?: {
                [key: string]: components["schemas"]["FileContent"];
            } | undefined;
            /** @description An archive of at most 20000 files and folders for the workspace. They keep their permissions. Links and devices are refused. Default: none. */
            archive?: components["schemas"]["Archive"] | undefined;
            /** @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept. Default: none. */
            artifacts?: string[] | undefined;
            /** @description Limits that are tighter than the pool's own. Default: those of the pool. */
            limits?: components["schemas"]["Limits"] | undefined;
            /** @description The weakest sandbox that is acceptable. Members with a weaker one are skipped. Default: any. */
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes. Default `text`.
             * @default text
             */
            outputEncoding?: components["schemas"]["OutputEncoding"] | undefined;
            /**
             * Format: int64
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`. Default 0.
             * @default 0
             */
            waitMs?: number | undefined;
            /**
             * Format: int64
             * @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. Default: the pool's deadline; without it the member's for a call (5 minutes), and none for a placed child.
             */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes. Default false.
             * @default false
             */
            link?: boolean | undefined;
            /** @description A key that starts one child at most; the header `Idempotency-Key` says the same. Default: none. */
            idempotencyKey?: components["schemas"]["IdempotencyKey"] | undefined;
            /** @description The caller's own names and values, which take at most 8192 bytes together. Answers show them with the child. Default: none. */
            labels?: {
                [key: string]: string;
            } | undefined;
            /** @description Where the member posts the ending of the child. Default: nobody is notified. */
            notify?: components["schemas"]["Notify"] | undefined;
            /** @description The pool of the child. */
            pool: components["schemas"]["PoolName"];
            /** @description A slot that this member granted to the same caller. The child takes it. Default: any free one. */
            slot?: components["schemas"]["SlotId"] | undefined;
        };
        /** @description Calls a task. */
        TaskSpec: {
            /** @description The task to call. */
            task: components["schemas"]["TaskWork"];
            /** @description Variables that are added to the child's minimal environment. Default: none. */
            env?: {
                [key: string]: string;
            } | undefined;
            /** @description The child's standard input. Default: empty for a call, open for a placed child. */
            stdin?: components["schemas"]["Stdin"] | undefined;
            /** @description Files for the workspace, each by a relative path in the workspace, without . and .., and with names of 1 to 255 bytes. Default: none. */
            files?: {
                [key: string]: components["schemas"]["FileContent"];
            } | undefined;
            /** @description An archive of at most 20000 files and folders for the workspace. They keep their permissions. Links and devices are refused. Default: none. */
            archive?: components["schemas"]["Archive"] | undefined;
            /** @description Patterns for the files of the workspace that the member keeps after the child's end. `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these characters (ASCII). Only regular files are kept. Default: none. */
            artifacts?: string[] | undefined;
            /** @description Limits that are tighter than the pool's own. Default: those of the pool. */
            limits?: components["schemas"]["Limits"] | undefined;
            /** @description The weakest sandbox that is acceptable. Members with a weaker one are skipped. Default: any. */
            sandbox?: components["schemas"]["SandboxLevel"] | undefined;
            /**
             * @description How `stdout` and `stderr` events carry bytes. Default `text`.
             * @default text
             */
            outputEncoding?: components["schemas"]["OutputEncoding"] | undefined;
            /**
             * Format: int64
             * @description Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes longer ends with `queue_timeout`. Default 0.
             * @default 0
             */
            waitMs?: number | undefined;
            /**
             * Format: int64
             * @description Milliseconds from the arrival of the request until the child is stopped; the wait for a slot counts. Default: the pool's deadline; without it the member's for a call (5 minutes), and none for a placed child.
             */
            deadlineMs?: number | undefined;
            /**
             * @description Stop the child when its caller's connection closes. Default false.
             * @default false
             */
            link?: boolean | undefined;
            /** @description A key that starts one child at most; the header `Idempotency-Key` says the same. Default: none. */
            idempotencyKey?: components["schemas"]["IdempotencyKey"] | undefined;
            /** @description The caller's own names and values, which take at most 8192 bytes together. Answers show them with the child. Default: none. */
            labels?: {
                [key: string]: string;
            } | undefined;
            /** @description Where the member posts the ending of the child. Default: nobody is notified. */
            notify?: components["schemas"]["Notify"] | undefined;
        };
        /** @description The stable code of a problem. More codes may come, so a client treats a code that it does not know by its status. */
        ErrorCode: "invalid_request" | "unauthorized" | "forbidden" | "not_found" | "pool_not_found" | "child_not_found" | "child_forgotten" | "slot_not_found" | "task_not_found" | "runtime_not_found" | "method_not_allowed" | "not_acceptable" | "unsupported_media_type" | "range_not_satisfiable" | "source_unknown" | "idempotency_conflict" | "stdin_closed" | "fetch_failed" | "events_expired" | "payload_too_large" | "request_timeout" | "too_many_requests" | "function_threw" | "at_capacity" | "all_members_at_capacity" | "no_members_available" | "queue_timeout" | "draining" | "overloaded" | "idempotency_unavailable" | "fenced" | "worker_crashed" | "out_of_memory" | "cancelled" | "member_lost" | "deadline_exceeded" | "sandbox_unavailable" | "internal_error" | (string & {});
        /** @description An error that a function threw, as its child saw it. It has at most 16 errors, the causes and the grouped ones included, of 40,960 characters together; the rest is left out. */
        FunctionError: {
            /** @description The name of the error's class, such as `TypeError`. */
            name: string;
            /** @description The message of the error. */
            message: string;
            /** @description The stack of the error; absent where there is none. */
            stack?: string | undefined;
            /** @description The code of the error, such as `ECONNREFUSED`, where it has one; a number as decimal text. */
            code?: string | undefined;
            cause?: components["schemas"]["FunctionError"] | undefined;
            /** @description The errors that this one groups: `errors` of an `AggregateError`; `exceptions` of an `ExceptionGroup`. */
            errors?: components["schemas"]["FunctionError"][] | undefined;
        };
        /** @description A field of the request that is at fault. */
        InvalidField: {
            /** @description JSON Pointer to the field; empty for the whole. */
            path: string;
            /** @description The expected value, and the one that came. */
            message: string;
        };
        /** @description How busy one member is in one pool. */
        Load: {
            /**
             * Format: int64
             * @description Children that hold a slot now.
             */
            active: number;
            /**
             * Format: int64
             * @description Slots of this pool on this member (`maxChildren`); 0 while it drains.
             */
            max: number;
            /**
             * Format: int64
             * @description Callers that wait for a slot of this pool on this member.
             */
            queued: number;
        };
        /** @description The reason why a request or a child failed: RFC 9457, with a stable `code`. */
        Problem: {
            /** @description The URN of the code: `urn:distributed-pool:problem:` and the code. */
            type: string;
            /** @description The meaning of the code, for people. */
            title: string;
            /**
             * Format: int32
             * @description The HTTP status that belongs to the code.
             */
            status: number;
            /** @description For people: what was expected, and what came. */
            detail: string;
            code: components["schemas"]["ErrorCode"];
            /** @description With `invalid_request`: each field at fault. */
            fields?: components["schemas"]["InvalidField"][] | undefined;
            /** @description With `at_capacity`: the member's load at that moment. */
            load?: components["schemas"]["Load"] | undefined;
            /**
             * @description Whether a member admitted the child: false when certainly nothing was run, so the same request may be sent again; true when it was admitted; `"unknown"` when the answer was lost. Absent where `code` says it.
             * @enum {boolean|string}
             */
            admitted?: (true | false | "unknown") | undefined;
            /** @description With `function_threw`: the error. */
            error?: components["schemas"]["FunctionError"] | undefined;
        };
        /**
         * @description `ok`: the member does its work. `unavailable`: it does not.
         * @enum {string}
         */
        HealthStatus: "ok" | "unavailable";
        /**
         * @description The name of a signal of Linux.
         * @enum {string}
         */
        SignalName: "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM" | "SIGKILL" | "SIGUSR1" | "SIGUSR2" | "SIGALRM" | "SIGCONT" | "SIGSTOP" | "SIGTSTP" | "SIGWINCH";
        /** @description A child, and where it runs. */
        ChildReference: {
            id: components["schemas"]["ChildId"];
            /** @description The pool of the child. */
            pool: components["schemas"]["PoolName"];
            /** @description The member that runs the child. */
            member: components["schemas"]["MemberName"];
            /** @description The URL of the child on its own member. */
            url: string;
        };
        /** @description The load of one member. */
        Count: {
            /** @description The member that answers. */
            member: components["schemas"]["MemberName"];
            /** @description The load of the member, by pool. */
            pools: {
                [key: string]: components["schemas"]["Load"];
            };
        };
        /** @description The health of one member. */
        Health: {
            status: components["schemas"]["HealthStatus"];
            /** @description The member that answers. */
            member: components["schemas"]["MemberName"];
            /** @description The level of the member's sandbox. */
            sandbox: components["schemas"]["SandboxLevel"];
            /** @description For people: the reason why it is unavailable. */
            detail?: string | undefined;
        };
        /** @description The right to run one child on one member. It is held for a short time. */
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
        /** @description The number of slots that a request waits for. */
        SlotCount: {
            /**
             * Format: int64
             * @description Slots to wait for from now on.
             */
            count: number;
        };
        /** @description The tasks and runtimes of one member. */
        Tasks: {
            /** @description The member that answers. */
            member: components["schemas"]["MemberName"];
            /** @description The tasks that the operator installed. */
            tasks: components["schemas"]["TaskName"][];
            /** @description The runtimes that work on the member. */
            runtimes: components["schemas"]["RuntimeName"][];
        };
        /**
         * @description What a child does. `running`: its program runs or is being started. `stopping`: it is being stopped. `ended`: its process is gone, and its artifacts can be read.
         * @enum {string}
         */
        ChildStatus: "running" | "stopping" | "ended";
        /** @description One sandboxed process of a pool. */
        Child: {
            id: components["schemas"]["ChildId"];
            /** @description The pool of the child. */
            pool: components["schemas"]["PoolName"];
            /** @description The member that runs the child. */
            member: components["schemas"]["MemberName"];
            /** @description The URL of the child on its own member. */
            url: string;
            /** @description The caller that placed the child: the name of its token, `jwt:` and the `sub` of its JWT, or `anyone` where callers need no token. */
            owner: string;
            status: components["schemas"]["ChildStatus"];
            kind: components["schemas"]["ChildKind"];
            /**
             * Format: date-time
             * @description The time when the child got its slot.
             */
            startedAt: string;
            /**
             * Format: date-time
             * @description The time when the child will be stopped; null if it has no deadline.
             */
            deadlineAt: string | null;
            /**
             * Format: date-time
             * @description The time when the child's process ended; null while it runs.
             */
            endedAt: string | null;
            /**
             * Format: int32
             * @description The exit code of a child that has ended; 128 + n when signal n ended it. Null while it runs, and for a function that returned or threw.
             */
            exitCode: number | null;
            /** @description The code of the problem of a child that failed; null otherwise. */
            code: components["schemas"]["ErrorCode"] | null;
            /** @description The names and values that the caller gave the child. */
            labels: {
                [key: string]: string;
            };
            /** @description The level of the child's sandbox. */
            sandbox: components["schemas"]["SandboxLevel"];
            /** @description What runs, in short, for people: the file name of the program, the name of the task, or the export of the function; at most 128 characters. Absent from a member of an earlier version. */
            name?: string | undefined;
            /** @description The program and its arguments, for the caller that placed the child and the scope `admin`. What goes beyond 1,024 characters together is left out, and `…` takes its place. Absent for a function or a task, and for other callers. */
            command?: string[] | undefined;
            progress?: components["schemas"]["Progress"] | undefined;
            usage?: components["schemas"]["Usage"] | undefined;
        };
        /** @description The last progress that the child reported. Absent when there is none. */
        Progress: {
            /**
             * Format: double
             * @description The amount that is done, in a unit that the child chooses. It may decrease, and may exceed a `total` that was a guess.
             */
            done: number;
            /**
             * Format: double
             * @description The whole amount, in the same unit; absent when the child did not report it.
             */
            total?: number | undefined;
            /** @description One line for people, without control characters. The child wrote it. Absent when it did not. */
            message?: string | undefined;
        };
        /** @description The resources that the child took, so far while it runs. Absent when they are not measured yet. */
        Usage: {
            /**
             * Format: double
             * @description Milliseconds from placement to the end of the process.
             */
            wallMs: number;
            /**
             * Format: double
             * @description Milliseconds of user and system time of all processes of the child, with the start of its sandbox; null when the member cannot measure it (a command without a cgroup).
             */
            cpuMs: number | null;
            /**
             * Format: int64
             * @description The most bytes of memory that all processes of the child and its workspace took at any time; null when the member cannot measure it (a command without a cgroup).
             */
            maxRssBytes: number | null;
        };
        /** @description Children of one member. */
        ChildList: {
            /** @description The children of this page. */
            children: components["schemas"]["Child"][];
            /** @description The `cursor` of the next page; absent on the last one. */
            nextCursor?: string | undefined;
        };
        /** @description A member that drains: it admits no child, and finishes those that run. */
        DrainingMember: {
            member: components["schemas"]["MemberName"];
            /**
             * Format: date-time
             * @description With `draining`: the time when children that still run are stopped.
             */
            drainEndsAt?: string | undefined;
        };
        /** @description Children of one pool, on all its members. */
        PoolChildList: {
            /** @description The children of this page. */
            children: components["schemas"]["Child"][];
            /** @description The `cursor` of the next page; absent on the last one. */
            nextCursor?: string | undefined;
            /** @description Members that did not answer in time. Their children are missing from the list. */
            unreachable: components["schemas"]["MemberName"][];
            /** @description Members that drain. Absent from a member of an earlier version. */
            draining?: components["schemas"]["DrainingMember"][] | undefined;
        };
        /** @description A pool with its members. */
        Pool: {
            pool: components["schemas"]["PoolName"];
            /** @description The members of the pool. */
            members: components["schemas"]["PoolMember"][];
            /** @description Tasks that at least one member of the pool has. */
            tasks: components["schemas"]["TaskName"][];
            /** @description Runtimes that at least one member of the pool has. */
            runtimes: components["schemas"]["RuntimeName"][];
        };
        /** @description A member of a pool. */
        PoolMember: {
            member: components["schemas"]["MemberName"];
            /** @description The URL of the member. */
            url: string;
            /** @description The version of the member's program. */
            version: string;
            /** @description The level of the member's sandbox. */
            sandbox: components["schemas"]["SandboxLevel"];
            /** @description The member's load; null when it did not answer in time. */
            load: components["schemas"]["Load"] | null;
            state?: components["schemas"]["MemberState"] | undefined;
            /** @description For people: the reason for a state other than `up`. */
            detail?: string | undefined;
            /**
             * Format: date-time
             * @description The time when the member's process started. Absent while it does not answer.
             */
            startedAt?: string | undefined;
            /**
             * Format: date-time
             * @description With `draining`: the time when children that still run are stopped.
             */
            drainEndsAt?: string | undefined;
        };
        /**
         * @description `up`: it admits children. `draining`: it admits none, and finishes those that run. `sick`: it can start none, and is still asked about its children. `lost`: the registry has not heard of it, or it does not answer. `left`: it is no longer registered.
         * @enum {string}
         */
        MemberState: "up" | "draining" | "sick" | "lost" | "left";
        /** @description The pools that have members. */
        PoolList: {
            /** @description The pools of this page. */
            pools: components["schemas"]["PoolSummary"][];
            /** @description The `cursor` of the next page; absent on the last one. */
            nextCursor?: string | undefined;
        };
        /** @description A pool and its size. */
        PoolSummary: {
            pool: components["schemas"]["PoolName"];
            /**
             * Format: int64
             * @description The members that admit children.
             */
            members: number;
            /**
             * Format: int64
             * @description The slots of the members that admit children, together.
             */
            max: number;
            /**
             * Format: int64
             * @description The members that drain. Absent from a member of an earlier version.
             */
            draining?: number | undefined;
            /**
             * Format: int64
             * @description The members that are lost or sick. Absent from a member of an earlier version.
             */
            lost?: number | undefined;
        };
        /** @description A file that a child left. `/children/{id}/files/{path}` has its bytes. */
        Artifact: {
            /** @description The path of the file in the workspace. */
            path: string;
            /**
             * Format: int64
             * @description The size of the file in bytes.
             */
            bytes: number;
        };
        /** @description How a child ended. */
        ChildResult: {
            child: components["schemas"]["ChildReference"];
            /** @description The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command. */
            value?: unknown | undefined;
            /** @description How `value` is written. Default: `json`, when it is absent. */
            encoding?: components["schemas"]["ValueEncoding"] | undefined;
            /**
             * Format: int32
             * @description The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
             */
            exitCode?: number | undefined;
            /** @description The resources that a child took. */
            usage: components["schemas"]["Usage"];
            /** @description The files that the child left for its caller. */
            artifacts: components["schemas"]["Artifact"][];
            /** @description The reason why the child failed; absent for a child that ended by itself. */
            problem?: components["schemas"]["Problem"] | undefined;
        };
        /** @description The reason why a run failed. When a child had been placed, the fields of a result that it left are beside it. */
        RunProblem: {
            /** @description The URN of the code: `urn:distributed-pool:problem:` and the code. */
            type: string;
            /** @description The meaning of the code, for people. */
            title: string;
            /**
             * Format: int32
             * @description The HTTP status that belongs to the code.
             */
            status: number;
            /** @description For people: what was expected, and what came. */
            detail: string;
            code: components["schemas"]["ErrorCode"];
            /** @description With `invalid_request`: each field at fault. */
            fields?: components["schemas"]["InvalidField"][] | undefined;
            /** @description With `at_capacity`: the member's load at that moment. */
            load?: components["schemas"]["Load"] | undefined;
            /**
             * @description Whether a member admitted the child: false when certainly nothing was run, so the same request may be sent again; true when it was admitted; `"unknown"` when the answer was lost. Absent where `code` says it.
             * @enum {boolean|string}
             */
            admitted?: (true | false | "unknown") | undefined;
            /** @description With `function_threw`: the error. */
            error?: components["schemas"]["FunctionError"] | undefined;
            child?: components["schemas"]["ChildReference"] | undefined;
            /** @description The first MiB of the child's standard output. */
            stdout?: string | undefined;
            /** @description The first MiB of the child's standard error. */
            stderr?: string | undefined;
            /** @description True when the child wrote more output than an answer has: 1 MiB each of stdout and stderr. */
            truncated?: boolean | undefined;
            /** @description The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command. */
            value?: unknown | undefined;
            /** @description How `value` is written. Default: `json`, when it is absent. */
            encoding?: components["schemas"]["ValueEncoding"] | undefined;
            /**
             * Format: int32
             * @description The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
             */
            exitCode?: number | undefined;
            /** @description The resources that a child took. */
            usage?: components["schemas"]["Usage"] | undefined;
            /** @description The files that the child left for its caller. */
            artifacts?: components["schemas"]["Artifact"][] | undefined;
        };
        /** @description Terminal: the child, or its placement, failed. With `child`, only the stream has ended: the member that passed it on is about to leave. Such an event has no id. */
        FailedEvent: {
            /**
             * @description The type of the event: `failed`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "failed";
            problem: components["schemas"]["Problem"];
            /** @description With `draining`: the child, which runs on. Its events resume at `/children/{id}/events` of any member, after the last event that had an id. */
            child?: components["schemas"]["ChildReference"] | undefined;
            /** @description The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command. */
            value?: unknown | undefined;
            /** @description How `value` is written. Default: `json`, when it is absent. */
            encoding?: components["schemas"]["ValueEncoding"] | undefined;
            /**
             * Format: int32
             * @description The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
             */
            exitCode?: number | undefined;
            /** @description The resources that a child took. */
            usage?: components["schemas"]["Usage"] | undefined;
            /** @description The files that the child left for its caller. */
            artifacts?: components["schemas"]["Artifact"][] | undefined;
            /** @description True when the `value` or the `artifacts` are left out, because the line would reach 64 KiB: `/children/{id}/result` has them. Absent when the event is whole. */
            partial?: boolean | undefined;
        };
        /** @description The reader missed this many bytes of output: they are no longer kept. */
        GapEvent: {
            /**
             * @description The type of the event: `gap`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "gap";
            /**
             * Format: int64
             * @description The number of bytes that the reader missed.
             */
            droppedBytes: number;
        };
        /** @description The slot is held until `heldUntil`. Terminal, unless the request has a `count`. */
        GrantedEvent: {
            /**
             * @description The type of the event: `granted`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "granted";
            slot: components["schemas"]["Slot"];
        };
        /** @description The child has a slot. Always the first event with an id. */
        PlacedEvent: {
            /**
             * @description The type of the event: `placed`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "placed";
            child: components["schemas"]["ChildReference"];
        };
        /** @description An event of a child's stream. More types may come, so a client skips a type that it does not know. */
        PoolEvent: components["schemas"]["QueuedEvent"] | components["schemas"]["PlacedEvent"] | components["schemas"]["StdoutEvent"] | components["schemas"]["StderrEvent"] | components["schemas"]["ProgressEvent"] | components["schemas"]["GapEvent"] | components["schemas"]["ResultEvent"] | components["schemas"]["FailedEvent"];
        /** @description The caller waits for a slot. There is no child yet, and the event carries no id. */
        QueuedEvent: {
            /**
             * @description The type of the event: `queued`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "queued";
            /**
             * Format: int64
             * @description 1 for the next caller to be served.
             */
            position: number;
            /**
             * Format: int64
             * @description Slots that a request with `count` still waits for: fewer than it asked for where the queue is full. Calls have no such field.
             */
            count?: number | undefined;
        };
        /** @description Output of the child: `text`, or `base64` when the spec asks for it. */
        StdoutEvent: {
            /**
             * @description The type of the event: `stdout`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "stdout";
            /** @description The output as text; absent for base64. */
            text?: string | undefined;
            /** @description The output in base64; absent for text. */
            base64?: string | undefined;
            /** @description True when U+FFFD replaces bytes of `text` that were not UTF-8. Default false: `text` is all of it. */
            lossy?: boolean | undefined;
        };
        /** @description Output of the child: `text`, or `base64` when the spec asks for it. */
        StderrEvent: {
            /**
             * @description The type of the event: `stderr`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "stderr";
            /** @description The output as text; absent for base64. */
            text?: string | undefined;
            /** @description The output in base64; absent for text. */
            base64?: string | undefined;
            /** @description True when U+FFFD replaces bytes of `text` that were not UTF-8. Default false: `text` is all of it. */
            lossy?: boolean | undefined;
        };
        /** @description Progress that the child reports itself: a command by lines such as `3/10 words` on its file descriptor 3, a function by its context. Events are throttled to five a second, and to fewer after some minutes; the last report before the end always comes. */
        ProgressEvent: {
            /**
             * @description The type of the event: `progress`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "progress";
            /**
             * Format: double
             * @description The amount that is done, in a unit that the child chooses. It may decrease, and may exceed a `total` that was a guess.
             */
            done: number;
            /**
             * Format: double
             * @description The whole amount, in the same unit; absent when the child did not report it.
             */
            total?: number | undefined;
            /** @description One line for people, without control characters. The child wrote it. Absent when it did not. */
            message?: string | undefined;
        };
        /** @description Terminal: the child ended by itself. */
        ResultEvent: {
            /**
             * @description The type of the event: `result`. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "result";
            /** @description The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command. */
            value?: unknown | undefined;
            /** @description How `value` is written. Default: `json`, when it is absent. */
            encoding?: components["schemas"]["ValueEncoding"] | undefined;
            /**
             * Format: int32
             * @description The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
             */
            exitCode?: number | undefined;
            /** @description The resources that a child took. */
            usage: components["schemas"]["Usage"];
            /** @description The files that the child left for its caller. */
            artifacts: components["schemas"]["Artifact"][];
            /** @description True when the `value` or the `artifacts` are left out, because the line would reach 64 KiB: `/children/{id}/result` has them. Absent when the event is whole. */
            partial?: boolean | undefined;
        };
        /** @description An event of a wait for a slot. It carries no id. More types may come, so a client skips a type that it does not know. */
        SlotEvent: components["schemas"]["QueuedEvent"] | components["schemas"]["GrantedEvent"] | components["schemas"]["FailedEvent"];
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description The name of the member that answers. */
        "pool-member": string;
        /** @description The id of the child. A stream that waits for a slot has none; its event `placed` does. */
        "pool-child-id": string;
        /** @description The load of the pool on this member when it answers, as a dictionary of RFC 9651: `active=3, max=8, queued=0`. Placement believes it for a moment, and asks less often. */
        "pool-load": string;
        /** @description The terminal event of the child as JSON in ASCII, without a function's value. A trailer, which follows the bytes; with 416 a header. */
        "pool-ending": string;
        /** @description The URL of what was made. */
        location: string;
        /** @description With 206, the bytes that follow: `bytes 7-12/13` of a child that has ended. While it runs, the length is unknown, and the last byte is one that is never reached: `bytes 7-9007199254740991/*`. With 416, the bytes of stdout so far: `bytes *\/13`. */
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
export type ChildId = components['schemas']['ChildId'];
export type IdempotencyKey = components['schemas']['IdempotencyKey'];
export type MemberName = components['schemas']['MemberName'];
export type PoolName = components['schemas']['PoolName'];
export type RuntimeName = components['schemas']['RuntimeName'];
export type SlotId = components['schemas']['SlotId'];
export type SourceHash = components['schemas']['SourceHash'];
export type TaskName = components['schemas']['TaskName'];
export type OutputEncoding = components['schemas']['OutputEncoding'];
export type Archive = components['schemas']['Archive'];
export type Base64Data = components['schemas']['Base64Data'];
export type UrlArchive = components['schemas']['UrlArchive'];
export type Base64File = components['schemas']['Base64File'];
export type FileContent = components['schemas']['FileContent'];
export type TextFile = components['schemas']['TextFile'];
export type UrlFile = components['schemas']['UrlFile'];
export type Notify = components['schemas']['Notify'];
export type OpenStdin = components['schemas']['OpenStdin'];
export type Stdin = components['schemas']['Stdin'];
export type TextData = components['schemas']['TextData'];
export type SandboxLevel = components['schemas']['SandboxLevel'];
export type Limits = components['schemas']['Limits'];
export type TerminalSize = components['schemas']['TerminalSize'];
export type ValueEncoding = components['schemas']['ValueEncoding'];
export type FunctionByHash = components['schemas']['FunctionByHash'];
export type FunctionBySource = components['schemas']['FunctionBySource'];
export type FunctionWork = components['schemas']['FunctionWork'];
export type TaskWork = components['schemas']['TaskWork'];
export type ChildKind = components['schemas']['ChildKind'];
export type ChildSpec = components['schemas']['ChildSpec'];
export type CommandSpec = components['schemas']['CommandSpec'];
export type FunctionSpec = components['schemas']['FunctionSpec'];
export type MemberChildSpec = components['schemas']['MemberChildSpec'];
export type MemberCommandSpec = components['schemas']['MemberCommandSpec'];
export type MemberFunctionSpec = components['schemas']['MemberFunctionSpec'];
export type MemberTaskSpec = components['schemas']['MemberTaskSpec'];
export type TaskSpec = components['schemas']['TaskSpec'];
export type ErrorCode = components['schemas']['ErrorCode'];
export type FunctionError = components['schemas']['FunctionError'];
export type InvalidField = components['schemas']['InvalidField'];
export type Load = components['schemas']['Load'];
export type Problem = components['schemas']['Problem'];
export type HealthStatus = components['schemas']['HealthStatus'];
export type SignalName = components['schemas']['SignalName'];
export type ChildReference = components['schemas']['ChildReference'];
export type Count = components['schemas']['Count'];
export type Health = components['schemas']['Health'];
export type Slot = components['schemas']['Slot'];
export type SlotCount = components['schemas']['SlotCount'];
export type Tasks = components['schemas']['Tasks'];
export type ChildStatus = components['schemas']['ChildStatus'];
export type Child = components['schemas']['Child'];
export type Progress = components['schemas']['Progress'];
export type Usage = components['schemas']['Usage'];
export type ChildList = components['schemas']['ChildList'];
export type DrainingMember = components['schemas']['DrainingMember'];
export type PoolChildList = components['schemas']['PoolChildList'];
export type Pool = components['schemas']['Pool'];
export type PoolMember = components['schemas']['PoolMember'];
export type MemberState = components['schemas']['MemberState'];
export type PoolList = components['schemas']['PoolList'];
export type PoolSummary = components['schemas']['PoolSummary'];
export type Artifact = components['schemas']['Artifact'];
export type ChildResult = components['schemas']['ChildResult'];
export type RunProblem = components['schemas']['RunProblem'];
export type FailedEvent = components['schemas']['FailedEvent'];
export type GapEvent = components['schemas']['GapEvent'];
export type GrantedEvent = components['schemas']['GrantedEvent'];
export type PlacedEvent = components['schemas']['PlacedEvent'];
export type PoolEvent = components['schemas']['PoolEvent'];
export type QueuedEvent = components['schemas']['QueuedEvent'];
export type StdoutEvent = components['schemas']['StdoutEvent'];
export type StderrEvent = components['schemas']['StderrEvent'];
export type ProgressEvent = components['schemas']['ProgressEvent'];
export type ResultEvent = components['schemas']['ResultEvent'];
export type SlotEvent = components['schemas']['SlotEvent'];
export type HeaderPoolMember = components['headers']['pool-member'];
export type HeaderPoolChildId = components['headers']['pool-child-id'];
export type HeaderPoolLoad = components['headers']['pool-load'];
export type HeaderPoolEnding = components['headers']['pool-ending'];
export type HeaderLocation = components['headers']['location'];
export type HeaderContentRange = components['headers']['content-range'];
export type HeaderRetryAfter = components['headers']['retry-after'];
export type HeaderWwwAuthenticate = components['headers']['www-authenticate'];
export type HeaderAllow = components['headers']['allow'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
