"""Personal data and secrets named before a text is stored or sent to the model.

`redacted` is for any text that is stored; `redact_words` and `private_numbers` are its two halves, for the parser:
what is found by letters belongs to a line's shape, what is found by digits to the line itself.
"""

from __future__ import annotations

from logmeta.privacy.numbers import groups_numbers, name_numbers, private_numbers
from logmeta.privacy.words import Redaction, redact_words, without_placeholders

__all__ = [
    "Redaction",
    "groups_numbers",
    "private_numbers",
    "redact_words",
    "redacted",
    "without_placeholders",
]


def redacted(text: str) -> str:
    """The text with e-mails, addresses, names in known fields, tokens, cards and ID numbers named: `<EMAIL>`, `<IP>`,
    `<MAC>`, `<NAME>`, `<BIRTH>`, `<TOKEN>`, `<CARD>`, `<IBAN>`, `<IDNUM>`, `<PHONE>`; linear in its length."""
    return name_numbers(redact_words(text).text)
