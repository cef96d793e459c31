package fault

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"distributed-pool/sdk/go/api"
)

func TestTheTableIsThatOfTheContract(t *testing.T) {
	text, err := os.ReadFile("../../../../openapi/codes.ts")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^  (\w+): entry\(\s*(\d+),`)
	found := entry.FindAllSubmatch(text, -1)
	for _, each := range found {
		code := api.ErrorCode(each[1])
		if got := fmt.Sprint(statuses[code]); got != string(each[2]) || !code.Valid() {
			t.Errorf("%s: expected %s; got %s", code, each[2], got)
		}
	}
	if len(found) != len(statuses) {
		t.Errorf("expected %d codes; got %d", len(found), len(statuses))
	}
	retryable := regexp.MustCompile(`RETRYABLE\b.* = new Set\(\[408, 429, 503\]\)`)
	if !retryable.Match(text) {
		t.Error("expected the statuses of Retryable in the contract")
	}
}

func TestTheCodeSaysWhetherACallMayBeMadeAgain(t *testing.T) {
	for _, each := range []struct {
		code     string
		status   int
		admitted string
		expected bool
	}{
		{"at_capacity", 500, "", true}, {"at_capacity", 503, `,"admitted":true`, false},
		{"too_many_requests", 200, "", true}, {"member_lost", 503, "", false},
		{"function_threw", 429, "", false}, {"invalid_request", 400, `,"admitted":false`, true},
		{"too_hot", 503, "", false}, {"too_hot", 503, `,"admitted":false`, true},
	} {
		text := fmt.Sprintf(`{"type":"urn:a","code":"%s","status":%d%s}`,
			each.code, each.status, each.admitted)
		problem, ok := Parse([]byte(text))
		if !ok || problem.Retryable() != each.expected {
			t.Errorf("expected %t of %s", each.expected, text)
		}
	}
}
