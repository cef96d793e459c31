package placement

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

// fake is a pool of members in memory.
type fake struct {
	mutex   sync.Mutex
	members []*Member
	active  map[string]int64
	max     int64
	asked   int
	known   *knownLoads
}

func newFake(count int, max int64) *fake {
	made := &fake{active: map[string]int64{}, max: max, known: newKnownLoads()}
	for index := range count {
		made.members = append(made.members, &Member{Name: fmt.Sprintf("m%d", index)})
	}
	return made
}

func (f *fake) load(name string) api.Load { return api.Load{Active: f.active[name], Max: f.max} }

func (f *fake) place(t *testing.T) error {
	t.Helper()
	search := &search{
		pool: "pipeline", members: f.members, known: f.known,
		mayTry: func(*Member) bool { return true },
		probe: func(_ context.Context, member *Member) (api.Load, error) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.asked++
			return f.load(member.Name), nil
		},
		admit: func(_ context.Context, member *Member) (Admission, error) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			load := f.load(member.Name)
			if load.Active >= load.Max {
				return Admission{Full: true, Load: &load}, nil
			}
			f.active[member.Name]++
			load = f.load(member.Name)
			return Admission{Answer: &wire.Answer{}, Load: &load}, nil
		},
	}
	_, err := search.place(context.Background(), true)
	return err
}

func TestEverySlotIsFoundByAsManyCallers(t *testing.T) {
	pool := newFake(30, 3)
	errors := make(chan error, 90)
	for range 90 {
		go func() { errors <- pool.place(t) }()
	}
	for range 90 {
		if err := <-errors; err != nil {
			t.Fatalf("expected a slot for each of 90 callers; got %v", err)
		}
	}
	failure := fault.Of(pool.place(t))
	if failure == nil || failure.Code != "all_members_at_capacity" {
		t.Fatalf("expected all_members_at_capacity; got %v", failure)
	}
}

func TestAKnownMemberIsNotAsked(t *testing.T) {
	pool := newFake(1, 100)
	for range 20 {
		if err := pool.place(t); err != nil {
			t.Fatal(err)
		}
	}
	if pool.asked >= 20 {
		t.Fatalf("expected fewer questions than callers; got %d", pool.asked)
	}
}

func TestTheLeastLoadedKnownMemberIsChosen(t *testing.T) {
	known := newKnownLoads()
	members := newFake(3, 8).members
	for index, active := range []int64{5, 1, 3} {
		known.note(members[index].Name, api.Load{Active: active, Max: 8})
	}
	chosen := known.choose(members, func(*Member) bool { return true })
	if chosen == nil || chosen.member != members[1] {
		t.Fatalf("expected m1; got %v", chosen)
	}
	// Requests that have no answer yet count as load.
	for range 4 {
		known.sent("m1")
	}
	chosen = known.choose(members, func(*Member) bool { return true })
	if chosen == nil || chosen.member != members[2] {
		t.Fatalf("expected m2; got %v", chosen)
	}
}

func TestALoadInAHeaderMayHaveNewerKeys(t *testing.T) {
	told := loadOf("active=3, max=8;a=1, queued=2, mood=good")
	if told == nil || *told != (api.Load{Active: 3, Max: 8, Queued: 2}) {
		t.Fatalf("expected 3 of 8; got %v", told)
	}
	for _, header := range []string{"", "active=3", "active=-1, max=8", "active=1e3, max=8"} {
		if told := loadOf(header); told != nil {
			t.Fatalf("expected no load in %q; got %v", header, told)
		}
	}
}
