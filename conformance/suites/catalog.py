# SPDX-License-Identifier: Apache-2.0
"""The suites: which Go package each is, how it meets the program under test, what quick takes."""

from dataclasses import dataclass

APISERVER = "k8s.io/apiserver/pkg/"
ETCD_TESTS = "go.etcd.io/etcd/tests/"
CLIENTV3 = ETCD_TESTS + "integration/clientv3"
OURS = "jetd/conformance/"  # packages of this tree: OURS + folder


@dataclass(frozen=True)
class Suite:
    name: str
    package: str
    about: str
    quick: str = ""  # regular expression: which of its tests are part of `quick`
    test_s: int = 180  # how long one test may take
    fixed_ports: bool = False  # two of its tests cannot share one loopback
    etcdctl: bool = False  # wants a folder with programs named etcd, etcdctl and etcdutl

    @property
    def root(self):
        """The folder of packages whose files its tests use, by relative paths."""
        return ETCD_TESTS.rstrip("/") if self.package.startswith(ETCD_TESTS) else self.package

    @property
    def binary(self):
        return self.package.rsplit("/", 1)[1] + ".test"


SUITES = [
    Suite("k8s-etcd3", APISERVER + "storage/etcd3",
          "Kubernetes: its store on etcd: lists, watches, compaction, leases", quick="."),
    Suite("k8s-registry", APISERVER + "registry/generic/registry",
          "Kubernetes: the generic registry, on the store and its cache"),
    Suite("k8s-factory", APISERVER + "storage/storagebackend/factory",
          "Kubernetes: connections to the store, health checks, TLS"),
    Suite("k8s-reconcilers", APISERVER + "reconcilers",
          "Kubernetes: leases of API servers"),
    Suite("k8s-apiextensions", OURS + "apiextensions",
          "Kubernetes: an API server for custom resources as a process, with 20,000 objects",
          test_s=600),
    Suite("etcd-concurrency", CLIENTV3 + "/concurrency",
          "etcd's client: sessions, mutexes, elections, STM", quick="."),
    Suite("etcd-recipes", CLIENTV3 + "/experimental/recipes",
          "etcd's client: barriers, queues, locks", quick="."),
    Suite("etcd-naming", CLIENTV3 + "/naming",
          "etcd's client: endpoints and their resolver", quick="."),
    Suite("etcd-clientv3", CLIENTV3,
          "etcd's client: KV, transactions, watches, maintenance, mirrors",
          quick="^Test(KV(Put|Get|Range|Delete|Compact)|Txn|Watch|Namespace)"),
    Suite("etcd-lease", CLIENTV3 + "/lease",
          "etcd's client: leases, and its leasing cache",
          quick="^TestLease(Grant|Revoke|NotFound|TimeToLive|Keep|WithNewLeaderRetry)"),
    Suite("etcd-connectivity", CLIENTV3 + "/connectivity",
          "etcd's client: lost connections, dead and silent endpoints"),
    Suite("etcd-examples", CLIENTV3 + "/examples",
          "etcd's client: the examples of its documentation"),
    Suite("etcd-integration", ETCD_TESTS + "integration",
          "etcd's server by its gRPC API: KV, watch, lease, elections, TLS, limits",
          quick="^TestV3(Txn|Put|Range|DeleteRange|Lease(Grant|Revoke|Keep|Exists|Leases|Switch)"
                "|Watch(From|Future|Wrong|Cancel|Current|Empty|WithFilter|WithPrevKV))",
          test_s=120),
    Suite("etcd-e2e", ETCD_TESTS + "e2e",
          "etcd's server as a process, by etcdctl and curl",
          test_s=120, fixed_ports=True, etcdctl=True),
]

BY_NAME = {suite.name: suite for suite in SUITES}


@dataclass(frozen=True)
class Selection:
    """A suite, and a regular expression for its tests."""
    suite: Suite
    tests: str


def select(words):
    """What the words of the command line ask for: quick, full, SUITE or SUITE/REGEX."""
    chosen = []
    for word in words:
        if word == "quick":
            chosen += [Selection(suite, suite.quick) for suite in SUITES if suite.quick]
        elif word == "full":
            chosen += [Selection(suite, ".") for suite in SUITES]
        else:
            name, _, tests = word.partition("/")
            if name not in BY_NAME:
                raise ValueError(f"there is no suite {name}; --list shows all")
            chosen.append(Selection(BY_NAME[name], tests or "."))
    names = [selection.suite.name for selection in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is asked for twice")
    return chosen
