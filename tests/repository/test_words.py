"""The project speaks only of itself: of no machine, no registry's host, no folder beside it."""

import re
from pathlib import Path

import pytest

from tests.repository.tree import named, texts

MACHINE = re.compile(r"(?<![\w.$}{*-])/(?:root|home|Users|work|mnt/c|private)/[\w.-]+")
"""A path of somebody's machine. /mnt/models and /usr are of images and distributions."""

INDEX = re.compile(
    r"https?://(?!index\.example|[\w.-]*\.example)[\w.-]+/(?:[\w./-]*/)?simple\b"
    r"|\b(?:py"
    r"pi|files\.python"
    r"hosted|proxy\.go"
    r"lang|registry\.npm"
    r"js|cr"
    r"ates)\.(?:org|io)\b"
    r"|^(?:--)?(?:extra-)?index-url[ =]https?://",
    re.MULTILINE,
)
OUTSIDE = re.compile(r"\.\./sha" r"red\b|\bsha" r"red/design\b|\bsha" r"red/hooks\b")
THREAD = re.compile(r"\b(?:issue|pull request|ticket|PR)s? ?#\d+|\bsee #\d+", re.IGNORECASE)
WORKPLACE = re.compile(
    r"\b(?:cla" r"ude|chat" r"gpt|cop" r"ilot|anthr" r"opic|sub-?ag" r"ents?|this ses" r"sion)\b", re.IGNORECASE
)

RULES = [
    pytest.param(MACHINE, id="machine path"),
    pytest.param(INDEX, id="registry host"),
    pytest.param(OUTSIDE, id="folder beside the repository"),
    pytest.param(THREAD, id="number of a thread"),
    pytest.param(WORKPLACE, id="word of a workplace"),
]


def _looks_generated(path: Path) -> bool:
    return path.name in {"go.sum", "LICENSE"}


@pytest.mark.parametrize("rule", RULES)
def test_no_file_says(rule: re.Pattern[str]) -> None:
    found = [
        f"{named(path)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in texts()
        if not _looks_generated(path)
        for match in rule.finditer(text)
    ]
    assert found == []


def test_every_text_ends_with_one_line_break_and_has_no_blanks_at_line_ends() -> None:
    kinds = {".md", ".py", ".toml", ".j2", ".sh"}
    found = [
        named(path)
        for path, text in texts()
        if path.suffix in kinds
        and text
        and (not text.endswith("\n") or text.endswith("\n\n") or re.search(r"[ \t]+$", text, re.MULTILINE))
    ]
    assert found == []
