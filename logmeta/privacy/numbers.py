"""What gives itself away by its digits: cards (Luhn), IBANs (mod 97), national ID numbers, phone numbers, IPv4.

A look is taken for what it seems only where its check digits agree, wherever the number has any.

ISO/IEC 7812-1 (cards), ISO 13616 (IBAN); the checks are python-stdnum's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CARD: Final = (
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6\d{15,18}"
    r"|(?:4\d|5[1-5]|2[2-7]|35|6\d)\d\d(?P<between>[ -])\d{4}(?P=between)\d{4}(?P=between)\d{4}(?:(?P=between)\d{3})?"
    r"|3[47]\d\d(?P<gap>[ -])\d{6}(?P=gap)\d{5}|3[0689]\d\d(?P<space>[ -])\d{6}(?P=space)\d{4}"
)
_IDS: Final = {  # group of the pattern: what such numbers look like
    "SSN": r"\d{3}-\d\d-\d{4}",
    "CPF": r"\d{3}\.\d{3}\.\d{3}-\d\d",
    "AHV": r"756\.\d{4}\.\d{4}\.\d\d",
    "NN": r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d",
    "RRN": r"\d{6}-[1-4]\d{6}",
    "RIC": r"[1-6]\d{16}[\dX]",
    "AADHAAR": r"[2-9]\d{3}(?P<pause>[ -])\d{4}(?P=pause)\d{4}",
    "HETU": r"[0-3]\d{5}[+A-]\d{3}[0-9A-Y]",
    "PERSON": r"\d{6}[-+]\d{4}",
    "DNI": r"\d{8}-?[A-HJ-NP-TV-Z]",
    "NIE": r"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]",
}
_CHECKED: Final = frozenset(("CARD", "IBAN", *_IDS))
_NINO: Final = r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"
_PHONE: Final = r"\+[1-9](?:[ ().-]{0,2}\d){8,14}|\(\d{3}\) ?\d{3}-\d{4}|(?<![\w-])\d{3}-\d{3}-\d{4}"
_PATTERN: Final = re.compile(
    r"(?<![\w+.])(?:"
    r"(?P<IP>(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?)"
    rf"|(?P<CARD>{_CARD})"
    r"|(?P<IBAN>[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)"
    rf"|(?P<PHONE>{_PHONE})" + "".join(f"|(?P<{group}>{look})" for group, look in _IDS.items()) + rf"|(?P<NINO>{_NINO})"
    r")(?![\w]|[.-]\d)"
)
_BEHIND_A_WORD: Final = re.compile(
    r"(?<![\w-])(?:ssn|SSN|[Pp]assport|[Ii]nsurance|[Tt]ax|[Ss]ocial security)(?: (?:no\.?|number|id|ID))?[:#]? "
    r"(?P<IDNUM>(?=[A-Z-]{0,9}\d)[A-Z\d][A-Z\d-]{5,14})(?!\w)"
)
_GROUPS: Final = re.compile(
    r"<NUM>[ .-]<NUM>[ -]<NUM>|<NUM>[+A-FU-Y-]<NUM>|(?<![\w.<(])<NUM>\.<NUM>(?![\w.>)\]])|\+<NUM>"
    r"|\(<NUM>\) ?<NUM>-<NUM>|<NUM>-?[A-Z](?!\w)"
    r"|(?:ssn|SSN|[Pp]assport|[Ii]nsurance|[Tt]ax|security)(?: \S+)? [A-Z]{0,3}<NUM>"
)
_FEWEST: Final = 6  # digits in any ID
_LONGEST: Final = 4  # digits that some group of an ID has
_FRACTION: Final = 8  # longest group of an ID that is written with a point inside
LONG: Final = 13  # digits from which on a number alone may be a card or an ID


def groups_numbers(masked: str) -> bool:
    """Whether a masked text has numbers side by side in a way that an ID may be written, so that lines of it must be
    looked at one by one."""
    return bool(_GROUPS.search(masked))


def may_hold_ids(numbers: Sequence[str], *, grouped: bool) -> bool:
    """Whether the numbers of a line have digits enough for an ID, alone or `grouped`; a cheap look before the close."""
    if any(len(number) >= LONG and number.isdigit() for number in numbers):
        return True
    digits = [len(number) for number in numbers if len(number) <= _FRACTION or number.isdigit()]
    return grouped and sum(digits) >= _FEWEST and max(digits) >= _LONGEST


def name_numbers(text: str) -> str:
    """Name every card, IBAN, ID number, phone number and IPv4 address of a text, in one pass each."""
    text = _BEHIND_A_WORD.sub(_behind, text)
    return _PATTERN.sub(_named, text)


def private_numbers(line: str) -> list[tuple[int, int]]:
    """Where in a line the digits stand that must not be kept as numbers, as (start, end)."""
    spans = [match.span("IDNUM") for match in _BEHIND_A_WORD.finditer(line)]
    return spans + [match.span() for match in _PATTERN.finditer(line) if _kind(match)]


def _named(match: re.Match[str]) -> str:
    kind = _kind(match)
    return f"<{kind}>" if kind else match[0]


def _behind(match: re.Match[str]) -> str:
    return match[0][: match.start("IDNUM") - match.start()] + "<IDNUM>"


def _kind(match: re.Match[str]) -> str | None:
    """What a match is; None where its check digits say that it only looks so."""
    group = str(match.lastgroup)
    if group in _CHECKED:
        from logmeta.privacy.checks import agree  # a tenth of a second, for the few that see such a number

        if not agree(group, match[0]):
            return None
    return "IDNUM" if group in _IDS or group == "NINO" else group
