# SPDX-License-Identifier: Apache-2.0
"""One nats-server with an account for each tenant, and a jetd for each account."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import servers

KEYS = 600  # what a small control plane holds


def config(port, store, count):
    """A nats-server with so many accounts, each with JetStream and a user of its own."""
    lines = [f'listen: "127.0.0.1:{port}"', f'jetstream {{ store_dir: "{store}" }}',
             "max_payload: 8MB", "accounts {"]
    for number in range(1, count + 1):
        lines.append(f'  tenant-{number} {{ jetstream: enabled, users: '
                     f'[ {{ user: "{user(number)}", password: "{password(number)}" }} ] }}')
    return "\n".join(lines + ["}", ""])


def user(number):
    return f"user-{number}"


def password(number):
    return f"password-{number}"


class NatsServer:
    """A nats-server outside of any jetd; a context that removes it and its data at the end."""

    def __init__(self, tools, accounts):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nats-", dir=tools.data))
        self.port = servers.free_port()
        file = self.folder / "nats.conf"
        file.write_text(config(self.port, self.folder / "data", accounts))
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([tools.nats_server, "-c", str(file)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def url(self, number):
        return f"nats://{user(number)}:{password(number)}@127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Tenant(servers.Server):
    """A jetd on one account of an outside nats-server."""

    def __init__(self, tools, nats, number):
        # By a variable: everybody can read a command line.
        super().__init__(tools, "jetd", environment={"JETD_NATS_URL": nats.url(number)})

    def command(self):
        return [str(self.tools.jetd), "--listen-client-urls", self.endpoint]


@contextlib.contextmanager
def started(run, count):
    """nats-server and `count` tenants that hold their keys. At the end all are told to stop before
    any is waited for."""
    with contextlib.ExitStack() as stack:
        nats = stack.enter_context(NatsServer(run.tools, count))
        tenants = [stack.enter_context(Tenant(run.tools, nats, i + 1)) for i in range(count)]
        stack.callback(tell_to_stop, tenants)
        for tenant in tenants:
            tenant.start()
        for number, tenant in enumerate(tenants, 1):
            tenant.load(["await,keys=0", f"create,ops={KEYS}"])
            if number % 25 == 0 and number < count:
                run.say(f"tenants: {number} of {count} hold their keys")
        yield nats, tenants


def tell_to_stop(tenants):
    for tenant in tenants:
        if tenant.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(tenant.process.pid, signal.SIGTERM)


def tenants(run):
    """Memory, CPU and context switches of 1 to 100 tenants that nobody uses."""
    seconds = 10 if run.quick else 60
    result = {"seconds": seconds, "keys": KEYS, "counts": []}
    for count in (1, 3, 10) if run.quick else (1, 10, 30, 100):
        with started(run, count) as (nats, running):
            time.sleep(5)  # what the load left to do
            pids = [nats.process.pid] + [tenant.process.pid for tenant in running]
            memory = servers.memory_of(pids)
            before, begin = servers.usage_of(pids), time.monotonic()
            time.sleep(seconds)
            after, end = servers.usage_of(pids), time.monotonic()
            result["counts"].append({
                "tenants": count, "memory": memory,
                "idle": servers.usage_between(before, after, end - begin)})
        run.say(f"tenants: {count} done")
    return result


def per_tenant(counts):
    """What a tenant adds, from the smallest number of them to the largest: PSS, CPU, context
    switches of jetd and of nats-server. With fewer than two numbers there is nothing to say."""
    if len(counts) < 2:
        return None
    first, last = counts[0], counts[-1]
    more = last["tenants"] - first["tenants"]

    def slope(pick):
        return (pick(last) - pick(first)) / more

    return {name: {
        "pss": slope(lambda c: c["memory"]["processes"][name]["pss"]),
        "cpu_percent": slope(lambda c: c["idle"][name]["cpu_percent"]),
        "switches_per_second": slope(lambda c: c["idle"][name]["switches_per_second"]),
    } for name in ("jetd", "nats-server")}
