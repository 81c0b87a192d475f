"""What gives itself away by its letters: e-mails, tokens, values of known fields, names behind `user`.

One combined pattern, one pass. Every unbounded repeat is possessive and begins at the edge of a word, so that a long
line is read a constant number of times. What this finds does not depend on digits: lines of one shape agree.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from logmeta.privacy.fields import is_ordinary, kind_of_key

_PLACEHOLDER: Final = re.compile(r"<(?:EMAIL|IP|MAC|NAME|BIRTH|TOKEN|CARD|IBAN|IDNUM|PHONE)>")
_TOKENS: Final = (
    r"eyJ[\w-]{8,}+(?:\.[\w-]++){1,4}"  # JSON Web Token
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}\b|AIza[\w-]{30,}+|ya29\.[\w-]{20,}+"  # AWS, Google
    r"|gh[pousr]_\w{20,}+|github_pat_\w{20,}+|glpat-[\w-]{16,}+"  # GitHub, GitLab
    r"|xox[abeoprs]-[\w-]{10,}+|(?:sk|pk|rk)_(?:live|test)_\w{10,}+|sk-[\w-]{20,}+"  # Slack, Stripe, OpenAI
    r"|npm_\w{30,}+|hf_\w{20,}+|SG\.[\w-]{16,}+\.[\w-]{16,}+"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*+"
)
_FOLLOWS: Final = (
    r"(?= (?:from|logs|by|at|on|has|was|is|via|with|does|not|\w{2,20}ed)\b|[,;:.)\]]*+(?:$|\s{2}| \()|[,;)\]])"
)
_CAPITAL: Final = r"[^\W\d_a-z][^\W\d_A-Z]{1,30}+"
_PATTERN: Final = re.compile(
    r"(?<!\w)(?:"
    r"(?P<URL>(?<=://)[^\s/@:<]{1,200}+:[^\s/@<]{1,200}+(?=@))"
    r"|(?P<COOKIE>(?<=[Cc]ookie: )[^\r\n\"<]++)"
    r"|(?P<SCHEME>(?<!-)(?:[Bb]earer|[Bb]asic) (?P<credential>[\w.~+/-]{6,}+=*+))"
    rf"|(?P<TOKEN>{_TOKENS})"
    r"|(?P<EMAIL>(?<![.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)++)"
    r"|(?P<PASSED>(?<=password for |ublickey for )(?:invalid user )?+(?P<passed>[^\s<]{1,64}+)(?= from ))"
    r"|(?P<USER>(?<!-)(?:(?P<lead>for|invalid|illegal|unknown|as|by|of|from) )?+(?:[Uu]ser(?:name)?|[Aa]ccount|login)"
    r" (?:(?P<quote>[\"'])(?P<quoted>[^\"']{1,64})[\"']|(?P<user>[^\W\d][\w.@\\-]{0,63}+)))"
    r"|(?P<PERSON>(?<!-)(?:[Cc]ustomer|[Pp]atient|[Ee]mployee|[Pp]assenger|Mr\.?|Mrs\.?|Ms\.?|Dr\.) "
    rf"(?P<person>{_CAPITAL}(?:[ -]{_CAPITAL}){{0,3}}))"
    r"|(?P<HEXES>(?<![:.])(?:[0-9A-Fa-f]{1,4}(?=:)|(?=::))(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))"
    r"|(?P<FIELD>(?<![.-])(?P<key>[^\W\d][\w.-]*+)\\?[\"']?(?: ?=> ?| [=:] |: {0,4}|=))"
    r"|(?P<HOME>(?<=/home/|Users[/\\])[\w.-]++)"
    r"|(?P<FISCAL>[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?!\w))"
    r")"
)
_VALUE: Final = re.compile(
    r"(?P<open>\\?[\"'])?(?P<value>(?(open)[^\"'\\]++|(?:(?:Bearer|Basic|Digest|Token) )?"
    rf"(?:{_CAPITAL}(?: {_CAPITAL}){{1,3}}|[^\s,;&|()\[\]{{}}\"'<>\\]++)))"
)
_VALUE_OF: Final = {"SCHEME": "credential", "PASSED": "passed", "PERSON": "person"}
_KIND_OF: Final = {"URL": "TOKEN", "COOKIE": "TOKEN", "SCHEME": "TOKEN", "PASSED": "NAME", "PERSON": "NAME",
                   "HOME": "NAME", "FISCAL": "IDNUM"}  # fmt: skip
_UNITS: Final = frozenset(("service", "socket", "slice", "scope", "target", "timer", "mount", "device", "path", "swap"))
_FOLLOWED: Final = re.compile(_FOLLOWS)


@dataclass(frozen=True, slots=True)
class Redaction:
    """A text with what was found in it named. `ends[i]` is where placeholder i ends, `shifts[i]` by how much farther
    what follows it stood in the original."""

    text: str
    ends: tuple[int, ...] = ()
    shifts: tuple[int, ...] = ()

    def original(self, offset: int) -> int:
        """Where in the original text the character at `offset` stands."""
        before = bisect_right(self.ends, offset)
        return offset + (self.shifts[before - 1] if before else 0)


def redact_words(text: str) -> Redaction:
    """Name what gives itself away by its letters, in one pass."""
    parts: list[str] = []
    ends, shifts, at, size = [], [], 0, 0
    for start, end, kind in _spans(text):
        parts += text[at:start], f"<{kind}>"
        size += start - at + len(kind) + 2
        at = end
        ends.append(size)
        shifts.append(end - size)
    return Redaction("".join([*parts, text[at:]]) if parts else text, tuple(ends), tuple(shifts))


def without_placeholders(text: str) -> str:
    """The text without the names that `redact_words` put in."""
    return _PLACEHOLDER.sub(" ", text)


def _spans(text: str) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    at = 0
    while match := _PATTERN.search(text, at):
        start, end, kind = _judged(match)
        if kind:
            found.append((start, end, kind))
        at = max(end, at + 1)
    return found


def _judged(match: re.Match[str]) -> tuple[int, int, str | None]:
    """What to hide of a match and its kind; for a match that is nothing, None, and where to read on behind it."""
    looks = str(match.lastgroup)
    if looks == "FIELD":
        return _field(match)
    if looks == "USER":
        return _user(match)
    value = _VALUE_OF.get(looks, looks)
    kind = _address_kind(match[0]) if looks == "HEXES" else _KIND_OF.get(looks, looks)
    return *match.span(value), kind if _holds(looks, match[value]) else None


def _holds(looks: str, value: str) -> bool:
    if looks == "EMAIL":
        domain = value.rpartition(".")[2]
        return domain.isalpha() and len(domain) > 1 and domain not in _UNITS
    if looks == "SCHEME":  # "basic authentication" is no credential
        return not (value.isalpha() and value.islower())
    return True


def _field(match: re.Match[str]) -> tuple[int, int, str | None]:
    kind, end = kind_of_key(match["key"]), match.end()
    found = _VALUE.match(match.string, end) if kind else None
    if found is None or found["value"][0] in "<*" or is_ordinary(found["value"]):
        return end, end, None
    return *found.span("value"), kind


def _user(match: re.Match[str]) -> tuple[int, int, str | None]:
    if match["quoted"] is not None:
        return *match.span("quoted"), "NAME"
    start, end = match.span("user")
    while end > start + 1 and match.string[end - 1] in ".-":
        end -= 1
    named = match["lead"] or _FOLLOWED.match(match.string, end)
    hidden = named and not is_ordinary(match.string[start:end])
    return (start, end, "NAME") if hidden else (start, start, None)


def _address_kind(text: str) -> str | None:
    """MAC or IP for a group of hex digits and colons; a time of the day and `a::b` are neither."""
    if text.count(":") == 5 and all(len(part) == 2 for part in text.split(":")):
        return "MAC"
    if not any(c.isdigit() for c in text) or (text.count(":") < 7 and "::" not in text):
        return None
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return "IP"
