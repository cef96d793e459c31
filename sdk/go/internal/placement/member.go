// Package placement chooses a member of a pool and is admitted by it. It is the algorithm of the
// gateway and of the TypeScript SDK: the least loaded of a few members whose load is known; where
// none is known, of a random sample that is asked. The member's own admission is the only truth.
package placement

import (
	"context"
	"slices"
	"strings"

	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

// Member is a server process that belongs to pools. These facts are static.
type Member struct {
	Name string
	// URL is where it serves, without a final slash.
	URL string
	// Pools has the maximum of children of each of its pools.
	Pools   map[string]int
	Sandbox string
	Version string
	// SpecKeys are the keys of a spec that it accepts. Nil: those of version 0.1.0.
	SpecKeys []string
	// Boot names its process, which repeats of a request must reach. Empty: it remembers none.
	Boot string
}

// Members is a watched list of members. It answers from memory; only the first answer takes time.
type Members interface {
	// In is the members of a pool that may admit children.
	In(ctx context.Context, pool string) ([]*Member, error)
	// All is the members of all pools that may admit children.
	All(ctx context.Context) ([]*Member, error)
	// Registered is all members, also while they drain or are lost.
	Registered(ctx context.Context) ([]*Member, error)
	// Find is the member of this name, or nil.
	Find(ctx context.Context, name string) (*Member, error)
	// Refusal is the reason why the registry does not show its whole list; nil where it does.
	Refusal(ctx context.Context) error
	Close()
}

// maxNames bounds the pools that a refusal names.
const maxNames = 20

// NobodyIn is the error for a pool in which no member may admit children.
func NobodyIn(ctx context.Context, pool string, members Members) error {
	registered, err := members.Registered(ctx)
	if err != nil {
		return err
	}
	if refusal := members.Refusal(ctx); refusal != nil {
		return refusal
	}
	count := 0
	var names []string
	for _, member := range registered {
		for name := range member.Pools {
			names = append(names, name)
			if name == pool {
				count++
			}
		}
	}
	if count > 0 {
		return fault.New("no_members_available", "pool %s: none of its %d members is ready; "+
			"they start, drain, are lost or not trusted", pool, count)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	listed := strings.Join(names[:min(len(names), maxNames)], ", ")
	if listed == "" {
		listed = "none"
	}
	return fault.New("pool_not_found", "no member serves pool %s; the pools are: %s", pool, listed)
}

// firstKeys are the keys that members of version 0.1.0 accept.
var firstKeys = strings.Fields("command function task env stdin files artifacts limits sandbox " +
	"outputEncoding waitMs deadlineMs link labels limits.memoryBytes limits.processes limits.cpus " +
	"limits.cpuMs limits.workspaceBytes limits.openFiles limits.outputBytes limits.artifactBytes")

// levels are those of a sandbox, the strongest first.
var levels = []string{"full", "no-cgroup", "none"}

// fitting is the members that know every key of the spec, and whose sandbox is strong enough.
func fitting(pool string, spec wire.Spec, members []*Member) ([]*Member, error) {
	var keys []string
	for key := range spec {
		keys = append(keys, key)
	}
	if limits, ok := spec["limits"].(wire.Spec); ok {
		for key := range limits {
			keys = append(keys, "limits."+key)
		}
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return slices.Contains(firstKeys, key) })
	demanded := slices.Index(levels, spec.Text("sandbox"))
	var fit []*Member
	for _, member := range members {
		knows := func(key string) bool { return slices.Contains(member.SpecKeys, key) }
		isStrong := demanded < 0 || slices.Index(levels, member.Sandbox) <= demanded
		lacks := slices.ContainsFunc(keys, func(key string) bool { return !knows(key) })
		if isStrong && !lacks {
			fit = append(fit, member)
		}
	}
	if len(fit) == 0 && len(members) > 0 {
		return nil, fault.New("no_members_available", "pool %s: expected a member that knows %s, of "+
			"sandbox level %q or stronger; none of its %d does",
			pool, strings.Join(keys, ", "), spec.Text("sandbox"), len(members))
	}
	return fit, nil
}
