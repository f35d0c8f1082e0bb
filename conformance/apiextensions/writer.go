// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// createAll creates objects that nobody else touches, `workers` at once: what they became.
func (k kind) createAll(ctx context.Context, s *apiServer, count, workers int) (state, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	made := make(state, count)
	seen := make(map[uint64]string, count)
	var mutex sync.Mutex
	var running sync.WaitGroup
	for worker := range workers {
		running.Go(func() {
			for number := worker; number < count && ctx.Err() == nil; number += workers {
				name := objectName(number)
				labels := map[string]string{"tenth": fmt.Sprint(number % 10)}
				o, err := k.write(ctx, s, name, object{size: int64(number)}, labels)
				mutex.Lock()
				if other, twice := seen[o.version]; err == nil && twice {
					err = fmt.Errorf("%s and %s were both given version %d", other, name,
						o.version)
				}
				made[name], seen[o.version] = o, name
				mutex.Unlock()
				if err != nil {
					cancel(fmt.Errorf("creating %s: %w", name, err))
				}
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return made, nil
}

func objectName(number int) string { return fmt.Sprintf("object-%05d", number) }

// writer creates, changes and deletes objects of its own, one after the other, and keeps what was
// answered. Where an answer may be lost, it asks what has become of the write.
type writer struct {
	kind    kind
	server  *apiServer
	id      int
	objects state              // as they are now
	history map[string][]event // what watches have to tell of each; deletions without their version
	size    int64
	writes  int
	lossy   bool // answers may be lost
	lost    int  // answers that did not come
}

var lastWriter atomic.Int32

func newWriter(k kind, s *apiServer) *writer {
	return &writer{kind: k, server: s, id: int(lastWriter.Add(1)), objects: state{},
		history: map[string][]event{}}
}

// label is what its objects, and no others, are selected by.
func (w *writer) label() string { return "writer=" + strconv.Itoa(w.id) }

// patience is how long one answer may take; a restart of the store has to fit in.
const patience = 5 * time.Second

// step does one write: mostly changes, with a creation and a deletion now and then.
func (w *writer) step(ctx context.Context) error {
	w.size++
	w.writes++
	name := fmt.Sprintf("writer-%d-%d", w.id, w.writes%7)
	o, exists := w.objects[name]
	switch {
	case !exists:
		return w.put(ctx, name, object{size: w.sizeOfNext()}, watch.Added)
	case w.writes%5 == 0:
		return w.remove(ctx, name)
	default:
		return w.put(ctx, name, object{o.version, w.sizeOfNext()}, watch.Modified)
	}
}

// sizeOfNext is a size that nobody else gives to an object.
func (w *writer) sizeOfNext() int64 { return int64(w.id)*1_000_000 + w.size }

func (w *writer) put(ctx context.Context, name string, wanted object, what watch.EventType) error {
	got, err := w.once(ctx, name, func(ctx context.Context) (object, error) {
		return w.kind.write(ctx, w.server, name, wanted,
			map[string]string{"writer": strconv.Itoa(w.id)})
	}, func(current object, there bool) (bool, error) {
		if there == (wanted.version != 0) && current.version == wanted.version {
			return false, nil
		}
		// Something has happened to the object: it has to be this write.
		if !there || current.size != wanted.size {
			return false, fmt.Errorf("%s is %v after a write of %v whose answer was lost",
				name, current, wanted)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	w.objects[name] = got
	w.history[name] = append(w.history[name], event{what, name, got})
	return nil
}

func (w *writer) remove(ctx context.Context, name string) error {
	_, err := w.once(ctx, name, func(ctx context.Context) (object, error) {
		return object{}, w.kind.at(w.server).Delete(ctx, name, metav1.DeleteOptions{})
	}, func(current object, there bool) (bool, error) {
		if there && current != w.objects[name] {
			return false, fmt.Errorf("%s is %v, was %v", name, current, w.objects[name])
		}
		return !there, nil
	})
	if err != nil {
		return err
	}
	gone := event{watch.Deleted, name, object{size: w.objects[name].size}}
	w.history[name] = append(w.history[name], gone)
	delete(w.objects, name)
	return nil
}

// once writes until the write has happened, and says what is there then. Without an answer it asks
// what became of the object: `happened` says whether that is this write, or what is wrong.
func (w *writer) once(ctx context.Context, name string,
	write func(ctx context.Context) (object, error),
	happened func(current object, there bool) (bool, error)) (object, error) {
	for ; ; pause(ctx) {
		short, cancel := context.WithTimeout(ctx, patience)
		got, err := write(short)
		cancel()
		if err == nil {
			return got, nil
		}
		if !w.lossy {
			return object{}, fmt.Errorf("no answer to a write of %s: %w", name, err)
		}
		w.lost++
		current, there, readErr := w.settled(ctx, name)
		if readErr != nil {
			return object{}, fmt.Errorf("%w; before it: %w", readErr, err)
		}
		done, wrong := happened(current, there)
		if wrong != nil {
			return object{}, fmt.Errorf("%w: %w", wrong, err)
		}
		if done {
			return current, nil
		}
	}
}

// settled reads an object until there is an answer: the object, and whether it is there.
func (w *writer) settled(ctx context.Context, name string) (object, bool, error) {
	for ; ; pause(ctx) {
		short, cancel := context.WithTimeout(ctx, patience)
		answer, err := w.kind.at(w.server).Get(short, name, metav1.GetOptions{})
		cancel()
		if err == nil {
			_, o, err := read(answer)
			return o, true, err
		}
		if apierrors.IsNotFound(err) {
			return object{}, false, nil
		}
		if ctx.Err() != nil {
			return object{}, false, fmt.Errorf("no answer about %s: %w", name, err)
		}
	}
}

// pause comes before another try.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}

// heard says in one line where the events of a watch are not what the writers did.
func heard(what string, writers []*writer, events []event) error {
	if err := inOrder(what, events); err != nil {
		return err
	}
	told := map[string][]event{}
	for _, e := range events {
		if e.what == watch.Deleted {
			e.version = 0
		}
		told[e.name] = append(told[e.name], e)
	}
	for _, w := range writers {
		for name, history := range w.history {
			if err := sameEvents(what+" about "+name, history, told[name]); err != nil {
				return err
			}
			delete(told, name)
		}
	}
	for name := range told {
		return fmt.Errorf("%s: events about %s, which nobody wrote", what, name)
	}
	return nil
}
