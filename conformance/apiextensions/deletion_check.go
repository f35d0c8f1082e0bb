// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// checkDeletion: a selected tenth of the objects is deleted at once, each told of once; then the
// definition goes, and with it the rest: nothing that names the kind is left in the store.
func checkDeletion(w *world, k kind, made state) error {
	start, err := k.list(w.ctx, w.cached, metav1.ListOptions{LabelSelector: "tenth=0"})
	if err != nil {
		return err
	}
	f := k.follow(w.ctx, w.direct, from(start.version), false)
	defer f.stop()
	began := time.Now()
	err = k.at(w.cached).DeleteCollection(w.ctx, metav1.DeleteOptions{},
		metav1.ListOptions{LabelSelector: "tenth=0"})
	if err != nil {
		return err
	}
	w.figure("%d objects deleted by one request: %.1f s", len(start.objects),
		time.Since(began).Seconds())
	for name := range start.objects {
		delete(made, name)
	}
	if err := checkStored(w, k, made); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	err = f.wait(ctx, "all deletions", func() bool { return len(f.events) >= len(start.objects) })
	if err != nil {
		return err
	}
	events := f.stop()
	if err := inOrder("the watch of the deletions", events); err != nil {
		return err
	}
	told := state{}
	for _, e := range events {
		if _, twice := told[e.name]; twice || e.what != watch.Deleted {
			return fmt.Errorf("the watch of the deletions says %v", e)
		}
		told[e.name] = object{start.objects[e.name].version, e.size}
	}
	if err := differs("the watch of the deletions", start.objects, told); err != nil {
		return err
	}
	return checkRemoval(w, k, made)
}

// checkRemoval: the definition goes, and all with it.
func checkRemoval(w *world, k kind, made state) error {
	began := time.Now()
	client := w.cached.dynamic.Resource(definitions)
	if err := client.Delete(w.ctx, k.name(), metav1.DeleteOptions{}); err != nil {
		return err
	}
	err := w.until(w.ctx, "the definition is gone", func() error {
		_, err := client.Get(w.ctx, k.name(), metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("it is still there")
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.figure("definition and %d objects removed: %.1f s", len(made), time.Since(began).Seconds())
	clear(made)
	answer, err := w.etcd.Get(w.ctx, storePrefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	for _, kv := range answer.Kvs {
		if strings.Contains(string(kv.Key), k.plural()) {
			return fmt.Errorf("%s is still in the store", kv.Key)
		}
	}
	return w.until(w.ctx, "the kind is served no more", func() error {
		for _, s := range []*apiServer{w.cached, w.direct} {
			if _, err := k.list(w.ctx, s, metav1.ListOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("a list from %s ends with: %v", s.name, err)
			}
		}
		return nil
	})
}
