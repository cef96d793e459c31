// Package runtime has the few functions that the generated client needs, by the standard library
// alone. It stands for github.com/oapi-codegen/runtime.
package runtime

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// ParamLocation is where a parameter goes.
type ParamLocation int

// The places of parameters.
const (
	ParamLocationPath ParamLocation = iota
	ParamLocationQuery
	ParamLocationHeader
	ParamLocationCookie
)

// StyleParamOptions describe a parameter.
type StyleParamOptions struct {
	ParamLocation ParamLocation
	Type, Format  string
}

// StyleParamWithOptions is a parameter as a request has it: a segment of a path, or a part of a
// query such as `label=a&label=b`.
func StyleParamWithOptions(
	_ string, _ bool, name string, value any, options StyleParamOptions,
) (string, error) {
	if options.ParamLocation != ParamLocationQuery {
		return url.PathEscape(fmt.Sprint(value)), nil
	}
	values := reflect.Indirect(reflect.ValueOf(value))
	if values.Kind() != reflect.Slice {
		return url.QueryEscape(name) + "=" + url.QueryEscape(fmt.Sprint(values.Interface())), nil
	}
	var parts []string
	for index := range values.Len() {
		text := fmt.Sprint(values.Index(index).Interface())
		parts = append(parts, url.QueryEscape(name)+"="+url.QueryEscape(text))
	}
	return strings.Join(parts, "&"), nil
}

// JSONMerge is the object `base` with the keys of the object `patch`.
func JSONMerge(base, patch json.RawMessage) (json.RawMessage, error) {
	merged := map[string]json.RawMessage{}
	for _, text := range []json.RawMessage{base, patch} {
		if len(text) == 0 {
			continue
		}
		if err := json.Unmarshal(text, &merged); err != nil {
			return nil, err
		}
	}
	return json.Marshal(merged)
}
