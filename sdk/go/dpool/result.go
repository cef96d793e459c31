package dpool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
)

// RunResult is the result of a call, and the handle on its child.
type RunResult struct {
	Ending
	// Child is a handle; File reads one of its artifacts.
	Child *Child
	// Stdout and Stderr are the output of a Run.
	Stdout, Stderr []byte
	// Truncated says that the child wrote more than MaxOutput to one of the two.
	Truncated bool
}

// Call runs a function or a command on the least loaded member of the pool, and copies the child's
// output to this process as it arrives, no faster than it is taken. A non-zero exit code is a
// result, not an error.
//
// The child lives on when this caller goes away, unless the spec links it. A call that may have
// been admitted is never sent again without a key; a stream that was cut resumes after its last
// event. A cancelled context ends the call with the context's cause.
//
// It fails with an *Error, by its code: function_threw (Remote has the error),
// all_members_at_capacity, queue_timeout, no_members_available, deadline_exceeded, cancelled,
// out_of_memory, worker_crashed, member_lost, unauthorized, forbidden, invalid_request;
// events_expired when it ended well, but output was lost.
//
//	result, err := pools.Call(ctx, "pipeline", dpool.Command("sh", "-c", "echo out; exit 3"))
func (p *Pools) Call(ctx context.Context, pool string, spec Spec) (*RunResult, error) {
	return p.copied(ctx, pool, spec, &reader{stdout: p.stdout, stderr: p.stderr})
}

// MaxOutput is 1 MiB: the bytes of stdout, and of stderr, that Run keeps.
const MaxOutput = 1 << 20

// Run makes a call like Call, and returns the output instead of copying it. Of a child that wrote
// more than MaxOutput the rest is dropped. Its errors have the output so far.
//
//	result, err := pools.Run(ctx, "pipeline", dpool.Command("uname", "-a"))
//	fmt.Printf("%s", result.Stdout)
func (p *Pools) Run(ctx context.Context, pool string, spec Spec) (*RunResult, error) {
	stdout, stderr := &kept{}, &kept{}
	result, err := p.copied(ctx, pool, spec, &reader{stdout: stdout, stderr: stderr})
	isTruncated := stdout.isTruncated || stderr.isTruncated
	if result != nil {
		result.Stdout, result.Stderr, result.Truncated = stdout.bytes, stderr.bytes, isTruncated
	}
	if failure := fault.Of(err); failure != nil && failure.Child != nil {
		failure.Stdout, failure.Stderr, failure.Truncated = stdout.bytes, stderr.bytes, isTruncated
	}
	return result, err
}

// kept is the first bytes of an output.
type kept struct {
	bytes       []byte
	isTruncated bool
}

func (k *kept) Write(from []byte) (int, error) {
	part := from[:min(len(from), MaxOutput-len(k.bytes))]
	k.bytes = append(k.bytes, part...)
	k.isTruncated = k.isTruncated || len(part) < len(from)
	return len(from), nil
}

// copied reads the events of a call to their end, and copies the output.
func (p *Pools) copied(
	ctx context.Context, pool string, spec Spec, reader *reader,
) (*RunResult, error) {
	var reference *api.ChildReference
	// As base64, the bytes that are copied here are the bytes that the child wrote.
	spec.OutputEncoding = "base64"
	err := p.stream(ctx, pool, spec, func(event Event) bool {
		if event.Type == Placed {
			reference = event.Child
		}
		return reader.read(event)
	})
	if err == nil {
		err = reader.err
	}
	if err != nil {
		failure := fault.Of(err)
		if failure == nil {
			return nil, err
		}
		failure = failure.Copy()
		failure.Child = reference
		return nil, failure
	}
	result := &RunResult{Ending: *reader.ending}
	if reference != nil {
		result.Child = p.Child(reference.Id)
	}
	return result, nil
}

// reader reads a child's events to the ending.
type reader struct {
	stdout, stderr io.Writer
	dropped        int64
	ending         *Ending
	err            error
}

func (r *reader) read(event Event) bool {
	switch event.Type {
	case Stdout:
		_, r.err = r.stdout.Write(event.Data)
	case Stderr:
		_, r.err = r.stderr.Write(event.Data)
	case Gap:
		r.dropped += event.DroppedBytes
	case Failed:
		r.err = event.failure()
	case Result:
		r.ending = event.Ending
		if r.dropped > 0 {
			r.err = fault.New("events_expired", "the child has ended, and %d bytes of its output were "+
				"lost when the connection was cut", r.dropped)
		}
	}
	return r.err == nil
}

// Value is the value of a function as a T.
//
//	sum, err := dpool.Value[int](pools.Call(ctx, "pipeline", add))
func Value[T any](result *RunResult, err error) (value T, _ error) {
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(result.Value, &value); err != nil {
		return value, fmt.Errorf("expected a value of type %T; got %.200q: %w",
			value, result.Value, err)
	}
	return value, nil
}
