"""openapi.py FILE BASE TOKEN SOCKET KEY: asks every operation of the description, with its examples, of
a node at BASE (TCP) and at its control socket, and validates what comes."""
import http.client
import json
import socket
import sys
import urllib.parse

import jsonschema

file, base, token, path, key = sys.argv[1:]
spec = json.load(open(file))
where = urllib.parse.urlsplit(base)
failures = []
asked = 0


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)


def ask(method, target, body=None, headers=None, unix=False):
    global asked
    asked += 1
    link = Unix("localhost") if unix else http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    link.request(method, target, body, headers or {})
    answer = link.getresponse()
    data = answer.read()
    link.close()
    return answer.status, answer.headers, data


def check(what, good):
    if not good:
        failures.append(what)


def resolve(item):
    while "$ref" in item:
        at = spec
        for part in item["$ref"][2:].split("/"):
            at = at[part]
        item = at
    return item


def validate(what, operation, status, headers, data):
    response = operation["responses"].get(str(status))
    if response is None:
        check(f"{what}: {status} is not described: {data[:300]}", False)
        return
    content = resolve(response).get("content")
    for name, header in resolve(response).get("headers", {}).items():
        check(f"{what}: no {name}", headers.get(name))
    if content is None:
        check(f"{what}: a body where none is described", data == b"")
        return
    kind = headers.get_content_type()
    check(f"{what}: {kind} is not described", kind in content)
    if kind not in content:
        return
    schema = dict(content[kind]["schema"], components=spec["components"])
    value = json.loads(data) if kind == "application/json" else data.decode()
    for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
        check(f"{what}: {error.json_path}: {error.message[:300]}", False)


def query(parameters, change=None):
    values = {p["name"]: p["example"] for p in parameters if p["in"] == "query" and "example" in p}
    values.update(change or {})
    return "?" + urllib.parse.urlencode(values) if values else ""


def wrong_values(parameter):
    schema = parameter["schema"]
    if "enum" in schema:
        return ["", "no-such-value", schema["enum"][0] + "x"]
    if schema.get("type") == "integer":
        most = [schema["maximum"] + 1] if "maximum" in schema else []
        return ["", "-1", "x", "1x", "9" * 30, schema["minimum"] - 1] + most
    return ["", "no such thing", "x" * 2000]


def reading(target, operation):
    parameters = [resolve(p) for p in operation.get("parameters", [])]
    on_port = "servers" not in operation
    open_ = {} in operation.get("security", [])
    bearer = {"Authorization": "Bearer " + token}
    sides = [("tcp", bearer, False)] if on_port else []
    if target.startswith("/api/") and target != "/api/v1/openapi.json":
        sides.append(("socket", {}, True))
    for side, headers, unix in sides:
        required = [p for p in parameters if p.get("required")]
        for asked_with in [query(parameters), query(required)]:
            what = f"GET {target}{asked_with} ({side})"
            status, got, data = ask("GET", target + asked_with, None, headers, unix)
            check(f"{what}: {status} {data[:200]}", status == 200 or not on_port)
            validate(what, operation, status, got, data)
            if got.get("ETag") and target.split("/")[-1] not in ("status", "peers", "traffic"):
                again = dict(headers, **{"If-None-Match": got["ETag"]})
                status, got, data = ask("GET", target + asked_with, None, again, unix)
                check(f"{what}, again: {status}", status == 304)
                validate(what + ", again", operation, status, got, data)
            status, got, data = ask("HEAD", target + asked_with, None, headers, unix)
            check(f"HEAD {target}{asked_with} ({side}): {status}", status == 200 or not on_port)
            check(f"HEAD {target} has a body", data == b"")
        for parameter in parameters:
            if parameter["in"] != "query":
                continue
            for value in wrong_values(parameter):
                asked_with = query(parameters, {parameter["name"]: value})
                what = f"GET {target}{asked_with[:100]} ({side})"
                status, got, data = ask("GET", target + asked_with, None, headers, unix)
                check(f"{what}: {status}, not 400", status == 400)
                validate(what, operation, status, got, data)
        for parameter in required:
            status, got, data = ask("GET", target, None, headers, unix)
            check(f"GET {target} without {parameter['name']}: {status}", status == 400)
        status, got, data = ask("GET", target + query(parameters, {"no_such": "1"}), None, headers, unix)
        check(f"GET {target} with an unknown parameter: {status}", status == 200 or not on_port)
    if on_port:
        status, got, data = ask("GET", target + query(parameters))
        check(f"GET {target} without a token: {status}", status == (200 if open_ else 401))
        validate(f"GET {target} without a token", operation, status, got, data)
        for given in ["Bearer " + "0" * 64, "Bearer", "Basic x"]:
            status, got, data = ask("GET", target + query(parameters), None, {"Authorization": given})
            check(f"GET {target} with {given[:10]}: {status}", status == 401)
            validate(f"GET {target} with a wrong token", operation, status, got, data)


def writing(target, operation):
    global token
    here = "servers" not in operation  # what the dashboard does, too
    bearer = {"Authorization": "Bearer " + token}
    if not here:
        on_port, _, _ = ask("POST", target, b"{}", bearer)
        check(f"POST {target} on the port: {on_port}", on_port in (404, 405))
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    bodies = [json.dumps(content["example"]).encode()] if content else [b"{}"]
    if content:
        bodies += [b"", b"x", b"[]", b"{", b'{"addr":1,"files":1,"code":1,"email":1,"registry":1,"owner":1,"name":1}',
                   b"[" * 1000, b'{"addr":"%s","files":["%s"],"code":"%s","email":"%s","terms":"%s","registry":"%s","owner":"%s","name":"%s"}'
                   % ((b"x" * 2000,) * 8)]
    for number, body in enumerate(bodies):
        what = f"POST {target} {body[:60]}"
        for headers, unix in [(None, True)] + [(bearer, False)] * here:
            status, got, data = ask("POST", target, body, headers, unix)
            validate(what, operation, status, got, data)
            check(f"{what}: {status} to nonsense", number == 0 or status == 400)
            if target == "/api/v1/token" and status == 200:
                token = json.loads(data)["token"]
    others = [({}, 401), ({"Authorization": "Bearer " + "0" * 64}, 401),
              (dict(bearer, Origin="https://evil.example"), 403), (dict(bearer, Origin="null"), 403),
              (dict(bearer, **{"Sec-Fetch-Site": "cross-site"}), 403),
              (dict(bearer, **{"Sec-Fetch-Site": "same-site"}), 403)]
    for headers, wanted in others if here else []:
        status, got, data = ask("POST", target, bodies[0], headers)
        check(f"POST {target} with {headers}: {status}, not {wanted}", status == wanted)
        validate(f"POST {target}", operation, status, got, data)


def posting(target, operation):
    """On the port, with a key of its own."""
    parameters = operation["parameters"]
    content = operation["requestBody"]["content"]["application/json"]
    body = json.dumps(content["example"]).encode()
    keyed = {"X-Api-Key": key}
    values = parameters[0]["schema"]["enum"]
    for number, value in enumerate(values * 2):
        asked_with = query(parameters, {"command": value})
        what = f"POST {target}{asked_with}"
        status, got, data = ask("POST", target + asked_with, body, keyed)
        check(f"{what}: {status} {data[:200]}", status == 200)
        validate(what, operation, status, got, data)
        status, got, data = ask("POST", target + asked_with, body, {"X-Api-Key": "0" * 64})
        check(f"{what} with a wrong key: {status}", status == 403)
        validate(what, operation, status, got, data)
        status, got, data = ask("POST", target + asked_with, body)
        check(f"{what} without a key: {status}", status == 403)
        validate(what, operation, status, got, data)
    for wrong in ["", "x" * 100]:
        status, got, data = ask("POST", target + query(parameters, {"command": wrong}), body, keyed)
        check(f"POST {target} {wrong[:9]}: {status}", status == 400)
        validate(f"POST {target}", operation, status, got, data)
    for nonsense in [b"", b"[]", b"{", b"{}", b'{"remote":1}', b'{"remote":"no address"}', b"[" * 5000]:
        status, got, data = ask("POST", target + query(parameters), nonsense, keyed)
        check(f"POST {target} {nonsense[:30]}: {status}", status == 400)
        validate(f"POST {target}", operation, status, got, data)


def methods(target, operations):
    described = {m.upper() for m in operations}
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "GET"]:
        on_port = [m for m in operations if m.upper() == method and "servers" not in operations[m]]
        if on_port:
            continue
        status, got, data = ask(method, target, b"", {"Authorization": "Bearer " + token})
        listed = any("servers" not in o for o in operations.values())
        check(f"{method} {target}: {status}", status == (405 if listed else 404))
        allowed = [m.upper() for m in operations if "servers" not in operations[m]]
        check(f"{method} {target}: no Allow", not listed or got.get("Allow") in allowed)
        error = {"$ref": "#/components/schemas/Error", "components": spec["components"]}
        jsonschema.Draft202012Validator(error).validate(json.loads(data))
    return described


jsonschema.Draft202012Validator.check_schema(spec["components"]["schemas"]["Status"])
for target, operations in spec["paths"].items():
    for method, operation in operations.items():
        way = reading if method == "get" else posting if target == "/dovecot" else writing
        way(target, operation)
    methods(target, operations)
for target in ["/dashboard/nothing", "/dashboard/../status", "/dashboards", "/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/nothing", "/blocklist", "/metrics/",
               "/api/v1/verdict/192.0.2.1", "/%61pi/v1/nothing"]:
    status, got, data = ask("GET", target, None, {"Authorization": "Bearer " + token})
    check(f"GET {target}: {status}", status == 404)
for line in failures[:40]:
    print("openapi.py:", line)
print(f"{len(spec['paths'])} paths, {asked} requests, {len(failures)} complaints")
sys.exit(1 if failures else 0)
