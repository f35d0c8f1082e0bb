// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const (
	group     = "conformance.example.com"
	namespace = "default"
	maxSize   = 1_000_000_000 // what the schema lets through
	// Where the API server keeps custom resources and their definitions.
	storePrefix = "/registry/apiextensions.kubernetes.io/"
)

var definitions = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

// kind is a kind of custom resources: served as v1, which is stored, and as v2.
type kind struct{ singular string }

func (k kind) plural() string { return k.singular + "s" }
func (k kind) title() string  { return strings.ToUpper(k.singular[:1]) + k.singular[1:] }
func (k kind) name() string   { return k.plural() + "." + group }
func (k kind) prefix() string { return storePrefix + group + "/" + k.plural() + "/" }
func (k kind) key(name string) string {
	return k.prefix() + namespace + "/" + name
}

var lastKind atomic.Int32

// beside is another kind, which nobody has used yet.
func (k kind) beside() kind { return kind{fmt.Sprintf("%sx%d", k.singular, lastKind.Add(1))} }

func (k kind) resource(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: k.plural()}
}

// at is the client for the kind's objects on one server.
func (k kind) at(s *apiServer) dynamic.ResourceInterface {
	return s.dynamic.Resource(k.resource("v1")).Namespace(namespace)
}

// definition is the CustomResourceDefinition.
func (k kind) definition() *unstructured.Unstructured {
	type m = map[string]any
	version := func(name string, stored bool) m {
		return m{
			"name": name, "served": true, "storage": stored,
			"subresources": m{"status": m{}},
			"schema": m{"openAPIV3Schema": m{
				"type": "object", "required": []any{"spec"},
				"properties": m{
					"spec": m{
						"type": "object", "required": []any{"size"},
						"properties": m{
							"size": m{"type": "integer", "minimum": int64(0),
								"maximum": int64(maxSize)},
							"text":  m{"type": "string", "maxLength": int64(1000)},
							"color": m{"type": "string", "enum": []any{"red", "green"}},
						},
					},
					"status": m{
						"type":       "object",
						"properties": m{"seen": m{"type": "integer"}},
					},
				},
			}},
		}
	}
	return &unstructured.Unstructured{Object: m{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": m{"name": k.name()},
		"spec": m{
			"group": group, "scope": "Namespaced",
			"names": m{"plural": k.plural(), "singular": k.singular, "kind": k.title(),
				"listKind": k.title() + "List"},
			"versions": []any{version("v1", true), version("v2", false)},
		},
	}}
}

// object is what a test knows of one custom resource.
type object struct {
	version uint64 // the resource version
	size    int64
}

// text is what every object of that name carries beside its size.
func text(name string) string { return strings.Repeat(name+" ", 12) }

// newObject is one to create or, with a version, to replace another.
func (k kind) newObject(name string, o object,
	labels map[string]string) *unstructured.Unstructured {
	made := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": k.title(),
		"spec": map[string]any{"size": o.size, "text": text(name), "color": "green"},
	}}
	made.SetName(name)
	made.SetNamespace(namespace)
	made.SetLabels(labels)
	if o.version != 0 {
		made.SetResourceVersion(strconv.FormatUint(o.version, 10))
	}
	return made
}

// read takes an object from an answer; one that is not whole is an error.
func read(from *unstructured.Unstructured) (string, object, error) {
	name := from.GetName()
	version, err := strconv.ParseUint(from.GetResourceVersion(), 10, 64)
	if err != nil || version == 0 {
		return name, object{}, fmt.Errorf("%s has resource version %q", name,
			from.GetResourceVersion())
	}
	size, found, err := unstructured.NestedInt64(from.Object, "spec", "size")
	if err != nil || !found {
		return name, object{}, fmt.Errorf("%s has no spec.size: %v", name, from.Object)
	}
	said, _, _ := unstructured.NestedString(from.Object, "spec", "text")
	if said != text(name) {
		return name, object{}, fmt.Errorf("%s has the text %q", name, said)
	}
	return name, object{version: version, size: size}, nil
}

// write creates the object, or replaces it if it has a version, and returns what came of it.
func (k kind) write(ctx context.Context, s *apiServer, name string, o object,
	labels map[string]string) (object, error) {
	wanted := k.newObject(name, o, labels)
	var answer *unstructured.Unstructured
	var err error
	if o.version == 0 {
		answer, err = k.at(s).Create(ctx, wanted, metav1.CreateOptions{})
	} else {
		answer, err = k.at(s).Update(ctx, wanted, metav1.UpdateOptions{})
	}
	if err != nil {
		return object{}, err
	}
	readName, got, err := read(answer)
	if err != nil {
		return object{}, err
	}
	if readName != name || got.size != o.size {
		return object{}, fmt.Errorf("%s of size %d was answered by %s of size %d", name, o.size,
			readName, got.size)
	}
	if got.version <= o.version {
		return object{}, fmt.Errorf("%s went from version %d to %d", name, o.version, got.version)
	}
	return got, nil
}

// state is the objects of a kind.
type state map[string]object

func (s state) clone() state {
	copied := make(state, len(s))
	for name, o := range s {
		copied[name] = o
	}
	return copied
}

// newest is the largest version of all.
func (s state) newest() uint64 {
	var newest uint64
	for _, o := range s {
		newest = max(newest, o.version)
	}
	return newest
}

// differs says in one line where `got` is not `want`; nil where it is.
func differs(what string, want, got state) error {
	var lines []string
	for name, o := range want {
		if found, there := got[name]; !there {
			lines = append(lines, fmt.Sprintf("%s is missing", name))
		} else if found != o {
			lines = append(lines, fmt.Sprintf("%s is %v, should be %v", name, found, o))
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			lines = append(lines, fmt.Sprintf("%s should not be there", name))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	sort.Strings(lines)
	return fmt.Errorf("%s: %d objects are wrong: %s", what, len(lines),
		strings.Join(lines[:min(len(lines), 5)], "; "))
}
