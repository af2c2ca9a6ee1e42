"""From what lies in a package to the columns of a table."""

from __future__ import annotations

import bz2
import csv
import io
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

Files = Mapping[str, Callable[[], bytes]]
Columns = Mapping[str, list[Any]]

_RAREST = 20  # words with a tag, below which no split of the rows has it in every part
_PASSAGE = 8  # sentences


def files_of(archive: zipfile.ZipFile | tarfile.TarFile) -> dict[str, Callable[[], bytes]]:
    """A reader for each regular file of a wheel or a source distribution, by its name there.

    Raises:
        ValueError: A name would lead out of the folder that the archive is unpacked to.
    """
    found: dict[str, Callable[[], bytes]] = {}
    if isinstance(archive, zipfile.ZipFile):
        found = {i.filename: partial(archive.read, i) for i in archive.infolist() if not i.is_dir()}
    else:
        for info in archive.getmembers():
            if info.isfile() and (file := archive.extractfile(info)):
                found[info.name] = file.read
    for name in found:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise ValueError(f"its member {name!r} would leave the folder it is unpacked to")
    return found


def write(columns: Columns, path: Path) -> None:
    """Writes a table as Parquet, each row once: a row that stands there twice would be refused later on."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    once = {json.dumps(row): row for row in zip(*columns.values(), strict=True)}
    pq.write_table(pa.table({name: [row[i] for row in once.values()] for i, name in enumerate(columns)}), path)


def _columns(rows: list[Any], *names: str) -> Columns:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _rated_tweets(member: str, files: Files) -> list[tuple[str, float]]:
    with tarfile.open(fileobj=io.BytesIO(files[member]())) as archive:
        lines = files_of(archive)["hutto_ICWSM_2014/tweets_GroundTruth.txt"]().decode("utf-8").split("\r\n")
    rated = [line.split("\t") for line in lines if line]  # no quoting: a quotation mark is part of the tweet
    return [(text, float(rating)) for _, rating, text in rated]


def _tweets(member: str, files: Files) -> Columns:
    """Tweets whose mean rating, from -4 to 4, is at least half a point away from neutral."""
    rated = [(text, rating) for text, rating in _rated_tweets(member, files) if abs(rating) >= 0.5]
    return _columns([(text, "positive" if rating > 0 else "negative") for text, rating in rated], "text", "label")


def _ratings(member: str, files: Files) -> Columns:
    """All tweets with their mean rating."""
    return _columns(_rated_tweets(member, files), "text", "label")


def _rotten_tomatoes(member: str, files: Files) -> Columns:
    """The reviews without the plots, each text once."""
    reader = csv.DictReader(io.StringIO(bz2.decompress(files[member]()).decode("utf-8"), newline=""))
    first: dict[str, str] = {}
    for row in reader:
        if row["category"] != "plot":
            first.setdefault(row["text"], row["category"])
    return _columns(list(first.items()), "text", "label")


def _r8(member: str, files: Files) -> Columns:
    """Both of its parts, each text once."""
    first: dict[str, str] = {}
    for part in ("train", "test"):
        lines = files[f"{member}reuters-r8-{part}.tab"]().decode("utf-8").splitlines()[3:]  # three lines of header
        for line in lines:
            label, _, text = line.partition("\t")
            if text.strip():
                first.setdefault(text.strip(), label)
    return _columns(list(first.items()), "text", "label")


def _tagged_addresses(member: str, files: Files) -> list[list[tuple[str, str]]]:
    found = []
    for address in re.findall(r"<AddressString>(.*?)</AddressString>", files[member]().decode("utf-8"), re.DOTALL):
        words = re.findall(r"<(\w+)>([^<]*)</\1>", address)
        found.append([(_unescaped(word.strip()), tag) for tag, word in words if word.strip()])
    return [address for address in found if address]


def _addresses(member: str, files: Files) -> Columns:
    """The words and their tags, without the addresses in which a tag stands that hardly ever occurs."""
    tagged = _tagged_addresses(member, files)
    seen = Counter(tag for address in tagged for _, tag in address)
    kept = [address for address in tagged if all(seen[tag] >= _RAREST for _, tag in address)]
    return _columns([([w for w, _ in a], [t for _, t in a]) for a in kept], "text", "label")


def _questions(member: str, files: Files) -> Columns:
    """A question for each address, about one of its parts in turn; every eighth about a part that it lacks."""
    tagged = _tagged_addresses(member, files)
    every = [tag for tag, count in Counter(t for a in tagged for t in {t for _, t in a}).items() if count >= _RAREST]
    rows = []
    for i, address in enumerate(tagged):
        text = " ".join(word for word, _ in address)
        tags = [tag for _, tag in address]
        whole = [tag for tag in dict.fromkeys(tags) if tag in every and _one_run(tags, tag)]
        lacking = [tag for tag in sorted(every) if tag not in tags]
        wanted = lacking[i % len(lacking)] if i % 8 == 7 or not whole else whole[i % len(whole)]
        words = [word for word, tag in address if tag == wanted]
        start = len(" ".join([*(word for word, _ in address[: tags.index(wanted)]), ""])) if words else 0
        answer = [{"text": " ".join(words), "start": start}] if words else []
        rows.append((text, f"What is the {_spoken(wanted)}?", answer))
    return _columns(rows, "text", "question", "label")


def _one_run(tags: list[str], tag: str) -> bool:
    first = tags.index(tag)
    return tags[first : first + tags.count(tag)] == [tag] * tags.count(tag)


def _spoken(tag: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", tag).lower()


def _unescaped(word: str) -> str:
    from html import unescape

    return unescape(word)


def _entities(member: str, files: Files) -> Columns:
    """The tweets, their words with BIO tags."""
    rows = []
    for block in re.split(r"\n\s*\n", files[member]().decode("utf-8").replace("\r\n", "\n")):
        pairs = [line.split("\t") for line in block.split("\n") if "\t" in line]
        pairs = [(word.strip(), tag.strip()) for word, tag in pairs if word.strip()]
        if pairs:
            rows.append(([word for word, _ in pairs], [tag for _, tag in pairs]))
    return _columns(rows, "text", "label")


def _smalltalk(member: str, files: Files) -> Columns:
    """What was said, and the reply."""
    import yaml

    rows = []
    for name in sorted(name for name in files if name.startswith(member) and name.endswith(".yml")):
        for turns in yaml.safe_load(files[name]().decode("utf-8"))["conversations"]:
            said = [" ".join(str(turn).split()) for turn in turns]
            if len(said) > 1 and all(said):
                rows.append((said[:-1], said[-1]))
    return _columns(rows, "text", "label")


def _news(member: str, files: Files) -> Columns:
    """Articles and their titles, each article once."""
    with zipfile.ZipFile(io.BytesIO(files[member]())) as archive:
        text = files_of(archive)["NewsArticles.csv"]().decode("utf-8", errors="replace")
    csv.field_size_limit(2**31 - 1)
    first: dict[str, str] = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        if row["text"].strip() and row["title"].strip():
            first.setdefault(" ".join(row["text"].split()), " ".join(row["title"].split()))
    return _columns(list(first.items()), "text", "label")


class _Paragraphs(HTMLParser):
    """The texts of the paragraphs and list items, by the sections that the headings make."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "h2":
            self.sections.append([])
        elif tag in ("p", "li") and self.sections:
            self._inside = True
            self.sections[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("p", "li")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.sections[-1][-1] += data


def _human_rights(member: str, files: Files) -> Columns:
    """The paragraphs of the sections that have as many of them in both languages."""

    def sections(name: str) -> Iterator[list[str]]:
        parser = _Paragraphs()
        parser.feed(files[f"{member}{name}.html"]().decode("utf-8"))
        return ([text for part in section if (text := " ".join(part.split()))] for section in parser.sections)

    pairs = zip(sections("eng"), sections("deu_1996"), strict=True)
    rows = [pair for one, other in pairs if len(one) == len(other) for pair in zip(one, other, strict=True)]
    return _columns(rows, "text", "label")


def _brown(member: str, files: Files) -> Columns:
    """Passages of some sentences, words and punctuation with spaces between."""
    rows = []
    for name in sorted(name for name in files if re.fullmatch(rf"{re.escape(member)}c[a-r]\d\d", name)):
        lines = [line.split() for line in files[name]().decode("utf-8").splitlines() if line.strip()]
        sentences = [" ".join(word.rpartition("/")[0] for word in line) for line in lines]
        rows += [(" ".join(sentences[i : i + _PASSAGE]),) for i in range(0, len(sentences), _PASSAGE)]
    return _columns(rows, "text")


BUILDERS: Mapping[str, Callable[[str, Files], Columns]] = MappingProxyType(
    {
        "tweets": _tweets,
        "tweet-ratings": _ratings,
        "rotten-tomatoes": _rotten_tomatoes,
        "r8": _r8,
        "addresses": _addresses,
        "address-questions": _questions,
        "tweet-entities": _entities,
        "smalltalk": _smalltalk,
        "news-titles": _news,
        "human-rights": _human_rights,
        "brown": _brown,
    }
)
"""By the name of the asset; given its member and all files of the package."""
