// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// listing is the answer to one list, or to all pages of one.
type listing struct {
	version  uint64 // the resource version that the list is of
	objects  state
	pages    int
	next     string // the token for the next page
	leftOver int64  // how many the server says are on later pages; -1 if it says nothing
}

// list asks once.
func (k kind) list(ctx context.Context, s *apiServer, options metav1.ListOptions) (listing, error) {
	answer, err := k.at(s).List(ctx, options)
	if err != nil {
		return listing{}, err
	}
	version, err := strconv.ParseUint(answer.GetResourceVersion(), 10, 64)
	if err != nil {
		return listing{}, fmt.Errorf("the list has resource version %q",
			answer.GetResourceVersion())
	}
	found := listing{version: version, objects: make(state, len(answer.Items)), pages: 1,
		next: answer.GetContinue(), leftOver: -1}
	if count := answer.GetRemainingItemCount(); count != nil {
		found.leftOver = *count
	}
	for i := range answer.Items {
		name, o, err := read(&answer.Items[i])
		if err != nil {
			return listing{}, err
		}
		if _, twice := found.objects[name]; twice {
			return listing{}, fmt.Errorf("%s is twice in one list", name)
		}
		if o.version > version {
			return listing{}, fmt.Errorf("a list of version %d has %s of version %d", version,
				name, o.version)
		}
		found.objects[name] = o
	}
	return found, nil
}

// listPages asks page by page, and calls `between` after each but the last.
func (k kind) listPages(ctx context.Context, s *apiServer, limit int64,
	between func() error) (listing, error) {
	whole := listing{objects: state{}}
	options := metav1.ListOptions{Limit: limit}
	for {
		page, err := k.list(ctx, s, options)
		if err != nil {
			return listing{}, fmt.Errorf("page %d: %w", whole.pages+1, err)
		}
		if whole.pages > 0 && page.version != whole.version {
			return listing{}, fmt.Errorf("page %d is of version %d, those before of %d",
				whole.pages+1, page.version, whole.version)
		}
		if int64(len(page.objects)) > limit || len(page.objects) == 0 && whole.pages > 0 {
			return listing{}, fmt.Errorf("page %d has %d objects; the limit is %d",
				whole.pages+1, len(page.objects), limit)
		}
		for name, o := range page.objects {
			if _, twice := whole.objects[name]; twice {
				return listing{}, fmt.Errorf("%s is on two pages", name)
			}
			whole.objects[name] = o
		}
		whole.version = page.version
		whole.pages++
		if page.next == "" {
			return whole, nil
		}
		if err := between(); err != nil {
			return listing{}, err
		}
		options.Continue = page.next
	}
}
