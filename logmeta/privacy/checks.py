"""Whether a number's check digits agree: Luhn, mod 97 and those of national ID numbers, by python-stdnum."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from stdnum import iban, luhn
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.in_ import aadhaar
from stdnum.kr import rrn
from stdnum.se import personnummer
from stdnum.us import ssn

_AGREES: Final[dict[str, Callable[[str], bool]]] = {
    "SSN": ssn.is_valid,
    "CPF": cpf.is_valid,
    "AHV": ahv.is_valid,
    "NN": nn.is_valid,
    "RRN": rrn.is_valid,
    "RIC": ric.is_valid,
    "AADHAAR": aadhaar.is_valid,
    "HETU": hetu.is_valid,
    "PERSON": personnummer.is_valid,
    "DNI": dni.is_valid,
    "NIE": nie.is_valid,
}
_BETWEEN: Final = re.compile("[ -]")


def agree(look: str, number: str) -> bool:
    """Whether a number that looks like a card, an IBAN or an ID of a country is one by its check digits."""
    if look == "CARD":
        return bool(luhn.is_valid(_BETWEEN.sub("", number)))
    if look == "IBAN":
        return bool(iban.is_valid(number, check_country=False))
    return bool(_AGREES[look](number))
