// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// relay stands between API servers and the store, and hands every call through as it comes; with a
// fault, not quite as it comes.
type relay struct {
	address string
	server  *grpc.Server
	store   *grpc.ClientConn
	fault   atomic.Pointer[fault]
}

// fault changes what passes; both functions may be nil. Calls for one stream come one at a time for
// each direction.
type fault struct {
	name string
	// request returns what to send instead; nil where nothing is to be sent.
	request func(s *call, frame []byte) []byte
	// response sends what is to be sent instead.
	response func(s *call, frame []byte, send func([]byte) error) error
}

// call is one call of a client, and what a fault keeps of it.
type call struct {
	method  string
	spoiled bool // the request was changed
	kept    any
}

// frames leaves messages as the bytes they are.
type frames struct{}

func (frames) Marshal(message any) ([]byte, error) {
	frame, isFrame := message.(*[]byte)
	if !isFrame {
		return nil, fmt.Errorf("a %T is no frame", message)
	}
	return *frame, nil
}

func (frames) Unmarshal(bytes []byte, message any) error {
	frame, isFrame := message.(*[]byte)
	if !isFrame {
		return fmt.Errorf("a %T is no frame", message)
	}
	*frame = append([]byte(nil), bytes...)
	return nil
}

func (frames) Name() string { return "frames" }

// maxFrame is as much as a list of all objects may take.
const maxFrame = 1 << 30

func startRelay(store string) (*relay, error) {
	connection, err := grpc.NewClient(store,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(frames{}), grpc.MaxCallRecvMsgSize(maxFrame)))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{address: listener.Addr().String(), store: connection}
	r.server = grpc.NewServer(grpc.ForceServerCodec(frames{}), grpc.UnknownServiceHandler(r.handle),
		grpc.MaxRecvMsgSize(maxFrame))
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

func (r *relay) stop() {
	r.server.Stop()
	_ = r.store.Close()
}

func (r *relay) handle(_ any, client grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(client)
	ctx := client.Context()
	if sent, found := metadata.FromIncomingContext(ctx); found {
		ctx = metadata.NewOutgoingContext(ctx, sent)
	}
	store, err := r.store.NewStream(ctx,
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	one := &call{method: method}
	go r.requests(one, client, store)
	for {
		var frame []byte
		if err := store.RecvMsg(&frame); err != nil {
			client.SetTrailer(store.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		send := func(frame []byte) error { return client.SendMsg(&frame) }
		if bad := r.fault.Load(); bad != nil && bad.response != nil {
			err = bad.response(one, frame, send)
		} else {
			err = send(frame)
		}
		if err != nil {
			return err
		}
	}
}

func (r *relay) requests(one *call, client grpc.ServerStream, store grpc.ClientStream) {
	for {
		var frame []byte
		if err := client.RecvMsg(&frame); err != nil {
			_ = store.CloseSend()
			return
		}
		if bad := r.fault.Load(); bad != nil && bad.request != nil {
			if frame = bad.request(one, frame); frame == nil {
				continue
			}
		}
		if store.SendMsg(&frame) != nil {
			return
		}
	}
}
