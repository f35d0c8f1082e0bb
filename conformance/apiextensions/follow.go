// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

// event is what a watch says of one object.
type event struct {
	what watch.EventType
	name string
	object
}

// bookmark is what a watch says of how far it has come.
type bookmark struct {
	version uint64
	initial bool // marks the end of the initial events
	after   int  // how many events came before it
}

// follower watches a kind and keeps what it hears, from one watch to the next as a client's cache
// would: a watch that ends is taken up behind the last version that it told.
type follower struct {
	kind   kind
	server *apiServer
	cancel context.CancelFunc
	done   chan struct{} // closed once nothing is added any more

	mutex     sync.Mutex
	changed   chan struct{} // closed, and made anew, with every change
	events    []event
	bookmarks []bookmark
	last      uint64 // the version to go on from
	watches   int    // how many were opened
	err       error  // why it ended by itself
}

// follow starts with what the options ask for; `patient` followers go on when a watch breaks, until
// the context ends.
func (k kind) follow(ctx context.Context, s *apiServer, options metav1.ListOptions,
	patient bool) *follower {
	ctx, cancel := context.WithCancel(ctx)
	f := &follower{kind: k, server: s, cancel: cancel, done: make(chan struct{}),
		changed: make(chan struct{})}
	if options.ResourceVersion != "" {
		f.last, _ = strconv.ParseUint(options.ResourceVersion, 10, 64)
	}
	go func() {
		defer close(f.done)
		defer cancel()
		err := f.run(ctx, options, patient)
		f.mutex.Lock()
		defer f.mutex.Unlock()
		if ctx.Err() == nil {
			f.err = err
		}
		f.signal()
	}()
	return f
}

// stop ends it and returns what it has heard.
func (f *follower) stop() []event {
	f.cancel()
	<-f.done
	return f.events
}

// wait returns once the condition holds, which is asked with the follower locked.
func (f *follower) wait(ctx context.Context, what string, condition func() bool) error {
	for {
		f.mutex.Lock()
		holds, err, changed, told := condition(), f.err, f.changed, len(f.events)
		f.mutex.Unlock()
		switch {
		case holds:
			return nil
		case err != nil:
			return fmt.Errorf("the watch on %s, waiting for %s: %w", f.server.name, what, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the watch on %s does not come to %s: %d events so far",
				f.server.name, what, told)
		}
	}
}

// waitFor waits until an event or a bookmark of that version or a later one was told.
func (f *follower) waitFor(ctx context.Context, version uint64) error {
	return f.wait(ctx, fmt.Sprintf("version %d", version), func() bool { return f.last >= version })
}

func (f *follower) signal() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *follower) run(ctx context.Context, options metav1.ListOptions, patient bool) error {
	for {
		err := f.watch(ctx, options)
		final := apierrors.IsResourceExpired(err) || apierrors.IsGone(err) ||
			errors.Is(err, errWrong)
		if !patient || final || ctx.Err() != nil {
			return err
		}
		options = metav1.ListOptions{
			ResourceVersion: strconv.FormatUint(f.last, 10), AllowWatchBookmarks: true,
		}
		pause(ctx)
	}
}

// errWrong is what no break of a connection explains.
var errWrong = errors.New("the watch is wrong")

func (f *follower) watch(ctx context.Context, options metav1.ListOptions) error {
	opened, err := f.kind.at(f.server).Watch(ctx, options)
	if err != nil {
		return err
	}
	defer opened.Stop()
	f.mutex.Lock()
	f.watches++
	f.mutex.Unlock()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case told, more := <-opened.ResultChan():
			if !more {
				return errors.New("the watch ended")
			}
			if err := f.take(told); err != nil {
				return err
			}
		}
	}
}

// take adds what was told. Initial events come in the order of names, all others in the order of
// versions.
func (f *follower) take(told watch.Event) error {
	if told.Type == watch.Error {
		return apierrors.FromObject(told.Object)
	}
	from, isObject := told.Object.(*unstructured.Unstructured)
	if !isObject {
		return fmt.Errorf("%w: it tells of a %T", errWrong, told.Object)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	defer f.signal()
	if told.Type == watch.Bookmark {
		version, err := strconv.ParseUint(from.GetResourceVersion(), 10, 64)
		if err != nil || version < f.last {
			return fmt.Errorf("%w: a bookmark of version %q after version %d", errWrong,
				from.GetResourceVersion(), f.last)
		}
		_, initial := from.GetAnnotations()[metav1.InitialEventsAnnotationKey]
		f.bookmarks = append(f.bookmarks, bookmark{version, initial, len(f.events)})
		f.last = version
		return nil
	}
	name, o, err := read(from)
	if err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	f.events = append(f.events, event{told.Type, name, o})
	f.last = max(f.last, o.version)
	return nil
}

// inOrder says whether each event has a larger version than the one before.
func inOrder(what string, events []event) error {
	for i := 1; i < len(events); i++ {
		if events[i].version <= events[i-1].version {
			return fmt.Errorf("%s: %v comes after %v", what, events[i], events[i-1])
		}
	}
	return nil
}

// sameEvents says in one line where two followers have heard different things.
func sameEvents(what string, want, got []event) error {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Errorf("%s: event %d is %v, should be %v", what, i, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%s: %d events, should be %d", what, len(got), len(want))
	}
	return nil
}
