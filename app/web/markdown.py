"""Prompts and responses as HTML that cannot harm: the only place where HTML is called safe.

Texts come from models and strangers. Markdown becomes HTML without raw HTML and without images;
code is highlighted; what comes out is cleaned against a list of what may stand in a page.
"""

import html
from collections import OrderedDict
from collections.abc import MutableMapping, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from pygments import lex
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

_MAX_DEPTH: Final = 20
_MAX_HTML_CHARACTERS: Final = 100_000
_MAX_HIGHLIGHTED_CHARACTERS: Final = 20_000
_CACHE_CHARACTERS: Final = 16_000_000
_FIRST_HEADING: Final = 3  # the page has its own h1 and h2
_LAST_HEADING: Final = 4

_TAGS: Final = {
    "p", "h3", "h4", "ul", "ol", "li", "code", "pre", "span", "table", "thead", "tbody", "tr", "th",
    "td", "blockquote", "hr", "br", "a", "strong", "em", "s", "del",
}  # fmt: skip
_ATTRIBUTES: Final = {"class", "rel", "start"}
_SCHEMES: Final = {"http", "https"}
_COLOURED: Final = {
    "k", "kn", "kd", "kc", "ow", "s", "s1", "s2", "sd", "m", "mi", "mf", "c", "c1", "nf", "nb",
}  # fmt: skip
"""Pygments' classes that the style sheet has colours for."""


class SafeHtml(str):
    """HTML that templates insert as it is. Made in this module alone."""

    __slots__ = ()

    def __html__(self) -> str:
        """How Jinja asks for it."""
        return str(self)


def render_text(text: str, *, code: str | None = None, is_plain: bool = False) -> SafeHtml:
    """A text as HTML: its Markdown, or the characters as they are; below it perhaps code.

    A text that is nested deeper than 20 levels, or whose HTML is longer than 100,000 characters, is
    shown as it is.
    """
    shown = _plain(text) if is_plain else _rendered(text)
    if code is None:
        return shown
    return SafeHtml(f"{shown}<pre><code>{html.escape(code)}</code></pre>")


def _rendered(text: str) -> SafeHtml:
    key = blake2b(text.encode(), digest_size=16).digest()
    found = _cache.get(key)
    if found is None:
        found = _render(text)
        _cache.put(key, found)
    return found


def _plain(text: str) -> SafeHtml:
    return SafeHtml(f'<div class="prewrap">{html.escape(text)}</div>')


def _render(text: str) -> SafeHtml:
    env: dict[str, Any] = {}
    tokens = _markdown.parse(text, env)
    if _depth(tokens) > _MAX_DEPTH:
        return _plain(text)
    _lower_headings(tokens)
    rendered: str = _markdown.renderer.render(tokens, _markdown.options, env)
    if len(rendered) > _MAX_HTML_CHARACTERS:
        return _plain(text)
    return SafeHtml(
        nh3.clean(
            rendered,
            tags=_TAGS,
            clean_content_tags=set(),
            attributes={"a": {"href"}, "ol": {"start"}},
            allowed_classes={"span": _COLOURED},
            attribute_filter=_keep,
            url_schemes=_SCHEMES,
            link_rel="noopener noreferrer nofollow",
            strip_comments=True,
        )
    )


def _keep(_: str, attribute: str, value: str) -> str | None:
    """The value of an attribute; None drops it, as that of a link into the service itself."""
    if attribute == "href":
        return value if value.partition("://")[0].lower() in _SCHEMES else None
    return value if attribute in _ATTRIBUTES else None


def _depth(tokens: Sequence[Token]) -> int:
    inline = (child for token in tokens for child in token.children or ())
    return max((token.level for token in (*tokens, *inline)), default=0)


def _lower_headings(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            level = int(token.tag[1]) + _FIRST_HEADING - 1
            token.tag = f"h{min(level, _LAST_HEADING)}"


def _highlight(code: str, language: str, _: str) -> str:
    if not language or len(code) > _MAX_HIGHLIGHTED_CHARACTERS:
        return html.escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return html.escape(code)
    return "".join(_coloured(STANDARD_TYPES.get(kind, ""), part) for kind, part in lex(code, lexer))


def _coloured(css_class: str, part: str) -> str:
    shown = html.escape(part)
    return f'<span class="{css_class}">{shown}</span>' if css_class in _COLOURED else shown


def _show_image_as_text(
    _: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    __: OptionsDict,
    ___: MutableMapping[str, Any],
) -> str:
    """Nothing is loaded from anywhere: an image is its description and its address."""
    image = tokens[index]
    return html.escape(f"![{image.content}]({image.attrGet('src') or ''})")


def _new_parser() -> MarkdownIt:
    # Beyond its own bound the parser would drop text; such texts are shown as they are.
    options = {"html": False, "highlight": _highlight, "maxNesting": _MAX_DEPTH + 4}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _show_image_as_text)
    return parser


class _Cache:
    """What was rendered lately, by the digest of its text; bounded by characters."""

    def __init__(self, max_characters: int) -> None:
        self._max_characters = max_characters
        self._characters = 0
        self._kept: OrderedDict[bytes, SafeHtml] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> SafeHtml | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: bytes, rendered: SafeHtml) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = rendered
            self._characters += len(rendered)
            while self._characters > self._max_characters:
                _, dropped = self._kept.popitem(last=False)
                self._characters -= len(dropped)


_markdown: Final = _new_parser()
_cache: Final = _Cache(_CACHE_CHARACTERS)
