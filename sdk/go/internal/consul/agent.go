package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
)

const (
	// service is the name of the service that every member is an instance of.
	service = "distributed-pool"
	// wait is 60 seconds, after which Consul answers a blocking query even without a change.
	wait = 60 * time.Second
	// maxAnswer is 64 MiB, more than the list of any cluster.
	maxAnswer = 64 << 20
	// authorizeTimeout is 2 seconds for the agent, which answers from its memory.
	authorizeTimeout = 2 * time.Second
)

// statusError is an answer of Consul that is no success.
type statusError struct {
	status int
	text   string
}

func (e statusError) Error() string {
	return fmt.Sprintf("HTTP %d: %s", e.status, strings.TrimSpace(e.text))
}

// get reads JSON into the value. It returns the index of the answer.
func (a *agent) get(ctx context.Context, path string, value any) (uint64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return 0, err
	}
	return a.ask(request, value)
}

func (a *agent) ask(request *http.Request, value any) (uint64, error) {
	request.Header = maps.Clone(a.header)
	answer, err := a.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return 0, err
	}
	if answer.StatusCode != http.StatusOK {
		return 0, statusError{answer.StatusCode, string(text[:min(len(text), 200)])}
	}
	index, _ := strconv.ParseUint(answer.Header.Get("X-Consul-Index"), 10, 64)
	return index, json.Unmarshal(text, value)
}

// registered is a member, and whether its checks pass.
type registered struct {
	*placement.Member
	isPassing bool
}

// entry is one of Consul's health list.
type entry struct {
	Node    struct{ Address string }
	Service struct {
		Address string
		Port    int
		Meta    map[string]string
	}
	Checks []struct{ Status string }
}

// health is the members, once the list differs from that of the index.
func (a *agent) health(
	ctx context.Context, filter string, index uint64,
) ([]registered, uint64, error) {
	query := url.Values{"wait": {wait.String()}, "index": {strconv.FormatUint(index, 10)}}
	if filter != "" {
		query.Set("filter", filter)
	}
	// Consul adds up to a sixteenth to a wait.
	ctx, cancel := context.WithTimeout(ctx, wait*5/4)
	defer cancel()
	var entries []entry
	next, err := a.get(ctx, "/v1/health/service/"+service+"?"+query.Encode(), &entries)
	if err != nil {
		return nil, 0, err
	}
	var members []registered
	for _, each := range entries {
		if member, ok := memberOf(each); ok {
			members = append(members, member)
		}
	}
	return members, next, nil
}

var poolName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// memberOf is the member that an entry describes; false for an entry of another program.
func memberOf(entry entry) (registered, bool) {
	meta := entry.Service.Meta
	if meta["member"] == "" || entry.Service.Port == 0 {
		return registered{}, false
	}
	pools := map[string]int{}
	for key, value := range meta {
		if pool, ok := strings.CutPrefix(key, "maxChildren-"); ok && poolName.MatchString(pool) {
			pools[pool], _ = strconv.Atoi(value)
		}
	}
	scheme, sandbox := "http", meta["sandbox"]
	if meta["scheme"] == "https" {
		scheme = "https"
	}
	if sandbox != "full" && sandbox != "no-cgroup" {
		sandbox = "none"
	}
	address := entry.Service.Address
	if address == "" {
		address = entry.Node.Address
	}
	host := net.JoinHostPort(address, strconv.Itoa(entry.Service.Port))
	isPassing := true
	for _, check := range entry.Checks {
		isPassing = isPassing && check.Status == "passing"
	}
	return registered{&placement.Member{
		Name: meta["member"], URL: scheme + "://" + host, Pools: pools, Sandbox: sandbox,
		Version: meta["version"], SpecKeys: strings.Fields(meta["spec"]), Boot: meta["boot"],
	}, isPassing}, true
}

// right is one of Consul's ACLs, and the rule of a policy that gives it.
type right struct {
	Resource, Access, Segment string
	rule                      string
}

// rights are those of a reader of the list: a service without its nodes gives an empty list.
var rights = []right{
	{"service", "read", service, `service "distributed-pool" { policy = "read" }`},
	{"node", "read", "", `node_prefix "" { policy = "read" }`},
}

// refusal is the right that the token lacks. Consul filters a list that a token may not read, and
// answers with an empty one, so its rights have to be asked for. Nil where it lacks none.
func (a *agent) refusal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, authorizeTimeout)
	defer cancel()
	text, err := json.Marshal(rights)
	if err != nil {
		return err
	}
	const path = "/v1/internal/acl/authorize"
	request, err := http.NewRequestWithContext(ctx, "POST", a.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	var answers []struct{ Allow bool }
	_, err = a.ask(request, &answers)
	if status, ok := err.(statusError); ok && status.status == http.StatusForbidden {
		return fault.New("unauthorized",
			"Consul refuses to show the members: it does not know the ACL token")
	}
	if err != nil {
		// 401: ACLs are off. 404: this Consul cannot be asked. Otherwise Consul is away.
		return nil
	}
	var rules []string
	for index, answer := range answers[:min(len(answers), len(rights))] {
		if !answer.Allow {
			rules = append(rules, rights[index].rule)
		}
	}
	missing := strings.Join(slices.Compact(rules), " and ")
	switch {
	case missing == "":
		return nil
	case a.hasToken:
		return fault.New("forbidden",
			"Consul refuses to show the members: the ACL token lacks %s", missing)
	}
	return fault.New("unauthorized", "Consul refuses to show the members: no ACL token is given "+
		"(CONSUL_HTTP_TOKEN), and the anonymous one lacks %s", missing)
}
