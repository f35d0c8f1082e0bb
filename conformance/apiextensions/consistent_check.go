// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	readers      = 4
	readRounds   = 40 // of each reader
	wholeLists   = 3  // of all objects, beside those with a selector
	fewRounds    = 2  // where something is wrong
	progressName = "etcd_bookmark_total"
)

// checkConsistentReads: a list from the cache has what was answered just before, by another server;
// so has the list of a kind that nobody writes, whose cache only a progress notification of the
// store brings to that version. `made` is of the kind that is written.
func checkConsistentReads(w *world, k kind, made state) error {
	quiet := k.beside()
	if err := w.define(quiet); err != nil {
		return err
	}
	quietState, err := quiet.createAll(w.ctx, w.cached, 3, 1)
	if err != nil {
		return err
	}
	before, err := w.cached.metrics(w.ctx)
	if err != nil {
		return err
	}
	rounds := readRounds
	if w.relay != nil {
		rounds = fewRounds
	}
	start := time.Now()
	longest, err := readAllBack(w, k, quiet, made, quietState, rounds)
	if err != nil {
		return err
	}
	took := time.Since(start)
	for range wholeLists {
		found, err := k.list(w.ctx, w.cached, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if err := differs("a whole consistent list", made, found.objects); err != nil {
			return err
		}
	}
	after, err := w.cached.metrics(w.ctx)
	if err != nil {
		return err
	}
	all := int64(readers * rounds)
	if err := fromCache(before, after, k, all+wholeLists, wholeLists*int64(len(made))); err != nil {
		return err
	}
	if err := fromCache(before, after, quiet, all, all*int64(len(quietState))); err != nil {
		return err
	}
	labels := []string{"group", group, "resource", quiet.plural()}
	progress := after.sum(progressName, labels...) - before.sum(progressName, labels...)
	if progress < 1 {
		return fmt.Errorf("the cache of %s got no progress notification", quiet.plural())
	}
	w.figure("%d rounds of a write and two consistent lists: %.1f s, the longest %.2f s; "+
		"%.0f progress notifications", all, took.Seconds(), longest.Seconds(),
		progress)
	return nil
}

// checkConsistency: the API server's own comparison of its cache with the store, which it makes now
// and then, finds no difference.
func checkConsistency(w *world, k kind, _ state) error {
	compared := func(status string) (float64, error) {
		now, err := w.cached.metrics(w.ctx)
		return now.sum("apiserver_storage_consistency_checks_total", "group", group,
			"resource", k.plural(), "status", status), err
	}
	before, err := compared("success")
	if err != nil {
		return err
	}
	different := 0.0
	err = w.until(w.ctx, "the cache is compared with the store", func() error {
		if different, err = compared("failure"); err != nil || different != 0 {
			return err
		}
		// There is a cache for each of two versions, and the first comparison of each may have
		// begun too early.
		if now, err := compared("success"); err != nil || now < before+4 {
			return fmt.Errorf("%.0f comparisons (%w)", now-before, err)
		}
		return nil
	})
	if err == nil && different != 0 {
		return fmt.Errorf("%.0f comparisons of cache and store found a difference", different)
	}
	return err
}

// readAllBack lets readers write and read at once, and adds to `made` what they have written: how
// long the longest round took.
func readAllBack(w *world, k, quiet kind, made, quietState state,
	rounds int) (time.Duration, error) {
	failures := make([]error, readers)
	longest := make([]time.Duration, readers)
	writers := make([]*writer, readers)
	var workers sync.WaitGroup
	for id := range readers {
		writers[id] = newWriter(k, w.direct)
		workers.Go(func() {
			for round := range rounds {
				asked := time.Now()
				err := readBack(w, writers[id], quiet, quietState)
				longest[id] = max(longest[id], time.Since(asked))
				if err != nil {
					failures[id] = fmt.Errorf("round %d: %w", round, err)
					return
				}
			}
		})
	}
	workers.Wait()
	for id, one := range writers {
		if failures[id] != nil {
			return 0, failures[id]
		}
		for name, o := range one.objects {
			made[name] = o
		}
	}
	return slices.Max(longest), nil
}

// readBack writes one object and reads it, and the quiet kind, from the cache of the other server.
func readBack(w *world, one *writer, quiet kind, quietState state) error {
	if err := one.step(w.ctx); err != nil {
		return err
	}
	written := one.objects.newest()
	found, err := one.kind.list(w.ctx, w.cached, metav1.ListOptions{
		LabelSelector: one.label(),
	})
	if err != nil {
		return err
	}
	if err := differs("a consistent list", one.objects, found.objects); err != nil {
		return err
	}
	found, err = quiet.list(w.ctx, w.cached, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if found.version < written {
		return fmt.Errorf("a consistent list of %s is of version %d, after a write of %d",
			quiet.plural(), found.version, written)
	}
	return differs("a consistent list of "+quiet.plural(), quietState, found.objects)
}
