"""Texts of strangers as HTML: nothing that acts, nothing that loads, and every word still there."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.web.markdown import SafeHtml, render_text

ALLOWED = {
    "p", "h3", "h4", "ul", "ol", "li", "code", "pre", "span", "table", "thead", "tbody", "tr", "th",
    "td", "blockquote", "hr", "br", "a", "strong", "em", "s", "del", "div",
}  # fmt: skip
PIECES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "`",
    "*",
    "[x](java&#10;script:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "![x](http://evil.example/a)",
    "<a href='javascript:alert(1)'>x</a>",
    "[x]: javascript:alert(1)",
    "<style>*{}</style>",
    "> ",
    "<svg/onload=alert(1)>",
    '[x](http://a "onclick=alert(1)")',
    "```html\n<b>\n```\n",
    "- ",
    "# ",
    "|a|b|\n|-|-|\n|<b>|`x`|\n",
    "<javascript:alert(1)>",
    "[x](data:text/html,a)",
    "\n\n",
    "1. ",
    "```</code><script>\n",
    "<http://a.example>",
    "[x](vbscript:a)",
    "<!--",
    "-->",
    "<![CDATA[",
    "word",
]


class Page(HTMLParser):
    """The tags, attributes and words of some HTML."""

    def __init__(self, shown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(shown)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=20).map("".join))
@example("[x](JAVASCRIPT:alert(1))")
@example("[x](\x01javascript:alert(1))")
@example("[x](//evil.example/a)")
@example('```python "onload="x\ncode\n```')
@example("``` <script>\ncode\n```")
def test_nothing_that_acts_and_nothing_that_loads(text: str) -> None:
    page = Page(render_text(text))
    assert page.tags <= ALLOWED
    for tag, name, value in page.attributes:
        assert (tag, name) in {
            ("a", "href"), ("a", "rel"), ("span", "class"), ("ol", "start"), ("div", "class"),
        }  # fmt: skip
        if name == "href":
            assert value is not None
            assert re.match(r"https?://", value, re.IGNORECASE)
        if name == "rel":
            assert value == "noopener noreferrer nofollow"


@given(st.lists(st.from_regex(r"\A[a-zA-Zäשא0-9]{1,12}\Z"), min_size=1), st.sampled_from(PIECES))
def test_every_word_is_still_there(words: list[str], between: str) -> None:
    shown = Page(render_text(f" {between} ".join(words))).text
    if between != "[x]: javascript:alert(1)":  # a definition, which is not shown
        for word in words:
            assert word in shown


@given(st.text(max_size=300))
def test_plain_text_is_shown_character_by_character(text: str) -> None:
    shown = render_text(text, is_plain=True)
    assert Page(shown).text == text.replace("\r\n", "\n").replace("\r", "\n") or "\r" in text
    assert Page(shown).tags == {"div"}


def test_markdown_becomes_what_it_means() -> None:
    shown = render_text(
        "# Title\n\n**bold** ~~gone~~ `x < y`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n3. three\n"
        "\n[link](https://a.example/?x=1&y=2)\n"
    )
    assert "<h3>Title</h3>" in shown
    assert "<strong>bold</strong> <s>gone</s> <code>x &lt; y</code>" in shown
    assert "<td>1</td>" in shown
    assert '<ol start="3">' in shown
    assert (
        '<a href="https://a.example/?x=1&amp;y=2" rel="noopener noreferrer nofollow">link</a>'
    ) in shown


def test_headings_stay_below_those_of_the_page() -> None:
    shown = render_text("\n\n".join(f"{'#' * level} h" for level in range(1, 7)))
    assert re.findall(r"<(h\d)>", shown) == ["h3", "h4", "h4", "h4", "h4", "h4"]


def test_code_is_coloured_by_its_language() -> None:
    shown = render_text("```python\ndef f():\n    return 1\n```")
    assert '<span class="k">def</span> <span class="nf">f</span>' in shown
    assert "span" not in render_text("```klingon\ndef f()\n```")
    assert "span" not in render_text("```\ndef f()\n```")
    assert "span" not in render_text("```python\n" + "x = 1\n" * 4000 + "```")


def test_an_image_is_its_address_as_text() -> None:
    shown = render_text("![a cat](https://evil.example/cat.png)")
    assert shown == "<p>![a cat](https://evil.example/cat.png)</p>\n"


def test_maths_stays_as_it_is_written() -> None:
    assert "$x^2 \\le y_1$" in render_text("so $x^2 \\le y_1$ holds")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "![" * 25_000,
        ">" * 50_000,
        "- " * 25_000,
        "*a **b " * 7_000,
        "`a``" * 12_000,
        "\n".join("  " * depth + "- a" for depth in range(200)),
        "|a" * 200 + "\n" + "|-" * 200 + "\n" + ("|b" * 200 + "\n") * 100,
        "x" * 50_000,
        "<b>" * 16_000,
        "שלום " * 10_000,
        "```js\n" + "/*" * 9_000,
    ],
    ids=lambda text: text[:6],
)
def test_a_text_that_is_built_to_hurt_is_shown_all_the_same(text: str) -> None:
    shown = Page(render_text(text))
    assert shown.tags <= ALLOWED
    assert sum(map(str.isalnum, shown.text)) >= 0.9 * sum(map(str.isalnum, text)) - 10


def test_what_is_nested_too_deeply_is_shown_as_it_is() -> None:
    deep = "> " * 30 + "the end"
    assert render_text(deep) == render_text(deep, is_plain=True)
    assert "the end" in render_text("> " * 5 + "the end")
    assert "<blockquote>" in render_text("> " * 5 + "the end")


def test_the_same_text_is_rendered_once() -> None:
    assert render_text("*once*") is render_text("*once*")


def test_html_is_called_safe_in_one_place_only() -> None:
    web = Path(__file__).parents[2] / "app" / "web"
    for path in web.rglob("*.html"):
        assert not re.search(r"\|\s*safe\b|autoescape", path.read_text()), path.name
    for path in web.rglob("*.py"):
        if path.name != "markdown.py":
            assert not re.search(r"Markup\(|SafeHtml\(|__html__", path.read_text()), path.name
    assert isinstance(render_text("x"), SafeHtml)
