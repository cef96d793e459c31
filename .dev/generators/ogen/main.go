// Calls a member by the client of ogen. Prints a line for each check.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/go-faster/jx"

	pc "calls/client"
)

var ctx = context.Background()

// The member of the harness wants no token, and the client cannot leave it out.
type anyToken struct{}

func (anyToken) Bearer(context.Context, pc.OperationName) (pc.Bearer, error) {
	return pc.Bearer{Token: "any"}, nil
}

// A call must not be sent twice, so the stream never connects again.
var client, _ = pc.NewClient(os.Getenv("POOL_URL"), anyToken{},
	pc.WithSSEClientOptions(pc.WithSSEMaxRetries(0)))

func command(argv ...string) pc.ChildSpec {
	return pc.NewCommandSpecChildSpec(pc.CommandSpec{Command: argv})
}

func expect(name string, got, wanted any) error {
	if reflect.DeepEqual(got, wanted) {
		return nil
	}
	return fmt.Errorf("%s: expected %v; got %v", name, wanted, got)
}

func run(spec pc.ChildSpec) (*pc.RunResult, error) {
	answer, err := client.RunInPool(ctx, spec, pc.RunInPoolParams{Pool: "pipeline"})
	if err != nil {
		return nil, err
	}
	result, ok := answer.(*pc.RunResultHeaders)
	if !ok {
		return nil, fmt.Errorf("%+v", answer)
	}
	return &result.Response, nil
}

func call() error {
	source := pc.FunctionBySource{Source: "(a, b) => a + b", Args: []jx.Raw{jx.Raw("1211"), jx.Raw("1")}}
	function := pc.FunctionSpec{Function: pc.NewFunctionBySourceFunctionWork(source)}
	sum, err := run(pc.NewFunctionSpecChildSpec(function))
	if err != nil {
		return err
	}
	result, err := run(command("echo", "hi"))
	if err != nil {
		return err
	}
	return errors.Join(
		expect("value", string(sum.Value), "1212"),
		expect("stdout", result.Stdout, "hi\n"),
		expect("exitCode", int(result.ExitCode.Value), 0),
	)
}

func hold(pool pc.PoolName) (pc.ChildId, error) {
	spec := command("sleep", "60")
	answer, err := client.PlaceChildInPool(ctx, spec, pc.PlaceChildInPoolParams{Pool: pool})
	if err != nil {
		return "", err
	}
	placed, ok := answer.(*pc.ChildHeaders)
	if !ok {
		return "", fmt.Errorf("%+v", answer)
	}
	return placed.Response.ID, nil
}

func place() error {
	id, err := hold("pipeline")
	if err != nil {
		return err
	}
	got, err := client.GetChild(ctx, pc.GetChildParams{ID: id})
	if err != nil {
		return err
	}
	stopped, err := client.StopChild(ctx, pc.StopChildParams{ID: id})
	if err != nil {
		return err
	}
	return errors.Join(
		expect("status", got.(*pc.GetChildOKHeaders).Response.Status, pc.ChildStatusRunning),
		expect("id", stopped.(*pc.GetChildOKHeaders).Response.ID, id),
	)
}

func refusal(pool pc.PoolName, spec pc.ChildSpec) pc.RunInPoolRes {
	answer, err := client.RunInPool(ctx, spec, pc.RunInPoolParams{Pool: pool})
	if err != nil {
		panic(err)
	}
	return answer
}

func refusals() error {
	id, err := hold("single")
	if err != nil {
		return err
	}
	defer client.StopChild(ctx, pc.StopChildParams{ID: id})
	unknown := refusal("nobody", command("true")).(*pc.RunInPoolNotFound)
	// The client checks the contract itself, so the member has to refuse this.
	invalid := refusal("pipeline", command("a\x00b")).(*pc.RunInPoolBadRequest)
	full := refusal("single", command("true")).(*pc.RunInPoolServiceUnavailable)
	return errors.Join(
		expect("unknown pool", string(unknown.Response.Code), "pool_not_found"),
		expect("invalid spec", string(invalid.Response.Code), "invalid_request"),
		expect("full pool", string(full.Response.Code), "all_members_at_capacity"),
	)
}

func stream() error {
	spec := command("echo", "hi")
	answer, err := client.CallInPool(ctx, spec, pc.CallInPoolParams{Pool: "pipeline"})
	if err != nil {
		return err
	}
	events, ok := answer.(*pc.CallInPoolOK)
	if !ok {
		return fmt.Errorf("%+v", answer)
	}
	defer events.Close()
	var types []string
	for range 3 {
		event, err := events.Next(ctx)
		if err != nil {
			return err
		}
		types = append(types, string(event.Data.Type))
	}
	return expect("events", types, []string{"placed", "stdout", "result"})
}

func checked(check func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%v", cause)
		}
	}()
	return check()
}

func main() {
	names := []string{"call", "place", "errors", "stream"}
	for index, check := range []func() error{call, place, refusals, stream} {
		if err := checked(check); err != nil {
			fmt.Printf("%s: %q\n", names[index], err)
		} else {
			fmt.Printf("%s: ok\n", names[index])
		}
	}
}
