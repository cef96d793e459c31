package consul

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const one = `[{"Node":{"Address":"127.0.0.1"},"Service":{"Address":"127.0.0.1","Port":7400,` +
	`"Meta":{"member":"m1","maxChildren-pipeline":"2"}},"Checks":[{"Status":"passing"}]}]`

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

// watching is the members that Consul answers for.
func watching(t *testing.T, answer http.HandlerFunc) *Members {
	t.Helper()
	server := httptest.NewServer(answer)
	members, err := New(Options{Address: server.URL, Token: "secret"}, Trust{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	t.Cleanup(members.Close)
	return members
}

func TestATokenIsNotSentToTheTargetOfARedirect(t *testing.T) {
	var asked atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, one)
	}))
	defer target.Close()
	members := watching(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	})
	list, _, err := members.agent.health(context.Background(), "", 0)
	status, _ := err.(statusError)
	if status.status != http.StatusTemporaryRedirect || asked.Load() != 0 {
		t.Fatalf("expected an error; got %v, %v, %d requests", list, err, asked.Load())
	}
}

func TestACallToAnotherPoolDoesNotWaitForTheRights(t *testing.T) {
	began, ended := make(chan bool, 1), make(chan bool)
	members := watching(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			began <- true
			select {
			case <-ended:
			case <-r.Context().Done():
			}
			fmt.Fprint(w, `[{"Allow":false},{"Allow":true}]`)
		} else if r.URL.Query().Get("index") == "0" {
			w.Header().Set("X-Consul-Index", "5")
			fmt.Fprint(w, one)
		} else {
			<-r.Context().Done()
		}
	})
	refusals := make(chan error, 2)
	for range cap(refusals) {
		go func() { refusals <- members.Refusal(context.Background()) }()
	}
	within(t, "the question about the rights", began)
	listed := make(chan error, 1)
	go func() {
		_, err := members.In(context.Background(), "pipeline")
		listed <- err
	}()
	if err := within(t, "the members", listed); err != nil || len(refusals) > 0 {
		t.Fatalf("expected the members before the rights; got %v", err)
	}
	close(ended)
	for range cap(refusals) {
		if err := within(t, "the refusal", refusals); err == nil {
			t.Fatal("expected the right that the token lacks")
		}
	}
}

func TestAWatchPausesWhereTheIndexStandsStillAndResetsWhereItGoesBack(t *testing.T) {
	indexes := []string{"7", "7", "7", "3", "9", "0", "4"}
	asked := make(chan string, len(indexes))
	var count atomic.Int32
	members := watching(t, func(w http.ResponseWriter, r *http.Request) {
		index := int(count.Add(1)) - 1
		if index >= len(indexes) {
			<-r.Context().Done()
			return
		}
		asked <- r.URL.Query().Get("index")
		w.Header().Set("X-Consul-Index", indexes[index])
		fmt.Fprint(w, one)
	})
	start := time.Now()
	if _, err := members.watch(""); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range indexes {
		got = append(got, within(t, "a query", asked))
	}
	if text := strings.Join(got, " "); text != "0 7 7 7 0 9 0" {
		t.Errorf("expected the index of the answer before; got %s", text)
	}
	// 4 of the indexes before the last are no progress.
	if passed := time.Since(start); passed < 4*retryMin {
		t.Errorf("expected 4 pauses; got 7 queries in %v", passed)
	}
}
