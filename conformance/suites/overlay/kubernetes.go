// SPDX-License-Identifier: Apache-2.0

// Package testserver takes the place of the package that starts an etcd inside the test's process:
// the same two functions, with the program under test behind them.
package testserver

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"jetd/conformance/server"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// NewTestConfig returns what a test may change before RunEtcd: TLS files, the scheme of the client
// URLs, the interval of progress notifications. Addresses are chosen by RunEtcd.
func NewTestConfig(t testing.TB) *embed.Config {
	cfg := embed.NewConfig()
	cfg.ListenClientUrls = []url.URL{{Scheme: "http"}}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http"}}
	cfg.Dir = t.TempDir()
	return cfg
}

func flags(cfg *embed.Config) []string {
	list := []string{
		"--log-level=warn",
		fmt.Sprintf("--max-txn-ops=%d", cfg.MaxTxnOps),
		fmt.Sprintf("--max-request-bytes=%d", cfg.MaxRequestBytes),
	}
	if interval := cfg.ExperimentalWatchProgressNotifyInterval; interval != 0 {
		list = append(list, fmt.Sprintf("--experimental-watch-progress-notify-interval=%s", interval))
	}
	tls := cfg.ClientTLSInfo
	for _, file := range []struct{ flag, name string }{
		{"--cert-file", tls.CertFile},
		{"--key-file", tls.KeyFile},
		{"--trusted-ca-file", tls.TrustedCAFile},
	} {
		if file.name != "" {
			list = append(list, file.flag+"="+file.name)
		}
	}
	if tls.ClientCertAuth {
		list = append(list, "--client-cert-auth")
	}
	return list
}

// RunEtcd starts the program under test on an empty store and returns a client of it. The program
// ends with the test, and one that ends before fails the test.
func RunEtcd(t testing.TB, cfg *embed.Config) *kubernetes.Client {
	t.Helper()
	if cfg == nil {
		cfg = NewTestConfig(t)
	}
	options := server.Options{DataDir: cfg.Dir, Flags: flags(cfg)}
	scheme := cfg.ListenClientUrls[0].Scheme
	if scheme == "https" {
		clientTLS, err := cfg.ClientTLSInfo.ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		options.ClientTLS = clientTLS
	}
	running, err := server.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := kubernetes.New(clientv3.Config{
		Endpoints:   []string{scheme + "://" + running.Address()},
		TLS:         options.ClientTLS,
		DialTimeout: 10 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithBlock()},
		Logger:      zaptest.NewLogger(t, zaptest.Level(zapcore.ErrorLevel)).Named("client"),
	})
	if err != nil {
		t.Fatal(err)
	}
	client.KV = storagetesting.NewKVRecorder(client.KV)
	client.Kubernetes = storagetesting.NewKubernetesRecorder(client.Kubernetes)
	return client
}
