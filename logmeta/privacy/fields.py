"""Which keys hold personal data or secrets, by the words a key is made of: `userName`, `db.user`, `X-Api-Key`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_LAST: Final = {
    "NAME": (
        "user username login loginname logname uname ruser luser account acct customer patient employee owner "
        "author firstname lastname surname fullname realname displayname givenname familyname nickname nick "
        "forename recipient sender cardholder passenger applicant subscriber beneficiary payee memberid "
        "student"
    ),
    "TOKEN": (
        "password passwd passphrase pwd secret token apikey accesskey secretkey privatekey authorization "
        "credential credentials jwt csrf xsrf otp cvv cvc sessionid sessiontoken jsessionid phpsessid authkey"
    ),
    "CARD": "cardnumber cardno ccnum creditcard pan",
    "IBAN": "iban",
    "IDNUM": (
        "ssn nino cpf bsn pesel nif dni nie passport personnummer aadhaar taxid nationalid idnumber "
        "passportnumber steuerid sozialversicherungsnummer nhsnumber accountnumber accountno "
        "socialsecuritynumber insurancenumber"
    ),
    "PHONE": "phone mobile tel telephone fax msisdn phonenumber cellphone",
    "BIRTH": "dob birthdate birthday dateofbirth",
}
_KIND_OF: Final = {word: kind for kind, words in _LAST.items() for word in words.split()}
_PARTS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_FRACTION: Final = re.compile(r"\d{1,9}\.\d{1,9}")
_MOST_PARTS: Final = 3  # date_of_birth
_KEY_END: Final = 64

_WORDS: Final = (
    "a an and any are as at be been by can cannot cant could did do does else fail failed failing failure false "
    "for from had has have if in into invalid is it locked missing must no none not null nil n/a of off ok on "
    "only or out required reset rejected denied accepted unknown undefined unset expired changed updated created "
    "deleted disabled enabled empty error incorrect wrong mismatch match matched valid yes true success "
    "successful succeeded too than that the then this to up was were when where which while who will with without "
    # what a "user ..." may be that is no name
    "access account accounts action actions activity agent authentication authorization cache code context count "
    "data defined details directory entry event group groups id ids info information input interface interrupt "
    "item key level limit limits list login logins logout management manager mode module name names namespace "
    "object operation page password permission permissions policy preferences process profile profiles query "
    "quota record records registration request requests role roles row rows script service services session "
    "sessions settings slice space status store switch table task test thread timeout token type types update "
    "updates value values identification experience defaults specified supplied requested initiated "
)
ORDINARY: Final = frozenset(_WORDS.split())


@lru_cache(maxsize=4_096)
def kind_of_key(key: str) -> str | None:
    """What a key's value is, by its last words; None where it is nothing that must be hidden."""
    parts = [part.lower() for part in _PARTS.findall(key[-_KEY_END:])]
    named = parts[:-1] if parts[-1:] in (["name"], ["id"]) else []  # customer_name, patientId
    endings = ["".join(parts[-count:]) for count in range(min(_MOST_PARTS, len(parts)), 0, -1)]
    kind = next((_KIND_OF[word] for word in endings if word in _KIND_OF), None)
    return kind or ("NAME" if named and _KIND_OF.get(named[-1]) == "NAME" else None)


def is_ordinary(value: str) -> bool:
    """Whether a value is a plain word of a log's own language, or a share of time (`user: 0.02 s`), and no one's."""
    return value.lower().rstrip(".:") in ORDINARY or bool(_FRACTION.fullmatch(value))
