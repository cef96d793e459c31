package dpool

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/access"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
	"distributed-pool/sdk/go/internal/wire"
)

// Child is a handle on a child, which any process can make from the child's id. The child does not
// depend on its handles. The methods fail with child_forgotten, child_not_found and member_lost,
// beside the codes that they name.
type Child struct {
	// ID is the id of the child.
	ID    string
	pools *Pools
}

// Child is a handle on a child by its id. It sends no request yet.
func (p *Pools) Child(id string) *Child { return &Child{id, p} }

// Place places a child that lives on its own: it outlives this caller, and has no deadline unless
// the spec has one. It returns when a member has admitted the child, and fails as Call does.
//
//	child, err := pools.Place(ctx, "pipeline", dpool.Command("sleep", "60"))
func (p *Pools) Place(ctx context.Context, pool string, spec Spec) (*Child, error) {
	request, err := requestOf(spec, true)
	if err != nil {
		return nil, err
	}
	tries := retriesOf(spec)
	for {
		answer, err := p.access.Place(ctx, placement.Try{
			Pool: pool, Path: "children", Accept: wire.JSON,
			Spec: tries.spec(request.spec), Parts: request.parts,
		})
		var child api.Child
		if err == nil {
			child, err = wire.Decode[api.Child](answer, "id")
			if err != nil && ctx.Err() == nil && fault.Of(err) == nil {
				err = fault.New("member_lost",
					"the answer of the member that admitted was cut: %v", err).
					With(fault.Unknown).By(err)
			}
		}
		if err == nil {
			return p.Child(child.Id), nil
		}
		if err := tries.pauseAfter(ctx, err); err != nil {
			return nil, err
		}
	}
}

// ask sends one of the simple operations, which the generated client has.
func (c *Child) ask(
	ctx context.Context, send func(*api.Client) (*http.Response, error),
) (api.Child, error) {
	server, err := c.pools.access.Child(ctx, c.ID)
	if err != nil {
		return api.Child{}, err
	}
	return access.Ask[api.Child](ctx, server, "id", send)
}

// Info is the child as its member sees it now: its status, its labels, and how it ended.
func (c *Child) Info(ctx context.Context) (api.Child, error) {
	return c.ask(ctx, func(client *api.Client) (*http.Response, error) {
		return client.GetChild(ctx, c.ID)
	})
}

// Stop stops the child: TERM, the grace, KILL to its whole process tree. It returns at once.
// Without a grace it is the member's (5 seconds); 0 kills at once.
//
//	_, err := child.Stop(ctx, time.Second)
func (c *Child) Stop(ctx context.Context, grace ...time.Duration) (api.Child, error) {
	params := &api.StopChildParams{}
	for _, each := range grace {
		millis := each.Milliseconds()
		params.GraceMs = &millis
	}
	return c.ask(ctx, func(client *api.Client) (*http.Response, error) {
		return client.StopChild(ctx, c.ID, params)
	})
}

// Signal sends a signal, such as SIGUSR1, to the child's program.
func (c *Child) Signal(ctx context.Context, signal string) (api.Child, error) {
	body := api.SignalRequest{Signal: api.SignalName(signal)}
	return c.ask(ctx, func(client *api.Client) (*http.Response, error) {
		return client.SignalChild(ctx, c.ID, body)
	})
}

// Resize sets the size of the terminal of a child with a TTY. It fails with not_found without one.
func (c *Child) Resize(ctx context.Context, size api.TerminalSize) (api.Child, error) {
	return c.ask(ctx, func(client *api.Client) (*http.Response, error) {
		return client.ResizeTty(ctx, c.ID, size)
	})
}

// Events yields the child's events behind the one with the id `after` (0: all that are kept), up
// to and with the terminal one. Leaving the loop ends the reading, not the child. A stream that
// was cut resumes. It also fails with events_expired.
//
//	for event, err := range child.Events(ctx, 0) {
func (c *Child) Events(ctx context.Context, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream := &stream{pools: c.pools, id: c.ID, after: after}
		answer, err := stream.open(ctx)
		isLeft := false
		if err == nil {
			err = stream.read(ctx, answer, func(event Event) bool {
				isLeft = !yield(event, nil)
				return !isLeft
			})
		}
		if err != nil && !isLeft {
			yield(Event{}, wire.NoAnswer(ctx, "member of "+c.ID, err))
		}
	}
}

// Result is how the child ended, also when its output is no longer kept; nil while it still runs
// after `wait`, 25 seconds at most. It fails with the code of a child that failed.
//
//	ending, err := child.Result(ctx, 20*time.Second)
func (c *Child) Result(ctx context.Context, wait time.Duration) (*Ending, error) {
	query := "/result?waitMs=" + strconv.FormatInt(wait.Milliseconds(), 10)
	answer, err := c.get(ctx, query, wire.JSON, wait+wire.AnswerTimeout)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusNoContent {
		answer.Body.Close()
		return nil, nil
	}
	type result struct {
		Ending
		Problem *fault.Error
	}
	got, err := wire.Decode[result](answer, "child")
	if err != nil {
		return nil, wire.NoAnswer(ctx, answer.Request.URL.String(), err)
	}
	if got.Problem != nil {
		return nil, Event{Err: got.Problem, Ending: &got.Ending}.failure()
	}
	return &got.Ending, nil
}

// File is the bytes of an artifact, a file that the child left, by its path in the workspace. Its
// reader closes it. It fails with not_found without such an artifact.
//
//	file, err := child.File(ctx, "out/1.png")
func (c *Child) File(ctx context.Context, path string) (io.ReadCloser, error) {
	names := strings.Split(path, "/")
	for index, name := range names {
		// A URL would lose these names, and lead elsewhere.
		if name == "" || name == "." || name == ".." {
			return nil, fault.New("not_found", "expected the path of an artifact; got %q", path)
		}
		names[index] = url.PathEscape(name)
	}
	answer, err := c.get(ctx, "/files/"+strings.Join(names, "/"), wire.Bytes, wire.AnswerTimeout)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// get asks for a part of the child.
func (c *Child) get(
	ctx context.Context, path, accept string, timeout time.Duration,
) (*wire.Answer, error) {
	server, err := c.pools.access.Child(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	answer, err := c.pools.client.Send(ctx, wire.Request{
		Method: "GET", URL: server.URL + "/children/" + c.ID + path, Member: server.Member,
		Accept: accept, HeadTimeout: timeout,
	})
	if err == nil && answer.StatusCode >= 400 {
		err = wire.Problem(answer)
	}
	return answer, wire.NoAnswer(ctx, server.URL, err)
}
