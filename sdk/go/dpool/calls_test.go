package dpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const child = "m1.0123456789abcdef0123456789abcdef"

// member answers calls by a function; the rest of the requests are noted.
type member struct {
	mutex    sync.Mutex
	requests []string
}

func serve(t *testing.T, answer func(http.ResponseWriter, *http.Request)) (*Pools, *member) {
	t.Helper()
	made := &member{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made.mutex.Lock()
		made.requests = append(made.requests,
			strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Last-Event-ID")))
		made.mutex.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	pools, err := New(Options{URL: server.URL, Stdout: io.Discard, Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pools.Close)
	return pools, made
}

func send(w http.ResponseWriter, lines ...string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for _, line := range lines {
		fmt.Fprintf(w, "%s\n\n", line)
	}
	w.(http.Flusher).Flush()
}

const (
	placed = `id: 1` + "\n" + `data: {"type":"placed","child":{"id":"` + child +
		`","pool":"pipeline","member":"m1","url":"http://127.0.0.1:1/children/` + child + `"}}`
	foo   = "id: 2\n" + `data: {"type":"stdout","base64":"Zm9v"}`
	newer = "id: 3\n" + `data: {"type":"weather","text":{"of":"a newer member"}}`
	last  = "id: 4\n" + `data: {"type":"result","value":12345678901234567890,` +
		`"usage":{"wallMs":1,"cpuMs":null,"maxRssBytes":3221225472},"artifacts":[]}`
)

func TestACallThatIsCutResumesAndIsPlacedOnce(t *testing.T) {
	pools, member := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			send(w, placed, foo, "id: 3\ndata: {\"type\":\"std")
			panic(http.ErrAbortHandler)
		}
		send(w, newer, last)
	})
	result, err := pools.Run(context.Background(), "pipeline", Command("echo", "foo"))
	if err != nil || string(result.Stdout) != "foo" || *result.Usage.MaxRssBytes != 3<<30 {
		t.Fatalf("expected foo; got %v, %v", result, err)
	}
	if value, err := Value[uint64](result, nil); err != nil || value != 12345678901234567890 {
		t.Fatalf("expected the value with all its digits; got %d, %v", value, err)
	}
	wanted := "POST /pools/pipeline/call, GET /children/" + child + "/events 2"
	if got := strings.Join(member.requests, ", "); got != wanted {
		t.Fatalf("expected %s; got %s", wanted, got)
	}
}

func TestACodeOfANewerMemberIsKept(t *testing.T) {
	pools, member := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, `{"type":"urn:a","title":"b","status":418,"detail":"c","code":"too_hot",`+
			`"load":{"active":1e40}}`)
	})
	spec := Command("true")
	spec.Retries = 3
	_, err := pools.Call(context.Background(), "pipeline", spec)
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != "too_hot" || failure.Code.Valid() {
		t.Fatalf("expected too_hot; got %v", err)
	}
	if failure.Retryable() || len(member.requests) != 1 {
		t.Fatalf("expected one request; got %v", member.requests)
	}
}

func TestACancelledContextEndsTheCallWithItsCause(t *testing.T) {
	pools, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		send(w, placed)
		<-r.Context().Done()
	})
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	for event, err := range pools.Stream(ctx, "pipeline", Command("sleep", "60")) {
		if event.Type == Placed {
			cancel(reason)
		} else if !errors.Is(err, reason) {
			t.Fatalf("expected the cause; got %v, %v", event, err)
		}
	}
}

func TestAMapKeepsTheOrderAndTellsThePositionOfAFailure(t *testing.T) {
	pools, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, rest, _ := strings.Cut(string(body), `"args":[`)
		input, _, _ := strings.Cut(rest, "]")
		if input == "7" {
			send(w, placed, "id: 2\n"+`data: {"type":"failed","problem":{"type":"urn:a","title":"b",`+
				`"status":422,"detail":"c","code":"function_threw","error":{"name":"E","message":"m"}}}`)
			return
		}
		send(w, placed, "id: 2\n"+`data: {"type":"result","value":`+input+`,"artifacts":[]}`)
	})
	inputs := func(yield func(int) bool) {
		for n := 0; yield(n); n++ {
		}
	}
	work := Source("node", "(n) => n")
	options := MapOptions{Concurrency: 3}
	wanted := 0
	var failure *Error
	for value, err := range Map[int](context.Background(), pools, "pipeline", work, inputs, options) {
		if errors.As(err, &failure) {
			break
		}
		if err != nil || value != wanted {
			t.Fatalf("expected %d; got %d, %v", wanted, value, err)
		}
		wanted++
	}
	if failure == nil || failure.Index != 7 || failure.Remote.Name != "E" {
		t.Fatalf("expected a failure of input 7; got %v behind %d values", failure, wanted)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, options := range []Options{
		{}, {URL: "127.0.0.1:7400"}, {URL: "http://127.0.0.1:1", Token: "a\nb"},
		{URL: "http://pool.example", Token: "secret"}, {URL: "http://127.0.0.1:1", CA: []byte("none")},
		{URL: "http://127.0.0.1:1", Consul: &ConsulOptions{}},
		{Consul: &ConsulOptions{Address: "ftp://a"}},
	} {
		if _, err := New(options); CodeOf(err) != "invalid_request" {
			t.Errorf("expected invalid_request for %+v; got %v", options, err)
		}
	}
}
