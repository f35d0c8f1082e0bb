// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	writers     = 4
	writerSteps = 150 // of each
)

func from(version uint64) metav1.ListOptions {
	return metav1.ListOptions{
		ResourceVersion: strconv.FormatUint(version, 10), AllowWatchBookmarks: true,
	}
}

// checkWatchLists: a watch that wants the initial events tells of every object once, says that it
// has, and goes on with what happens then.
func checkWatchLists(w *world, k kind, made state) error {
	for _, s := range []*apiServer{w.cached, w.direct} {
		start := time.Now()
		yes := true
		f := k.follow(w.ctx, s, metav1.ListOptions{
			SendInitialEvents: &yes, AllowWatchBookmarks: true,
			ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		}, false)
		defer f.stop()
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		err := f.wait(ctx, "the end of the initial events", func() bool {
			return len(f.bookmarks) > 0
		})
		if err != nil {
			return err
		}
		w.figure("watch list of %d objects from %s: %.2f s", len(made), s.name,
			time.Since(start).Seconds())
		one := newWriter(k, w.cached)
		for range 20 {
			if err := one.step(w.ctx); err != nil {
				return err
			}
		}
		if err := w.end(k, one, f); err != nil {
			return err
		}
		events := f.stop()
		if mark := f.bookmarks[0]; !mark.initial || mark.after != len(made) ||
			mark.version < made.newest() {
			return fmt.Errorf("%s: the first bookmark is %v, after %d objects up to version %d",
				s.name, mark, len(made), made.newest())
		}
		initial := state{}
		for _, e := range events[:len(made)] {
			if e.what != watch.Added {
				return fmt.Errorf("%s: an initial event is %v", s.name, e)
			}
			initial[e.name] = e.object
		}
		if err := differs("the watch list of "+s.name, made, initial); err != nil {
			return err
		}
		err = heard("the watch list of "+s.name, []*writer{one}, events[len(made):])
		if err != nil {
			return err
		}
		for name, o := range one.objects {
			made[name] = o
		}
	}
	return nil
}

// end makes one last write, which followers wait for: what came before has come then.
func (w *world) end(k kind, last *writer, followers ...*follower) error {
	name := fmt.Sprintf("end-%d-%d", last.id, last.writes)
	if err := last.put(w.ctx, name, object{size: last.sizeOfNext()}, watch.Added); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	for _, f := range followers {
		if err := f.waitFor(ctx, last.objects[name].version); err != nil {
			return err
		}
	}
	return nil
}

// checkBookmarks: a watch on a kind that nobody writes is told how far the store has come.
func checkBookmarks(w *world, k kind, made state) error {
	busy := k.beside()
	if err := w.define(busy); err != nil {
		return err
	}
	options := from(made.newest())
	// The server sends a bookmark 2 s before the end of a watch.
	seconds := int64(6)
	options.TimeoutSeconds = &seconds
	f := k.follow(w.ctx, w.cached, options, false)
	defer f.stop()
	o, err := busy.write(w.ctx, w.cached, "one", object{size: 1}, nil)
	if err != nil {
		return err
	}
	err = f.wait(w.ctx, "a bookmark", func() bool { return len(f.bookmarks) > 0 })
	if err != nil {
		return err
	}
	events := f.stop()
	if len(events) != 0 {
		return fmt.Errorf("%v is told of a kind that nobody has written", events[0])
	}
	if told := f.bookmarks[len(f.bookmarks)-1].version; told < o.version {
		return fmt.Errorf("the bookmark is of version %d, long after version %d", told, o.version)
	}
	return nil
}

// checkWatches: every change is told once and in order, by both servers, to watches that last, to
// ones that end again and again, and to ones that start in the past.
func checkWatches(w *world, k kind, made state) error {
	start, err := k.list(w.ctx, w.cached, metav1.ListOptions{LabelSelector: "writer=none"})
	if err != nil {
		return err
	}
	short := from(start.version)
	second := int64(1)
	short.TimeoutSeconds = &second
	var followers []*follower
	for _, s := range []*apiServer{w.cached, w.direct} {
		followers = append(followers,
			k.follow(w.ctx, s, from(start.version), false), k.follow(w.ctx, s, short, true))
	}
	began := time.Now()
	ctx, fail := context.WithCancelCause(w.ctx)
	defer fail(nil)
	all := w.writeAll(ctx, fail, k, func(one *writer) bool { return one.writes < writerSteps })
	if err := context.Cause(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	for _, s := range []*apiServer{w.cached, w.direct} {
		followers = append(followers, k.follow(w.ctx, s, from(start.version), false))
	}
	if err := w.end(k, all[0], followers...); err != nil {
		return err
	}
	w.figure("%d writes by %d writers, %d watches: %.1f s", writers*writerSteps, writers,
		len(followers), took.Seconds())
	return w.judge(all, followers, made)
}

// writeAll lets writers work, half of them on each server, as long as `more` says so of each, and
// until the context ends; the first that fails ends it.
func (w *world) writeAll(ctx context.Context, fail context.CancelCauseFunc, k kind,
	more func(one *writer) bool) []*writer {
	all := make([]*writer, writers)
	var workers sync.WaitGroup
	for id := range writers {
		all[id] = newWriter(k, []*apiServer{w.cached, w.direct}[id%2])
		all[id].lossy = w.killing
		workers.Go(func() {
			for more(all[id]) && ctx.Err() == nil {
				if err := all[id].step(ctx); err != nil {
					fail(err)
				}
			}
		})
	}
	workers.Wait()
	return all
}

// judge compares what the followers have heard with what the writers did, and with each other.
func (w *world) judge(all []*writer, followers []*follower, made state) error {
	var first []event
	for number, f := range followers {
		what := fmt.Sprintf("watch %d on %s", number, f.server.name)
		events := f.stop()
		if err := heard(what, all, events); err != nil {
			return err
		}
		if number == 0 {
			first = events
		} else if err := sameEvents(what, first, events); err != nil {
			return err
		}
	}
	for _, one := range all {
		for name, o := range one.objects {
			made[name] = o
		}
	}
	return nil
}

// checkExpired: what lies before a compaction is refused as expired, and the servers go on.
func checkExpired(w *world, k kind, made state) error {
	old, err := k.list(w.ctx, w.direct, metav1.ListOptions{Limit: 10})
	if err != nil {
		return err
	}
	one := newWriter(k, w.cached)
	for range 10 {
		if err := one.step(w.ctx); err != nil {
			return err
		}
	}
	if _, err := w.etcd.Compact(w.ctx, int64(one.objects.newest())); err != nil {
		return err
	}
	expired := func(what string, err error) error {
		if err == nil || !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return fmt.Errorf("%s from before a compaction ended with: %v", what, err)
		}
		return nil
	}
	_, err = k.list(w.ctx, w.direct, metav1.ListOptions{Limit: 10, Continue: old.next})
	if err := expired("a page", err); err != nil {
		return err
	}
	exact := metav1.ListOptions{ResourceVersion: strconv.FormatUint(old.version, 10),
		ResourceVersionMatch: metav1.ResourceVersionMatchExact}
	_, err = k.list(w.ctx, w.direct, exact)
	if err := expired("a list", err); err != nil {
		return err
	}
	f := k.follow(w.ctx, w.direct, from(old.version), false)
	defer f.stop()
	// One that does not end tells of this.
	if err := one.step(w.ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	err = f.wait(ctx, "its end", func() bool { return len(f.events) > 0 })
	if err := expired("a watch", err); err != nil {
		return err
	}
	for name, o := range one.objects {
		made[name] = o
	}
	found, err := k.list(w.ctx, w.cached, metav1.ListOptions{})
	if err != nil {
		return err
	}
	return differs("the list after a compaction", made, found.objects)
}
