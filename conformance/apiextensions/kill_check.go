// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	kills       = 3
	betweenKill = 100 // writes, of all writers together
	away        = 500 * time.Millisecond
)

// checkKill: the store is killed (SIGKILL) while objects are written and watched, and comes back on
// its data: no answered write is lost, watches go on without a gap or a repetition, and consistent
// reads do as well, all without a hand on the servers.
func checkKill(w *world, k kind, made state) error {
	start, err := k.list(w.ctx, w.cached, metav1.ListOptions{LabelSelector: "writer=none"})
	if err != nil {
		return err
	}
	var followers []*follower
	for _, s := range []*apiServer{w.cached, w.direct} {
		followers = append(followers, k.follow(w.ctx, s, from(start.version), true))
	}
	w.killing = true
	defer func() { w.killing = false }()
	var written atomic.Int64
	var back []time.Duration
	ctx, fail := context.WithCancelCause(w.ctx)
	defer fail(nil)
	killed := make(chan struct{}) // closed once the last kill is over
	go func() {
		defer close(killed)
		var err error
		if back, err = w.killAgainAndAgain(ctx, &written); err != nil {
			fail(err)
		}
	}()
	all := w.writeAll(ctx, fail, k, func(one *writer) bool {
		written.Add(1)
		select {
		case <-killed:
			return false
		default:
			return true
		}
	})
	<-killed
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, s := range []*apiServer{w.cached, w.direct} {
		if err := s.waitReady(w.ctx); err != nil {
			return err
		}
	}
	if err := w.end(k, all[0], followers...); err != nil {
		return err
	}
	if err := w.judge(all, followers, made); err != nil {
		return err
	}
	opened, lost := 0, 0
	for _, f := range followers {
		opened += f.watches
	}
	for _, one := range all {
		lost += one.lost
	}
	w.figure("%d kills among %d writes: writes again after %v; %d answers did not come; "+
		"%d watches were opened %d times", kills, written.Load(), back, lost, len(followers),
		opened)
	if err := checkStored(w, k, made); err != nil {
		return err
	}
	return checkConsistentReads(w, k, made)
}

// killAgainAndAgain kills the store between writes, whose number goes up as they are answered: how
// long each kill kept writes from being answered.
func (w *world) killAgainAndAgain(ctx context.Context, written *atomic.Int64) (back []time.Duration,
	err error) {
	reach := func(number int64) error {
		return w.until(ctx, "the writers go on", func() error {
			if now := written.Load(); now < number {
				return fmt.Errorf("%d writes, should be %d", now, number)
			}
			return nil
		})
	}
	for range kills {
		if err := reach(written.Load() + betweenKill); err != nil {
			return nil, err
		}
		before := time.Now()
		if err := w.restart(); err != nil {
			return nil, err
		}
		// Answers that were on their way do not count.
		if err := reach(written.Load() + writers); err != nil {
			return nil, err
		}
		back = append(back, time.Since(before).Round(10*time.Millisecond))
	}
	return back, nil
}

// restart kills the store and brings it back on its data; with `forgetful`, on those that it had at
// the time of the first kill.
func (w *world) restart() error {
	w.spent += usage(w.store.Pid()).cpu
	w.store.Kill()
	if w.forgetful {
		old := w.options.DataDir + ".old"
		if _, err := os.Stat(old); err != nil {
			if err := os.CopyFS(old, os.DirFS(w.options.DataDir)); err != nil {
				return err
			}
		} else if err := os.RemoveAll(w.options.DataDir); err != nil {
			return err
		} else if err := os.Rename(old, w.options.DataDir); err != nil {
			return err
		}
	}
	time.Sleep(away)
	return w.startStore()
}
