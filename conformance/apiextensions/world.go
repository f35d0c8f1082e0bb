// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"jetd/conformance/server"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	objectsVariable = "CONFORMANCE_OBJECTS" // how many objects a test creates; 20,000 unless given
	testPatience    = 9 * time.Minute
	creators        = 16 // clients that create at once
	pageSize        = 500
)

// world is a store with API servers on it: `cached` as it is by default, `direct` with
// --watch-cache=false, so that each of its lists and watches is one of the store.
type world struct {
	ctx     context.Context
	folder  string
	options server.Options
	store   *server.Server
	relay   *relay           // between the servers and the store; nil where nothing is to go wrong
	etcd    *clientv3.Client // to the store itself
	cached  *apiServer
	direct  *apiServer
	objects int
	figure  func(format string, values ...any) // says something worth a line in the report
	spent   float64                            // seconds of CPU of stores that were killed
	// The store comes back from a kill with less than it had answered.
	forgetful bool
	killing   bool // the store is being killed: answers to writes may be lost
}

// newWorld starts all of it, with `bad` between servers and store if there is a fault to make. It
// ends with the test, and says what the processes have used.
func newWorld(t *testing.T, relayed bool, storeFlags ...string) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	t.Cleanup(cancel)
	w := &world{ctx: ctx, folder: t.TempDir(), objects: 20_000}
	w.figure = func(format string, values ...any) {
		t.Helper()
		if !relayed {
			t.Logf("figure: "+format, values...)
		}
	}
	if given := os.Getenv(objectsVariable); given != "" {
		var err error
		if w.objects, err = strconv.Atoi(given); err != nil || w.objects < 200 {
			t.Fatalf("%s is %q, should be a number from 200", objectsVariable, given)
		}
	}
	if relayed {
		w.objects = min(w.objects, 250)
	}
	w.options = server.Options{DataDir: w.folder + "/store", Durable: true, Flags: storeFlags}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.store, err = server.Start(w.options)
	must(err)
	w.options.Address = w.store.Address() // that of later starts
	t.Cleanup(func() {
		if err := w.store.Stop(); err != nil {
			t.Error(err)
		}
	})
	address := w.store.Address()
	if relayed {
		w.relay, err = startRelay(address)
		must(err)
		t.Cleanup(w.relay.stop)
		address = w.relay.address
	}
	w.etcd, err = clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + w.store.Address()}, Logger: zap.NewNop(),
	})
	must(err)
	t.Cleanup(func() { _ = w.etcd.Close() })
	w.cached, err = startAPIServer("cached", w.folder, address)
	must(err)
	t.Cleanup(w.cached.stop)
	w.direct, err = startAPIServer("direct", w.folder, address, "--watch-cache=false")
	must(err)
	t.Cleanup(w.direct.stop)
	t.Cleanup(func() {
		store := usage(w.store.Pid())
		w.figure("CPU %.1f s and %.0f MB of the store, %.1f s of the API server with a cache, "+
			"%.1f s of the one without", w.spent+store.cpu, store.peakMB,
			usage(w.cached.command.Process.Pid).cpu, usage(w.direct.command.Process.Pid).cpu)
	})
	return w
}

// startStore brings a killed store back.
func (w *world) startStore() error {
	store, err := server.Start(w.options)
	if err == nil {
		w.store = store
	}
	return err
}

// define makes the kind known and returns when both servers serve it.
func (w *world) define(k kind) error {
	_, err := w.cached.dynamic.Resource(definitions).Create(w.ctx, k.definition(),
		metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the definition: %w", err)
	}
	for _, s := range []*apiServer{w.cached, w.direct} {
		if err := w.until(w.ctx, "the definition is established", func() error {
			return k.established(w.ctx, s)
		}); err != nil {
			return err
		}
	}
	return nil
}

// established says whether a server has accepted the definition, and serves its kind.
func (k kind) established(ctx context.Context, s *apiServer) error {
	definition, err := s.dynamic.Resource(definitions).Get(ctx, k.name(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range []string{"NamesAccepted", "Established"} {
		if !hasCondition(definition, condition) {
			return fmt.Errorf("the definition is not %s", condition)
		}
	}
	for _, version := range []string{"v1", "v2"} {
		resources, err := s.discovery.ServerResourcesForGroupVersion(group + "/" + version)
		if err != nil {
			return err
		}
		names := map[string]bool{}
		for _, resource := range resources.APIResources {
			names[resource.Name] = true
		}
		if !names[k.plural()] || !names[k.plural()+"/status"] {
			return fmt.Errorf("%s does not discover %s/%s", s.name, version, k.plural())
		}
	}
	// Discovery may be ahead of the handler.
	_, err = k.list(ctx, s, metav1.ListOptions{Limit: 1})
	return err
}

func hasCondition(definition *unstructured.Unstructured, wanted string) bool {
	conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
	for _, condition := range conditions {
		if one, _ := condition.(map[string]any); one["type"] == wanted {
			return one["status"] == "True"
		}
	}
	return false
}

// until asks again and again until there is no error; the last one is what it gives up with.
func (w *world) until(ctx context.Context, what string, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: not so after %v: %w", what, startPatience, err)
		}
		pause(ctx)
	}
}

// stored counts the keys of the store below a prefix.
func (w *world) stored(prefix string) (int64, error) {
	answer, err := w.etcd.Get(w.ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return answer.Count, nil
}

// used is what a process and those below it have used.
type used struct{ cpu, peakMB float64 }

// usage reads it from /proc; nothing for a process that has ended.
func usage(pid int) used {
	folder := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(folder + "stat")
	if err != nil {
		return used{}
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	total := used{cpu: (user + system) / 100} // the clock tick is 10 ms on Linux
	status, _ := os.ReadFile(folder + "status")
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			kilobytes, _ := strconv.ParseFloat(words[1], 64)
			total.peakMB = kilobytes / 1024
		}
	}
	tasks, _ := os.ReadDir(folder + "task")
	for _, task := range tasks {
		children, _ := os.ReadFile(folder + "task/" + task.Name() + "/children")
		for _, word := range strings.Fields(string(children)) {
			child, _ := strconv.Atoi(word)
			below := usage(child)
			total.cpu += below.cpu
			total.peakMB += below.peakMB
		}
	}
	return total
}
