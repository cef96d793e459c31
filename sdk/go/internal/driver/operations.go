package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"distributed-pool/sdk/go/dpool"
)

var errUnsupported = errors.New("this driver does not know the operation")

var capabilities = []string{
	"function", "command", "stream", "run", "place", "map", "stdin", "files", "cancel", "consul",
	"tls", "token", "signal", "hash", "key", "members", "retries", "request-id",
	"sdk",
}

type arguments struct {
	URL, Consul, Token, CA      string
	Insecure                    bool
	Pool, Child, Signal, Text   string
	Path, Op                    string
	Spec                        spec
	Retries, Limit, Concurrency int
	After, WaitMs, AfterMs      int64
	GraceMs                     *int64
	Ordered                     *bool
	End                         bool
	AfterEvents                 *int
	Inputs                      []any
	Args                        *arguments
}

type driver struct {
	pools          *dpool.Pools
	stdout, stderr *output
}

// output is what a call copied.
type output struct{ bytes.Buffer }

func (o *output) take() string {
	defer o.Reset()
	return o.String()
}

func (d *driver) do(ctx context.Context, op string, args arguments) (any, error) {
	if d.pools == nil && op != "capabilities" && op != "open" && op != "close" {
		return nil, errors.New("expected `open` before")
	}
	work, err := args.Spec.work(args.Retries)
	if err != nil {
		return nil, err
	}
	switch op {
	case "capabilities":
		return capabilities, nil
	case "open":
		return nil, d.open(args)
	case "close":
		if d.pools != nil {
			d.pools.Close()
			d.pools = nil
		}
		return nil, nil
	case "call":
		d.stdout.Reset()
		d.stderr.Reset()
		result, err := d.pools.Call(ctx, args.Pool, work)
		if err != nil {
			return nil, err
		}
		return resultOf(result, d.stdout.take(), d.stderr.take())
	case "run":
		result, err := d.pools.Run(ctx, args.Pool, work)
		if err != nil {
			return nil, err
		}
		return resultOf(result, string(result.Stdout), string(result.Stderr))
	case "stream":
		return eventsOf(d.pools.Stream(ctx, args.Pool, work), args.Limit)
	case "map":
		return d.mapped(ctx, args, work)
	case "place":
		child, err := d.pools.Place(ctx, args.Pool, work)
		if err != nil {
			return nil, err
		}
		return object{"child": child.ID}, nil
	case "members":
		info, err := d.pools.Pool(ctx, args.Pool)
		names := []string{}
		for _, member := range info.Members {
			names = append(names, member.Member)
		}
		return names, err
	case "cancel":
		return d.cancelled(ctx, args)
	}
	return d.ofChild(ctx, op, args)
}

// ofChild does the operations on one child.
func (d *driver) ofChild(ctx context.Context, op string, args arguments) (any, error) {
	child := d.pools.Child(args.Child)
	switch op {
	case "events":
		return eventsOf(child.Events(ctx, args.After), args.Limit)
	case "info":
		return child.Info(ctx)
	case "result":
		ending, err := child.Result(ctx, time.Duration(args.WaitMs)*time.Millisecond)
		if err != nil || ending == nil {
			return nil, err
		}
		return endingOf(*ending), nil
	case "stop":
		if args.GraceMs == nil {
			return child.Stop(ctx)
		}
		return child.Stop(ctx, time.Duration(*args.GraceMs)*time.Millisecond)
	case "signal":
		return child.Signal(ctx, args.Signal)
	case "stdin":
		input := child.Stdin(ctx)
		count, err := input.ReadFrom(strings.NewReader(args.Text))
		if err == nil && args.End {
			err = input.Close()
		}
		return count, err
	case "file":
		file, err := child.File(ctx, args.Path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		content, err := io.ReadAll(file)
		return object{"base64": base64.StdEncoding.EncodeToString(content)}, err
	}
	return nil, errUnsupported
}

func (d *driver) open(args arguments) error {
	options := dpool.Options{
		URL: args.URL, Token: args.Token, Insecure: args.Insecure, Stdout: d.stdout, Stderr: d.stderr,
	}
	if args.Consul != "" {
		options.Consul = &dpool.ConsulOptions{Address: args.Consul}
	}
	if args.CA != "" {
		text, err := os.ReadFile(args.CA)
		if err != nil {
			return err
		}
		options.CA = text
	}
	pools, err := dpool.New(options)
	d.pools = pools
	return err
}

func (d *driver) mapped(ctx context.Context, args arguments, work dpool.Spec) (any, error) {
	options := dpool.MapOptions{
		Concurrency: args.Concurrency, Unordered: args.Ordered != nil && !*args.Ordered,
	}
	values := []json.RawMessage{}
	results := dpool.Map[json.RawMessage](
		ctx, d.pools, args.Pool, work, slices.Values(args.Inputs), options)
	for value, err := range results {
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// cancelled cancels the context of an operation, after some events or some time.
func (d *driver) cancelled(ctx context.Context, args arguments) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inner := *args.Args
	if args.AfterEvents == nil {
		time.AfterFunc(time.Duration(args.AfterMs)*time.Millisecond, cancel)
		return d.do(ctx, args.Op, inner)
	}
	work, err := inner.Spec.work(inner.Retries)
	if err != nil {
		return nil, err
	}
	events := d.pools.Stream(ctx, inner.Pool, work)
	if args.Op == "events" {
		events = d.pools.Child(inner.Child).Events(ctx, inner.After)
	}
	left := *args.AfterEvents
	return eventsOf(func(yield func(dpool.Event, error) bool) {
		for event, err := range events {
			if left--; left == 0 {
				cancel()
			}
			if !yield(event, err) {
				return
			}
		}
	}, 0)
}
