// SPDX-License-Identifier: Apache-2.0

package integration

import (
	crypto "crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"jetd/conformance/server"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
)

// Each test cluster has one program under test. Its members, which the framework keeps for its
// bookkeeping, hand the bytes of their clients through to it: a member's gRPC server gets a
// listener that never accepts.
//
// The program ends (SIGTERM) when the last member of its cluster stops, and starts on the same data
// when one starts again.

// cutPatience: how long a stopping member leaves its clients' calls to the program, as the
// framework does with a server of its own.
const cutPatience = 2 * time.Second

type servedCluster struct {
	mu      sync.Mutex
	members int // that have a listener
	dataDir string
	program *server.Server // nil while members is 0
}

var (
	clustersMu sync.Mutex
	clusters   = map[string]*servedCluster{} // by what all members of a cluster have in common
)

func servedClusterOf(m *member) *servedCluster {
	clustersMu.Lock()
	defer clustersMu.Unlock()
	name := m.InitialPeerURLsMap.String()
	if clusters[name] == nil {
		clusters[name] = &servedCluster{
			dataDir: filepath.Join(filepath.Dir(m.DataDir), "data"), // the test removes it
		}
	}
	return clusters[name]
}

func (c *servedCluster) join(m *member) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.program == nil {
		options := server.Options{DataDir: c.dataDir, Flags: flagsOf(m)}
		if m.ClientTLSInfo != nil {
			clientTLS, err := m.ClientTLSInfo.ClientConfig()
			if err != nil {
				panic(err)
			}
			options.ClientTLS = clientTLS
		}
		program, err := server.Start(options)
		if err != nil {
			panic(err)
		}
		c.program = program
	}
	c.members++
	return c.program.Address()
}

// leave ends the program if no other member is left. cut closes the connections of this member; it
// is called early if the program takes its time.
func (c *servedCluster) leave(cut func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members--
	if c.members > 0 {
		cut()
		return
	}
	timer := time.AfterFunc(cutPatience, cut)
	defer timer.Stop()
	err := c.program.Stop()
	c.program = nil
	cut()
	if err != nil {
		panic(err)
	}
}

func flagsOf(m *member) []string {
	list := []string{
		"--log-level=warn",
		fmt.Sprintf("--heartbeat-interval=%d", m.TickMs),
		fmt.Sprintf("--election-timeout=%d", int(m.TickMs)*m.ElectionTicks),
		fmt.Sprintf("--max-txn-ops=%d", m.MaxTxnOps),
		fmt.Sprintf("--max-request-bytes=%d", m.MaxRequestBytes),
		fmt.Sprintf("--quota-backend-bytes=%d", m.QuotaBackendBytes),
		fmt.Sprintf("--auth-token=%s", m.AuthToken),
		fmt.Sprintf("--bcrypt-cost=%d", m.BcryptCost),
	}
	if m.TokenTTL != 0 {
		list = append(list, fmt.Sprintf("--auth-token-ttl=%d", m.TokenTTL))
	}
	// Some tests set a variable of the server that they expect in their process; it comes with up
	// to a tenth on top.
	interval := v3rpc.GetProgressReportInterval().Truncate(time.Second)
	if m.WatchProgressNotifyInterval != 0 {
		interval = m.WatchProgressNotifyInterval
	}
	list = append(list, fmt.Sprintf("--experimental-watch-progress-notify-interval=%s", interval))
	if tls := m.ClientTLSInfo; tls != nil {
		list = append(list, "--cert-file="+tls.CertFile, "--key-file="+tls.KeyFile)
		if tls.TrustedCAFile != "" {
			list = append(list, "--trusted-ca-file="+tls.TrustedCAFile)
		}
		if tls.ClientCertAuth {
			list = append(list, "--client-cert-auth")
		}
		if len(tls.CipherSuites) > 0 {
			var names []string
			for _, id := range tls.CipherSuites {
				names = append(names, crypto.CipherSuiteName(id))
			}
			list = append(list, "--cipher-suites="+strings.Join(names, ","))
		}
		for flag, version := range map[string]uint16{
			"--tls-min-version": tls.MinVersion, "--tls-max-version": tls.MaxVersion,
		} {
			if version != 0 {
				list = append(list, flag+"="+strings.ReplaceAll(crypto.VersionName(version), " ", ""))
			}
		}
	}
	return list
}

// passage is the listener that a member's gRPC server gets. Accept waits for Close, which is the
// stop of the member.
type passage struct {
	net.Listener
	cluster *servedCluster
	to      string
	closed  chan struct{}
	once    sync.Once
	pumps   sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

// throughTo takes the place of the member's listener, once the program serves.
func throughTo(m *member) net.Listener {
	cluster := servedClusterOf(m)
	p := &passage{
		Listener: m.grpcListener,
		cluster:  cluster,
		to:       cluster.join(m),
		closed:   make(chan struct{}),
		conns:    map[net.Conn]struct{}{},
	}
	p.pumps.Add(1)
	go p.serve()
	return p
}

func (p *passage) Accept() (net.Conn, error) {
	<-p.closed
	return nil, net.ErrClosed
}

func (p *passage) Close() error {
	p.once.Do(func() {
		p.Listener.Close()
		p.cluster.leave(p.cutAll)
		p.pumps.Wait()
		close(p.closed)
	})
	<-p.closed
	return nil
}

func (p *passage) serve() {
	defer p.pumps.Done()
	for {
		in, err := p.Listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		if !p.keep(in, out) {
			continue
		}
		p.pumps.Add(2)
		go p.pump(in, out)
		go p.pump(out, in)
	}
}

// pump copies one direction; the end of one is the end of both.
func (p *passage) pump(to, from net.Conn) {
	defer p.pumps.Done()
	// By hand and not by splice(2), whose pipes outlive the test and would count as leaked.
	_, _ = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
	p.mu.Lock()
	delete(p.conns, to)
	delete(p.conns, from)
	p.mu.Unlock()
	to.Close()
	from.Close()
}

func (p *passage) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		if p.cut {
			conn.Close()
		} else {
			p.conns[conn] = struct{}{}
		}
	}
	return !p.cut
}

func (p *passage) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for conn := range p.conns {
		conn.Close()
	}
}
