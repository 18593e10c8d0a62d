"""Content credentials (C2PA): what a signed manifest in a file says, as facts; nothing here is judged.

Nothing is fetched: neither a manifest that is kept elsewhere, nor whether a certificate was revoked. Titles and
people's names are not read, as in `container`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from ffpp_prep.text.printable import printable

LONGEST_TEXT = 200  # letters of what a manifest says
MOST = 8  # actions and failures that are told
UNTRUSTED = "signingCredential.untrusted"  # of every certificate, as no list of trusted ones is kept here
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}

State = Literal["not_looked_for", "none", "intact", "broken", "unreadable"]


@dataclass(frozen=True)
class Credentials:
    """A file's C2PA manifest, the latest one where there are several."""

    state: State
    """intact: signature and hashes fit the file; who signed is not checked against a list of trusted issuers"""
    reason: str = ""
    """why it was not looked for, or can't be read"""
    signer: str = ""
    """the organisation and name that the signing certificate names; empty: not said; so below"""
    generator: str = ""
    """the program or device that made the claim, as it calls itself"""
    signed_at: str = ""
    actions: tuple[str, ...] = ()
    """what was done, with the kind of source where one is given, as the manifest words it"""
    failures: tuple[str, ...] = ()
    """checks that failed, by C2PA's codes"""
    reader: str = ""
    """which library read it"""


def advice() -> str:
    """Returns what adds the extra, for whoever gives the commands; empty where it is there."""
    if find_spec("c2pa") is not None:
        return ""
    return "content credentials (C2PA) are not looked for; `pip install 'packages/dfd-train[c2pa]'` adds that"


def credentials_of(path: Path) -> Credentials:
    """Returns the content credentials of a file. Needs the extra `c2pa`; without it the answer says so."""
    if find_spec("c2pa") is None:
        return Credentials("not_looked_for", "c2pa-python is not installed here")
    import c2pa

    reader = f"c2pa-python {version('c2pa-python')}"
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(OFFLINE))
        with path.open("rb") as file:
            found = c2pa.Reader.try_create(file, context=context)
            if found is None:
                return Credentials("none", reader=reader)
            with found:
                return _told(found, reader)
    except c2pa.C2paError.NotSupported:
        return Credentials("not_looked_for", "c2pa-python doesn't read files of this kind", reader=reader)
    except (c2pa.C2paError, ValueError, TypeError, AttributeError, KeyError) as error:
        said = (
            _text(str(error)) or type(error).__name__
        )  # a manifest is a stranger's: any part may be missing
        if said.startswith("Remote"):
            said = "the manifest is kept elsewhere, and was not fetched"
        return Credentials("unreadable", said, reader=reader)


def _told(found: Any, reader: str) -> Credentials:
    manifest: Mapping[str, Any] = found.get_active_manifest() or {}
    signature = manifest.get("signature_info") or {}
    results = (found.get_validation_results() or {}).get("activeManifest") or {}
    codes = [str(one.get("code")) for one in results.get("failure") or []]
    failures = [code for code in codes if code != UNTRUSTED]
    return Credentials(
        "intact" if found.get_validation_state() in ("Valid", "Trusted") and not failures else "broken",
        signer=_joined(signature.get("issuer"), signature.get("common_name")),
        generator=_generator(manifest),
        signed_at=_text(signature.get("time")),
        actions=tuple(_actions(manifest.get("assertions") or []))[:MOST],
        failures=tuple(map(_text, dict.fromkeys(failures)))[:MOST],
        reader=reader,
    )


def _generator(manifest: Mapping[str, Any]) -> str:
    tools = [one for one in manifest.get("claim_generator_info") or [] if isinstance(one, Mapping)]
    named = [" ".join(str(one[key]) for key in ("name", "version") if one.get(key)) for one in tools]
    return _joined(*named) or _text(manifest.get("claim_generator"))


def _actions(assertions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields actions as `c2pa.created (trainedAlgorithmicMedia)`, with the last part of the source type's address."""
    for assertion in assertions:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in (assertion.get("data") or {}).get("actions") or []:
                source = str(action.get("digitalSourceType") or "").rpartition("/")[2]
                yield _text(f"{action.get('action')}{f' ({source})' if source else ''}")


def _joined(*parts: object) -> str:
    return _text(", ".join(said for part in parts if (said := _text(part))))


def _text(value: object) -> str:
    return "" if value is None else printable(" ".join(str(value).split()))[:LONGEST_TEXT]
