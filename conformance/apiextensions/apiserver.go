// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli"
)

const (
	// serverWord as the first argument makes this program the API server, with that server's flags.
	serverWord    = "apiextensions-apiserver"
	checkVariable = "CONFORMANCE_CONSISTENCY_CHECK" // how often it checks its cache
	logsVariable  = "CONFORMANCE_LOGS"
	startPatience = 60 * time.Second
)

// serveAPI is the API server's own main function; the exit code.
func serveAPI(arguments []string) int {
	if period, err := time.ParseDuration(os.Getenv(checkVariable)); err == nil {
		cacher.ConsistencyCheckPeriod = period
	}
	command := server.NewServerCommand(genericapiserver.SetupSignalContext(), os.Stdout, os.Stderr)
	command.SetArgs(arguments)
	return cli.Run(command)
}

// apiServer is an API server for CustomResourceDefinitions, as a process of its own.
type apiServer struct {
	name      string
	log       string
	command   *exec.Cmd
	ended     chan struct{} // closed once the process is gone
	config    *rest.Config
	dynamic   dynamic.Interface
	discovery discovery.DiscoveryInterface
}

// startAPIServer returns when the server is ready, its checks of etcd included. No other API server
// stands before it, so it gets no webhooks, no namespaces and a kubeconfig that leads nowhere; its
// only user comes with a certificate. The store is compacted by the test, not by the server.
func startAPIServer(name, folder, store string, flags ...string) (*apiServer, error) {
	folder = filepath.Join(folder, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	user, err := makeUser(folder)
	if err != nil {
		return nil, err
	}
	nowhere := filepath.Join(folder, "nowhere.kubeconfig")
	if err := os.WriteFile(nowhere, []byte(nowhereConfig), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &apiServer{
		name:  name,
		log:   filepath.Join(os.Getenv(logsVariable), name+".log"),
		ended: make(chan struct{}),
		config: &rest.Config{
			Host: fmt.Sprintf("https://127.0.0.1:%d", port),
			QPS:  -1, // no limit
			TLSClientConfig: rest.TLSClientConfig{
				Insecure: true, CertData: user.certificate, KeyData: user.key,
			},
		},
	}
	s.command = exec.Command(os.Args[0], append([]string{
		serverWord,
		"--etcd-servers=http://" + store,
		"--etcd-compaction-interval=0",
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir=" + folder, "--client-ca-file=" + user.authority,
		"--kubeconfig=" + nowhere,
		"--authentication-kubeconfig=" + nowhere, "--authentication-skip-lookup",
		"--authorization-kubeconfig=" + nowhere,
		"--enable-priority-and-fairness=false",
		"--disable-admission-plugins=NamespaceLifecycle,MutatingAdmissionPolicy," +
			"MutatingAdmissionWebhook,ValidatingAdmissionPolicy,ValidatingAdmissionWebhook",
		"--delete-collection-workers=4",
	}, flags...)...)
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return s, s.start()
}

func (s *apiServer) start() error {
	var err error
	if s.dynamic, err = dynamic.NewForConfig(s.config); err != nil {
		return err
	}
	if s.discovery, err = discovery.NewDiscoveryClientForConfig(s.config); err != nil {
		return err
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	if err := s.waitReady(ctx); err != nil {
		s.stop()
		return err
	}
	return nil
}

// waitReady waits for a good answer from /readyz; its informers on the API server that would
// delegate to it have nobody to ask.
func (s *apiServer) waitReady(ctx context.Context) error {
	for {
		answer, err := s.get(ctx, "/readyz", "verbose", "true", "exclude", "informer-sync")
		if err == nil {
			if !strings.Contains(answer, "[+]etcd ok") {
				return fmt.Errorf("/readyz has no word of etcd: %s", answer)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; see %s", s.name, err, s.log)
		case <-s.ended:
			return fmt.Errorf("%s ended: %v; see %s", s.name, s.command.ProcessState, s.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the process at once: it would wait a minute for open watches.
func (s *apiServer) stop() {
	_ = s.command.Process.Kill()
	<-s.ended
}

// get reads a path that is no resource: /readyz, /metrics.
func (s *apiServer) get(ctx context.Context, path string, parameters ...string) (string, error) {
	request := s.discovery.RESTClient().Get().AbsPath(path)
	for i := 0; i+1 < len(parameters); i += 2 {
		request.Param(parameters[i], parameters[i+1])
	}
	body, err := request.DoRaw(ctx)
	return string(body), err
}

// counters are the server's metrics at one time.
type counters map[string]*dto.MetricFamily

// metrics reads them.
func (s *apiServer) metrics(ctx context.Context) (counters, error) {
	text, err := s.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	return families, err
}

// sum adds up the counters of that name whose labels have the given values.
func (c counters) sum(name string, labels ...string) float64 {
	total := 0.0
	for _, metric := range c[name].GetMetric() {
		found := 0
		for _, label := range metric.GetLabel() {
			for i := 0; i+1 < len(labels); i += 2 {
				if label.GetName() == labels[i] && label.GetValue() == labels[i+1] {
					found += 2
				}
			}
		}
		if found == len(labels) {
			total += metric.GetCounter().GetValue()
		}
	}
	return total
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
