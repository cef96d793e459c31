package dpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// within is the next value, or the end of the test.
func within[T any](t *testing.T, label string, values <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-values:
	case <-time.After(10 * time.Second):
		t.Fatalf("expected %s in 10 s", label)
	}
	return value
}

func TestACancelledContextEndsAnInputThatIsSilent(t *testing.T) {
	began, ended := make(chan bool, 1), make(chan error, 1)
	pools, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		began <- true
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	silent, writer := io.Pipe()
	defer writer.Close()
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	written := make(chan error, 1)
	go func() {
		_, err := pools.Child(child).Stdin(ctx).ReadFrom(silent)
		written <- err
	}()
	within(t, "the input", began)
	cancel(reason)
	if err := within(t, "the end of ReadFrom", written); !errors.Is(err, reason) {
		t.Fatalf("expected the cause; got %v", err)
	}
	if within(t, "the end of the connection", ended) == nil {
		t.Fatal("expected an input that is cut")
	}
}

func TestTheEndOfACallEndsAnInputThatIsSilent(t *testing.T) {
	began, ended := make(chan bool, 1), make(chan error, 1)
	pools, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/stdin") {
			began <- true
			_, err := io.Copy(io.Discard, r.Body)
			ended <- err
			return
		}
		send(w, placed)
		<-began
		send(w, last)
	})
	silent, writer := io.Pipe()
	defer writer.Close()
	spec := Command("true")
	spec.Stdin = silent
	if _, err := pools.Run(context.Background(), "pipeline", spec); err != nil {
		t.Fatal(err)
	}
	if within(t, "the end of the input", ended) == nil {
		t.Fatal("expected an input that is cut")
	}
}

func TestAMapRefusesAnInputThatItsCallsWouldShare(t *testing.T) {
	pools, member := serve(t, func(http.ResponseWriter, *http.Request) {})
	spec := Source("node", "(n) => n")
	spec.Stdin = strings.NewReader("one")
	inputs := func(yield func(int) bool) { yield(1) }
	for _, err := range Map[int](context.Background(), pools, "pipeline", spec, inputs) {
		if CodeOf(err) != "invalid_request" || len(member.requests) > 0 {
			t.Fatalf("expected invalid_request; got %v and %v", err, member.requests)
		}
	}
}

func TestChildrenAreListedByLabelAndStatus(t *testing.T) {
	queries := make(chan string, 1)
	pools, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries <- r.URL.Query().Encode()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"children":[],"unreachable":[]}`)
	})
	filter := ChildrenFilter{Labels: []string{"job=nightly"}, Status: "running"}
	if _, err := pools.Children(context.Background(), "pipeline", filter); err != nil {
		t.Fatal(err)
	}
	got := within(t, "the query", queries)
	if got != "label=job%3Dnightly&limit=1000&status=running" {
		t.Fatalf("expected the label and the status; got %s", got)
	}
}
