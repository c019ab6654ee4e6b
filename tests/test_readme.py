"""What the README shows is what the commands print."""

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    found = re.search(f"<!-- {name} -->(.*)<!-- /{name} -->", README, re.DOTALL)
    assert found, f"README has no section {name}"
    return found.group(1)


def block(text: str, language: str) -> str:
    found = re.search(f"```{language}\n(.*?)```", text, re.DOTALL)
    assert found, f"no block of {language}"
    return found.group(1)


def visible(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_the_gradient_check_prints_what_is_shown():
    text = section("gradcheck")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block(text, "python"), "README.md", "exec"), {})
    assert visible(block(text, "text")) == visible(printed.getvalue())


def test_every_command_and_link_leads_to_a_file():
    root = Path(__file__).parents[1]
    scripts = re.findall(r"python (experiments/\w+\.py)", README)
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert scripts
    assert links
    for path in scripts + links:
        assert (root / path).exists(), path
