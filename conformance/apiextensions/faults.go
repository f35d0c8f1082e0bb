// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"bytes"
	"sync"
	"time"

	"go.etcd.io/etcd/api/etcdserverpb"
	"go.etcd.io/etcd/api/mvccpb"
)

// The faults of a store that the checks are to see, each made by the relay. The object `victim` is
// the one that faults which concern a single object concern.

const (
	rangeMethod = "/etcdserverpb.KV/Range"
	txnMethod   = "/etcdserverpb.KV/Txn"
	watchMethod = "/etcdserverpb.Watch/Watch"
	late        = 300 * time.Millisecond
)

var victim = objectName(150)

// message is what etcd's messages can do.
type message[T any] interface {
	*T
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// edit changes a message on its way, if `change` says that it has.
func edit[T any, M message[T]](frame []byte, change func(M) bool) []byte {
	var decoded T
	m := M(&decoded)
	if m.Unmarshal(frame) != nil || !change(m) {
		return frame
	}
	changed, err := m.Marshal()
	if err != nil {
		return frame
	}
	return changed
}

// onResponse is a fault that changes the answers of one method.
func onResponse[T any, M message[T]](method string, change func(*call, M) bool) *fault {
	return &fault{response: func(c *call, frame []byte, send func([]byte) error) error {
		if c.method == method {
			frame = edit(frame, func(m M) bool { return change(c, m) })
		}
		return send(frame)
	}}
}

// onRequest is a fault that changes the requests of one method.
func onRequest[T any, M message[T]](method string, change func(*call, M) bool) *fault {
	return &fault{request: func(c *call, frame []byte) []byte {
		if c.method == method {
			frame = edit(frame, func(m M) bool { return change(c, m) })
		}
		return frame
	}}
}

func isOf(k kind, key []byte) bool { return bytes.HasPrefix(key, []byte(k.prefix())) }

// unwritten: the victim's creation or deletion is answered, but not done.
func unwritten(k kind, deletion bool) *fault {
	key := []byte(k.key(victim))
	bad := onRequest(txnMethod, func(c *call, m *etcdserverpb.TxnRequest) bool {
		for _, op := range m.Success {
			if put := op.GetRequestPut(); !deletion && put != nil && bytes.Equal(put.Key, key) {
				c.spoiled = true
			}
			if gone := op.GetRequestDeleteRange(); deletion && gone != nil &&
				bytes.Equal(gone.Key, key) {
				c.spoiled = true
			}
		}
		if c.spoiled {
			m.Success = []*etcdserverpb.RequestOp{{Request: &etcdserverpb.RequestOp_RequestRange{
				RequestRange: &etcdserverpb.RangeRequest{Key: key},
			}}}
		}
		return c.spoiled
	})
	bad.response = onResponse(txnMethod, func(c *call, m *etcdserverpb.TxnResponse) bool {
		if !c.spoiled || !m.Succeeded {
			return false
		}
		m.Header.Revision += 1_000_000 // no other object's
		done := &etcdserverpb.ResponseOp{Response: &etcdserverpb.ResponseOp_ResponsePut{
			ResponsePut: &etcdserverpb.PutResponse{Header: m.Header},
		}}
		if deletion {
			done.Response = &etcdserverpb.ResponseOp_ResponseDeleteRange{
				ResponseDeleteRange: &etcdserverpb.DeleteRangeResponse{
					Header: m.Header, Deleted: 1,
				},
			}
		}
		m.Responses = []*etcdserverpb.ResponseOp{done}
		return true
	}).response
	return bad
}

// olderHeader: the victim's creation is answered with the revision before its own.
func olderHeader(k kind) *fault {
	key := []byte(k.key(victim))
	bad := onRequest(txnMethod, func(c *call, m *etcdserverpb.TxnRequest) bool {
		for _, op := range m.Success {
			if put := op.GetRequestPut(); put != nil && bytes.Equal(put.Key, key) {
				c.spoiled = true
			}
		}
		return false
	})
	bad.response = onResponse(txnMethod, func(c *call, m *etcdserverpb.TxnResponse) bool {
		if c.spoiled {
			m.Header.Revision--
		}
		return c.spoiled
	}).response
	return bad
}

// leftOut: lists lack the victim.
func leftOut(k kind) *fault {
	key := []byte(k.key(victim))
	return onResponse(rangeMethod, func(_ *call, m *etcdserverpb.RangeResponse) bool {
		for i, kv := range m.Kvs {
			if len(m.Kvs) > 1 && bytes.Equal(kv.Key, key) {
				m.Kvs = append(m.Kvs[:i], m.Kvs[i+1:]...)
				return true
			}
		}
		return false
	})
}

// pagesOfNow: a read at a past revision is one of the newest.
func pagesOfNow(k kind) *fault {
	return onRequest(rangeMethod, func(_ *call, m *etcdserverpb.RangeRequest) bool {
		past := isOf(k, m.Key) && m.Revision != 0
		m.Revision = 0
		return past
	})
}

// staleRevision: the store's revision is one behind, and so are events; lists ask for it.
func staleRevision(k kind) *fault {
	bad := onRequest(rangeMethod, func(c *call, m *etcdserverpb.RangeRequest) bool {
		c.spoiled = isOf(k, m.Key) && len(m.RangeEnd) != 0 && m.Limit == 1
		return false
	})
	older := onResponse(rangeMethod, func(c *call, m *etcdserverpb.RangeResponse) bool {
		if c.spoiled {
			m.Header.Revision--
			m.Kvs, m.Count, m.More = nil, 0, false
		}
		return c.spoiled
	})
	slow := progressOvertakes(k)
	bad.response = func(c *call, frame []byte, send func([]byte) error) error {
		if c.method == watchMethod {
			return slow.response(c, frame, send)
		}
		return older.response(c, frame, send)
	}
	return bad
}

// progressOvertakes: events are late, and the progress notifications behind them are not.
func progressOvertakes(k kind) *fault {
	var mutex sync.Mutex // of sending; one for all calls will do
	return &fault{response: func(c *call, frame []byte, send func([]byte) error) error {
		locked := func(frame []byte) error {
			mutex.Lock()
			defer mutex.Unlock()
			return send(frame)
		}
		if c.method != watchMethod || !hasEvents(k, frame) {
			return locked(frame)
		}
		if c.kept == nil {
			c.kept = make(chan func(), 10_000)
			go func(queue chan func()) {
				for one := range queue {
					one()
				}
			}(c.kept.(chan func()))
		}
		due := time.Now().Add(late)
		c.kept.(chan func()) <- func() {
			time.Sleep(time.Until(due))
			_ = locked(frame)
		}
		return nil
	}}
}

func hasEvents(k kind, frame []byte) bool {
	var m etcdserverpb.WatchResponse
	return m.Unmarshal(frame) == nil && len(m.Events) > 0 && isOf(k, m.Events[0].Kv.Key)
}

// noProgress: progress is never told.
func noProgress(kind) *fault {
	return &fault{response: func(c *call, frame []byte, send func([]byte) error) error {
		var m etcdserverpb.WatchResponse
		if c.method == watchMethod && m.Unmarshal(frame) == nil && len(m.Events) == 0 &&
			!m.Created && !m.Canceled {
			return nil
		}
		return send(frame)
	}}
}

// skipped: every seventh event is never told.
func skipped(k kind) *fault {
	return onResponse(watchMethod, func(c *call, m *etcdserverpb.WatchResponse) bool {
		count, _ := c.kept.(int)
		var kept []*mvccpb.Event
		for _, e := range m.Events {
			if isOf(k, e.Kv.Key) {
				if count++; count%7 == 0 {
					continue
				}
			}
			kept = append(kept, e)
		}
		c.kept = count
		changed := len(kept) != len(m.Events)
		m.Events = kept
		return changed
	})
}

// repeated: every response with events is told twice.
func repeated(k kind) *fault {
	return &fault{response: func(c *call, frame []byte, send func([]byte) error) error {
		if c.method == watchMethod && hasEvents(k, frame) {
			if err := send(frame); err != nil {
				return err
			}
		}
		return send(frame)
	}}
}

// swapped: the first two events of each watch come in the wrong order.
func swapped(k kind) *fault {
	return &fault{response: func(c *call, frame []byte, send func([]byte) error) error {
		var m etcdserverpb.WatchResponse
		if c.method != watchMethod || !hasEvents(k, frame) || m.Unmarshal(frame) != nil {
			return send(frame)
		}
		held, _ := c.kept.(map[int64][]byte)
		if held == nil {
			held = map[int64][]byte{}
			c.kept = held
		}
		first, seen := held[m.WatchId]
		if !seen && len(m.Events) > 1 {
			held[m.WatchId] = nil
			return send(edit(frame, func(m *etcdserverpb.WatchResponse) bool {
				m.Events[0], m.Events[1] = m.Events[1], m.Events[0]
				return true
			}))
		}
		if !seen {
			held[m.WatchId] = frame
			return nil
		}
		if err := send(frame); err != nil || first == nil {
			return err
		}
		held[m.WatchId] = nil
		return send(first)
	}}
}

// oldPrevious: a deletion comes with the first value of its key as the previous one.
func oldPrevious(k kind) *fault {
	return onResponse(watchMethod, func(c *call, m *etcdserverpb.WatchResponse) bool {
		first, _ := c.kept.(map[string][]byte)
		if first == nil {
			first = map[string][]byte{}
			c.kept = first
		}
		changed := false
		for _, e := range m.Events {
			key := string(e.Kv.Key)
			if !isOf(k, e.Kv.Key) {
				continue
			}
			if e.Type == mvccpb.PUT && first[key] == nil {
				first[key] = e.Kv.Value
			} else if e.Type == mvccpb.DELETE && e.PrevKv != nil && first[key] != nil {
				e.PrevKv.Value = first[key]
				changed = true
			}
		}
		return changed
	})
}

// startsLate: a watch that starts in the past begins one revision later.
func startsLate(k kind) *fault {
	return onRequest(watchMethod, func(_ *call, m *etcdserverpb.WatchRequest) bool {
		create := m.GetCreateRequest()
		if create == nil || !isOf(k, create.Key) || create.StartRevision == 0 {
			return false
		}
		create.StartRevision++
		return true
	})
}

// compactedServes: a watch from before the compaction starts with what there is.
func compactedServes(k kind) *fault {
	return onRequest(watchMethod, func(_ *call, m *etcdserverpb.WatchRequest) bool {
		create := m.GetCreateRequest()
		if create == nil || !isOf(k, create.Key) {
			return false
		}
		create.StartRevision = 0
		return true
	})
}
