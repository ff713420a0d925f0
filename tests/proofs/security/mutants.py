"""Small wrong changes of a module, one at a time, as a tired programmer could make them.

Not changed: annotations, docstrings, imports, what stands under TYPE_CHECKING.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_SKIPPED = ("annotation", "returns", "decorator_list", "bases", "type_params")


class Mutant(NamedTuple):
    """A change: its line, what it does in words, and the module's code with it."""

    line: int
    change: str
    code: CodeType

    def __str__(self) -> str:
        """Return line and change, by which a survivor is known."""
        return f"{self.line}: {self.change}"


class _Site(NamedTuple):
    """One place where one change is made: what to put there, and back."""

    line: int
    change: str
    put: Callable[[], None]
    back: Callable[[], None]


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its lines as far as the tree has it."""
    tree = ast.parse(path.read_text())
    for site in list(_sites(tree)):
        site.put()
        ast.fix_missing_locations(tree)
        yield Mutant(site.line, site.change, compile(tree, str(path), "exec"))
        site.back()


def _swap(
    parent: Any, field: str, index: int | None, node: ast.AST, others: list[ast.AST]
) -> Iterator[_Site]:
    def set_to(value: ast.AST) -> None:
        if index is None:
            setattr(parent, field, value)
        else:
            getattr(parent, field)[index] = value

    for other in others:
        if isinstance(node, ast.expr | ast.stmt) and isinstance(other, ast.expr | ast.stmt):
            ast.copy_location(other, node)
        change = f"{_words(node)} → {_words(other)}"
        yield _Site(
            getattr(node, "lineno", 0),
            change,
            lambda other=other: set_to(other),  # type: ignore[misc]
            lambda: set_to(node),
        )


def _words(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:100]


def _sites(parent: ast.AST) -> Iterator[_Site]:
    if isinstance(parent, ast.If) and "TYPE_CHECKING" in ast.unparse(parent.test):
        return
    for field, value in ast.iter_fields(parent):
        if field in _SKIPPED:
            continue
        nodes: list[Any] = value if isinstance(value, list) else [value]
        for index, node in enumerate(nodes):
            if not isinstance(node, ast.AST) or _is_text(parent, node):
                continue
            others = [
                *_others(node),
                *([_negated(node)] if _is_condition(parent, field, node) else []),
            ]
            yield from _swap(
                parent, field, index if isinstance(value, list) else None, node, others
            )
            yield from _sites(node)


def _is_text(parent: ast.AST, node: ast.AST) -> bool:
    """Tell whether a node is a docstring, an import, or the fixed words inside an f-string."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return (
        docstring
        or isinstance(node, ast.Import | ast.ImportFrom | ast.expr_context)
        or (isinstance(parent, ast.FormattedValue) and isinstance(node, ast.JoinedStr))
    )


def _is_condition(parent: ast.AST, field: str, node: ast.AST) -> bool:
    asked = (field == "test" and isinstance(parent, ast.If | ast.IfExp | ast.While)) or (
        field == "ifs" and isinstance(parent, ast.comprehension)
    )
    # What is swapped, or loses its `not`, elsewhere needs no negation as well.
    simple = isinstance(node, ast.Compare) and len(node.ops) == 1
    return (
        asked
        and not simple
        and not (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))
    )


def _negated(node: Any) -> ast.AST:
    return ast.UnaryOp(ast.Not(), node)


def _others(node: ast.AST) -> list[ast.AST]:  # noqa: C901, PLR0911  a table in the shape of a match
    """Return what may stand in place of a node."""
    match node:
        case ast.Compare():
            return [
                ast.Compare(
                    node.left, [*node.ops[:at], other(), *node.ops[at + 1 :]], node.comparators
                )
                for at, op in enumerate(node.ops)
                for other in _COMPARISONS[type(op)]
            ]
        case ast.BoolOp():
            return [
                ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            ]
        case ast.UnaryOp(op=ast.Not()):
            return [node.operand]
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return [ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)]
        case ast.AugAssign():
            other = _OPERATORS.get(type(node.op))
            changed: list[ast.AST] = (
                [ast.AugAssign(node.target, other(), node.value)] if other else []
            )
            return [*changed, ast.Pass()]
        case ast.Constant():
            return [ast.Constant(value) for value in _values(node.value)]
        case ast.Return(value=ast.Constant(value=None)) | ast.Return(value=None):
            return []
        case ast.Return():
            return [ast.Return(ast.Constant(None))]
        case ast.Raise() | ast.Assign() | ast.Expr() | ast.Delete():
            return [ast.Pass()]
        case ast.Continue():
            return [ast.Break()]
        case ast.Break():
            return [ast.Continue()]
    return []


def _values(value: object) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1]
    if isinstance(value, str):
        return [value + "X"]
    if isinstance(value, bytes):
        return [value + b"X"]
    return []
