// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"regexp"
	"testing"
)

// wrongStore is a way in which a store can be wrong, and the check that is there for it.
type wrongStore struct {
	name  string
	fault func(k kind) *fault // nil: nothing is wrong
	early bool                // from before the first object on
	check check
	says  string // regular expression for the check's error; empty where the check has to pass
}

var wrongStores = []wrongStore{
	{name: "NothingWrong", check: checkAll},
	{name: "CreationUnwritten", early: true, check: checkStored, says: "has 249 keys of 250",
		fault: func(k kind) *fault { return unwritten(k, false) }},
	{name: "OlderRevisionInHeader", early: true, check: checkStored, fault: olderHeader,
		says: "both given version|" + victim + " is "},
	{name: "LeftOutOfLists", check: checkStored, fault: leftOut, says: victim + " is missing"},
	{name: "LeftOutOfPages", check: checkPages, fault: leftOut, says: victim + " is missing"},
	{name: "LeftOutOfWatchLists", check: checkWatchLists, fault: leftOut,
		says: "the first bookmark is|" + victim + " is missing"},
	{name: "PagesOfNow", check: checkPages, fault: pagesOfNow, says: "pages from direct"},
	{name: "ProgressOvertakesEvents", check: checkConsistentReads, fault: progressOvertakes,
		says: "a consistent list: .* are wrong"},
	{name: "StaleRevision", check: checkConsistentReads, fault: staleRevision,
		says: "a consistent list"},
	{name: "NoProgressForReads", check: checkConsistentReads, fault: noProgress,
		says: "consistent reads of .* the cache has answered"},
	{name: "NoProgressForBookmarks", check: checkBookmarks, fault: noProgress,
		says: "the watch ended|long after version"},
	{name: "EventSkipped", check: checkWatches, fault: skipped, says: "watch \\d on "},
	{name: "EventRepeated", check: checkWatches, fault: repeated, says: "watch \\d on "},
	{name: "EventsSwapped", check: checkWatches, fault: swapped, says: "watch \\d on "},
	{name: "OldPreviousValue", check: checkWatches, fault: oldPrevious, says: "watch \\d on "},
	{name: "WatchStartsLate", check: checkWatches, fault: startsLate, says: "watch \\d on "},
	{name: "CompactedHistoryServed", check: checkExpired, fault: compactedServes,
		says: "a watch from before a compaction ended with: <nil>"},
	{name: "DeletionUndone", check: checkDeletion, says: victim + " should not be there|keys of",
		fault: func(k kind) *fault { return unwritten(k, true) }},
}

// checkAll is every check that leaves the kind there.
func checkAll(w *world, k kind, made state) error {
	for _, one := range []check{checkStored, checkCacheLists, checkPages, checkWatchLists,
		checkWatches, checkBookmarks, checkConsistentReads, checkExpired,
		checkKill, checkDeletion} {
		if err := one(w, k, made); err != nil {
			return err
		}
	}
	return nil
}

// TestFaultsAreSeen shows that each check fails on a store that is wrong in the way which the check
// is there for, and that nothing fails on the same servers while nothing is wrong.
func TestFaultsAreSeen(t *testing.T) {
	w := newWorld(t, true, "--experimental-watch-progress-notify-interval=1s")
	for number := range wrongStores {
		if err := w.define(faultKind(number)); err != nil {
			t.Fatal(err)
		}
	}
	for number, one := range wrongStores {
		t.Run(one.name, func(t *testing.T) { w.see(t, faultKind(number), one) })
	}
}

func faultKind(number int) kind { return kind{fmt.Sprintf("fault%d", number)} }

// see runs the check on a kind with that fault, and compares what it says.
func (w *world) see(t *testing.T, k kind, one wrongStore) {
	said := w.suffer(k, one)
	t.Logf("the check says: %v", said)
	if one.says == "" && said != nil {
		t.Error("it should say nothing")
	}
	if one.says != "" && (said == nil || !regexp.MustCompile(one.says).MatchString(said.Error())) {
		t.Errorf("it should say: %s", one.says)
	}
}

// suffer is the error of the check on a kind with that fault.
func (w *world) suffer(k kind, one wrongStore) error {
	defer w.relay.fault.Store(nil)
	begin := func() {
		if one.fault != nil {
			w.relay.fault.Store(one.fault(k))
		}
	}
	if one.early {
		begin()
	}
	made, err := w.fill(k)
	if err != nil {
		return err
	}
	begin()
	return one.check(w, k, made)
}

// TestWrongCacheIsSeen shows that a cache which has not heard of a write is seen.
func TestWrongCacheIsSeen(t *testing.T) {
	t.Setenv(checkVariable, "2s")
	w := newWorld(t, true)
	k := kind{"widget"}
	if err := w.define(k); err != nil {
		t.Fatal(err)
	}
	w.see(t, k, wrongStore{fault: skipped, says: "found a difference",
		check: func(w *world, k kind, made state) error {
			ctx, fail := context.WithCancelCause(w.ctx)
			defer fail(nil)
			w.writeAll(ctx, fail, k, func(one *writer) bool { return one.writes < 10 })
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return checkConsistency(w, k, made)
		}})
}

// TestOlderDataIsSeen shows that a store which comes back with less than it had answered is seen.
func TestOlderDataIsSeen(t *testing.T) {
	w := newWorld(t, true)
	w.forgetful = true
	k := kind{"widget"}
	if err := w.define(k); err != nil {
		t.Fatal(err)
	}
	w.see(t, k, wrongStore{check: checkKill, says: "whose answer was lost|after a write"})
}
