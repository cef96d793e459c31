"""Functions of this program as source that travels, and tasks that are installed on members."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import symtable
import textwrap
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Set, Union

from .errors import PoolError, failure

#: Names that every module has.
_PRESENT = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__builtins__"}
_Definition = Union[ast.FunctionDef, ast.AsyncFunctionDef]


@dataclass(frozen=True)
class Task:
    """A function that the operator installed on the members.

    Example:
        >>> pool.call("pipeline", Task("words"), "one two two")
    """

    name: str


def source_of(fn: Callable[..., Any]) -> str:
    """The source of a function, which its child runs in a module of its own.

    Raises:
        PoolError: `invalid_request` for what cannot travel: a lambda, a bound method, a decorated
            function, one that captured variables, or one that uses names of its module.
    """
    try:
        return _source_of(fn)
    except TypeError as error:
        raise _refused(fn, "it has no Python source: it is native, or an object") from error


@functools.lru_cache(maxsize=256)
def _source_of(fn: Callable[..., Any]) -> str:
    if inspect.ismethod(fn):
        raise _refused(fn, "a bound method carries its object; pass a function and its values")
    if inspect.isclass(fn) or not inspect.isfunction(fn):
        raise _refused(fn, "only a function of `def` has source; this is native, or an object")
    if fn.__name__ == "<lambda>":
        raise _refused(
            fn,
            "a lambda stands in the middle of a line; write it with `def`, or send its text: "
            '{"function": {"source": "lambda a: a + 1", "runtime": "python"}}',
        )
    if fn.__code__.co_freevars:
        names = ", ".join(fn.__code__.co_freevars)
        raise _refused(fn, f"it captured {names}; pass the values as arguments")
    if hasattr(fn, "__wrapped__"):
        raise _refused(fn, "it is decorated; send the function under the decorator")
    try:
        source = textwrap.dedent(inspect.getsource(fn))
        tree = ast.parse(source)
    except (OSError, SyntaxError) as error:
        raise _refused(fn, f"its source cannot be read: {error}") from error
    definition = tree.body[0]
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        raise _refused(fn, "its source is not one `def`")
    if definition.decorator_list:
        raise _refused(fn, "it is decorated; send the function under the decorator")
    outside = _outside_names(definition, source)
    if not outside:
        return source
    bare = _without_annotations(tree)
    outside = _outside_names(definition, ast.unparse(bare))
    if outside:
        names = ", ".join(sorted(outside))
        raise _refused(fn, f"it uses {names} of its module; import or define them inside")
    # Annotations alone name something of the module, so nothing evaluates them.
    return "from __future__ import annotations\n" + source


def _refused(fn: object, why: str) -> PoolError:
    name = getattr(fn, "__qualname__", None) or repr(fn)
    return failure("invalid_request", f"expected a function that can travel; got {name}: {why}")


def _outside_names(definition: _Definition, source: str) -> Set[str]:
    """The names that the source takes from around the function."""
    own = {definition.name} | _PRESENT
    table = symtable.symtable(source, "function.py", "exec")
    names = {each.get_name() for each in table.get_symbols() if each.is_referenced()}
    assigned: Set[str] = set()
    for inner in _nested(table):
        for symbol in inner.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                names.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                assigned.add(symbol.get_name())
    return names - own - assigned


def _nested(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _nested(child)


class _Stripping(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value=None)
        return self.generic_visit(node)


def _without_annotations(tree: ast.Module) -> ast.Module:
    return ast.fix_missing_locations(_Stripping().visit(tree))  # type: ignore[no-any-return]


def positional(fn: Callable[..., Any], args: Any, kwargs: Any) -> List[Any]:
    """All arguments of a call as positional ones, because only those travel.

    Raises:
        PoolError: `invalid_request` for a keyword that has no position.
    """
    if not kwargs:
        return list(args)
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise failure("invalid_request", f"expected arguments of {fn!r}; {error}") from error
    if bound.kwargs:
        names = ", ".join(bound.kwargs)
        raise failure("invalid_request", f"expected arguments that have a position; got {names}")
    return list(bound.args)
