"""The comments beside the fields of a dataclass."""

import ast
import inspect
import io
import textwrap
import tokenize
from typing import Any


def field_comments(cls: type[Any]) -> dict[str, str]:
    """Return {field: comment at the end of its line}, inherited ones too.

    A class without readable source has none.
    """
    comments: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if "__annotations__" in vars(base):
            comments |= _own_comments(base)
    return comments


def _own_comments(cls: type[Any]) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
        body = ast.parse(source).body[0]
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):  # a class made by a program, say
        return {}
    by_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    fields = [node for node in getattr(body, "body", ()) if isinstance(node, ast.AnnAssign)]
    return {
        node.target.id: by_line[node.end_lineno]
        for node in fields
        if isinstance(node.target, ast.Name) and node.end_lineno in by_line
    }
