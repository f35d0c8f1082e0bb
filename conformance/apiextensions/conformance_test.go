// SPDX-License-Identifier: Apache-2.0

// Package apiextensions runs Kubernetes' API server for custom resources, as Debian has it, on the
// program under test, and asks it what a busy cluster would.
package apiextensions

import (
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serverWord {
		os.Exit(serveAPI(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// seed defines a kind and creates all objects of it.
func (w *world) seed(k kind) (state, error) {
	if err := w.define(k); err != nil {
		return nil, err
	}
	return w.fill(k)
}

// fill creates all objects of a kind.
func (w *world) fill(k kind) (state, error) {
	// The first creation of all waits 2 s, which the server gives to others to hear of the kind.
	_, err := k.at(w.cached).Create(w.ctx, k.newObject("first", object{}, nil),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	made, err := k.createAll(w.ctx, w.cached, w.objects, creators)
	if err != nil {
		return nil, err
	}
	took := time.Since(start).Seconds()
	w.figure("%d objects created by %d clients: %.1f s, %.0f/s", len(made), creators, took,
		float64(len(made))/took)
	return made, nil
}

// part is a named check of a test.
type part struct {
	name  string
	check check
}

// run does the checks one after the other on one kind; the first that fails ends the test.
func run(t *testing.T, w *world, k kind, made state, parts ...part) {
	for _, one := range parts {
		passed := t.Run(one.name, func(t *testing.T) {
			if err := one.check(w, k, made); err != nil {
				t.Fatal(err)
			}
		})
		if !passed {
			return
		}
	}
}

func seeded(t *testing.T, k kind, storeFlags ...string) (*world, state) {
	w := newWorld(t, false, storeFlags...)
	made, err := w.seed(k)
	if err != nil {
		t.Fatal(err)
	}
	return w, made
}

// TestDefinition is about few objects; all other tests are about 20,000.
func TestDefinition(t *testing.T) {
	w := newWorld(t, false, "--experimental-watch-progress-notify-interval=1s")
	k := kind{"widget"}
	if err := w.define(k); err != nil {
		t.Fatal(err)
	}
	run(t, w, k, state{}, part{"Objects", checkDefinition}, part{"Bookmarks", checkBookmarks},
		part{"Removal", checkRemoval})
}

func TestLists(t *testing.T) {
	k := kind{"widget"}
	w, made := seeded(t, k)
	run(t, w, k, made, part{"Stored", checkStored}, part{"FromCache", checkCacheLists},
		part{"Pages", checkPages}, part{"WatchLists", checkWatchLists},
		part{"Expired", checkExpired}, part{"Deletion", checkDeletion})
}

func TestConsistentReads(t *testing.T) {
	k := kind{"widget"}
	w, made := seeded(t, k)
	run(t, w, k, made, part{"FromCache", checkConsistentReads})
}

func TestWatches(t *testing.T) {
	t.Setenv(checkVariable, "10s")
	k := kind{"widget"}
	w, made := seeded(t, k)
	run(t, w, k, made, part{"Events", checkWatches}, part{"CacheIsTheStore", checkConsistency})
}

func TestKill(t *testing.T) {
	k := kind{"widget"}
	w, made := seeded(t, k)
	run(t, w, k, made, part{"Recovery", checkKill})
}
