"""Verify and mint Phi license tokens with pyseto and cbor2, which know nothing of Phi.

One JSON request a line on stdin, one JSON answer a line on stdout:

    {"op": "verify", "token", "public_key_hex", "assertion", "footer_cbor_hex"}
        -> {"ok": true} or {"ok": false, "error": "..."}
    {"op": "mint", "seed_hex", "public_key_hex", "assertion", "footer_cbor_hex"}
        -> {"ok": true, "token": "..."}
    {"op": "issue", "seed_hex", "public_key_hex", "assertion", "key_id_hex", "license"}
        -> {"ok": true, "token": "..."}, whose CBOR is written here, from docs/spec.md

Amounts are decimal texts, because JSON numbers lose digits; `true` is unlimited.
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
    """A token of a footer that is given."""
    return {"ok": True, "token": sign(request, bytes.fromhex(request["footer_cbor_hex"]))}


def issue(request):
    """A token made from the format's description alone."""
    key_id = bytes.fromhex(request["key_id_hex"])
    footer = cbor2.dumps([key_id, body(request["license"])], canonical=True)
    return {"ok": True, "token": sign(request, footer)}


def sign(request, footer):
    seed = bytes.fromhex(request["seed_hex"])
    key = Key.from_asymmetric_key_params(4, d=seed)
    assertion = request["assertion"].encode()
    token = pyseto.encode(key, b"{}", footer=footer, implicit_assertion=assertion)
    return token.decode()


def body(license):
    """The claims of a license by their numbers."""
    flags = bytearray(max(license["flags"]) // 8 + 1)
    for flag in license["flags"]:
        flags[flag // 8] |= 1 << flag % 8
    claims = {
        0: 1,
        1: license["issuer"],
        2: license["customer"],
        4: license["expires"],
        6: license["issued_at"],
        7: bytes.fromhex(license["token_id_hex"]),
        8: license["product"],
        9: license["plan"],
        10: bytes(flags),
        11: {code: [amount(limit), period] for code, limit, period in license["quotas"]},
        12: {code: amount(limit) for code, limit in license["limits"]},
        14: license["grace"],
        15: [bytes.fromhex(license["license_id_hex"]), license["license_revision"]],
        16: license["catalog_revision"],
        19: license["mint_epoch"],
    }
    if (binding := license["binding"]) is not None:
        claims[13] = [binding["required"], bytes.fromhex(binding["components_hex"])]
    return claims


def amount(limit):
    return True if limit is True else int(limit)


OPERATIONS = {"verify": verify, "mint": mint, "issue": issue}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = OPERATIONS[request["op"]](request)
    except Exception as error:  # any refusal is an answer; a broken request is one too
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
