# SPDX-License-Identifier: Apache-2.0
"""The objects that the scenario makes."""


def namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(name, data, owners=()):
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": {
        "name": name, "ownerReferences": [owner(thing) for thing in owners]}}


def owner(thing):
    return {"apiVersion": thing["apiVersion"], "kind": thing["kind"],
            "name": thing["metadata"]["name"], "uid": thing["metadata"]["uid"]}


def secret(name, text):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"text": text}}


def items(things):
    return {"apiVersion": "v1", "kind": "List", "items": things}


def deployment(name, replicas):
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "progressDeadlineSeconds": 900,
            "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": "none", "ports": [
                    {"containerPort": 80}]}]}}}}


def service(name):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}


def event(name, about):
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name},
            "involvedObject": {"kind": "Namespace", "name": about, "namespace": about},
            "type": "Normal", "reason": "Conformance", "message": name}


def definition(group, plural, kind):
    schema = {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"},
                                                  "text": {"type": "string"}}},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind,
                      "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True,
                          "schema": {"openAPIV3Schema": schema},
                          "subresources": {"status": {}}}]}}


def custom(group, kind, name, size):
    return {"apiVersion": f"{group}/v1", "kind": kind,
            "metadata": {"name": name, "labels": {"odd": str(size % 2)}},
            "spec": {"size": size, "text": "x" * 200}}
