// Calls a member by the client of oapi-codegen. Prints a line for each check.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	pc "calls/client"
)

var ctx = context.Background()

var client, _ = pc.NewClientWithResponses(os.Getenv("POOL_URL"))

func command(argv ...string) (spec pc.ChildSpec) {
	if err := spec.FromCommandSpec(pc.CommandSpec{Command: argv}); err != nil {
		panic(err)
	}
	return spec
}

func function(source string, args ...any) (spec pc.ChildSpec) {
	var work pc.FunctionWork
	err := work.FromFunctionBySource(pc.FunctionBySource{Source: source, Args: &args})
	if err = errors.Join(err, spec.FromFunctionSpec(pc.FunctionSpec{Function: work})); err != nil {
		panic(err)
	}
	return spec
}

func expect(name string, got, wanted any) error {
	if reflect.DeepEqual(got, wanted) {
		return nil
	}
	return fmt.Errorf("%s: expected %v; got %v", name, wanted, got)
}

func run(spec pc.ChildSpec) (*pc.RunResult, error) {
	answer, err := client.RunInPoolWithResponse(ctx, "pipeline", spec)
	if err != nil {
		return nil, err
	}
	if answer.JSON200 == nil {
		return nil, errors.New(string(answer.Body))
	}
	return answer.JSON200, nil
}

func call() error {
	sum, err := run(function("(a, b) => a + b", 1211, 1))
	if err != nil {
		return err
	}
	result, err := run(command("echo", "hi"))
	if err != nil {
		return err
	}
	return errors.Join(
		expect("value", sum.Value, 1212.0),
		expect("stdout", result.Stdout, "hi\n"),
		expect("exitCode", int(*result.ExitCode), 0),
	)
}

func hold(pool string) (*pc.Child, error) {
	answer, err := client.PlaceChildInPoolWithResponse(ctx, pool, command("sleep", "60"))
	if err != nil {
		return nil, err
	}
	if answer.JSON201 == nil {
		return nil, errors.New(string(answer.Body))
	}
	return answer.JSON201, nil
}

func place() error {
	child, err := hold("pipeline")
	if err != nil {
		return err
	}
	got, err := client.GetChildWithResponse(ctx, child.Id)
	if err != nil {
		return err
	}
	stopped, err := client.StopChildWithResponse(ctx, child.Id, nil)
	if err != nil {
		return err
	}
	return errors.Join(
		expect("status", string(got.JSON200.Status), "running"),
		expect("id", stopped.JSON202.Id, child.Id),
	)
}

func refusals() error {
	holder, err := hold("single")
	if err != nil {
		return err
	}
	defer client.StopChildWithResponse(ctx, holder.Id, nil)
	unknown, err := client.RunInPoolWithResponse(ctx, "nobody", command("true"))
	if err != nil {
		return err
	}
	invalid, err := client.RunInPoolWithResponse(ctx, "pipeline", command())
	if err != nil {
		return err
	}
	full, err := client.RunInPoolWithResponse(ctx, "single", command("true"))
	if err != nil {
		return err
	}
	return errors.Join(
		expect("unknown pool", unknown.ApplicationproblemJSON404.Code, "pool_not_found"),
		expect("invalid spec", invalid.ApplicationproblemJSON400.Code, "invalid_request"),
		expect("full pool", full.ApplicationproblemJSON503.Code, "all_members_at_capacity"),
	)
}

func stream() error {
	// The plain client gives the answer with its body unread.
	answer, err := client.ClientInterface.CallInPool(ctx, "pipeline", command("echo", "hi"))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var types []string
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var event pc.PoolEvent
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return err
		}
		value, err := event.ValueByDiscriminator()
		if err != nil {
			return err
		}
		types = append(types, reflect.TypeOf(value).Name())
	}
	return expect("events", types, []string{"PlacedEvent", "StdoutEvent", "ResultEvent"})
}

func main() {
	names := []string{"call", "place", "errors", "stream"}
	for index, check := range []func() error{call, place, refusals, stream} {
		if err := check(); err != nil {
			fmt.Printf("%s: %q\n", names[index], err)
		} else {
			fmt.Printf("%s: ok\n", names[index])
		}
	}
}
