"""Texts to distil the text encoder on: log messages, message catalogues, program messages and English prose.

Nothing here is a hand-made list of messages: every text is read from the data folder or from what the machine
has installed, masked roughly as the parser would mask it, and kept once.
"""

from __future__ import annotations

import ast
import csv
import gettext
import gzip
import hashlib
import io
import json
import lzma
import random
import re
import sysconfig
import tarfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

MASK_WORDS = {
    "<NUM>": "number",
    "<IP>": "address",
    "<HEX>": "code",
    "<UUID>": "identifier",
    "<PATH>": "path",
    "<STR>": "text",
    "<TIME>": "time",
    "<*>": "value",
}
"""Each mask word of a template, one token for the student, and the plain word that the teacher reads instead."""

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MASKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", "<TIME>"),
        (rf"(?:\b{_DAY} )?\b{_MONTH} +\d{{1,2}} \d\d:\d\d:\d\d(?:\.\d+)?(?: \d{{4}})?", "<TIME>"),
        (rf"\b\d{{1,2}}/{_MONTH}/\d{{4}}:\d\d:\d\d:\d\d(?: [+-]\d{{4}})?", "<TIME>"),
        (r"\b\d{4}[/.-]\d\d[/.-]\d\d\b|\b\d\d:\d\d:\d\d(?:[.,]\d+)?", "<TIME>"),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<UUID>"),
        (r"%[-#0 +]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|z|j|t|I64)?[diouxXfgec]\b", "<NUM>"),
        (r"%(?:\(\w+\)|\d+\$)?-?\d*(?:\.[\d*]+)?[srqp]|\$?\{[\w.!:]*\}|<\*>", "<*>"),
        (r'"[^"\n]{1,200}"|(?<!\w)[\'`][^\'`\n]{1,120}[\'`](?!\w)', "<STR>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?\b|\b(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}\b", "<IP>"),
        (r"\b[a-z]+://[^\s,;)\]]+|(?<![\w<>])/(?:[\w.@%+~-]+/)*[\w.@%+~-]+/?", "<PATH>"),
        (r"\b0[xX][0-9a-fA-F]+\b|\b(?=\d*[a-fA-F])(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b", "<HEX>"),
        (r"(?<![A-Za-z])\d+(?:\.\d+)*", "<NUM>"),
    )
)
_LEADING_MASKS = re.compile(r"^(?:<(?:NUM|TIME|HEX|IP|UUID)>|[^\w<])*(?=[\w<])")
_DIGITS = re.compile(r"\d+")
_ROFF = re.compile(r"\\f(?:\[\w*\]|\(..|.)|\\s[-+]?\d|\\[&|/,]|\\\*\(..|\\\(..")
_LOG_CALLS = {"debug", "info", "warning", "error", "critical", "exception", "fatal", "warn", "log"}


@dataclass(frozen=True, slots=True)
class CorpusText:
    """A masked text and where it came from: `kind` is log, catalogue, program or prose; `family` the system."""

    text: str
    kind: str
    family: str


def mask(text: str) -> str:
    """Text with its variable parts replaced by mask words and its leading timestamp cut: roughly a template."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return _LEADING_MASKS.sub("", " ".join(text.split()), count=1)[:400]


def plain(text: str) -> str:
    """What the teacher reads: mask words become ordinary English words."""
    for word, meaning in MASK_WORDS.items():
        text = text.replace(word, meaning)
    return text


def corpus(data: Path, *, limit: int, per_source: int = 1_500, seed: int = 0) -> list[CorpusText]:
    """At most `limit` different texts: every log text, the rest shared equally by the other three kinds.

    Args:
        data: the folder of `shared/data`; a data set that is not there is left out (its count is then missing).
        limit: the most texts, all kinds together.
        per_source: the most log texts of one system, so that no system rules the corpus.
        seed: which texts stay where there are too many.
    """
    rng = random.Random(seed)
    seen: set[bytes] = set()
    chosen = _distinct(_logs(data, per_source=per_source, rng=rng), seen=seen)[:limit]
    for share, (kind, read) in zip((3, 2, 1), OTHERS, strict=True):
        if room := (limit - len(chosen)) // share:
            found = _distinct((CorpusText(mask(text), kind, kind) for text in read()), seen=seen)
            chosen += found if len(found) <= room else rng.sample(found, room)
    return chosen


def _distinct(texts: Iterable[CorpusText], *, seen: set[bytes]) -> list[CorpusText]:
    """Texts worth a vector (two words of letters, mostly ASCII), each once whatever its case."""
    kept = []
    for text in texts:
        key = hashlib.blake2s(text.text.lower().encode(), digest_size=12).digest()
        if key not in seen and text.text.isascii() and len(re.findall(r"[A-Za-z]{2,}", plain(text.text))) >= 2:
            seen.add(key)
            kept.append(text)
    return kept


def _logs(data: Path, *, per_source: int, rng: random.Random) -> Iterator[CorpusText]:
    """Masked messages of every system in the data folder, at most `per_source` different ones of each file set."""
    readers: tuple[Callable[[Path], Iterator[tuple[str, str]]], ...]
    readers = (_live, _loghub, _ait_templates, _hdfs, _openstack, _kalaki, _nezha)
    shapes: set[str] = set()
    by_family: dict[str, set[str]] = {}
    for reader in readers:
        for family, line in reader(data):
            shape = family + _DIGITS.sub("0", line)
            if shape not in shapes:  # masking costs more than reading: lines that differ in digits are one
                shapes.add(shape)
                by_family.setdefault(family.lower(), set()).add(mask(_message(line)))
    for family, found in sorted(by_family.items()):
        texts = sorted(found)
        texts = texts if len(texts) <= per_source else rng.sample(texts, per_source)
        yield from (CorpusText(text, "log", family) for text in texts)


def _message(line: str) -> str:
    """The words of a JSON line if it has any, else the line."""
    if not line.startswith("{"):
        return line
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    return next((str(fields[k]) for k in ("message", "msg", "event", "log") if fields.get(k)), line)


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as lines:
        yield from lines


def _members(path: Path, suffix: str, *, most: int) -> Iterator[tuple[str, io.StringIO]]:
    """Up to `most` files of a .tar.xz whose names end in `suffix`, as (name, text), in archive order."""
    if not path.exists():
        return
    with lzma.open(path) as raw, tarfile.open(fileobj=raw, mode="r|") as archive:
        for member in islice((m for m in archive if m.isfile() and m.name.endswith(suffix)), most):
            if (content := archive.extractfile(member)) is not None:
                yield member.name, io.StringIO(content.read().decode("utf-8", errors="replace"))


def _live(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(data.glob("live/*/*.log*")):
        yield from ((path.parent.name, line) for line in _lines(path))


def _loghub(data: Path) -> Iterator[tuple[str, str]]:
    for name, content in _members(data / "loghub_2k/loghub_2k.tar.xz", ".csv", most=1_000):
        for row in csv.DictReader(content):
            yield name.split("/")[-2], row.get("Content") or row.get("EventTemplate") or ""


def _ait_templates(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(data.glob("ait_sequences/templates/*.csv")):
        yield from ((path.stem.split("_")[0], line) for line in _lines(path))


def _hdfs(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(data.glob("hdfs_loglead/*events*.parquet")):
        import polars

        yield from (("hdfs", str(line)) for line in polars.read_parquet(path)["m_message"].unique(maintain_order=True))


def _openstack(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(data.glob("openstack_fi/*.tar.xz")):
        for _, content in _members(path, ".log", most=60):
            yield from (("openstack", line) for line in islice(content, 2_000))


def _kalaki(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(data.glob("openstack_kalaki/*.log.gz")):
        yield from (("openstack", line) for line in islice(_lines(path), 5_000))


def _nezha(data: Path) -> Iterator[tuple[str, str]]:
    for _, content in _members(data / "nezha_trainticket/logs.tar.xz", ".csv", most=12):
        for row in csv.reader(content):
            texts = (field for field in row if len(field.split()) > 2)
            yield from (("trainticket", _message(_message(text))) for text in texts)


def _catalogue_messages() -> Iterator[str]:
    """English messages of every gettext catalogue installed on this machine; the languages share their msgids."""
    seen: set[str] = set()
    for path in sorted(Path("/usr/share").rglob("*.mo")):
        try:
            catalogue: dict[object, object] = vars(gettext.GNUTranslations(path.open("rb")))["_catalog"]
        except (OSError, UnicodeError, ValueError, LookupError):
            continue  # a catalogue in a broken or unknown charset: others carry the same msgids
        for key in catalogue:
            message = str(key[0] if isinstance(key, tuple) else key)
            if message not in seen:
                seen.add(message)
                yield from (part for part in message.split("\n") if len(part.split()) >= 3)


def _program_messages() -> Iterator[str]:
    """Texts that installed Python programs log or raise, and the first lines of their docstrings."""
    paths = sysconfig.get_paths()
    roots = (Path(paths["stdlib"]), Path("/usr/lib/python3"), Path(paths["purelib"]))
    files = sorted({f for root in roots for f in root.rglob("*.py")})
    for path in random.Random(0).sample(files, min(len(files), 2_500)):
        try:
            with warnings.catch_warnings(action="ignore"):  # of other projects' code
                tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeError, ValueError, OSError, RecursionError):
            continue  # test fixtures of other projects are broken on purpose
        yield from _messages_in(tree)


def _messages_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            yield (ast.get_docstring(node) or "").split("\n\n")[0]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from map(_literal, node.exc.args)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOG_CALLS:
            yield from map(_literal, node.args)


def _literal(node: ast.expr) -> str:
    """A text constant, or an f-string with its fields as `{}`; empty for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(v) if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _manual_sentences() -> Iterator[str]:
    """Sentences of 5 to 40 words from the English manual pages."""
    pages = sorted(Path("/usr/share/man").glob("man[1-8]/*.gz"))
    for path in random.Random(0).sample(pages, min(len(pages), 2_500)):
        if path.is_symlink():
            continue
        words = " ".join("\0" if line.startswith((".", "'")) else line.strip() for line in _lines(path))
        for sentence in re.split(r"(?<=[.!?:])\s|\0", _ROFF.sub("", words).replace("\\-", "-")):
            if 5 <= len(sentence.split()) <= 40 and "\\" not in sentence:
                yield sentence


OTHERS: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
    ("program", _program_messages),
    ("prose", _manual_sentences),
    ("catalogue", _catalogue_messages),
)
