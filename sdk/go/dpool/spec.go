package dpool

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

// Spec is one piece of work: exactly one of Command, Function and Task, and how it runs. The keys
// of its JSON are those of the contract.
type Spec struct {
	// Command is a program and its arguments; no shell reads them.
	Command  []string          `json:"command,omitempty"`
	Function *Function         `json:"function,omitempty"`
	Task     *TaskWork         `json:"task,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	// Stdin is the child's input. A call sends it while the output comes back, no faster than the
	// child reads. When the call ends, a Read that blocks is left to itself. Default: empty for a
	// call, open for a placed child, which takes no Stdin.
	Stdin io.Reader `json:"-"`
	// Files go into the child's workspace, by their paths in it.
	Files map[string]File `json:"-"`
	// Archive is a tar or zip archive with files for the workspace.
	Archive *File `json:"-"`
	// Artifacts are patterns of the files that the member keeps after the child's end.
	Artifacts []string `json:"artifacts,omitempty"`
	// Limits are tighter than the pool's.
	Limits *api.Limits `json:"limits,omitempty"`
	// Sandbox is the weakest acceptable level: full, no-cgroup or none. Default: any.
	Sandbox string `json:"sandbox,omitempty"`
	// Wait is the time to wait for a slot. Default 0: a full pool refuses the call at once.
	Wait time.Duration `json:"-"`
	// Deadline is the time until the child is stopped, the wait included. Default: 5 minutes for a
	// call, none for a placed child; the operator can change both.
	Deadline time.Duration `json:"-"`
	// OutputEncoding is the form in which output travels to a Stream: text (the default), in which
	// U+FFFD replaces invalid bytes, or base64.
	OutputEncoding string `json:"outputEncoding,omitempty"`
	// Link stops the child when the caller's connection goes.
	Link bool `json:"link,omitempty"`
	// Labels are words of the caller's own, shown with the child.
	Labels map[string]string `json:"labels,omitempty"`
	// IdempotencyKey starts one child at most: 1 to 255 visible ASCII characters.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	// Notify is where the member posts the ending.
	Notify *api.Notify `json:"notify,omitempty"`
	// TTY gives a command a terminal of this size.
	TTY *api.TerminalSize `json:"tty,omitempty"`
	// Retries are further tries for what certainly started nothing, and with an IdempotencyKey also
	// after member_lost. The pauses are random, and double from 100 ms to 10 seconds. Default 0; 5
	// for each input of a Map.
	Retries int `json:"-"`
}

// Function is the source of a function, which travels to the member.
type Function struct {
	// Source is one expression of a function; with Export, a module.
	Source string `json:"source,omitempty"`
	// Hash names the source, so that it travels once to each member: see Hashed.
	Hash string `json:"hash,omitempty"`
	// Export is the function's name among the exports of a module.
	Export string `json:"export,omitempty"`
	// Runtime runs the source: node (the default), python, bun, or one of the operator's.
	Runtime string `json:"runtime,omitempty"`
	// Args are its arguments, which JSON can carry.
	Args []any `json:"args,omitempty"`
}

// TaskWork names a function that the operator installed.
type TaskWork struct {
	Name string `json:"name"`
	Args []any  `json:"args,omitempty"`
}

// Command is the spec of a program with its arguments.
//
//	result, err := pools.Run(ctx, "pipeline", dpool.Command("uname", "-a"))
func Command(argv ...string) Spec { return Spec{Command: argv} }

// Source is the spec of a function by its source, and its arguments. The runtime is node, python,
// bun, or one of the operator's.
//
//	half := dpool.Source("python", "lambda n: n / 2", 7)
func Source(runtime, source string, args ...any) Spec {
	return Spec{Function: &Function{Source: source, Runtime: runtime, Args: args}}
}

// Task is the spec of a function that the operator installed, and its arguments. When no member
// has it, the call fails with task_not_found.
//
//	thumbnails := dpool.Task("thumbnails", film)
func Task(name string, args ...any) Spec { return Spec{Task: &TaskWork{Name: name, Args: args}} }

// Hashed is the same function with the hash of its source. Later calls send the hash alone to
// members that keep the source.
//
//	spec := dpool.Spec{Function: dpool.Hashed(dpool.Function{Source: module, Export: "area"})}
func Hashed(function Function) *Function {
	sum := sha256.Sum256([]byte(function.Source))
	function.Hash = "sha256:" + hex.EncodeToString(sum[:])
	return &function
}

// withArgs is the same function or task with these arguments.
func (s Spec) withArgs(args ...any) Spec {
	if s.Function != nil {
		function := *s.Function
		function.Args = args
		s.Function = &function
	} else if s.Task != nil {
		s.Task = &TaskWork{s.Task.Name, args}
	}
	return s
}

// request is a spec as it is sent, with the parts that travel beside it, and the input that
// follows.
type request struct {
	spec  wire.Spec
	parts []wire.Part
	input io.Reader
}

// requestOf checks what only this side can check; the member checks the rest.
func requestOf(spec Spec, isPlaced bool) (*request, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fault.New("invalid_request", "expected values that JSON can carry: %v", err).By(err)
	}
	made := &request{spec: wire.Spec{}}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, err
	}
	for key, value := range keys {
		made.spec[key] = value
	}
	if spec.Function != nil {
		made.spec["function"] = functionOf(spec.Function)
	}
	if spec.Limits != nil {
		limits := wire.Spec{}
		if err := json.Unmarshal(keys["limits"], &limits); err != nil {
			return nil, err
		}
		made.spec["limits"] = limits
	}
	if spec.Sandbox != "" {
		made.spec["sandbox"] = spec.Sandbox
	}
	if spec.IdempotencyKey != "" {
		made.spec["idempotencyKey"] = spec.IdempotencyKey
	}
	if spec.Wait != 0 {
		made.spec["waitMs"] = spec.Wait.Milliseconds()
	}
	if spec.Deadline != 0 {
		made.spec["deadlineMs"] = spec.Deadline.Milliseconds()
	}
	if spec.Retries < 0 {
		return nil, fault.New("invalid_request", "Retries: expected at least 0; got %d", spec.Retries)
	}
	if err := made.addFiles(spec); err != nil {
		return nil, err
	}
	return made, made.addInput(spec.Stdin, isPlaced)
}

func functionOf(function *Function) wire.Spec {
	made := wire.Spec{}
	for key, value := range map[string]string{
		"source": function.Source, "hash": function.Hash,
		"export": function.Export, "runtime": function.Runtime,
	} {
		if value != "" {
			made[key] = value
		}
	}
	if function.Args != nil {
		made["args"] = function.Args
	}
	return made
}
