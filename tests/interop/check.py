"""Verify and mint Phi license tokens with pyseto and cbor2, which know nothing of Phi.

One JSON request a line on stdin, one JSON answer a line on stdout:

    {"op": "verify", "token", "public_key_hex", "assertion", "footer_cbor_hex"}
        -> {"ok": true} or {"ok": false, "error": "..."}
    {"op": "mint", "seed_hex", "public_key_hex", "assertion", "footer_cbor_hex"}
        -> {"ok": true, "token": "..."}
"""

import json
import sys

import cbor2
import pyseto
from pyseto import Key


def verify(request):
    """The token verifies, its payload is `{}`, and its footer is deterministic CBOR."""
    public = bytes.fromhex(request["public_key_hex"])
    key = Key.from_asymmetric_key_params(4, x=public)
    decoded = pyseto.decode(
        key, request["token"], implicit_assertion=request["assertion"].encode()
    )
    if decoded.payload != b"{}":
        raise ValueError(f"payload is {decoded.payload!r}, not {{}}")
    footer = decoded.footer
    if footer != bytes.fromhex(request["footer_cbor_hex"]):
        raise ValueError("footer is not the expected bytes")
    if cbor2.dumps(cbor2.loads(footer), canonical=True) != footer:
        raise ValueError("footer is not canonical CBOR")
    return {"ok": True}


def mint(request):
    """A token made from the format's description alone."""
    seed = bytes.fromhex(request["seed_hex"])
    key = Key.from_asymmetric_key_params(4, d=seed)
    token = pyseto.encode(
        key,
        b"{}",
        footer=bytes.fromhex(request["footer_cbor_hex"]),
        implicit_assertion=request["assertion"].encode(),
    )
    return {"ok": True, "token": token.decode()}


OPERATIONS = {"verify": verify, "mint": mint}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = OPERATIONS[request["op"]](request)
    except Exception as error:  # any refusal is an answer; a broken request is one too
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
