"""Content credentials in words, as rows of name and value."""

from __future__ import annotations

from dfd_train.predict.credentials import Credentials

NAME = "Content credentials (C2PA): signed notes on where a file comes from"
SOURCES = {
    "trainedAlgorithmicMedia": "made by generative AI",
    "compositeWithTrainedAlgorithmicMedia": "with parts made by generative AI",
    "algorithmicMedia": "made by a program",
    "algorithmicallyEnhanced": "enhanced by a program",
    "digitalCapture": "taken by a camera",
    "computationalCapture": "taken by a camera that computes",
    "screenCapture": "taken from a screen",
    "humanEdits": "edited by a person",
    "composite": "put together of several",
    "compositeCapture": "put together of what cameras took",
    "compositeSynthetic": "with parts that no camera took",
    "digitalCreation": "made by a person with a program",
}
"""kinds of sources by IPTC's names (cv.iptc.org/newscodes/digitalsourcetype), which C2PA takes over, in words"""


def facts_of_credentials(said: Credentials) -> list[tuple[str, str]]:
    """Returns the rows about a C2PA manifest: whether it fits the file, who signed, with what, and what was done."""
    if said.state == "not_looked_for":
        return [(NAME, f"not looked for: {said.reason}")]
    if said.state == "none":
        return [(NAME, f"none in the file ({said.reader})")]
    if said.state == "unreadable":
        return [(NAME, f"there are some, which can't be read: {said.reason} ({said.reader})")]
    fits = {
        "intact": "there are some, and the signature and fingerprints in them fit this file; whether the signer is to "
        "be trusted is not checked",
        "broken": "there are some that don't fit this file: one of both is not what was signed (in C2PA's words: "
        f"{', '.join(said.failures) or 'not valid'})",
    }[said.state]
    return [
        (NAME, f"{fits} ({said.reader})"),
        ("Signed by", said.signer or "not said"),
        ("Program or camera that wrote them", said.generator or "not said"),
        ("Signed at", said.signed_at or "no time stamp"),
        *([("What they say was done", "; ".join(map(_action, said.actions)))] if said.actions else []),
    ]


def _action(said: str) -> str:
    """Returns an action with its kind of source in words: `c2pa.created (x)` is "created: made by …"."""
    action, _, source = said.removesuffix(")").partition(" (")
    words = action.removeprefix("c2pa.").replace("_", " ")
    return f"{words}: {SOURCES.get(source, source)} ({source})" if source else words
