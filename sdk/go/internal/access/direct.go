package access

import (
	"context"
	"math/rand/v2"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
	"distributed-pool/sdk/go/internal/wire"
)

// direct is access without a gateway: from a watched list of members, each asked directly.
type direct struct {
	client    *wire.Client
	directory *placement.Directory
}

// Direct is access to the members of a list.
func Direct(client *wire.Client, members placement.Members) Access {
	return &direct{client, &placement.Directory{Client: client, Members: members}}
}

func (d *direct) AsksOwners() bool                         { return true }
func (d *direct) Close()                                   { d.directory.Members.Close() }
func (d *direct) Direct(api.ChildReference) (Server, bool) { return Server{}, false }

func (d *direct) Place(ctx context.Context, try placement.Try) (*wire.Answer, error) {
	return d.directory.Place(ctx, try)
}

func (d *direct) Child(ctx context.Context, id string) (Server, error) {
	owner, err := ownerOf(id)
	if err != nil {
		return Server{}, err
	}
	member, err := d.directory.Members.Find(ctx, owner)
	if err != nil {
		return Server{}, err
	}
	if member == nil {
		if refusal := d.directory.Members.Refusal(ctx); refusal != nil {
			return Server{}, refusal
		}
		return Server{}, fault.New("child_not_found",
			"no member is called %s, so there is no child %s", owner, id)
	}
	return d.serverOf(member), nil
}

func (d *direct) serverOf(member *placement.Member) Server {
	return Server{member.URL, member.Name, d.client}
}

// listing asks one member after the other, in random order, until one answers: any member lists
// any pool.
func listing[T any](ctx context.Context, d *direct, ask func(*gateway) (T, error)) (T, error) {
	var none T
	members, err := d.directory.Members.All(ctx)
	if err != nil {
		return none, err
	}
	if len(members) == 0 {
		if err := d.directory.Members.Refusal(ctx); err != nil {
			return none, err
		}
		return none, fault.New("no_members_available", "no member is ready")
	}
	for _, index := range rand.Perm(len(members)) {
		var list T
		list, err = ask(&gateway{d.client, d.serverOf(members[index])})
		failure := fault.Of(err)
		isAway := failure != nil &&
			(failure.Code == "no_members_available" || failure.Code == "member_lost")
		if !isAway {
			return list, err
		}
	}
	return none, err
}

func (d *direct) Pools(ctx context.Context) (api.PoolList, error) {
	return listing(ctx, d, func(g *gateway) (api.PoolList, error) { return g.Pools(ctx) })
}

func (d *direct) Pool(ctx context.Context, pool string) (api.Pool, error) {
	return listing(ctx, d, func(g *gateway) (api.Pool, error) { return g.Pool(ctx, pool) })
}

func (d *direct) Children(
	ctx context.Context, pool string, filter api.ListPoolChildrenParams,
) (api.PoolChildList, error) {
	return listing(ctx, d, func(g *gateway) (api.PoolChildList, error) {
		return g.Children(ctx, pool, filter)
	})
}
