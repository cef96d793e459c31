package dpool

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"distributed-pool/sdk/go/internal/fault"
)

const (
	draining = `"problem":{"type":"urn:a","title":"b","status":503,"detail":"c","code":"draining"}`
	// handover names the child, which runs on; drained does not.
	handover = `data: {"type":"failed",` + draining + `,"child":{"id":"` + child +
		`","pool":"pipeline","member":"m1","url":"http://127.0.0.1:1/children/` + child + `"}}`
	drained = `data: {"type":"failed",` + draining + `}`
)

func TestACallWhoseChildIsKnownIsNotSentAgainBehindAGatewayThatDrains(t *testing.T) {
	pools, member := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			send(w, handover)
			return
		}
		send(w, drained)
	})
	spec := Command("true")
	spec.Retries = 3
	_, err := pools.Run(context.Background(), "pipeline", spec)
	failure := fault.Of(err)
	if failure == nil || failure.Code != "draining" || failure.Admitted != Admitted {
		t.Fatalf("expected draining of a child that was admitted; got %v", err)
	}
	if len(member.requests) != 2 {
		t.Fatalf("expected one call and one stream; got %v", member.requests)
	}
}

func TestAStreamThatIsHandedOverAndCannotResumeIsOfAChildThatWasAdmitted(t *testing.T) {
	pools, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { send(w, handover) })
	stream := &stream{pools: pools, id: child}
	answer, err := stream.open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stream.tries = resumeTries
	err = stream.read(context.Background(), answer, func(Event) bool { return true })
	var failure *Error
	if !errors.As(err, &failure) || failure.Admitted != Admitted || failure.Retryable() {
		t.Fatalf("expected a child that was admitted; got %v", err)
	}
}
