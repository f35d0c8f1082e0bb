#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes an etcd busy: fills it with keys, one a transaction, then puts and deletes without a pause
until there is a file.

  conformance/import/etcd_load.py --port 2379 --keys 100000 --until stop
"""

import argparse
import base64
import http.client
import json
import os
import random
import threading
import time

VALUE_BYTES = 300


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class Gateway:
    """One connection to etcd's JSON gateway."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, path, request):
        self._connection.request("POST", f"/v3/{path}", json.dumps(request))
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {body[:200]}")
        return json.loads(body)


def key_of(number):
    return f"/registry/things/n{number % 97}/{number}"


class Load:
    """Threads that write to the old store; each counts what it did."""

    def __init__(self, port, threads):
        self._port, self._threads = port, threads
        self._stop = threading.Event()
        self._running, self.counts = [], [0] * threads
        self.lease = Gateway(port).call("lease/grant", {"TTL": 100000})["ID"]

    def put(self, gateway, number, random_numbers):
        text = f"{random_numbers.random()} " * (VALUE_BYTES // 20)
        request = {"key": encoded(key_of(number)), "value": encoded(text[:VALUE_BYTES])}
        if number % 10 == 0:
            request["lease"] = self.lease
        gateway.call("kv/put", request)

    def fill(self, keys):
        def work(first):
            gateway, random_numbers = Gateway(self._port), random.Random(first)
            for number in range(first, keys, self._threads):
                self.put(gateway, number, random_numbers)
        workers = [threading.Thread(target=work, args=(number,)) for number in range(self._threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def start(self, keys):
        def work(me):
            gateway, random_numbers = Gateway(self._port), random.Random(1000 + me)
            while not self._stop.is_set():
                number = random_numbers.randrange(keys + keys // 10)
                if random_numbers.random() < 0.1:
                    gateway.call("kv/deleterange", {"key": encoded(key_of(number))})
                else:
                    self.put(gateway, number, random_numbers)
                self.counts[me] += 1
        self._running = [threading.Thread(target=work, args=(me,)) for me in range(self._threads)]
        for worker in self._running:
            worker.start()

    def stop(self):
        self._stop.set()
        for worker in self._running:
            worker.join()
        # A deletion at the revision of a compaction is still in etcd's hash.
        self.put(Gateway(self._port), 0, random.Random(0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=2379, help="of the loopback, etcd's [2379]")
    parser.add_argument("--keys", type=int, default=100000, help="how many [100000]")
    parser.add_argument("--threads", type=int, default=4, help="that write [4]")
    parser.add_argument("--until", metavar="FILE", help="that ends it [as soon as it is filled]")
    options = parser.parse_args()
    load = Load(options.port, options.threads)
    begin = time.monotonic()
    load.fill(options.keys)
    print(f"{options.keys} keys in {time.monotonic() - begin:.0f} s", flush=True)
    if options.until is None:
        return
    load.start(options.keys)
    while not os.path.exists(options.until):
        time.sleep(0.1)
    load.stop()
    print(f"and {sum(load.counts)} puts and deletions", flush=True)


if __name__ == "__main__":
    main()
