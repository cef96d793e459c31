// Calls a member by the client of openapi-generator's `go`. Prints a line for each check.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	pc "calls/client"
)

var ctx = context.Background()

func client() *pc.APIClient {
	configuration := pc.NewConfiguration()
	configuration.Servers = pc.ServerConfigurations{{URL: os.Getenv("POOL_URL")}}
	return pc.NewAPIClient(configuration)
}

func command(argv ...string) pc.ChildSpec {
	return pc.CommandSpecAsChildSpec(pc.NewCommandSpec(argv))
}

func run(pool string, spec pc.ChildSpec) (*pc.RunResult, error) {
	result, _, err := client().PoolsAPI.RunInPool(ctx, pool).ChildSpec(spec).Execute()
	return result, err
}

func hold(pool string) (*pc.Child, error) {
	spec := command("sleep", "60")
	child, _, err := client().PoolsAPI.PlaceChildInPool(ctx, pool).ChildSpec(spec).Execute()
	return child, err
}

func stop(child *pc.Child) (*pc.Child, error) {
	stopped, _, err := client().ChildrenAPI.StopChild(ctx, child.Id).Execute()
	return stopped, err
}

func expect(name string, got, wanted any) error {
	if reflect.DeepEqual(got, wanted) {
		return nil
	}
	return fmt.Errorf("%s: expected %v; got %v", name, wanted, got)
}

func call() error {
	source := pc.NewFunctionBySource("(a, b) => a + b")
	source.Args = []interface{}{1211, 1}
	work := pc.FunctionBySourceAsFunctionWork(source)
	function, err := run("pipeline", pc.FunctionSpecAsChildSpec(pc.NewFunctionSpec(work)))
	if err != nil {
		return err
	}
	result, err := run("pipeline", command("echo", "hi"))
	if err != nil {
		return err
	}
	return errors.Join(
		expect("value", function.Value, 1212.0),
		expect("stdout", result.Stdout, "hi\n"),
		expect("exitCode", int(result.GetExitCode()), 0),
	)
}

func place() error {
	child, err := hold("pipeline")
	if err != nil {
		return err
	}
	got, _, err := client().ChildrenAPI.GetChild(ctx, child.Id).Execute()
	if err != nil {
		return err
	}
	stopped, err := stop(child)
	if err != nil {
		return err
	}
	return errors.Join(
		expect("status", string(got.Status), "running"),
		expect("id", stopped.Id, child.Id),
	)
}

func codeOf(pool string, spec pc.ChildSpec) string {
	_, err := run(pool, spec)
	var refused *pc.GenericOpenAPIError
	if errors.As(err, &refused) {
		if problem, ok := refused.Model().(pc.RunProblem); ok {
			return string(problem.Code)
		}
	}
	return fmt.Sprint("no problem but ", err)
}

func refusals() error {
	holder, err := hold("single")
	if err != nil {
		return err
	}
	defer stop(holder)
	return errors.Join(
		expect("unknown pool", codeOf("nobody", command("true")), "pool_not_found"),
		expect("invalid spec", codeOf("pipeline", command()), "invalid_request"),
		expect("full pool", codeOf("single", command("true")), "all_members_at_capacity"),
	)
}

func stream() error {
	file, _, err := client().PoolsAPI.CallInPool(ctx, "pipeline").
		ChildSpec(command("echo", "hi")).Execute()
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	var types []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var event pc.PoolEvent
		if err := event.UnmarshalJSON([]byte(data)); err != nil {
			return err
		}
		types = append(types, reflect.TypeOf(event.GetActualInstance()).Elem().Name())
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
