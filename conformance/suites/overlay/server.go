// SPDX-License-Identifier: Apache-2.0

// Package server runs the program under test for the suites: any program that takes etcd's flags.
//
// Each Server is a process of its own on free ports of the loopback. It dies with the test's
// process, however that ends, and a program that starts others has to take them along.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

const (
	programVariable = "CONFORMANCE_SERVER" // the program under test
	logsVariable    = "CONFORMANCE_LOGS"   // the folder for its output
	startPatience   = 60 * time.Second
	stopPatience    = 20 * time.Second
	startAttempts   = 3 // another process may take a port that was free a moment ago
)

var started atomic.Int32

// Options of one run of the program.
type Options struct {
	DataDir   string      // empty or missing: a fresh store; otherwise a restart with its data
	Address   string      // host:port to listen at; by default a free port of the loopback
	Durable   bool        // answers writes once they are synced to the disk, as in production
	Flags     []string    // beside addresses and DataDir
	ClientTLS *tls.Config // what a client needs; nil where the server speaks plain text
}

// Server is a running program that serves linearizable reads.
type Server struct {
	address string
	log     string
	command *exec.Cmd
	ended   chan struct{} // closed once the process is gone
}

// Start returns when the program serves.
func Start(options Options) (*Server, error) {
	var err error
	for attempt := 0; attempt < startAttempts; attempt++ {
		var s *Server
		if s, err = startOnce(options); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func startOnce(options Options) (*Server, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if options.ClientTLS != nil {
		scheme = "https"
	}
	address := options.Address
	if address == "" {
		address = fmt.Sprintf("127.0.0.1:%d", ports[0])
	}
	client := fmt.Sprintf("%s://%s", scheme, address)
	peer := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	number := started.Add(1)
	s := &Server{
		address: address,
		log:     filepath.Join(os.Getenv(logsVariable), fmt.Sprintf("server-%d.log", number)),
		ended:   make(chan struct{}),
	}
	flags := options.Flags
	if !options.Durable {
		flags = append([]string{"--unsafe-no-fsync"}, flags...)
	}
	s.command = exec.Command(os.Getenv(programVariable), append([]string{
		"--name=default", "--data-dir=" + options.DataDir,
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
	}, flags...)...)
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.command.Wait() // its state is read after ended
		close(s.ended)
	}()
	if err := s.waitReady(scheme, options.ClientTLS); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// Address is host:port.
func (s *Server) Address() string { return s.address }

// Pid is the process.
func (s *Server) Pid() int { return s.command.Process.Pid }

// Ended is closed once the process is gone.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Terminate asks the program to end, as an init system would.
func (s *Server) Terminate() { _ = s.command.Process.Signal(syscall.SIGTERM) }

// Stop terminates the program and waits for its end. It is an error if that does not come in time,
// or if the program had ended before.
func (s *Server) Stop() error {
	select {
	case <-s.ended:
		return fmt.Errorf("the server ended by itself: %v; see %s", s.command.ProcessState, s.log)
	default:
	}
	s.Terminate()
	return s.WaitEnd()
}

// WaitEnd waits for the end of a program that was terminated.
func (s *Server) WaitEnd() error {
	select {
	case <-s.ended:
		return nil
	case <-time.After(stopPatience):
		s.Kill()
		return fmt.Errorf("the server did not end %v after SIGTERM; see %s", stopPatience, s.log)
	}
}

// Kill ends the program at once (SIGKILL) and returns when it is gone.
func (s *Server) Kill() {
	_ = s.command.Process.Kill()
	<-s.ended
}

func (s *Server) waitReady(scheme string, clientTLS *tls.Config) error {
	if clientTLS != nil {
		// Whether a certificate is good is the test's question.
		clientTLS = clientTLS.Clone()
		clientTLS.InsecureSkipVerify = true
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{scheme + "://" + s.address},
		TLS:       clientTLS,
		Logger:    zap.NewNop(),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	late := time.Now().Add(startPatience)
	for {
		// The port is asked first: a refused gRPC connection would wait a second before the next.
		if err = s.listens(); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_, err = client.Get(ctx, "ready")
			cancel()
			if err == nil || refused(err) {
				return nil
			}
		}
		if time.Now().After(late) {
			return fmt.Errorf("the server does not serve after %v: %w; see %s", startPatience, err,
				s.log)
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the server ended at once: %v; see %s", s.command.ProcessState, s.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// refused says whether a server that serves has turned a read down: one that wants a password does.
func refused(err error) bool {
	var answer rpctypes.EtcdError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code() {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated:
		return true
	}
	return false
}

func (s *Server) listens() error {
	connection, err := net.Dial("tcp", s.address)
	if err != nil {
		return err
	}
	return connection.Close()
}

func freePorts(count int) (ports []int, err error) {
	for len(ports) < count {
		listener, listenErr := net.Listen("tcp", "127.0.0.1:0")
		if listenErr != nil {
			return nil, errors.Join(errors.New("no free port"), listenErr)
		}
		defer listener.Close() // only at the end, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
