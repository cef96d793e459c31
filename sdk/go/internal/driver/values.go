package main

import (
	"bytes"
	"encoding/json"
	"iter"

	"distributed-pool/sdk/go/dpool"
)

// eventsOf is the events as the contract has them.
func eventsOf(events iter.Seq2[dpool.Event, error], limit int) (any, error) {
	list := []object{}
	for event, err := range events {
		if err != nil {
			return nil, err
		}
		written := object{}
		decoder := json.NewDecoder(bytes.NewReader(event.Raw))
		decoder.UseNumber()
		if err := decoder.Decode(&written); err != nil {
			return nil, err
		}
		if event.ID > 0 {
			written["id"] = event.ID
		}
		if event.Type == dpool.Gap {
			written["droppedBytes"] = event.DroppedBytes
		}
		list = append(list, written)
		if len(list) == limit {
			break
		}
	}
	return list, nil
}

func endingOf(ending dpool.Ending) object {
	written := object{}
	if ending.Value != nil {
		written["value"] = ending.Value
	}
	if ending.Artifacts != nil {
		written["artifacts"] = ending.Artifacts
	}
	if ending.ExitCode != nil {
		written["exitCode"] = *ending.ExitCode
	}
	return written
}

func resultOf(result *dpool.RunResult, stdout, stderr string) (any, error) {
	written := endingOf(result.Ending)
	written["child"] = result.Child.ID
	written["stdout"], written["stderr"] = stdout, stderr
	written["truncated"] = result.Truncated
	return written, nil
}
