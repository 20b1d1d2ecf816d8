"""A class out of its file: the class, what it refers to, and the imports of these.

Found by the syntax tree and the scopes of its names alone, so that it is the same everywhere.
"""

from __future__ import annotations

import ast
import builtins
import copy
import symtable
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.foreign.candidates import is_main_guard

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_SETTERS = {"setattr", "delattr"}
_SHOWERS = {"print", "display", "help"}
_UNSTEADY = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.AugAssign)
_BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__package__"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """The statements that a class needs, as a file of their own, and the names it lacks.

    `later` are the class and the names that are read when something is called: the rest was read
    once, where it stands.
    """

    tree: ast.Module
    missing: tuple[str, ...]
    later: frozenset[str]


def works_when_imported(tree: ast.Module) -> bool:
    """Say whether importing a file does more than define: calls functions, runs loops, opens files.

    `NARRATIVE = Narrative(...)` and the like, of names in capitals, are definitions.
    """
    return any(not _only_defines(node) for node in tree.body)


def _only_defines(node: ast.stmt) -> bool:
    if isinstance(node, (*_DEFINITIONS, *_IMPORTS)) or is_main_guard(node):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        literal = isinstance(node, ast.Assign) and all(
            isinstance(target, ast.Name) and target.id in ("NARRATIVE", "RECIPE")
            for target in node.targets
        )
        return literal or not any(isinstance(each, ast.Call) for each in ast.walk(node))
    if isinstance(node, ast.Try):  # around imports
        return all(_only_defines(each) for each in node.body)
    return isinstance(node, ast.Pass)


def extract_class(tree: ast.Module, name: str) -> Extraction:
    """Return a class of a file with all that it refers to, in the order of the file."""
    ours = _list_ours(tree)
    units = [
        _Unit(node)
        for node in tree.body
        if not is_main_guard(node) and not (_find_called(node) & ours)
    ]
    search = _Search(units)
    search.need(name, before=len(units))
    body = [copy.deepcopy(units[place].node) for place in sorted(search.taken)]
    for statement in body:
        _narrow_import(statement, search.names)
    module = ast.Module(body=body, type_ignores=[])
    _drop_annotations(module)
    later = {name}.union(*(units[place].reads_later for place in search.taken))
    return Extraction(tree=module, missing=tuple(sorted(search.missing)), later=frozenset(later))


def list_rebound(tree: ast.Module, names: frozenset[str], *, since: int = 0) -> tuple[str, ...]:
    """Return those of the names whose value depends on how far a file has been executed.

    Several statements bind them, of those from the place `since` on, or a loop, `with`, `global` or
    augmented assignment does. That an import is repeated changes nothing.
    """
    found = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    once: set[str] = set()
    for place, statement in enumerate(tree.body):
        binds = _Unit(statement).binds
        found |= _list_unsteady(statement) & binds
        if place >= since and not isinstance(statement, _IMPORTS):
            found |= once & binds
            once |= binds
    return tuple(sorted(found & names))


def _list_unsteady(statement: ast.stmt) -> set[str]:
    """Return what loops and the like of a statement set, but for those inside of functions."""
    if isinstance(statement, _DEFINITIONS):
        return set()
    return {
        each.id
        for node in ast.walk(statement)
        if isinstance(node, _UNSTEADY)
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


class _Unit:
    """A top-level statement: the names it binds, those it reads at once, and those it reads later.

    `stores` are names of which it sets an attribute or an item (`Net.forward = f`, `x[0] = 1`,
    `setattr(Net, "forward", f)`), `calls` those of which it calls a method (`names.append(x)`), and
    `hands` those that it, a call by itself, hands over (`patch(Net)`).
    """

    def __init__(self, node: ast.stmt) -> None:
        self.node = node
        self.binds: set[str] = set()
        self.reads: set[str] = set()
        self.reads_later: set[str] = set()
        self.stars = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        if not self.stars:
            bare = copy.deepcopy(node)
            _drop_annotations(bare)
            self._look(symtable.symtable(ast.unparse(bare), "model", "exec"))
        self.stores, self.calls = _find_changed(node)
        self.hands = _find_handed(node)
        self.defines = isinstance(node, (*_DEFINITIONS, *_IMPORTS))
        """Whether what it binds is a module, a function or a class: no call changes these."""

        self.whole = isinstance(node, (*_DEFINITIONS, ast.ImportFrom, ast.Assign, ast.AnnAssign))
        """Whether nothing that was bound before is left of what it binds."""

    def _look(self, module: symtable.SymbolTable) -> None:
        for symbol in module.get_symbols():
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                self.binds.add(symbol.get_name())
            if symbol.is_referenced():
                self.reads.add(symbol.get_name())
        later: list[tuple[symtable.SymbolTable, bool]] = [
            (child, False) for child in module.get_children()
        ]
        while later:
            table, in_function = later.pop()
            in_function = in_function or table.get_type() == "function"
            for symbol in table.get_symbols():
                if symbol.is_global() and symbol.is_referenced():
                    (self.reads_later if in_function else self.reads).add(symbol.get_name())
            later += [(child, in_function) for child in table.get_children()]


@dataclass(slots=True)
class _Search:
    """What is taken of a file so far: places of statements, and the names they were taken for."""

    units: list[_Unit]
    taken: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    _asked: set[tuple[str, int]] = field(default_factory=set)

    def need(self, name: str, *, before: int) -> None:
        """Take what binds a name before a statement, and all that this needs in turn."""
        waiting = [(name, before)]
        while waiting:
            asked = waiting.pop()
            if asked not in self._asked:
                self._asked.add(asked)
                waiting += self._take(*asked)

    def _take(self, name: str, before: int) -> list[tuple[str, int]]:
        self.names.add(name)
        binders = [place for place in range(before) if name in self.units[place].binds]
        end = len(self.units)
        if not binders:
            late = [place for place in range(before, end) if name in self.units[place].binds]
            if late or name in _BUILTINS:
                return [(name, end)] if late else []
            return self._take_stars(name, before)
        last = binders[-1]
        changers = [p for p in range(last + 1, before) if self._changes(p, name, last)]
        return [each for place in (last, *changers) for each in self._take_unit(place, name)]

    def _changes(self, place: int, name: str, binder: int) -> bool:
        unit, bound = self.units[place], self.units[binder]
        if isinstance(bound.node, _IMPORTS):
            return False
        if name in unit.hands and (isinstance(bound.node, ast.ClassDef) or _is_display(bound.node)):
            return True
        return name in unit.stores or (name in unit.calls and not bound.defines)

    def _take_unit(self, place: int, name: str) -> list[tuple[str, int]]:
        unit, end = self.units[place], len(self.units)
        needs = [(each, place) for each in sorted(unit.reads)]
        needs += [(each, end) for each in sorted(unit.reads_later)]
        partly = not unit.whole or name in unit.reads
        if partly and any(name in earlier.binds for earlier in self.units[:place]):
            needs.append((name, place))
        self.taken.add(place)
        return needs

    def _take_stars(self, name: str, before: int) -> list[tuple[str, int]]:
        """Take every `from x import *`: any of them may bind a name that nothing else does."""
        stars = [place for place in range(before) if self.units[place].stars]
        self.taken.update(stars)
        if not stars:
            self.missing.add(name)
        return []


def _find_changed(node: ast.stmt) -> tuple[set[str], set[str]]:
    stores: set[str] = set()
    calls: set[str] = set()
    if isinstance(node, (*_DEFINITIONS, *_IMPORTS)):
        return stores, calls
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
            calls |= _find_root(each.func)
        elif isinstance(each, ast.Call) and _find_root(each.func) & _SETTERS and each.args:
            stores |= _find_root(each.args[0])
        elif isinstance(each, ast.Attribute | ast.Subscript) and isinstance(each.ctx, ast.Store):
            stores |= _find_root(each)
    return stores, calls


def _list_ours(tree: ast.Module) -> set[str]:
    """Return the names of our own package and of what is imported from it: it changes no class."""
    return {"bench"}.union(
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "bench"
        for alias in node.names
    )


def _find_called(node: ast.stmt) -> set[str]:
    """Return the name that a statement calls something of, where it does nothing else."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _find_root(node.value.func)
    return set()


def _find_handed(node: ast.stmt) -> set[str]:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return set()
    call = node.value
    if _find_root(call.func) & _SHOWERS:
        return set()
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return {each.id for each in given if isinstance(each, ast.Name)}


def _is_display(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
        node.value, ast.List | ast.Dict | ast.Set
    )


def _find_root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _narrow_import(node: ast.stmt, names: Iterable[str]) -> None:
    """Leave of an import what binds one of the names."""
    if isinstance(node, ast.Import):
        node.names = [a for a in node.names if (a.asname or a.name.split(".")[0]) in names]
    elif isinstance(node, ast.ImportFrom) and node.names[0].name != "*":
        node.names = [a for a in node.names if (a.asname or a.name) in names]


def _drop_annotations(tree: ast.AST) -> None:
    """Drop what functions say of types: a class works without, and may lack what they name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
