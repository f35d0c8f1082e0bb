# SPDX-License-Identifier: Apache-2.0
"""Does what the API shows agree with what the store holds?

Three views of one cluster are compared, name by name and version by version:
  store   the keys below /registry with their mod revisions, from etcdctl
  API     every resource the API server offers, listed from the store (resourceVersion is the mod
          revision of the object's key)
  cache   the same lists from the API server's watch cache, which lives on watches alone
and a fourth for what the scenario itself wrote and nobody else touches: the Ledger.
"""

from plane import wait_for

PREFIX = "/registry/"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

# Where the API server keeps a resource, if not below its own name.
KEPT_AT = {
    "services": "services/specs", "endpoints": "services/endpoints", "nodes": "minions",
    "replicationcontrollers": "controllers", "ingresses": "ingress",
    "podsecuritypolicies": "podsecuritypolicy",
    "customresourcedefinitions": "apiextensions.k8s.io/customresourcedefinitions",
    "apiservices": "apiregistration.k8s.io/apiservices",
}

# Keys of the API server's own, which no list shows.
OWN = ("/registry/masterleases/", "/registry/ranges/", "compact_rev_key")


class Ledger:
    """What the scenario wrote last: {path of a list: {(namespace, name): resourceVersion}}."""

    def __init__(self):
        self.objects = {}

    def wrote(self, path, answer):
        meta = answer["metadata"]
        name = (meta.get("namespace", ""), meta["name"])
        self.objects.setdefault(path, {})[name] = int(meta["resourceVersion"])

    def deleted(self, path, namespace, name):
        self.objects.get(path, {}).pop((namespace, name), None)

    def deleted_namespace(self, namespace):
        for known in self.objects.values():
            for name in [name for name in known if name[0] == namespace]:
                del known[name]

    def deleted_resource(self, path):
        self.objects.pop(path, None)


def resources(api):
    """{path of the list over all namespaces: prefix of its keys}, one version of each."""
    found = {}
    kept = set()
    groups = [("/api/v1", "")]
    for group in api.get("/apis")["groups"]:
        versions = [group["preferredVersion"]] + group["versions"]
        groups += [(f"/apis/{version['groupVersion']}", group["name"]) for version in versions]
    for path, group in groups:
        for resource in api.get(path)["resources"] or []:
            name = resource["name"]
            if "/" in name or "list" not in resource["verbs"] or name == "componentstatuses":
                continue
            custom = group and "." in group and not group.endswith(".k8s.io")
            prefix = PREFIX + (f"{group}/{name}" if custom else KEPT_AT.get(name, name)) + "/"
            if prefix not in kept:
                kept.add(prefix)
                found[f"{path}/{name}"] = prefix
    return found


def listed(api, path, query=""):
    """{(namespace, name): resourceVersion} of a list."""
    answer = api.get(path + query, accept=METADATA)
    return {(item["metadata"].get("namespace", ""), item["metadata"]["name"]):
            int(item["metadata"]["resourceVersion"]) for item in answer["items"] or []}


def stored(keys, prefix):
    """{(namespace, name): mod revision} of the keys below prefix."""
    found = {}
    for key, revision in keys.items():
        if key.startswith(prefix):
            namespace, _, name = key[len(prefix):].rpartition("/")
            found[(namespace, name)] = revision
    return found


def differences(left_name, left, right_name, right, what):
    """One line a difference, at most ten of them."""
    lines = []
    for name in sorted(left.keys() | right.keys()):
        label = f"{what} {'/'.join(part for part in name if part)}"
        if name not in right:
            lines.append(f"{label}: {left_name} has it at {left[name]}, {right_name} not at all")
        elif name not in left:
            lines.append(f"{label}: {right_name} has it at {right[name]}, {left_name} not at all")
        elif left[name] != right[name]:
            lines.append(f"{label}: {left_name} {left[name]}, {right_name} {right[name]}")
    return lines[:10]


def unclaimed(keys, offered):
    """Keys that belong to no resource of the API."""
    prefixes = tuple(offered.values()) + OWN
    return [f"key {key}: belongs to no resource" for key in sorted(keys)
            if not key.startswith(prefixes)]


def compare_at(api, server, revision):
    """Store and API as they were at one revision; (objects, differences)."""
    _, keys = server.keys(revision=revision)
    offered = resources(api)
    lines = unclaimed(keys, offered)
    count = 0
    query = f"?resourceVersion={revision}&resourceVersionMatch=Exact"
    for path, prefix in offered.items():
        in_store = stored(keys, prefix)
        count += len(in_store)
        lines += differences("store", in_store, "API", listed(api, path, query), path)
    return count, lines


def compare_now(api, server, ledger):
    """Store, API, cache and ledger of a cluster at rest; ({resource: count}, differences)."""
    def quiet():
        _, before = server.keys()
        lists = {path: listed(api, path) for path in offered}
        _, after = server.keys()
        return (before, lists) if moving(before) == moving(after) else None

    def moving(keys):
        return {key: revision for key, revision in keys.items() if not key.startswith(OWN)}

    offered = resources(api)
    keys, lists = wait_for("the store rests", quiet, 60, 0.5)
    lines = unclaimed(keys, offered)
    for path, prefix in offered.items():
        lines += differences("store", stored(keys, prefix), "API", lists[path], path)
    for path, known in ledger.objects.items():
        seen = {name: lists[path][name] for name in known if name in lists[path]}
        lines += differences("ledger", known, "API", seen, path)
    lines += compare_cache(api, lists)
    return {path: len(lists[path]) for path in offered}, lines


def compare_cache(api, lists, patience_s=15):
    """The watch cache catches up within patience_s, or what it lacks."""
    now = dict(lists)

    def behind():
        lines = []
        for path in lists:
            cached = listed(api, path, "?resourceVersion=0")
            lines += differences("API", now[path], "cache", cached, path)
            # Leases are renewed by themselves: where the cache is ahead, the list is the old one.
            ahead = [name for name in cached if cached[name] > now[path].get(name, 0)]
            if ahead:
                fresh = listed(api, path)
                now[path] = {**now[path], **{name: fresh[name] for name in ahead if name in fresh}}
        return lines

    try:
        wait_for("the watch cache agrees", lambda: not behind(), patience_s, 0.5)
    except TimeoutError:
        return behind() or ["the watch cache took too long"]
    return []
