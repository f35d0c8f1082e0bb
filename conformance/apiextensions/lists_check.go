// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A check asks the servers of a world about a kind whose objects are `made`, and brings that up to
// date with what it has written itself.
type check func(w *world, k kind, made state) error

// checkDefinition: objects are validated by the schema, have a status by a path of its own and are
// served in both versions.
func checkDefinition(w *world, k kind, made state) error {
	for what, spec := range map[string]map[string]any{
		"no spec.size":                {"text": text("bad")},
		"a size that is a text":       {"size": "1"},
		"a size that is too large":    {"size": int64(maxSize + 1)},
		"a color that is not allowed": {"size": int64(1), "color": "blue"},
	} {
		bad := k.newObject("bad", object{size: 1}, nil)
		bad.Object["spec"] = spec
		if _, err := k.at(w.cached).Create(w.ctx, bad, metav1.CreateOptions{}); err == nil {
			return fmt.Errorf("an object with %s was created", what)
		} else if !apierrors.IsInvalid(err) {
			return fmt.Errorf("an object with %s: %w", what, err)
		}
	}
	o, err := k.write(w.ctx, w.cached, "one", object{size: 1}, nil)
	if err != nil {
		return err
	}
	_, err = k.write(w.ctx, w.direct, "one", object{version: o.version - 1, size: 2}, nil)
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("an update of an older version ended with: %w", err)
	}
	// The status by its own path, which leaves the spec alone.
	changed := k.newObject("one", object{version: o.version, size: 99}, nil)
	changed.Object["status"] = map[string]any{"seen": int64(7)}
	answer, err := k.at(w.direct).UpdateStatus(w.ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	_, after, err := read(answer)
	seen, _, _ := unstructured.NestedInt64(answer.Object, "status", "seen")
	if err != nil || after.size != 1 || seen != 7 || after.version <= o.version {
		return fmt.Errorf("after a change of its status the object is %v (%w)", answer.Object, err)
	}
	v2 := w.cached.dynamic.Resource(k.resource("v2")).Namespace(namespace)
	second, err := v2.Get(w.ctx, "one", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if second.GetAPIVersion() != group+"/v2" ||
		second.GetResourceVersion() != answer.GetResourceVersion() {
		return fmt.Errorf("as v2 the object is %v", second.Object)
	}
	made["one"] = after
	return checkStored(w, k, made)
}

// checkStored: the store's keys, and its list of all, are what was made.
func checkStored(w *world, k kind, made state) error {
	count, err := w.stored(k.prefix())
	if err != nil {
		return err
	}
	if count != int64(len(made)) {
		return fmt.Errorf("the store has %d keys of %d objects", count, len(made))
	}
	start := time.Now()
	found, err := k.list(w.ctx, w.direct, metav1.ListOptions{})
	if err != nil {
		return err
	}
	w.figure("list of %d objects from the store: %.2f s", len(made), time.Since(start).Seconds())
	return differs("the store's list", made, found.objects)
}

// checkPages: pages of one list are of one version, whatever is written between them; and that
// version can be asked for by name.
func checkPages(w *world, k kind, made state) error {
	limit := int64(min(pageSize, len(made)/4))
	for _, s := range []*apiServer{w.direct, w.cached} {
		busy := newWriter(k, w.cached)
		before := made.clone()
		start := time.Now()
		found, err := k.listPages(w.ctx, s, limit, func() error { return busy.step(w.ctx) })
		if err != nil {
			return fmt.Errorf("pages from %s: %w", s.name, err)
		}
		took := time.Since(start)
		for name, o := range busy.objects {
			made[name] = o
		}
		if err := differs("pages from "+s.name, before, found.objects); err != nil {
			return err
		}
		if wanted := (len(before)-1)/int(limit) + 1; found.pages != wanted {
			return fmt.Errorf("%d pages from %s, should be %d", found.pages, s.name, wanted)
		}
		w.figure("%d pages of %d from %s, with a write after each: %.2f s", found.pages, limit,
			s.name, took.Seconds())
		past, err := k.list(w.ctx, s, metav1.ListOptions{
			ResourceVersion:      strconv.FormatUint(found.version, 10),
			ResourceVersionMatch: metav1.ResourceVersionMatchExact,
		})
		if err != nil {
			return err
		}
		if err := differs("the past version of "+s.name, before, past.objects); err != nil {
			return err
		}
		if err := w.clear(k, busy, made); err != nil {
			return err
		}
	}
	return nil
}

// clear deletes what a writer has left.
func (w *world) clear(k kind, from *writer, made state) error {
	for name := range from.objects {
		if err := k.at(w.cached).Delete(w.ctx, name, metav1.DeleteOptions{}); err != nil {
			return err
		}
		delete(made, name)
	}
	return nil
}

// checkCacheLists: lists without a limit come from the cache, and are what was made.
func checkCacheLists(w *world, k kind, made state) error {
	before, err := w.cached.metrics(w.ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	consistent, err := k.list(w.ctx, w.cached, metav1.ListOptions{})
	if err != nil {
		return err
	}
	took := time.Since(start)
	if err := differs("the consistent list", made, consistent.objects); err != nil {
		return err
	}
	start = time.Now()
	any, err := k.list(w.ctx, w.cached, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	if err := differs("the list of any version", made, any.objects); err != nil {
		return err
	}
	w.figure("list of %d objects from the cache: consistent %.2f s, of any version %.2f s",
		len(made), took.Seconds(), time.Since(start).Seconds())
	after, err := w.cached.metrics(w.ctx)
	if err != nil {
		return err
	}
	return fromCache(before, after, k, 1, int64(2*len(made)))
}

// fromCache says whether that many consistent lists, and objects, came from a server's cache. The
// store is asked for no more than one object each time, to learn the version.
func fromCache(before, after counters, k kind, consistent, objects int64) error {
	labels := []string{"group", group, "resource", k.plural()}
	rose := func(name string, more ...string) int64 {
		all := append(append([]string{}, labels...), more...)
		return int64(after.sum(name, all...) - before.sum(name, all...))
	}
	const reads = "apiserver_watch_cache_consistent_read_total"
	if all, good := rose(reads), rose(reads, "success", "true", "fallback", "false"); all != good ||
		good < consistent {
		return fmt.Errorf("of %d consistent reads of %s the cache has answered %d, should be %d",
			all, k.plural(), good, consistent)
	}
	if returned := rose("apiserver_cache_list_returned_objects_total"); returned < objects {
		return fmt.Errorf("%d objects of %s came from the cache, should be %d", returned,
			k.plural(), objects)
	}
	returned := rose("apiserver_storage_list_returned_objects_total")
	if lists := rose("apiserver_storage_list_total"); returned > lists {
		return fmt.Errorf("%d objects of %s came from the store, by %d lists", returned, k.plural(),
			lists)
	}
	return nil
}
